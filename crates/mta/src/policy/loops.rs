//! After the content: has the message been here before?

use mail::{Reply, limits::RECEIVED_HEADERS_MAX};
use store::spool::LaneId;

use super::{Header, Judge, Verdict, repeats::REPEATS_MAX};
use crate::{
    accept::AcceptedRecipient,
    route::{self, LIST_LANE, LOCAL_LANE},
};

const RULE: &str = "loops";

/// Where Delivered-To is written.
fn is_final(lane: &LaneId) -> bool {
    [LOCAL_LANE, LIST_LANE].contains(&&*lane.0) || route::gateway::is_gateway(lane)
}

/// None: it has not come for the same recipient too often. Hosts on the way may have hidden that they had it.
pub fn check_repeats(
    judge: &Judge<'_>,
    header: &Header<'_>,
    recipients: &[AcceptedRecipient],
) -> Option<Verdict> {
    let message_id = header.message_id?;
    let repeats = &judge.memory.repeats;
    let counts = recipients
        .iter()
        .map(|recipient| (recipient, repeats.count(message_id, &recipient.original.to_lookup(), judge.now)));
    let (recipient, count) =
        counts.max_by_key(|(_, count)| *count).filter(|(_, count)| *count > REPEATS_MAX)?;
    if count == REPEATS_MAX + 1 {
        let recipient = &recipient.original;
        tracing::warn!(%recipient, message_id, "a message comes again and again: it seems to go in a circle");
    }
    // For now: each host that is asked to wait slows the circle down, and an honest sender loses nothing.
    let reply = Reply::new(
        451,
        (4, 4, 6),
        "the message has come too often for this recipient: it seems to go in a circle",
    );
    Some(Verdict::refuse(RULE, reply).with("message-id", message_id).with("times", count))
}

/// None: it does not go in circles.
pub fn check(header: &Header<'_>, recipients: &[AcceptedRecipient]) -> Option<Verdict> {
    // RFC 5321 §6.3
    if header.hops >= RECEIVED_HEADERS_MAX {
        let reply = Reply::new(554, (5, 4, 6), "the message has passed too many hosts: a loop");
        return Some(Verdict::refuse(RULE, reply).with("received", header.hops));
    }
    // RFC 9228 §3: what was delivered for an address does not come back for it.
    let delivered = |recipient: &&AcceptedRecipient| {
        header.delivered_to.contains(&recipient.original.to_lookup())
            && recipient.ways.iter().any(|way| is_final(&way.lane))
    };
    let recipient = recipients.iter().find(delivered).filter(|_| !header.delivered_to.is_empty())?;
    let reply = Reply::new(554, (5, 4, 6), "the message was delivered for this address before: a loop");
    Some(Verdict::refuse(RULE, reply).with("delivered-to", &recipient.original))
}
