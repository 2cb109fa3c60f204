//! Connect: a client waits for the greeting (RFC 5321 §3.1, §4.3.1); programs that only send do not.

use std::time::Duration;

use mail::Reply;

use super::Verdict;

const RULE: &str = "early-talk";

pub fn silence(delay: Duration) -> Verdict {
    Verdict::pass(RULE, "the client waited for the greeting").with("seconds", delay.as_secs_f32())
}

/// The protocol machine says the reply; this is for the log.
pub fn words(octets: usize) -> Verdict {
    let reply = Reply::new(554, (5, 5, 0), "improper pipelining: wait for the reply");
    Verdict::refuse(RULE, reply).with("octets", octets)
}
