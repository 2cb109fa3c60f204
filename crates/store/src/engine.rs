//! The narrow waist: ordered octet keys, atomic durable batches, blobs.

use std::{any::Any, fmt, ops::Range};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    batch::{Batch, Slot},
    changes::Changes,
    snapshot::Snapshot,
};

/// An ordered key. Its layouts are told in [`crate::keys`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Bytes);

/// Keys from `start` (inclusive) to `end` (exclusive).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub start: Key,
    pub end: Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Names a stored body; given out by the engine and never reused while anything refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobId(pub u64);

/// What every store stands on. Contract tests: [`crate::contract`].
#[async_trait::async_trait]
pub trait Engine: Send + Sync + fmt::Debug {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError>;
    /// At most `limit` pairs of the range.
    async fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError>;
    /// All or nothing, and on stable storage when it returns.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;
    /// A place to stream a body into. Dropped before its batch is committed, it leaves nothing behind.
    async fn blob_writer(&self) -> Result<Box<dyn BlobWriter>, StoreError>;
    /// As [`blob_writer`](Self::blob_writer), for a body of another store that keeps its number. Later bodies get greater ones.
    async fn blob_writer_as(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, StoreError>;
    /// Octets of a body; the range is cut to what exists. `NotFound` once its last reference is gone.
    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError>;
    /// Everything as it is at one moment between two commits.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;
    /// Wakes after commits that touch keys with this prefix.
    fn changes(&self, prefix: Key) -> Changes;
    /// Some once the engine refuses further commits, and why.
    fn poisoned(&self) -> Option<String>;
    /// Finishes background work and leaves a state that opens fast. No commits after it.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Streams one body. Small bodies stay in memory until the commit; larger ones go to disk as they come.
#[async_trait::async_trait]
pub trait BlobWriter: Send {
    fn id(&self) -> BlobId;
    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError>;
    /// The body is complete; it becomes visible with the batch that takes it.
    async fn finish(self: Box<Self>) -> Result<PendingBlob, StoreError>;
}

/// A finished body that no batch has made visible yet.
#[derive(Debug)]
pub struct PendingBlob {
    pub id: BlobId,
    pub bytes: u64,
    pub payload: BlobPayload,
}

/// Where a pending body waits.
#[derive(Debug)]
pub enum BlobPayload {
    Memory(Vec<Bytes>),
    /// The engine's own; dropping it reclaims what it holds.
    Staged(Box<dyn Staged>),
}

/// Marks an engine's handle on a body that is already on disk.
pub trait Staged: Any + Send + Sync + fmt::Debug {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send + Sync>;
}

/// The outcome of a commit.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    pub(crate) slots: Vec<u64>,
}

impl Committed {
    /// For engines: the counter values in the order of the batch's slots.
    pub fn new(slots: Vec<u64>) -> Self {
        Self { slots }
    }

    /// The number that the batch's counter got.
    pub fn value(&self, slot: Slot) -> u64 {
        self.slots.get(slot.0).copied().unwrap_or_default()
    }
}

/// Why a batch was not committed. In every case nothing of it is visible.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// A precondition no longer holds: read again and decide anew.
    #[error("the state changed meanwhile")]
    Conflict(Key),
    /// No space is left: answer 452 4.3.1 and carry on.
    #[error("the disk is full")]
    Full,
    /// A write or sync failed: what is on disk is uncertain, and only a restart makes it certain.
    #[error("the store refuses commits: {0}")]
    Poisoned(String),
    /// Something that the batch depends on could not be read.
    #[error(transparent)]
    Read(#[from] StoreError),
}

/// Why a read or a staged write failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the body is gone")]
    NotFound,
    /// A checksum does not match; the record is quarantined.
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("the disk is full")]
    Full,
    #[error("reading or writing the store failed: {0}")]
    Io(String),
    /// A value of a version or shape that this release does not know.
    #[error("{0}")]
    Value(String),
}

impl Key {
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The least key after this one.
    pub fn successor(&self) -> Self {
        let mut octets = Vec::with_capacity(self.0.len() + 1);
        octets.extend_from_slice(&self.0);
        octets.push(0);
        octets.into()
    }
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Key {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets.into())
    }
}

impl KeyRange {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { start: Key(Bytes::copy_from_slice(prefix)), end: after_prefix(prefix) }
    }
}

/// The least key greater than every key that begins with `prefix`.
pub fn after_prefix(prefix: &[u8]) -> Key {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end.into();
        }
    }
    Key(Bytes::from_static(&[0xFF; 64]))
}
