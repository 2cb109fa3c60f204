//! An engine in memory with a crash model: unsynced writes are lost, the last one may be torn, a sync may fail.

mod crash;
#[cfg(test)]
mod crash_tests;
mod disk;
mod state;

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};

use crash::Stop;
pub use crash::{Chance, CrashModel, Fault};
use disk::{Disk, Modelled, Ticket};
use state::{Record, State};

use crate::{
    batch::Batch,
    changes::{ChangeHub, Changes},
    engine::{
        BlobId, BlobPayload, BlobWriter, CommitError, Committed, Engine, Key, KeyRange, Order, PendingBlob,
        StoreError,
    },
    snapshot::Snapshot,
};

/// Keeps everything in memory. Without a crash model a commit is as durable as the process.
#[derive(Debug)]
pub struct MemoryEngine {
    disk: Mutex<Disk>,
    changes: ChangeHub,
    next_blob: Arc<AtomicU64>,
    scans: AtomicU64,
}

impl Default for MemoryEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryEngine {
    /// An empty engine that never crashes.
    pub fn new() -> Self {
        Self::over(State::default(), None, 1)
    }

    /// An empty engine that crashes and fails as `model` says.
    pub fn with_crash_model(model: CrashModel) -> Self {
        Self::over(State::default(), Some(model), 1)
    }

    fn over(state: State, model: Option<CrashModel>, next_blob: u64) -> Self {
        let model =
            model.map(|model| Modelled { chance: Chance::new(model.seed), synced: state.clone(), model });
        Self {
            disk: Mutex::new(Disk { written: state, model, ..Disk::default() }),
            changes: ChangeHub::default(),
            next_blob: Arc::new(AtomicU64::new(next_blob)),
            scans: AtomicU64::new(0),
        }
    }

    /// Pulls the plug: this engine answers nothing more. Returns what a restart finds, under the same model with its
    /// chances carried on: everything synced, and of the rest the batches before the point at which the tear fell.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut disk = self.disk();
        let model = disk.model.as_mut().map(|modelled| modelled.model.with_seed(modelled.chance.draw()));
        drop(disk);
        self.crash_into(model)
    }

    /// As [`crash`](Self::crash), restarted under another model or none.
    #[must_use]
    pub fn crash_into(&self, model: Option<CrashModel>) -> Self {
        let mut disk = self.disk();
        disk.stopped = Some(Stop::Crashed);
        let found = disk.after_crash();
        Self::over(found, model, self.next_blob.load(Ordering::Relaxed))
    }

    /// True once the model crashed the engine or [`crash`](Self::crash) was called.
    pub fn is_crashed(&self) -> bool {
        self.disk().is_crashed()
    }

    /// How often a range was read.
    pub fn scans(&self) -> u64 {
        self.scans.load(Ordering::Relaxed)
    }

    /// Bodies that something refers to, and their octets in all.
    pub fn bodies(&self) -> (usize, u64) {
        self.disk().written.bodies_kept()
    }

    /// From now on commits fail with [`CommitError::Full`], or succeed again.
    pub fn set_full(&self, full: bool) {
        self.disk().full = full;
    }

    /// The next sync fails and poisons the engine. Takes a crash model (a calm one will do), without which there is
    /// no telling synced from unsynced.
    pub fn fail_next_sync(&self) {
        self.disk().fail_next_sync = true;
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Syncs unless another commit's sync took this one along.
    fn acknowledge(&self, ticket: Ticket) -> Result<Committed, CommitError> {
        let records = self.disk().sync(ticket.number)?;
        self.changes.publish(records.iter().flat_map(Record::keys));
        self.disk().acknowledge()?;
        Ok(Committed::new(ticket.slots))
    }
}

