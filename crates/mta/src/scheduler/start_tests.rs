//! C183: what a start costs before anybody is answered does not depend on what is queued, and nothing queued is missed.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use login::Logins;
use mail::{QueueId, Timestamp};
use store::{
    Batch, BlobId, BlobWriter, Changes, CommitError, Committed, Engine, Key, KeyRange, Order, Snapshot,
    StoreError, Stores,
    memory::MemoryEngine,
    spool::{EntryStatus, LaneId, QueueEntry, QueuedRecipient},
};
use world::{Shutdown, ShutdownTrigger, World};

use crate::{Mta, testing};

/// Counts what is read.
#[derive(Debug)]
struct Counting {
    engine: MemoryEngine,
    reads: AtomicUsize,
}

#[async_trait::async_trait]
impl Engine for Counting {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.engine.get(key).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let found = self.engine.scan(range, order, limit).await?;
        self.reads.fetch_add(found.len() + 1, Ordering::Relaxed);
        Ok(found)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        self.engine.commit(batch).await
    }

    async fn blob_writer(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.engine.blob_writer().await
    }

    async fn blob_writer_as(&self, id: BlobId) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.engine.blob_writer_as(id).await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.engine.snapshot().await
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.engine.blob_read(id, range).await
    }

    fn changes(&self, prefix: Key) -> Changes {
        self.engine.changes(prefix)
    }

    fn poisoned(&self) -> Option<String> {
        self.engine.poisoned()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.engine.close().await
    }
}

/// A store with so many entries, each in a lane of its own, to be thrown away once they are due.
async fn queue_of(count: u32, due: Timestamp) -> (Arc<Counting>, Stores) {
    let engine = Arc::new(Counting { engine: MemoryEngine::new(), reads: AtomicUsize::new(0) });
    let stores = Stores::new(engine.clone());
    let accepted_at = Timestamp::from_millis(1_000);
    let mut writer = engine.blob_writer().await.unwrap();
    writer.write(Bytes::from_static(b"Subject: x\r\n\r\n")).await.unwrap();
    let body = writer.finish().await.unwrap();
    let (blob, blob_bytes) = (body.id, body.bytes);
    let mut batch = Batch::new();
    batch.blob(body);
    for number in 0..count {
        let entry = QueueEntry {
            queue_id: QueueId::new(accepted_at, number),
            part: 0,
            lane: LaneId(format!("smtp:{number}.example:25").into()),
            reverse_path: mail::ReversePath::Null,
            mail: mail::MailParameters::default(),
            recipients: vec![QueuedRecipient {
                address: format!("a@{number}.example").parse().unwrap(),
                original: None,
                rcpt: mail::RcptParameters::default(),
            }],
            blob,
            blob_bytes,
            accepted_at,
            due,
            attempts: 1,
            status: EntryStatus::Waiting,
            last_error: None,
            delay_told: false,
            release_at: accepted_at,
            deadline: None,
            rerouted: false,
            submitter: None,
        };
        stores.spool.add(&mut batch, &entry);
    }
    engine.commit(batch).await.unwrap();
    (engine, stores)
}

async fn start(stores: &Stores, world: World, shutdown: Shutdown) -> Arc<Mta> {
    let route = crate::route::Route { recipient: "*".parse().unwrap(), via: crate::route::Via::Discard };
    let logins = Arc::new(Logins::new(stores.directory.clone(), &world, login::Limits::default()));
    Mta::start(testing::config(vec![route]), stores.clone(), logins, world, shutdown).await.unwrap()
}

#[tokio::test]
async fn a_start_reads_the_same_whatever_is_queued() {
    let mut reads = Vec::new();
    for count in [1, 50_000] {
        let world = World::system();
        let (engine, stores) = queue_of(count, world.clock.wall().plus(Duration::from_hours(1))).await;
        let (_trigger, shutdown) = ShutdownTrigger::new();
        start(&stores, world, shutdown).await;
        reads.push(engine.reads.load(Ordering::Relaxed));
    }
    assert_eq!(reads[0], reads[1]);
}

#[tokio::test]
async fn whatever_was_queued_gets_its_turn_after_a_start() {
    let world = World::system();
    let (_, stores) = queue_of(10_000, world.clock.wall()).await;
    let (_trigger, shutdown) = ShutdownTrigger::new();
    let _mta = start(&stores, world, shutdown).await;
    while !stores.spool.list(None, 1).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
