//! SEND, SOML, SAML: who may use them, and where their recipients lead (RFC 821 §3.4, RFC 5321 app. F.6).

use mail::{Delivery, Reply, terminal::MESSAGE_BYTES_MAX};
use proto::smtp::server::MailRequest;

use super::{Judge, Verdict, users};
use crate::{
    Mta,
    route::{self, LOCAL_LANE, Way},
};

const RULE: &str = "terminal";

/// May this client begin such a transaction? The session announces the commands only where it may; the configuration
/// may have changed since.
pub fn check(judge: &Judge<'_>, request: &MailRequest) -> Option<Verdict> {
    if request.delivery == Delivery::Mail {
        return None;
    }
    if !users::may_ask(judge.config, judge.config.send, &judge.client) {
        let reply = Reply::new(502, (5, 5, 1), "messages to terminals are not taken from you here");
        return Some(verdict(request.delivery, Err(reply)));
    }
    Some(verdict(request.delivery, check_size(request.delivery, request.parameters.size.unwrap_or(0))))
}

/// What goes to a terminal only has to fit there.
pub fn check_size(delivery: Delivery, octets: u64) -> Result<(), Reply> {
    if delivery == Delivery::Send && octets > MESSAGE_BYTES_MAX {
        return Err(Reply::new(552, (5, 3, 4), "the message is too long for a terminal; use MAIL or SOML"));
    }
    Ok(())
}

/// SEND takes who can be reached now.
pub fn check_recipient(mta: &Mta, delivery: Delivery, ways: &[Way]) -> Option<Verdict> {
    if delivery != Delivery::Send {
        return None;
    }
    let reachable = ways.iter().try_for_each(|way| {
        if !is_local(way) {
            let text = "SEND reaches terminals of this host's users only; use MAIL or SOML";
            return Err(Reply::new(550, (5, 3, 3), text));
        }
        if !mta.is_at_terminal(&way.address) {
            // RFC 821 §3.4
            return Err(Reply::new(450, (4, 2, 1), "the user is at no terminal that takes messages now"));
        }
        Ok(())
    });
    Some(verdict(delivery, reachable))
}

/// The ways where they lead to terminals. Other hosts get what may go to a mailbox, with MAIL.
pub fn lead(delivery: Delivery, mut ways: Vec<Way>) -> Vec<Way> {
    if let Some(lane) = route::live_lane(delivery) {
        ways.iter_mut().filter(|way| is_local(way)).for_each(|way| way.lane = lane.clone());
    }
    ways
}

fn is_local(way: &Way) -> bool {
    *way.lane.0 == *LOCAL_LANE
}

fn verdict(delivery: Delivery, checked: Result<(), Reply>) -> Verdict {
    let verdict = match checked {
        Ok(()) => Verdict::pass(RULE, "may go to terminals"),
        Err(reply) => Verdict::refuse(RULE, reply),
    };
    verdict.with("command", delivery.verb())
}