#[async_trait::async_trait]
impl Engine for MemoryEngine {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.disk().visible()?.pair(key))
    }

    async fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.scans.fetch_add(1, Ordering::Relaxed);
        Ok(self.disk().visible()?.scan(range, order, limit))
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        let ticket = self.disk().write(batch)?;
        let model = self.disk().model.as_ref().map(|modelled| modelled.model);
        match model {
            // The planted bug: the sync is left to whoever commits next.
            Some(CrashModel { fault: Some(Fault::ReplyBeforeSync), .. }) => {
                let records = self.disk().sync(ticket.number.saturating_sub(1))?;
                self.changes.publish(records.iter().flat_map(Record::keys));
                Ok(Committed::new(ticket.slots))
            }
            Some(_) => {
                // Lets other commits be written before this sync, as group commit does.
                tokio::task::yield_now().await;
                self.acknowledge(ticket)
            }
            None => self.acknowledge(ticket),
        }
    }

    async fn blob_writer(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        let id = BlobId(self.next_blob.fetch_add(1, Ordering::Relaxed));
        Ok(Box::new(MemoryWriter { id, octets: BytesMut::new() }))
    }

    async fn blob_writer_as(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.next_blob.fetch_max(id.0.saturating_add(1), Ordering::Relaxed);
        Ok(Box::new(MemoryWriter { id, octets: BytesMut::new() }))
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.disk().visible()?.body(id, range)
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.disk().visible()?.clone()))
    }

    fn changes(&self, prefix: Key) -> Changes {
        self.changes.subscribe(prefix)
    }

    fn poisoned(&self) -> Option<String> {
        self.disk().stopped.map(|stop| stop.to_string())
    }

    async fn close(&self) -> Result<(), StoreError> {
        let mut disk = self.disk();
        let number = disk.written_count;
        let synced = disk.sync(number).map_err(|error| StoreError::Io(error.to_string()));
        disk.stopped.get_or_insert(Stop::Closed);
        drop(disk);
        self.changes.publish(synced?.iter().flat_map(Record::keys));
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryWriter {
    id: BlobId,
    octets: BytesMut,
}

#[async_trait::async_trait]
impl BlobWriter for MemoryWriter {
    fn id(&self) -> BlobId {
        self.id
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.octets.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<PendingBlob, StoreError> {
        let octets = self.octets.freeze();
        Ok(PendingBlob {
            id: self.id,
            bytes: octets.len() as u64,
            payload: BlobPayload::Memory(vec![octets]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Batch {
        let mut batch = Batch::new();
        batch.put(key.as_bytes().to_vec(), b"value".to_vec());
        batch
    }

    async fn has(engine: &MemoryEngine, key: &str) -> bool {
        engine.get(&key.as_bytes().to_vec().into()).await.unwrap().is_some()
    }

    struct Subject(Arc<MemoryEngine>);

    #[async_trait::async_trait]
    impl crate::contract::Subject for Subject {
        fn engine(&self) -> Arc<dyn Engine> {
            Arc::clone(&self.0) as _
        }

        async fn reopen(&mut self, clean: bool) -> bool {
            if clean {
                self.0.close().await.unwrap();
            }
            self.0 = Arc::new(self.0.crash());
            true
        }

        fn fail_next_sync(&self) -> bool {
            self.0.fail_next_sync();
            true
        }

        fn set_full(&self, full: bool) -> bool {
            self.0.set_full(full);
            true
        }
    }

    mod contract {
        crate::contract_tests!(|| async {
            super::Subject(super::Arc::new(super::MemoryEngine::with_crash_model(super::CrashModel::calm(1))))
        });
    }

    #[tokio::test]
    async fn a_full_disk_refuses_the_batch_and_nothing_else() {
        let engine = MemoryEngine::new();
        engine.set_full(true);
        assert!(matches!(engine.commit(put("a")).await, Err(CommitError::Full)));
        assert!(!has(&engine, "a").await);
        engine.set_full(false);
        engine.commit(put("b")).await.unwrap();
        assert!(has(&engine, "b").await && !has(&engine, "a").await && engine.poisoned().is_none());
    }

    #[tokio::test]
    async fn a_failed_sync_poisons() {
        let engine = MemoryEngine::with_crash_model(CrashModel::calm(1));
        engine.commit(put("a")).await.unwrap();
        engine.fail_next_sync();
        assert!(matches!(engine.commit(put("b")).await, Err(CommitError::Poisoned(_))));
        assert!(matches!(engine.commit(put("c")).await, Err(CommitError::Poisoned(_))));
        assert!(has(&engine, "a").await && !has(&engine, "b").await, "reads go on and show what is certain");
        assert!(engine.poisoned().is_some());
        assert!(has(&engine.crash(), "a").await);
    }

    #[tokio::test]
    async fn a_crash_spares_what_was_synced_and_ends_the_engine() {
        let engine = MemoryEngine::with_crash_model(CrashModel::calm(1));
        engine.commit(put("a")).await.unwrap();
        let again = engine.crash();
        assert!(has(&again, "a").await);
        assert!(engine.is_crashed() && engine.get(&b"a".to_vec().into()).await.is_err());
        assert!(matches!(engine.commit(put("b")).await, Err(CommitError::Poisoned(_))));
    }
}
