//! Deadlines that pass while an entry waits (RFC 2852 §4.1).

use std::sync::Arc;

use mail::{ByMode, Timestamp};
use store::{
    Batch,
    spool::{Deadline, QueueEntry, QueuedRecipient},
};

use super::{Fate, Reporter, Trouble, Unsettled, settle};
use crate::{Mta, accept};

/// Does what the deadline asks for, if it has passed; returns the entry if it is still to be delivered.
pub(crate) async fn meet(mta: &Arc<Mta>, entry: Arc<QueueEntry>) -> Option<Arc<QueueEntry>> {
    let now = mta.world.clock.wall();
    match entry.missed_deadline(now) {
        None => Some(entry),
        Some(ByMode::Return) => {
            let fates = entry.recipients.iter().map(|_| Fate::Deferred(not_tried(&entry))).collect();
            settle(mta, &entry, fates, None).await;
            None
        }
        Some(ByMode::Notify) => match tell(mta, &entry, not_tried(&entry), now).await {
            Ok(told) => Some(Arc::new(told)),
            Err(error) => {
                // It is told with the outcome of the attempt.
                tracing::warn!(id = %entry.queue_id, %error, "a missed deadline cannot be told now");
                Some(entry)
            }
        },
    }
}

/// Tells the sender once that it will be late; returns the entry as it is then.
pub(super) async fn tell(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    trouble: Trouble,
    now: Timestamp,
) -> Result<QueueEntry, Unsettled> {
    let config = mta.config();
    let mut batch = Batch::new();
    let mut reporter = Reporter { mta, config: &config, entry, now, entries: Vec::new() };
    let late: Vec<(&QueuedRecipient, &Trouble)> =
        entry.recipients.iter().map(|recipient| (recipient, &trouble)).collect();
    reporter.tell_delay(&mut batch, &late).await?;
    let told = QueueEntry { deadline: passed(entry, now), delay_told: true, ..entry.clone() };
    mta.stores.spool.replace(&mut batch, entry, &told);
    let reports = reporter.entries;
    mta.stores.engine.commit(batch).await?;
    accept::hand_over(mta, reports);
    Ok(told)
}

/// The deadline as it is after its sender was told.
pub(super) fn passed(entry: &QueueEntry, now: Timestamp) -> Option<Deadline> {
    entry.deadline.map(|deadline| Deadline { told: deadline.told || deadline.at <= now, ..deadline })
}

/// RFC 3463 §3.5: X.4.7, delivery time expired.
fn not_tried(entry: &QueueEntry) -> Trouble {
    let reason = entry.last_error.clone().unwrap_or_else(|| "its turn to be tried has not come".to_owned());
    Trouble::new((4, 4, 7), reason)
}
