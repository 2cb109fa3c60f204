//! Failures for good are counted, and addresses that had enough of them get no more mail from senders that heed the list.

use std::sync::Arc;

use mail::{
    Address, QueueId, Timestamp,
    cause::{Cause, classify_noted},
    text::clean_within,
};
use store::{
    Batch, StoreError,
    ledger::Event,
    spool::{QueueEntry, QueuedRecipient},
    suppressions::{Source, Suppression},
};

use crate::{Config, Mta, outcome::Trouble};

/// Octets kept of what a host said.
const DETAIL_BYTES_MAX: usize = 512;

/// What is counted against an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) cause: Cause,
    pub(crate) source: Source,
    pub(crate) detail: Option<&'a str>,
    pub(crate) message: QueueId,
}

/// Whether the mail of this sender fills the list, and heeds it.
pub(crate) fn is_heeded(config: &Config, sender: &Address) -> bool {
    config.suppression.senders.iter().any(|pattern| pattern.matches(sender))
}

/// What hosts refused for good counts against the addresses.
pub(crate) async fn count_refusals(
    mta: &Arc<Mta>,
    batch: &mut Batch,
    entry: &QueueEntry,
    lost: &[(&QueuedRecipient, &Trouble)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(sender) = entry.reverse_path.address() else { return Ok(()) };
    for (recipient, trouble) in lost {
        let said = trouble.diagnostic.as_deref().and_then(classify_noted);
        if let Some(said) = said.filter(|said| said.permanent) {
            let failure = Failure {
                cause: said.cause,
                source: Source::Reply,
                detail: trouble.diagnostic.as_deref(),
                message: entry.queue_id,
            };
            count(mta, batch, sender, &recipient.address, &failure, now).await?;
        }
    }
    Ok(())
}

/// Adds a failure to the batch, if its cause is one that will not go away by itself.
pub(crate) async fn count(
    mta: &Arc<Mta>,
    batch: &mut Batch,
    sender: &Address,
    recipient: &Address,
    failure: &Failure<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let config = mta.config();
    if !failure.cause.is_hard() || !is_heeded(&config, sender) {
        return Ok(());
    }
    let old = mta.stores.suppressions.get(recipient).await?;
    let known = old.as_ref().filter(|old| !old.is_expired(now));
    // An operator's word stands; one message is one failure, however often it is told of.
    if known.is_some_and(|old| old.source == Source::Operator || old.message == Some(failure.message)) {
        return Ok(());
    }
    let failures = known.map_or(0, |old| old.failures).saturating_add(1);
    let until = now.plus(config.suppression.kept_for);
    let new = Suppression {
        address: recipient.to_lookup(),
        active: failures >= config.suppression.failures,
        since: known.map_or(now, |old| old.since),
        last_at: now,
        expires_at: Some(until),
        cause: failure.cause,
        source: failure.source,
        failures,
        detail: failure.detail.map(one_line),
        message: Some(failure.message),
    };
    mta.stores.suppressions.stage(batch, old.as_ref(), &new);
    if new.active && !known.is_some_and(|old| old.active) {
        let event = Event::Suppressed { recipient: recipient.to_string(), until };
        mta.stores.ledger.append(batch, failure.message, now, &event);
    }
    Ok(())
}

fn one_line(said: &str) -> String {
    clean_within(said.replace('\n', " ").as_bytes(), DETAIL_BYTES_MAX)
}
