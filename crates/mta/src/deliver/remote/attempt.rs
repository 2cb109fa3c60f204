//! One attempt: connections to the next hop, new or reused, and what each says of its site.

use std::sync::Arc;

use mail::TlsDemand;
use store::spool::QueueEntry;

use super::{
    connect::{self, Connection, NoConnection},
    next_hop::NextHop,
    security::{self, Demand},
    send::{self, Sent, SiteWord},
    trail::Trail,
};
use crate::{Config, Mta, outcome::Fate};

/// Connections that one attempt uses, one after another, where the server's limits ask for it.
const SESSIONS_MAX: usize = 100;

/// Over as many connections as the server's limits ask for.
pub(super) async fn attempt(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    reused: Option<Box<Connection>>,
    (entry, fates): (&QueueEntry, Vec<Option<Fate>>),
    trail: &mut Trail,
) -> (Sent, Option<Box<Connection>>) {
    let (mut sent, mut connection) = attempt_once(mta, config, hop, reused, (entry, fates), trail).await;
    let mut sessions = 1;
    while sent.other_session && !sent.goes_on && sent.open() > 0 && sessions < SESSIONS_MAX {
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
        let sent = over(mta, hop, &mut connection, (entry, fates.clone()), trail).await;
        // A server may close an idle connection at any time; that says nothing about the message, or the site.
        if !sent.chunking_refused && (!sent.untouched || connection.usable) {
            return (sent, Some(connection));
        }
    }
    let (sent, connection) = attempt_anew(mta, config, hop, (entry, fates.clone()), true, trail).await;
    if sent.chunking_refused {
        drop(connection);
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
    let no_connection = match connected {
        Ok(mut connection) => {
            connection.reached = Some(mta.dispatcher.reached(mta, &hop.lane));
            let sent = over(mta, hop, &mut connection, (entry, fates), trail).await;
            return (sent, Some(connection));
        }
        Err(no_connection) => no_connection,
    };
    let NoConnection { fate, is_of_site } = no_connection;
    let is_begun = fates.iter().any(Option::is_some);
    let mut sent = Sent::nothing(fates, &fate);
    if is_of_site {
        let reason = sent.summary.clone();
        blame(mta, hop, &mut sent, &reason, is_begun);
    }
    (sent, None)
}

/// One message over an open connection; the site hears what it says of it.
async fn over(
    mta: &Arc<Mta>,
    hop: &NextHop,
    connection: &mut Connection,
    (entry, fates): (&QueueEntry, Vec<Option<Fate>>),
    trail: &mut Trail,
) -> Sent {
    let began = mta.world.clock.now();
    let is_begun = fates.iter().any(Option::is_some);
    let is_fresh = connection.messages == 0;
    let recipients_max = hop.limits.recipients_per_message_max;
    let mut sent = send::send(mta, connection, (entry, fates), recipients_max, trail).await;
    match sent.site.clone() {
        SiteWord::Served => {
            let took = mta.world.clock.now().saturating_duration_since(began);
            mta.dispatcher.transaction(mta, &hop.lane, took);
        }
        SiteWord::Strained(reason) => mta.dispatcher.strained(mta, &hop.lane, &reason),
        SiteWord::Lost(reason) if is_fresh => {
            connection.reached = None;
            blame(mta, hop, &mut sent, &reason, is_begun);
        }
        SiteWord::Lost(_) | SiteWord::Nothing | SiteWord::Busy => {}
    }
    sent
}

/// The site could not be reached. Its lane closes, unless others have connections to it: then the message goes over one
/// of those, if nothing of it was sent yet.
fn blame(mta: &Arc<Mta>, hop: &NextHop, sent: &mut Sent, reason: &str, is_begun: bool) {
    match mta.dispatcher.unreachable(mta, &hop.lane, reason) {
        None if !is_begun => sent.site = SiteWord::Busy,
        None => {}
        Some(wait) => {
            for fate in &mut sent.fates {
                if let Some(Fate::Deferred(trouble)) = fate {
                    trouble.site_wait = Some(wait);
                }
            }
        }
    }
}
