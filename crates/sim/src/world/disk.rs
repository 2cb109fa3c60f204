use std::{
    future::poll_fn,
    ops::Range,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use store::{
    Batch, BlobId, BlobWriter, Changes, CommitError, Committed, Engine, Key, KeyRange, Order, Snapshot,
    StoreError,
    memory::{Chance, MemoryEngine},
};

use super::{Life, between, lock};

/// The longest that a sync takes.
const SYNC_MAX: Duration = Duration::from_millis(12);

/// The engine in memory as one process uses it: a sync takes its time, in which the process may die.
#[derive(Debug)]
pub struct Disk {
    engine: Arc<MemoryEngine>,
    life: Arc<Life>,
    chance: Mutex<Chance>,
}

impl Disk {
    pub fn new(engine: Arc<MemoryEngine>, life: Arc<Life>, seed: u64) -> Self {
        Self { engine, life, chance: Mutex::new(Chance::new(seed)) }
    }

    async fn write_and_sync(&self, batch: Batch) -> Result<Committed, CommitError> {
        let mut commit = pin!(self.engine.commit(batch));
        // The first turn writes; what follows is the sync.
        let first = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
        let outcome = match first {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => {
                let time = between(&mut lock(&self.chance), Duration::ZERO, SYNC_MAX);
                tokio::time::sleep(time).await;
                commit.await
            }
        };
        if matches!(outcome, Err(CommitError::Poisoned(_))) {
            self.life.ail();
        }
        outcome
    }
}

#[async_trait::async_trait]
impl Engine for Disk {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.life.guard(self.engine.get(key)).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.life.guard(self.engine.scan(range, order, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.life.guard(self.write_and_sync(batch)).await
    }

    async fn blob_writer(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.life.guard(self.engine.blob_writer()).await
    }

    async fn blob_writer_as(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.life.guard(self.engine.blob_writer_as(id)).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.life.guard(self.engine.snapshot()).await
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.life.guard(self.engine.blob_read(id, range)).await
    }

    fn changes(&self, prefix: Key) -> Changes {
        self.engine.changes(prefix)
    }

    fn poisoned(&self) -> Option<String> {
        self.engine.poisoned()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.life.guard(self.engine.close()).await
    }
}
