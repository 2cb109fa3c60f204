//! Relay to the next hop: a worker holds one connection and sends one message after another on it.

mod caller;
mod connect;
mod dial;
mod next_hop;
mod promises;
mod security;
mod send;

use std::{sync::Arc, time::Duration};

use mail::TlsDemand;
use store::spool::{LaneId, QueueEntry};

use crate::{
    Config, Mta,
    outcome::{self, Attempt, Fate},
};
pub(crate) use caller::{Caller, to_caller};
use connect::Connection;
use next_hop::{NextHop, Plan};
use security::Demand;
use send::Sent;

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
    let began = mta.world.clock.now();
    let hop = match next_hop::plan(mta, &config, entry).await {
        Plan::Deliver(hop) => hop,
        Plan::Reroute => {
            super::reroute::reroute(mta, &config, entry).await;
            return connection;
        }
        Plan::Settle(fate) => {
            let sent = Sent::nothing(vec![None; entry.recipients.len()], &fate);
            let took = mta.world.clock.now().saturating_duration_since(began);
            let attempt = tried(&sent, None, None, took);
            outcome::settle(mta, entry, sent.into_fates(), Some(attempt)).await;
            return connection;
        }
    };
    let (sent, connection) = attempt(mta, &config, &hop, connection, entry).await;
    let took = mta.world.clock.now().saturating_duration_since(began);
    let attempt = tried(&sent, hop.name(), connection.as_deref(), took);
    outcome::settle(mta, entry, sent.into_fates(), Some(attempt)).await;
    match connection {
        Some(connection) if connection.usable && connection.link.is_spent() => {
            connection.quit().await;
            None
        }
        connection => connection.filter(|connection| connection.usable),
    }
}

/// For the history; `host` is told if none answered.
fn tried(sent: &Sent, host: Option<&str>, connection: Option<&Connection>, duration: Duration) -> Attempt {
    Attempt {
        host: connection.map(|connection| &*connection.host).or(host).map(str::to_owned),
        address: connection
            .and_then(|connection| connection.address)
            .map(|address| address.to_string())
            .or(sent.address.clone()),
        tls: connection.and_then(Connection::tls_words),
        duration,
        outcome: sent.summary.clone(),
        dropped: sent.dropped.clone(),
    }
}

/// Over as many connections as the server's limits ask for.
async fn attempt(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    reused: Option<Box<Connection>>,
    entry: &QueueEntry,
) -> (Sent, Option<Box<Connection>>) {
    let (mut sent, mut connection) =
        attempt_once(mta, config, hop, reused, entry, vec![None; entry.recipients.len()]).await;
    let mut sessions = 1;
    while sent.other_session && sent.open() > 0 && sessions < SESSIONS_MAX {
        sessions += 1;
        let open = sent.open();
        if let Some(spent) = connection.take().filter(|connection| connection.usable) {
            spent.quit().await;
        }
        (sent, connection) = attempt_once(mta, config, hop, None, entry, sent.fates).await;
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
    entry: &QueueEntry,
    fates: Vec<Option<Fate>>,
) -> (Sent, Option<Box<Connection>>) {
    let demand = Demand::of(entry.mail.tls);
    let (reused, unfit): (Option<Box<Connection>>, _) = match reused {
        Some(connection) if !demand.is_met_by(&connection) => (None, Some(connection)),
        reused => (reused, None),
    };
    if let Some(unfit) = unfit {
        unfit.quit().await;
    }
    if let Some(mut connection) = reused {
        let sent = send::send(mta, &mut connection, entry, fates.clone()).await;
        // A server may close an idle connection at any time; that says nothing about the message.
        if !sent.chunking_refused && (!sent.untouched || connection.usable) {
            return (sent, Some(connection));
        }
    }
    let (sent, connection) = attempt_anew(mta, config, hop, entry, fates.clone(), true).await;
    if sent.chunking_refused {
        // RFC 3030 §2 is announced by mistake: what every server knows is left.
        return attempt_anew(mta, config, hop, entry, fates, false).await;
    }
    (sent, connection)
}

async fn attempt_anew(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    entry: &QueueEntry,
    fates: Vec<Option<Fate>>,
    chunking: bool,
) -> (Sent, Option<Box<Connection>>) {
    let demand = Demand::of(entry.mail.tls);
    let mut connected = connect::connect(mta, config, hop, demand, chunking).await;
    // RFC 8689 §5: a report on a REQUIRETLS message is redacted, and not lost for want of a promise.
    if entry.mail.tls == TlsDemand::Preferred && connected.is_err() {
        connected = connect::connect(mta, config, hop, Demand::Route, chunking).await;
    }
    match connected {
        Ok(mut connection) => {
            let sent = send::send(mta, &mut connection, entry, fates).await;
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
