//! RCPT: mail from senders that heed the suppression list does not go to addresses on it.

use mail::{ForwardPath, Reply, ReversePath};

use super::{Judge, Verdict, unreadable};
use crate::{route::Destination, suppression};

pub(super) async fn check(
    judge: &Judge<'_>,
    reverse_path: &ReversePath,
    path: &ForwardPath,
    destination: &Destination,
) -> Result<Option<Verdict>, Reply> {
    let (Destination::Ways { foreign: true, .. }, Some(sender), Some(address)) =
        (destination, reverse_path.address(), path.address())
    else {
        return Ok(None);
    };
    if !suppression::is_heeded(judge.config, sender) {
        return Ok(None);
    }
    let found = judge.stores.suppressions.get(address).await.map_err(|error| unreadable(&error))?;
    let verdict = match found.filter(|found| found.holds(judge.world.clock.wall())) {
        None => Verdict::pass("suppression", "the address is not suppressed"),
        Some(found) => {
            let reason = found.cause.reason().unwrap_or("an administrator said so");
            let text = format!(
                "{address} is suppressed since {} because {reason}; `postrider suppression remove {address}` lifts that",
                found.last_at
            );
            Verdict::refuse("suppression", Reply::new(550, (5, 1, 1), text)).with("cause", found.cause)
        }
    };
    Ok(Some(verdict.with("recipient", address)))
}
