//! The state of a store at one moment.

use std::{fmt, ops::Range};

use bytes::Bytes;

use crate::engine::{BlobId, Key, KeyRange, StoreError};

/// One state of a store, to be read at leisure: what is committed meanwhile changes nothing in it. The space of bodies that
/// are reclaimed meanwhile is given back once it is dropped.
#[async_trait::async_trait]
pub trait Snapshot: Send + Sync + fmt::Debug {
    /// At most `limit` pairs of the range, in ascending order.
    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError>;
    /// Bodies with numbers above `after`, ascending; fewer than `limit` only at the end.
    async fn bodies(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<Body>, StoreError>;
    /// As [`Engine::blob_read`](crate::Engine::blob_read).
    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError>;
}

/// What is known of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    pub id: BlobId,
    pub bytes: u64,
    pub references: u64,
    /// Made of its octets, in a way of the engine's own.
    pub checksum: u64,
}
