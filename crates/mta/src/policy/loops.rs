//! After the content: has the message been here before?

use mail::{Reply, limits::RECEIVED_HEADERS_MAX};
use store::spool::LaneId;

use super::{Header, Verdict};
use crate::{
    accept::AcceptedRecipient,
    route::{self, LIST_LANE, LOCAL_LANE},
};

const RULE: &str = "loops";

/// Where Delivered-To is written.
fn is_final(lane: &LaneId) -> bool {
    [LOCAL_LANE, LIST_LANE].contains(&&*lane.0) || route::gateway::is_gateway(lane)
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
