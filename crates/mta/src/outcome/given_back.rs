//! An operator returns a message to its sender.

use std::sync::Arc;

use mail::Timestamp;
use store::{Batch, StoreError, ledger::Event, spool::QueueEntry};

use super::{Reporter, Trouble};
use crate::Mta;

/// Adds to the batch that the entry is gone and its sender told, as NOTIFY asks. Returns the entries of the report, to be
/// handed over after the commit; none if there is nobody to tell.
pub(crate) async fn give_back(
    mta: &Arc<Mta>,
    batch: &mut Batch,
    entry: &QueueEntry,
    reason: &str,
    now: Timestamp,
) -> Result<Vec<QueueEntry>, StoreError> {
    let config = mta.config();
    // RFC 3463 §3.8: X.7.1, delivery not authorized, message refused.
    let trouble = Trouble::new((5, 7, 1), reason);
    let all: Vec<_> = entry.recipients.iter().map(|recipient| (recipient, &trouble)).collect();
    let mut reporter = Reporter { mta, config: &config, entry, now, entries: Vec::new() };
    if entry.reverse_path.is_null() {
        // RFC 3461 §6.1: nobody is told about a report, and the operator knows.
        let recipients = entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        let event = Event::Bounced { recipients, reason: reason.to_owned(), report: None };
        mta.stores.ledger.append(batch, entry.queue_id, now, &event);
    } else {
        reporter.tell_failures(batch, &all, None).await?;
    }
    mta.stores.spool.remove(batch, entry);
    Ok(reporter.entries)
}
