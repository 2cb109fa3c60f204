//! FUTURERELEASE (RFC 4865): how long a message may be held.

use std::time::Duration;

use mail::{Hold, MailParameters, Reply, Timestamp};
use proto::smtp::server::{Flavour, HoldMax};

use crate::Config;

/// RFC 4865 §4: digits of an interval.
const SECONDS_MAX: u32 = 999_999_999;

/// What is announced: for submission only (RFC 4865 §1), and if the operator lets messages be held.
pub fn announced(config: &Config, flavour: Flavour, now: Timestamp) -> Option<HoldMax> {
    let seconds = u32::try_from(config.hold_max.as_secs()).unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
    let is_served = flavour == Flavour::Submission && seconds > 0;
    is_served.then(|| HoldMax { seconds, until: now.plus(Duration::from_secs(seconds.into())) })
}

/// Refuses what is in the past, beyond what was announced, or later than the message is wanted.
pub fn check(config: &Config, now: Timestamp, parameters: &MailParameters) -> Result<(), Reply> {
    let Some(hold) = parameters.hold else { return Ok(()) };
    let refused = |text| Err(Reply::new(501, (5, 5, 4), text));
    let release_at = hold.release_at(now);
    if matches!(hold, Hold::Until(at) if at <= now) {
        return refused("the time to hold the message until is over");
    }
    if release_at > now.plus(config.hold_max) {
        return refused("a message is not held for so long here");
    }
    // RFC 4865 §6 leaves no time to deliver it in.
    if parameters.deliver_by.is_some_and(|by| by.deadline(now) <= release_at) {
        return refused("the message is to be delivered before it may leave");
    }
    Ok(())
}
