//! The engine on local disk.
//!
//! The log is the commit point: batches that wait are written to it together and synced once. What they change is held
//! in memory until a checkpoint writes it to the index, a B-tree file, in one transaction. Opening reads the index and
//! replays the log from the last checkpoint. `docs/architecture.md` tells why.
//!
//! | file | what |
//! | --- | --- |
//! | `DIR/log/N.log` | segments: records with the batches' writes and the octets of small bodies |
//! | `DIR/log/N.spare` | a segment that is not needed, kept to be written over |
//! | `DIR/log/N.damaged` | a note of what is damaged in that segment, which is kept |
//! | `DIR/index.redb` | pairs, where bodies are, what segments hold |
//! | `DIR/blobs/X/ID` | larger bodies |
//! | `DIR/lock` | held while the store is open |

mod blob;
mod checkpoint;
mod codec;
mod committer;
mod compaction;
#[cfg(test)]
mod contract_tests;
mod damage;
mod error;
mod group;
mod index;
mod janitor;
mod log;
mod memtable;
mod read;
mod records;
mod recovery;
mod segment;
mod shared;
mod snapshot;
mod space;
mod start;
mod view;

use std::{
    ops::Range,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use store::{
    Batch, BlobId, BlobWriter, Changes, CommitError, Committed, Engine, Key, KeyRange, Order, Snapshot,
    StoreError,
};
use tokio::sync::oneshot;

use committer::Request;
pub use damage::Damage;
pub use error::OpenError;
use shared::{Layout, Shared};
use snapshot::HeldView;
use start::Threads;

/// Scans of more pairs than this leave the caller's thread.
const INLINE_SCAN_MAX: usize = 256;

/// Sizes and times. The defaults suit a server that also does other things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Memory for pages of the index.
    pub index_cache_bytes: usize,
    /// A segment is sealed once it is as long as this.
    pub segment_bytes: u64,
    /// Changes held in memory before a checkpoint is begun; at most twice as much is held.
    pub memtable_bytes: usize,
    /// A checkpoint comes at the latest so long after a commit.
    pub checkpoint_interval_ms: u64,
    /// Segments kept to be written over when nothing needs them any more, which makes commits faster.
    pub spare_segments: usize,
    /// While no more than this is free on the disk, new bodies are refused ([`CommitError::Full`]), so that deliveries
    /// and deletions can go on. 0 switches that off.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            index_cache_bytes: 32 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            memtable_bytes: 16 * 1024 * 1024,
            checkpoint_interval_ms: 5000,
            spare_segments: 2,
            reserve_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What the engine has done since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub commits: u64,
    /// Syncs of the log; each carried one or more commits.
    pub groups: u64,
    pub logged_bytes: u64,
    pub checkpoints: u64,
    /// Octets of bodies moved by compaction.
    pub moved_bytes: u64,
    pub segments_removed: u64,
    /// Memory held by changes since the last checkpoint.
    pub memtable_bytes: u64,
}

/// The engine on local disk; see the crate's documentation.
#[derive(Debug)]
pub struct EmbeddedEngine {
    shared: Arc<Shared>,
    threads: Threads,
}

impl EmbeddedEngine {
    /// Opens the store in `dir`, and makes it if there is none. Reads and repairs what a crash left, which takes time:
    /// call it from a thread that may block.
    pub fn open(dir: &Path, options: Options) -> Result<Arc<Self>, OpenError> {
        let opened = recovery::open(&Layout { dir: dir.to_owned() }, options)?;
        let (shared, threads) = start::start(opened)?;
        Ok(Arc::new(Self { shared, threads }))
    }

    /// Damage known: in the log, and what was found in bodies' own files since the store was opened.
    pub fn damage(&self) -> Vec<Damage> {
        self.shared.damage().found()
    }

    pub fn statistics(&self) -> Statistics {
        let counters = &self.shared.counters;
        let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            commits: get(&counters.commits),
            groups: get(&counters.groups),
            logged_bytes: get(&counters.logged_bytes),
            checkpoints: get(&counters.checkpoints),
            moved_bytes: get(&counters.moved_bytes),
            segments_removed: get(&counters.segments_removed),
            memtable_bytes: self.shared.view().active.bytes() as u64,
        }
    }

    fn refusal(&self) -> CommitError {
        CommitError::Poisoned(self.shared.stopped().unwrap_or("the committer ended").to_owned())
    }
}

#[async_trait::async_trait]
impl Engine for EmbeddedEngine {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.shared.pair(key.as_slice())
    }

    async fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        if range.start >= range.end || limit == 0 {
            return Ok(Vec::new());
        }
        let scan = self.shared.view().scan(range, order, limit);
        if limit <= INLINE_SCAN_MAX {
            return scan.run();
        }
        let run = tokio::task::spawn_blocking(|| scan.run());
        run.await.map_err(|error| StoreError::Io(error.to_string()))?
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let (reply, outcome) = oneshot::channel();
        let Some(requests) = self.threads.requests() else { return Err(self.refusal()) };
        if requests.send(Request::Commit { batch, reply }).await.is_err() {
            return Err(self.refusal());
        }
        outcome.await.unwrap_or_else(|_| Err(self.refusal()))
    }

    async fn blob_writer(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        let id = self.shared.next_blob.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(blob::Writer::new(id, self.threads.writer_context(&self.shared))))
    }

    async fn blob_writer_as(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.shared.next_blob.fetch_max(id.0.saturating_add(1), Ordering::Relaxed);
        Ok(Box::new(blob::Writer::new(id.0, self.threads.writer_context(&self.shared))))
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        read::blob(&self.shared, id.0, range).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(HeldView::new(&self.shared, self.threads.janitor())))
    }

    fn changes(&self, prefix: Key) -> Changes {
        self.shared.changes.subscribe(prefix)
    }

    fn poisoned(&self) -> Option<String> {
        self.shared.stopped().map(str::to_owned)
    }

    async fn close(&self) -> Result<(), StoreError> {
        let (reply, closed) = oneshot::channel();
        if let Some(requests) = self.threads.requests()
            && requests.send(Request::Close { reply }).await.is_ok()
        {
            let _ = closed.await;
        }
        Ok(())
    }
}
