//! RCPT, of recipients elsewhere: does their domain exist, and does it take mail?

use std::time::Duration;

use mail::Reply;

use super::{Judge, Verdict};
use crate::route::{
    DOMAIN_LANE, Way,
    site::{NoSite, Site},
};

/// A client waits no longer for a name server, at one recipient and at all of a message; the recipient is taken, and the
/// question asked again for its delivery.
const PATIENCE: Duration = Duration::from_secs(5);
const MESSAGE_PATIENCE: Duration = Duration::from_secs(20);

/// For the next recipient, after the message's other ones have waited so long.
pub fn patience(waited: Duration) -> Duration {
    MESSAGE_PATIENCE.saturating_sub(waited).min(PATIENCE)
}

/// The ways with the lanes of their sites, as far as they can be found now, and a word on a recipient who can never be
/// reached. An alias that leads there is no reason to refuse: its other targets may be well.
pub async fn check(judge: &Judge<'_>, mut ways: Vec<Way>, foreign: bool) -> (Vec<Way>, Option<Verdict>) {
    let until = judge.now + judge.patience;
    let mut verdict = None;
    for way in ways.iter_mut().filter(|way| way.lane.0.starts_with(DOMAIN_LANE)) {
        let found = tokio::select! {
            biased;
            found = Site::of(&*judge.world.dns, &judge.config.own, &way.address) => found,
            () = judge.world.clock.sleep_until(until) => break,
        };
        match found {
            Ok(site) => way.lane = site.lane(),
            Err(error) if error.is_temporary() || !foreign => {}
            Err(error) => {
                verdict = Some(Verdict::refuse("domain", reply(&error)).with("recipient", &way.address));
                break;
            }
        }
    }
    (ways, verdict)
}

fn reply(error: &NoSite) -> Reply {
    let status = error.status();
    // RFC 7505 §4.2: 556 says that the domain takes no mail.
    let code = if matches!(error, NoSite::NullMx(_)) { 556 } else { 550 };
    Reply::new(code, (status.class, status.subject, status.detail), error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::patience;

    #[test]
    fn a_message_of_many_slow_domains_is_waited_for_only_so_long() {
        let (mut waited, mut recipients) = (Duration::ZERO, 0);
        while !patience(waited).is_zero() {
            waited += patience(waited);
            recipients += 1;
        }
        assert_eq!((waited, recipients), (Duration::from_secs(20), 4));
    }
}
