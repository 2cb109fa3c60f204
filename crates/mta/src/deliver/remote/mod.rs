//! Relay to the next hop: a worker holds one connection and sends one message after another on it.

mod attempt;
mod caller;
mod connect;
mod dial;
mod next_hop;
mod promises;
mod security;
mod send;
mod trail;

use std::{sync::Arc, time::Duration};

use store::spool::{LaneId, QueueEntry};

use super::guard::guarded;
use crate::{
    Config, Mta,
    outcome::{self, Fate},
    route::DOMAIN_LANE,
    scheduler::Item,
};
pub(crate) use caller::{Caller, to_caller};
use connect::Connection;
use next_hop::{NextHop, Plan};
use send::{Sent, SiteWord};
use trail::{Span, Trail};

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    let mut held: Option<Held> = None;
    loop {
        let item = match &held {
            Some(held) => mta.dispatcher.take_within(mta, lane, held.idle_timeout).await,
            None => mta.dispatcher.take(mta, lane),
        };
        let Some(item) = item else { break };
        let Some(entry) = super::entry_of(mta, lane, item).await else { continue };
        let delivered = guarded(mta, &entry, deliver(mta, held.take(), &entry)).await;
        held = delivered.flatten();
    }
    if let Some(held) = held {
        held.connection.quit().await;
    }
}

/// A connection that waits for the next message.
struct Held {
    connection: Box<Connection>,
    idle_timeout: Duration,
}

/// One attempt; returns the connection if it can be used again.
async fn deliver(mta: &Arc<Mta>, held: Option<Held>, entry: &Arc<QueueEntry>) -> Option<Held> {
    let config = mta.config();
    let mut trail = Trail::new(&mta.world.clock);
    let began = trail.now();
    let plan = next_hop::plan(mta, &config, entry).await;
    trail.ended(Span::Dns, began);
    let mut hop = match plan {
        Plan::Deliver(hop) => hop,
        Plan::Reroute => {
            if entry.lane.0.starts_with(DOMAIN_LANE) {
                let took = trail.now().saturating_duration_since(began);
                mta.dispatcher.transaction(mta, &entry.lane, took);
            }
            super::reroute::reroute(mta, &config, entry).await;
            return held;
        }
        Plan::Apart(groups) => {
            super::reroute::apart(mta, entry, groups).await;
            return held;
        }
        Plan::Settle(fate) => {
            let sent = lookup_failed(mta, entry, fate);
            let attempt = trail.attempt(&sent, None, None);
            outcome::settle(mta, entry, sent.into_fates(), Some(attempt)).await;
            return held;
        }
    };
    hop.limit(mta, &config, entry);
    let held = held.map(|held| held.connection);
    let (entry, sent, connection) = hand_over(mta, (&config, &hop), held, entry, &mut trail).await;
    let entry = &entry;
    if sent.site == SiteWord::Busy {
        let item = Item { id: entry.id(), priority: entry.priority(), entry: Some(entry.clone()) };
        mta.dispatcher.given_back(mta, &entry.lane, item);
        return None;
    }
    let attempt = trail.attempt(&sent, hop.name(), connection.as_deref());
    outcome::settle(mta, entry, sent.into_fates(), Some(attempt)).await;
    let mut connection = connection.filter(|connection| connection.usable)?;
    connection.messages += 1;
    if connection.link.is_spent() || connection.messages >= hop.limits.messages_per_connection_max {
        connection.quit().await;
        return None;
    }
    Some(Held { connection, idle_timeout: hop.limits.idle_timeout })
}

/// To all recipients, by parts if the host's limits ask for it: what it has taken is noted before it gets more. Returns the
/// entry as it is now, and what became of the last part.
async fn hand_over(
    mta: &Arc<Mta>,
    (config, hop): (&Config, &NextHop),
    mut held: Option<Box<Connection>>,
    entry: &Arc<QueueEntry>,
    trail: &mut Trail,
) -> (Arc<QueueEntry>, Sent, Option<Box<Connection>>) {
    let (mut entry, mut fates) = (entry.clone(), vec![None; entry.recipients.len()]);
    loop {
        let (sent, connection) = attempt::attempt(mta, config, hop, held, (&entry, fates), trail).await;
        if !sent.goes_on {
            return (entry, sent, connection);
        }
        let trail = std::mem::replace(trail, Trail::new(&mta.world.clock));
        let attempt = trail.attempt(&sent, hop.name(), connection.as_deref());
        let Some((left, known)) = outcome::note(mta, &entry, &sent.fates, &attempt).await else {
            return (entry, sent, connection);
        };
        (entry, fates) = (left, known);
        held = connection.filter(|connection| connection.usable);
        if sent.other_session
            && let Some(spent) = held.take()
        {
            spent.quit().await;
        }
    }
}

/// A domain that cannot be looked up keeps all that waits for it.
fn lookup_failed(mta: &Arc<Mta>, entry: &QueueEntry, mut fate: Fate) -> Sent {
    if let Fate::Deferred(trouble) = &mut fate
        && entry.lane.0.starts_with(DOMAIN_LANE)
    {
        trouble.site_wait = mta.dispatcher.unreachable(mta, &entry.lane, &trouble.reason);
    }
    Sent::nothing(vec![None; entry.recipients.len()], &fate)
}

#[cfg(test)]
mod dsn_tests;
#[cfg(test)]
mod final_reply_tests;
#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod lmtp_tests;
#[cfg(test)]
mod promise_tests;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
mod time_tests;
