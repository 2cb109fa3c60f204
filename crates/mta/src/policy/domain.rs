//! RCPT, of recipients elsewhere: does their domain exist, and does it take mail?

use std::time::Duration;

use mail::Reply;

use super::{Judge, Verdict};
use crate::route::{
    DOMAIN_LANE, Way,
    site::{NoSite, Site},
};

/// A client waits no longer for a name server; the message is taken, and the question asked again for its delivery.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ways with the lanes of their sites, as far as they can be found now, and a word on a recipient who can never be
/// reached. An alias that leads there is no reason to refuse: its other targets may be well.
pub async fn check(judge: &Judge<'_>, mut ways: Vec<Way>, foreign: bool) -> (Vec<Way>, Option<Verdict>) {
    let until = judge.now + PATIENCE;
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
