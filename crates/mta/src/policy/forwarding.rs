//! RCPT: what is told of an address that leads to one elsewhere (RFC 5321 §3.4). By default nothing (§7.4).

use mail::{Address, ForwardPath, Reply, srs};

use super::Verdict;
use crate::{
    config::{Config, Forwarding},
    route::Destination,
};

/// A refusal that names the other address.
pub fn check(config: &Config, path: &ForwardPath, destination: &Destination) -> Option<Verdict> {
    let target =
        target(path, destination).filter(|_| config.disclosure.forwarding == Forwarding::Redirected)?;
    let reply = Reply::new(551, (5, 1, 6), format!("user not local; please try <{target}>"));
    Some(Verdict::refuse("forwarding", reply).with("recipient", path).with("target", target))
}

/// The reply that accepts the recipient and names the other address.
pub fn reply(config: &Config, path: &ForwardPath, destination: &Destination) -> Option<Reply> {
    let target = target(path, destination).filter(|_| config.disclosure.forwarding == Forwarding::Told)?;
    Some(Reply::new(251, (2, 1, 5), format!("user not local; will forward to <{target}>")))
}

/// The one address elsewhere that a hosted address leads to. One beyond ASCII is not for every client's eyes (RFC 6531
/// §3.7.4.2), and a sender that we rewrote is a promise to bring bounces back.
fn target<'a>(path: &ForwardPath, destination: &'a Destination) -> Option<&'a Address> {
    let Destination::Ways { ways, foreign: false } = destination else { return None };
    let [way] = &ways[..] else { return None };
    let is_bounce = path.address().is_some_and(srs::is_rewritten);
    (way.forwarded && !is_bounce && way.address.is_ascii()).then_some(&way.address)
}
