//! The queue: accepted messages on their way.
//!
//! One entry holds the recipients of one message that travel together (one lane), and everything needed to deliver or
//! bounce them, so that entries are settled without touching each other. Each holds one reference to the body.

use std::sync::Arc;

use mail::{Address, MailParameters, QueueId, RcptParameters, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    batch::Batch,
    engine::{BlobId, Engine, StoreError},
    value::Value,
};

/// The queue over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    engine: Arc<dyn Engine>,
}

/// Names a destination site: `local`, `smtp:relay.example:25`, … No NUL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneId(pub Arc<str>);

/// Names one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    pub queue_id: QueueId,
    pub part: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    pub queue_id: QueueId,
    /// Sets apart the entries of one message.
    pub part: u16,
    pub lane: LaneId,
    pub reverse_path: ReversePath,
    pub mail: MailParameters,
    pub recipients: Vec<QueuedRecipient>,
    pub blob: BlobId,
    pub blob_bytes: u64,
    pub accepted_at: Timestamp,
    /// When to try next; entries that are held have no due key.
    pub due: Timestamp,
    pub attempts: u32,
    pub status: EntryStatus,
    /// What the last attempt ran into, for people; cleaned.
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedRecipient {
    pub address: Address,
    /// What RCPT said, if an alias or `<postmaster>` led to `address`.
    pub original: Option<Address>,
    pub rcpt: RcptParameters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryStatus {
    Waiting,
    Held,
}

impl Value for QueueEntry {
    const NAME: &'static str = "queue entry";
    const VERSION: u8 = 1;
}

impl QueueEntry {
    pub fn id(&self) -> EntryId {
        EntryId { queue_id: self.queue_id, part: self.part }
    }
}

impl Spool {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Adds a new entry with its reference to the body; the batch conflicts if the ID is taken.
    pub fn add(&self, _batch: &mut Batch, _entry: &QueueEntry) {
        todo!()
    }

    /// Removes an entry with its reference; the batch conflicts if the stored entry differs from this one.
    pub fn remove(&self, _batch: &mut Batch, _entry: &QueueEntry) {
        todo!()
    }

    /// Replaces `old` by `new` (same ID); the batch conflicts if the stored entry differs from `old`.
    pub fn replace(&self, _batch: &mut Batch, _old: &QueueEntry, _new: &QueueEntry) {
        todo!()
    }

    pub async fn entry(&self, _id: EntryId) -> Result<Option<QueueEntry>, StoreError> {
        todo!()
    }

    /// All entries of one message.
    pub async fn entries_of(&self, _id: QueueId) -> Result<Vec<QueueEntry>, StoreError> {
        todo!()
    }

    /// Entries after `after` in order of ID, held ones too.
    pub async fn list(&self, _after: Option<EntryId>, _limit: usize) -> Result<Vec<QueueEntry>, StoreError> {
        todo!()
    }

    /// Every lane with waiting entries and when its first is due. One seek a lane.
    pub async fn lanes(&self) -> Result<Vec<(LaneId, Timestamp)>, StoreError> {
        todo!()
    }

    /// IDs of the lane's entries in order of due time, after `after` if given (for paging), up to and including `until`.
    pub async fn due(
        &self,
        _lane: &LaneId,
        _after: Option<(Timestamp, EntryId)>,
        _until: Timestamp,
        _limit: usize,
    ) -> Result<Vec<(Timestamp, EntryId)>, StoreError> {
        todo!()
    }

    /// When the lane's first entry after `after` is due.
    pub async fn next_due(&self, _lane: &LaneId, _after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        todo!()
    }
}
