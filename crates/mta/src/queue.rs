//! An operator's hand in the queue: each operation is one batch with its history, with or without a running server.

use std::sync::Arc;

use mail::Timestamp;
use store::{
    Batch, CommitError, StoreError, Stores,
    ledger::Event,
    spool::{EntryId, EntryStatus, QueueEntry},
};

use crate::{Mta, route::LIST_LANE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Try now; held entries stay held.
    Retry,
    /// The same, because a client asked for it; what is due already, or is not to leave yet, is left
    /// alone.
    Etrn,
    /// Keep until released.
    Hold,
    /// Let a held entry go on, now.
    Release,
    /// Remove without telling the sender.
    Delete,
}

#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    #[error(transparent)]
    Read(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] CommitError),
}

const CONFLICT_RETRIES_MAX: usize = 5;

/// Carries out an operation in the store; returns the entry as it is now (or last was). None if it is gone or the
/// operation does not apply to it.
pub async fn operate(
    stores: &Stores,
    now: Timestamp,
    id: EntryId,
    operation: Operation,
) -> Result<Option<QueueEntry>, OperationError> {
    for _ in 0..CONFLICT_RETRIES_MAX {
        let Some(entry) = stores.spool.entry(id).await? else { return Ok(None) };
        let Some(change) = change(&entry, now, operation) else { return Ok(None) };
        match commit(stores, now, &entry, &change, operation).await {
            Ok(()) => return Ok(Some(if let Change::Replace(changed) = change { *changed } else { entry })),
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// What an operation does to an entry.
enum Change {
    Replace(Box<QueueEntry>),
    Remove,
}

/// None if the operation does not apply.
fn change(entry: &QueueEntry, now: Timestamp, operation: Operation) -> Option<Change> {
    let with = |status| Some(Change::Replace(Box::new(QueueEntry { status, due: now, ..entry.clone() })));
    let is_early = entry.is_ahead_of_time(now);
    match (operation, entry.status) {
        (Operation::Delete, _) => Some(Change::Remove),
        // RFC 4865: what its sender wanted held is let go by a release alone; its time counts from here.
        (Operation::Release, _) if is_early => Some(Change::Replace(Box::new(QueueEntry {
            status: EntryStatus::Waiting,
            due: now,
            release_at: now,
            ..entry.clone()
        }))),
        (Operation::Etrn, _) if entry.due <= now => None,
        (Operation::Retry | Operation::Etrn, EntryStatus::Waiting) if !is_early => with(EntryStatus::Waiting),
        (Operation::Release, EntryStatus::Held) => with(EntryStatus::Waiting),
        (Operation::Hold, EntryStatus::Waiting) => with(EntryStatus::Held),
        (Operation::Retry | Operation::Etrn, _)
        | (Operation::Hold, EntryStatus::Held)
        | (Operation::Release, EntryStatus::Waiting) => None,
    }
}

async fn commit(
    stores: &Stores,
    now: Timestamp,
    entry: &QueueEntry,
    change: &Change,
    operation: Operation,
) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    match change {
        Change::Replace(changed) => stores.spool.replace(&mut batch, entry, changed),
        Change::Remove => {
            stores.spool.remove(&mut batch, entry);
            if *entry.lane.0 == *LIST_LANE {
                stores.directory.forget_distribution(&mut batch, entry.queue_id);
            }
        }
    }
    let action = match operation {
        Operation::Retry => "retry",
        Operation::Etrn => "etrn",
        Operation::Hold => "hold",
        Operation::Release => "release",
        Operation::Delete => "delete",
    };
    let recipients = entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let event = Event::Operator { action: action.to_owned(), recipients };
    stores.ledger.append(&mut batch, entry.queue_id, now, &event);
    stores.engine.commit(batch).await.map(drop)
}

impl Mta {
    /// [`operate`] in a running server: what becomes due is looked at at once.
    pub async fn operate(
        self: &Arc<Self>,
        id: EntryId,
        operation: Operation,
    ) -> Result<Option<QueueEntry>, OperationError> {
        let entry = operate(&self.stores, self.world.clock.wall(), id, operation).await?;
        if entry.is_none() && matches!(operation, Operation::Retry | Operation::Etrn) {
            self.probe_for(id).await?;
        }
        if let Some(entry) = entry.as_ref().filter(|entry| entry.status == EntryStatus::Waiting) {
            self.dispatcher.tell(self, |lanes| lanes.handle_kick(&entry.lane));
        }
        Ok(entry)
    }

    /// An entry that is due already may wait for its site: that is tried now.
    async fn probe_for(self: &Arc<Self>, id: EntryId) -> Result<(), StoreError> {
        let Some(entry) = self.stores.spool.entry(id).await? else { return Ok(()) };
        if self.site(&entry.lane).is_some_and(|site| site.is_closed()) {
            self.dispatcher.tell(self, |lanes| lanes.handle_kick(&entry.lane));
        }
        Ok(())
    }
}
