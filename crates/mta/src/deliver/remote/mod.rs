//! Relay to the next hop: a worker holds one connection and sends one message after another on it.

mod caller;
mod connect;
mod dial;
mod next_hop;
mod promises;
mod security;
mod send;
mod trail;

use std::{sync::Arc, time::Duration};

use mail::TlsDemand;
use store::spool::{LaneId, QueueEntry};

use crate::{
    Config, Mta,
    outcome::{self, Fate},
};
pub(crate) use caller::{Caller, to_caller};
use connect::Connection;
use next_hop::{NextHop, Plan};
use security::Demand;
use send::Sent;
use trail::{Span, Trail};

/// Connections that one attempt uses, one after another, where the server's limits ask for it.
const SESSIONS_MAX: usize = 100;
/// How long an idle connection is kept for the next message.
const IDLE_MAX: Duration = Duration::from_secs(5);

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    let mut connection: Option<Box<Connection>> = None;
    loop {
        let item = match &connection {
            Some(_) => mta.dispatcher.take_within(mta, lane, IDLE_MAX).await,
            None => mta.dispatcher.take(mta, lane),
        };
        let Some(item) = item else { break };
        let Some(entry) = super::entry_of(mta, lane, item).await else { continue };
        connection = Box::pin(deliver(mta, connection, &entry)).await;
    }
    if let Some(connection) = connection {
        connection.quit().await;
    }
}

/// One attempt; returns the connection if it can be used again.
async fn deliver(
    mta: &Arc<Mta>,
    connection: Option<Box<Connection>>,
    entry: &Arc<QueueEntry>,
) -> Option<Box<Connection>> {
    let config = mta.config();
    let mut trail = Trail::new(&mta.world.clock);
    let began = trail.now();
    let plan = next_hop::plan(mta, &config, entry).await;
    trail.ended(Span::Dns, began);
    let hop = match plan {
        Plan::Deliver(hop) => hop,
        Plan::Reroute => {
            super::reroute::reroute(mta, &config, entry).await;
            return connection;
        }
        Plan::Settle(fate) => {
            let sent = Sent::nothing(vec![None; entry.recipients.len()], &fate);
            let attempt = trail.attempt(&sent, None, None);
            outcome::settle(mta, entry, sent.into_fates(), Some(attempt)).await;
            return connection;
        }
    };
    let (sent, connection) = attempt(mta, &config, &hop, connection, entry, &mut trail).await;
    let attempt = trail.attempt(&sent, hop.name(), connection.as_deref());
    outcome::settle(mta, entry, sent.into_fates(), Some(attempt)).await;
    match connection {
        Some(connection) if connection.usable && connection.link.is_spent() => {
            connection.quit().await;
            None
        }
        connection => connection.filter(|connection| connection.usable),
    }
}

/// Over as many connections as the server's limits ask for.
async fn attempt(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    reused: Option<Box<Connection>>,
    entry: &QueueEntry,
    trail: &mut Trail,
) -> (Sent, Option<Box<Connection>>) {
    let (mut sent, mut connection) =
        attempt_once(mta, config, hop, reused, (entry, vec![None; entry.recipients.len()]), trail).await;
    let mut sessions = 1;
    while sent.other_session && sent.open() > 0 && sessions < SESSIONS_MAX {
        sessions += 1;
        let open = sent.open();
        if let Some(spent) = connection.take().filter(|connection| connection.usable) {
            spent.quit().await;
        }
        (sent, connection) = attempt_once(mta, config, hop, None, (entry, sent.fates), trail).await;
        if sent.open() >= open {
            break;
        }
    }
    (sent, connection)
}

async fn attempt_once(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    reused: Option<Box<Connection>>,
    (entry, fates): (&QueueEntry, Vec<Option<Fate>>),
    trail: &mut Trail,
) -> (Sent, Option<Box<Connection>>) {
    let demand = Demand::of(entry.mail.tls);
    let (reused, unfit): (Option<Box<Connection>>, _) = match reused {
        Some(connection) if !security::fits(hop, &connection, demand) => (None, Some(connection)),
        reused => (reused, None),
    };
    if let Some(unfit) = unfit {
        unfit.quit().await;
    }
    if let Some(mut connection) = reused {
        let sent = send::send(mta, &mut connection, entry, fates.clone(), trail).await;
        // A server may close an idle connection at any time; that says nothing about the message.
        if !sent.chunking_refused && (!sent.untouched || connection.usable) {
            return (sent, Some(connection));
        }
    }
    let (sent, connection) = attempt_anew(mta, config, hop, (entry, fates.clone()), true, trail).await;
    if sent.chunking_refused {
        // RFC 3030 §2 is announced by mistake: what every server knows is left.
        return attempt_anew(mta, config, hop, (entry, fates), false, trail).await;
    }
    (sent, connection)
}

async fn attempt_anew(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    (entry, fates): (&QueueEntry, Vec<Option<Fate>>),
    chunking: bool,
    trail: &mut Trail,
) -> (Sent, Option<Box<Connection>>) {
    let demand = Demand::of(entry.mail.tls);
    let mut connected = connect::connect(mta, config, hop, demand, chunking, trail).await;
    // RFC 8689 §5: a report on a REQUIRETLS message is redacted, and not lost for want of a promise.
    if entry.mail.tls == TlsDemand::Preferred && connected.is_err() {
        connected = connect::connect(mta, config, hop, Demand::Usual, chunking, trail).await;
    }
    match connected {
        Ok(mut connection) => {
            let sent = send::send(mta, &mut connection, entry, fates, trail).await;
            (sent, Some(connection))
        }
        Err(fate) => (Sent::nothing(fates, &fate), None),
    }
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
