//! RCPT: relaying is for those we know (RFC 5321 §7.9, §3.6.2).

use mail::{ForwardPath, Reply};

use super::{Judge, Verdict};
use crate::route::{self, Destination};

pub fn check(judge: &Judge<'_>, path: &ForwardPath, destination: &Destination) -> Verdict {
    let is_hosted = match destination {
        Destination::Ways { foreign, .. } => !foreign,
        Destination::UnknownUser | Destination::Expired | Destination::Loop => true,
        Destination::NoRoute | Destination::Refused => false,
    };
    let is_kept = || match path {
        ForwardPath::Address(address) => route::is_kept_for(&judge.config.routes, address),
        ForwardPath::Postmaster => false,
    };
    let verdict = if is_hosted {
        Verdict::pass("relay", "the domain is hosted here")
    } else if judge.client.identity.is_some() {
        Verdict::pass("relay", "the client is authenticated")
    } else if judge.client.may_relay(judge.config) {
        Verdict::pass("relay", "the client is in a trusted network")
    } else if is_kept() {
        Verdict::pass("relay", "this host is a backup MX of the domain")
    } else {
        let text = "relaying is not allowed; authenticate to send to other domains";
        Verdict::refuse("relay", Reply::new(550, (5, 7, 1), text))
    };
    verdict.with("client", judge.client.ip).with("recipient", path)
}
