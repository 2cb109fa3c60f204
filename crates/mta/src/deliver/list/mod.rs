//! The lane of mailing lists: posts are sent on to the members ([`post`], [`copies`]), bounces counted ([`bounce`]),
//! requests answered ([`request`]). Whatever an entry leads to is committed in the batch that settles it.

mod answer;
mod bounce;
mod copies;
pub(super) mod leaving;
mod post;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use store::{
    Batch, StoreError,
    directory::{DirectoryError, ListRole},
    spool::{LaneId, QueueEntry},
};

use super::guard::guarded;
use crate::{
    Mta,
    outcome::{self, Fate, Success, Trouble},
};

/// Octets of a message that are read for its header section, or for what a bounce or a request says.
const READ_BYTES_MAX: u64 = 256 * 1024;

/// What becomes of an entry, and what else happens with that.
struct Settlement {
    fate: Fate,
    batch: Batch,
    /// Added by the batch.
    entries: Vec<QueueEntry>,
}

impl Settlement {
    fn only(fate: Fate) -> Self {
        Self { fate, batch: Batch::new(), entries: Vec::new() }
    }

    /// Nothing comes of it, and nobody is told.
    fn nothing(why: &str) -> Self {
        Self::only(Fate::delivered(format!("nobody: {why}"), None, Success::Confirmed))
    }

    fn failed(status: (u8, u16, u16), why: &str) -> Self {
        Self::only(Fate::Failed(Trouble::new(status, why)))
    }
}

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    while let Some(item) = mta.dispatcher.take(mta, lane) {
        let Some(entry) = super::entry_of(mta, lane, item).await else { continue };
        guarded(mta, &entry, settle(mta, lane, &entry)).await;
    }
}

async fn settle(mta: &Arc<Mta>, lane: &LaneId, entry: &Arc<QueueEntry>) {
    match Box::pin(carry_out(mta, entry)).await {
        Ok(Some(settlement)) => {
            let Settlement { fate, batch, entries } = settlement;
            outcome::settle_with(mta, entry, &[fate], batch, entries).await;
        }
        // It stays as it is, and comes back.
        Ok(None) => mta.dispatcher.finished(mta, lane, entry.id(), Some(mta.world.clock.wall())),
        Err(error) => {
            let trouble = Trouble::new((4, 3, 0), format!("the list cannot be read: {error}"));
            outcome::settle(mta, entry, vec![Fate::Deferred(trouble)], None).await;
        }
    }
}

/// None: the entry changed under our hands.
async fn carry_out(mta: &Arc<Mta>, entry: &Arc<QueueEntry>) -> Result<Option<Settlement>, StoreError> {
    // Entries of this lane have one recipient each.
    let Some(recipient) = entry.recipients.first() else {
        return Ok(Some(Settlement::nothing("it has no recipient")));
    };
    if let Some(progress) = mta.stores.directory.distribution(entry.queue_id).await? {
        return copies::send_on(mta, entry, recipient, progress).await;
    }
    let Some(found) = mta.stores.directory.list_address(&recipient.address).await? else {
        return Ok(Some(Settlement::failed((5, 1, 1), "there is no such list any more")));
    };
    match found.role {
        ListRole::Post => post::begin(mta, entry, &found.list).await.map(Some),
        ListRole::Bounces => bounce::count(mta, entry, &found).await.map(Some),
        role => request::answer(mta, entry, &found.list, role).await.map(Some),
    }
}

/// The octets of an entry's message, as far as they are looked at.
async fn beginning(mta: &Mta, entry: &QueueEntry) -> Result<bytes::Bytes, StoreError> {
    mta.stores.engine.blob_read(entry.blob, 0..READ_BYTES_MAX).await
}

/// What a change of the directory that was never to be refused met.
fn unreadable(error: DirectoryError) -> StoreError {
    match error {
        DirectoryError::Read(error) => error,
        other => StoreError::Value(other.to_string()),
    }
}
