//! What became of what the sender asked for, read off the fates.

use mail::{Timestamp, TlsDemand};
use store::{Batch, spool::QueueEntry};

use super::{Attempt, Fate, Trouble};
use crate::{
    Mta,
    promise::{self, REQUIRE_TLS, RRVS},
};

/// Adds to the history which promises held, failed, or were dropped for want of a host that knows them.
pub(super) fn record(
    mta: &Mta,
    batch: &mut Batch,
    entry: &QueueEntry,
    fates: &[Fate],
    attempt: Option<&Attempt>,
    now: Timestamp,
) {
    let mut events = Vec::new();
    let delivered = fates.iter().find(|fate| matches!(fate, Fate::Delivered { .. }));
    let dropped = attempt.map(|attempt| &attempt.dropped[..]).unwrap_or_default();
    if entry.mail.tls == TlsDemand::Required {
        if let Some(Fate::Delivered { to, .. }) = delivered {
            let tls = attempt.and_then(|attempt| attempt.told.tls.as_deref());
            let over = tls.map(|tls| format!(" over {tls}, its certificate verified")).unwrap_or_default();
            events.push(promise::event(REQUIRE_TLS, "kept", format!("{to}{over}")));
        }
        if let Some(trouble) = fates.iter().find_map(|fate| failed(fate, &[10, 30])) {
            events.push(promise::event(REQUIRE_TLS, "failed", trouble.reason.clone()));
        }
    }
    for (recipient, fate) in entry.recipients.iter().zip(fates) {
        if recipient.rcpt.valid_since.is_none() {
            continue;
        }
        let address = &recipient.address;
        if let Some(trouble) = failed(fate, &[17, 18, 19]) {
            events.push(promise::event(RRVS, "failed", format!("{address}: {}", trouble.reason)));
        } else if matches!(fate, Fate::Delivered { .. }) && !dropped.contains(&RRVS) {
            events.push(promise::event(RRVS, "kept", address.to_string()));
        }
    }
    if let (Some(Fate::Delivered { to, .. }), false) = (delivered, dropped.is_empty()) {
        events.extend(
            dropped.iter().map(|name| promise::event(name, "dropped", format!("{to} does not know it"))),
        );
    }
    for event in events {
        mta.stores.ledger.append(batch, entry.queue_id, now, &event);
    }
}

/// With one of these details of X.7 (RFC 3463 §3.8).
fn failed<'a>(fate: &'a Fate, details: &[u16]) -> Option<&'a Trouble> {
    match fate {
        Fate::Failed(trouble) if trouble.status.subject == 7 && details.contains(&trouble.status.detail) => {
            Some(trouble)
        }
        _ => None,
    }
}
