//! Delivery on a connection that the next hop opened, once its roles have changed (RFC 2645 §5.3): the same messages
//! the same way, but there is no second try and no other address.

use std::{net::SocketAddr, sync::Arc};

use mail::TlsDemand;
use proto::smtp::client::{Event, TlsPolicy};
use store::{
    StoreError,
    spool::{EntryStatus, LaneId, QueueEntry},
};
use world::{BoxStream, tls::TlsSummary};

use super::{
    connect::Connection,
    security::Demand,
    send::{self, Sent},
    trail::Trail,
};
use crate::{
    Mta,
    etrn::FOREVER,
    link::Link,
    outcome::{self, Fate, Trouble},
    route,
};

/// IDs read at once.
const PAGE_ENTRIES_MAX: usize = 100;

/// A customer that waits to be sent its mail.
pub(crate) struct Caller {
    pub(crate) stream: BoxStream,
    /// Active already.
    pub(crate) tls: Option<TlsSummary>,
    pub(crate) address: SocketAddr,
}

/// Sends the caller everything in these lanes, then QUIT. The caller of this has the lanes in hand.
pub(crate) async fn to_caller(mta: &Arc<Mta>, caller: Caller, lanes: &[LaneId]) {
    let address = caller.address;
    let Some(mut connection) = Box::pin(greet(mta, caller)).await else { return };
    for lane in lanes {
        connection.host = route::pickup_domain(lane).unwrap_or(&lane.0).to_owned();
        if let Err(error) = Box::pin(send_lane(mta, &mut connection, lane)).await {
            tracing::error!(lane = %lane.0, %error, "the queue cannot be read");
        }
        if !connection.usable {
            return tracing::info!(client = %address.ip(), "the customer's connection broke off");
        }
    }
    connection.quit().await;
}

/// Waits for the customer's greeting. One that does not speak as a server gets nothing.
async fn greet(mta: &Arc<Mta>, caller: Caller) -> Option<Box<Connection>> {
    let config = mta.config();
    let client = proto::smtp::client::Config {
        // What was agreed before the roles changed holds.
        tls: TlsPolicy::None,
        ..proto::smtp::client::Config::new(config.hostname.clone())
    };
    let (host, tls) = (caller.address.ip().to_string(), config.client_tls.opportunistic.clone());
    let clock = mta.world.clock.clone();
    let mut link = Link::new(clock, caller.stream, client, host.clone(), tls, caller.tls);
    let mut shutdown = mta.shutdown.clone();
    let event = tokio::select! {
        biased;
        event = link.next_event() => event?,
        () = shutdown.given() => return None,
    };
    match event {
        Event::Ready => {
            // A chunk it does not know would cost the connection, and there is no other.
            let (address, chunking) = (caller.address, false);
            // Its login, if that was under TLS, says who it is.
            let authenticated = link.agreed_tls().is_some();
            let (address, lmtp) = (Some(address), false);
            Some(Box::new(Connection {
                link,
                host,
                address,
                usable: true,
                authenticated,
                verified: false,
                secured: None,
                chunking,
                lmtp,
                messages: 0,
                reached: None,
            }))
        }
        Event::Failed(failure) => {
            tracing::info!(client = %caller.address.ip(), error = %failure.cause, "the customer does not take mail");
            // Says QUIT where the machine has it to say.
            while link.next_event().await.is_some() {}
            None
        }
        _ => None,
    }
}

async fn send_lane(mta: &Arc<Mta>, connection: &mut Connection, lane: &LaneId) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = mta.stores.spool.due(lane, after, FOREVER, PAGE_ENTRIES_MAX).await?;
        if page.is_empty() {
            return Ok(());
        }
        after = page.last().map(|last| (last.at, last.id));
        for due in page {
            // RFC 9422 §5: a customer may limit its sessions too; it calls again.
            if !connection.usable || connection.link.is_spent() || mta.shutdown.is_given() {
                return Ok(());
            }
            match mta.stores.spool.entry(due.id).await? {
                Some(entry) if is_for_now(mta, lane, &entry) => {
                    if let Some(entry) = outcome::deadline::meet(mta, Arc::new(entry)).await {
                        deliver(mta, connection, &entry).await;
                    }
                }
                _ => {}
            }
        }
    }
}

fn is_for_now(mta: &Mta, lane: &LaneId, entry: &QueueEntry) -> bool {
    let is_early = entry.is_ahead_of_time(mta.world.clock.wall());
    entry.lane == *lane && entry.status == EntryStatus::Waiting && !is_early
}

async fn deliver(mta: &Arc<Mta>, connection: &mut Connection, entry: &Arc<QueueEntry>) {
    let mut trail = Trail::new(&mta.world.clock);
    let open = vec![None; entry.recipients.len()];
    let sent = match entry.mail.tls {
        // RFC 8689 §4.2.1: it may call under TLS another time.
        TlsDemand::Required if !Demand::RequireTls.is_met_by(connection) => {
            let reason = format!("{} called in a way that does not keep messages to TLS", connection.name());
            Sent::nothing(open, &Fate::Deferred(Trouble::new((4, 7, 30), reason)))
        }
        _ => send::send(mta, connection, (entry, open), usize::MAX, &mut trail).await,
    };
    if sent.untouched && !connection.usable {
        // It never came to this message, which goes on waiting as it did.
        return;
    }
    let attempt = trail.attempt(&sent, None, Some(connection));
    outcome::settle(mta, entry, sent.into_fates(), Some(attempt)).await;
}
