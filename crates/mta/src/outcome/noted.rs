//! A message in several transactions: what a host has taken stands in the queue and the history before it gets more, so
//! that a crash between two transactions sends nothing again.

use std::sync::Arc;

use mail::Timestamp;
use store::{Batch, spool::QueueEntry};

use super::{Attempt, Fate, Reporter, Unsettled, promises, record_attempt, record_deliveries};
use crate::Mta;

/// What is left of an entry, and what is known already of each recipient that is left.
type Left = (Arc<QueueEntry>, Vec<Option<Fate>>);

/// Commits the deliveries among the fates (one for each recipient, none where it is open still). None if that cannot be
/// done now: then it is for [`settle`](super::settle).
pub(crate) async fn note(
    mta: &Arc<Mta>,
    entry: &Arc<QueueEntry>,
    fates: &[Option<Fate>],
    attempt: &Attempt,
) -> Option<Left> {
    let with = |recipients| QueueEntry { recipients, ..QueueEntry::clone(entry) };
    let pairs = entry.recipients.iter().cloned().zip(fates.iter().cloned());
    let (taken, left): (Vec<_>, Vec<_>) =
        pairs.partition(|(_, fate)| matches!(fate, Some(Fate::Delivered { .. })));
    let (recipients, delivered): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
    let delivered: Vec<Fate> = delivered.into_iter().flatten().collect();
    let (open, known) = left.into_iter().unzip();
    let (taken, left) = (with(recipients), with(open));
    match commit(mta, (entry, &taken, &left), &delivered, attempt).await {
        Ok(()) => Some((Arc::new(left), known)),
        Err(error) => {
            tracing::debug!(id = %entry.queue_id, %error, "what was taken is noted with the rest");
            None
        }
    }
}

async fn commit(
    mta: &Arc<Mta>,
    (entry, taken, left): (&QueueEntry, &QueueEntry, &QueueEntry),
    delivered: &[Fate],
    attempt: &Attempt,
) -> Result<(), Unsettled> {
    let (config, now): (_, Timestamp) = (mta.config(), mta.wall());
    let mut batch = Batch::new();
    record_attempt(mta, &mut batch, entry, now, Some(attempt));
    record_deliveries(mta, &mut batch, taken, delivered, now);
    promises::record(mta, &mut batch, taken, delivered, Some(attempt), now);
    let mut reporter = Reporter { mta, config: &config, entry: taken, now, entries: Vec::new() };
    reporter.tell_successes(&mut batch, delivered).await?;
    mta.stores.spool.replace(&mut batch, entry, left);
    let reports = reporter.entries;
    mta.stores.engine.commit(batch).await?;
    crate::accept::hand_over(mta, reports);
    Ok(())
}
