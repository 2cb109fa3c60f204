//! The store as it was at one moment.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use store::{BlobId, Body, Key, KeyRange, Order, Snapshot, StoreError};

use crate::{
    janitor::{Janitor, Job},
    read,
    shared::Shared,
    view::View,
};

/// Keeps the janitor from what it may need. In memory it holds what was committed since the last checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct HeldView(Arc<Held>);

#[derive(Debug)]
struct Held {
    view: View,
    shared: Arc<Shared>,
    janitor: Janitor,
}

impl HeldView {
    pub fn new(shared: &Arc<Shared>, janitor: Janitor) -> Self {
        shared.snapshots.fetch_add(1, Ordering::SeqCst);
        let now = shared.view();
        let (active, frozen, base) = (now.active.clone(), now.frozen.clone(), Arc::clone(&now.base));
        drop(now);
        Self(Arc::new(Held { view: View { active, frozen, base }, shared: Arc::clone(shared), janitor }))
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Held) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let held = self.clone();
        let done = tokio::task::spawn_blocking(move || read(&held.0));
        done.await.map_err(|error| StoreError::Io(error.to_string()))?
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.shared.snapshots.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.janitor.send(Job::Released);
        }
    }
}

#[async_trait::async_trait]
impl Snapshot for HeldView {
    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        if range.start >= range.end || limit == 0 {
            return Ok(Vec::new());
        }
        self.reading(move |held| held.view.scan(range, Order::Ascending, limit).run()).await
    }

    async fn bodies(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<Body>, StoreError> {
        let first = after.map_or(0, |BlobId(after)| after.saturating_add(1));
        let rows = self.reading(move |held| held.view.blobs(first, limit)).await?;
        let told = |(id, row): (u64, crate::codec::BlobRow)| Body {
            id: BlobId(id),
            bytes: row.bytes,
            references: row.references,
            checksum: row.checksum,
        };
        Ok(rows.into_iter().map(told).collect())
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.reading(move |held| {
            let row = held.view.blob(id.0)?.ok_or(StoreError::NotFound)?;
            read::held(&held.shared, id.0, row, range)
        })
        .await
    }
}
