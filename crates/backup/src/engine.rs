//! A backup as an engine that takes no commits: whatever reads a store reads a backup.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use store::{
    Batch, BlobId, BlobWriter, Body, ChangeHub, Changes, CommitError, Committed, Engine, Key, KeyRange,
    Order, Snapshot, StoreError,
};

use crate::{error::Error, read::Backup, table};

const REFUSAL: &str = "a backup is only read";

/// Reads files where it is called: for commands, not for servers.
#[derive(Clone, Debug)]
pub struct BackupEngine {
    backup: Arc<Backup>,
    changes: Arc<ChangeHub>,
}

impl BackupEngine {
    pub fn new(backup: Arc<Backup>) -> Self {
        Self { backup, changes: Arc::default() }
    }

    fn read(&self, range: KeyRange, order: Order, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        // The table of bodies is nobody's.
        let range = KeyRange { end: range.end.min(table::start()), start: range.start };
        self.backup.scan(&range, order, limit).map_err(store_error)
    }
}

/// What a backup cannot tell, in the store's terms.
fn store_error(error: Error) -> StoreError {
    match error {
        Error::Store(error) => error,
        Error::Io { .. } => StoreError::Io(error.to_string()),
        error => StoreError::Damaged(error.to_string()),
    }
}

#[async_trait::async_trait]
impl Engine for BackupEngine {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let range = KeyRange { start: key.clone(), end: key.successor() };
        Ok(self.read(range, Order::Ascending, 1)?.pop().map(|(_, value)| value))
    }

    async fn scan(
        &self,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.read(range, order, limit)
    }

    async fn commit(&self, _: Batch) -> Result<Committed, CommitError> {
        Err(CommitError::Poisoned(REFUSAL.to_owned()))
    }

    async fn blob_writer(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        Err(StoreError::Io(REFUSAL.to_owned()))
    }

    async fn blob_writer_as(&self, _: BlobId) -> Result<Box<dyn BlobWriter>, StoreError> {
        Err(StoreError::Io(REFUSAL.to_owned()))
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        let row = self.backup.row(id).map_err(store_error)?.ok_or(StoreError::NotFound)?;
        self.backup.body(&row, range).map_err(store_error)
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn changes(&self, prefix: Key) -> Changes {
        self.changes.subscribe(prefix)
    }

    fn poisoned(&self) -> Option<String> {
        Some(REFUSAL.to_owned())
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl Snapshot for BackupEngine {
    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        self.read(range, Order::Ascending, limit)
    }

    async fn bodies(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<Body>, StoreError> {
        let rows = self.backup.rows(after, limit).map_err(store_error)?;
        Ok(rows.into_iter().map(|row| row.body).collect())
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        Engine::blob_read(self, id, range).await
    }
}
