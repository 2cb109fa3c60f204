//! What the engine's threads and its callers share.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use store::{ChangeHub, StoreError};

use crate::{
    Options,
    blob::BlobFiles,
    codec::BlobRow,
    damage::{Damage, DamageList},
    segment::SegmentFiles,
    space::Space,
    view::View,
};

/// Bodies kept in memory so that a delivery right after the accept reads nothing.
const RECENT_BYTES_MAX: usize = 8 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Shared {
    pub options: Options,
    pub secret: u64,
    pub view: RwLock<View>,
    pub segments: SegmentFiles,
    pub blobs: Arc<BlobFiles>,
    pub space: Arc<Space>,
    pub recent: Mutex<RecentBodies>,
    pub changes: ChangeHub,
    pub next_blob: AtomicU64,
    pub damage: Mutex<DamageList>,
    pub counters: Counters,
    /// Snapshots in use: nothing that they may need is removed.
    pub snapshots: AtomicUsize,
    stopped: OnceLock<String>,
}

/// What has been done since the store was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub commits: AtomicU64,
    pub groups: AtomicU64,
    pub logged_bytes: AtomicU64,
    pub checkpoints: AtomicU64,
    pub moved_bytes: AtomicU64,
    pub segments_removed: AtomicU64,
}

impl Counters {
    pub fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}

/// The parts of [`Shared`] that opening a store finds.
#[derive(Debug)]
pub(crate) struct Parts {
    pub options: Options,
    pub secret: u64,
    pub view: View,
    pub segments: SegmentFiles,
    pub blobs: BlobFiles,
    pub space: Space,
    pub next_blob: u64,
    pub damage: DamageList,
}

impl Shared {
    pub fn new(parts: Parts) -> Self {
        Self {
            options: parts.options,
            secret: parts.secret,
            view: RwLock::new(parts.view),
            segments: parts.segments,
            blobs: Arc::new(parts.blobs),
            space: Arc::new(parts.space),
            recent: Mutex::default(),
            changes: ChangeHub::default(),
            next_blob: AtomicU64::new(parts.next_blob),
            damage: Mutex::new(parts.damage),
            counters: Counters::default(),
            snapshots: AtomicUsize::new(0),
            stopped: OnceLock::new(),
        }
    }

    pub fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn recent(&self) -> MutexGuard<'_, RecentBodies> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn damage(&self) -> MutexGuard<'_, DamageList> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pair(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let view = self.view();
        if let Some(value) = view.recent_pair(key) {
            return Ok(value.clone());
        }
        let base = Arc::clone(&view.base);
        drop(view);
        base.pair(key)
    }

    pub fn blob(&self, id: u64) -> Result<Option<BlobRow>, StoreError> {
        let view = self.view();
        if let Some(row) = view.recent_blob(id) {
            return Ok(*row);
        }
        let base = Arc::clone(&view.base);
        drop(view);
        base.blob(id)
    }

    /// From now on nothing is committed.
    pub fn stop(&self, reason: &str) {
        if self.stopped.set(reason.to_owned()).is_ok() {
            tracing::debug!(reason, "the store takes no more commits");
        }
    }

    /// What is on disk is uncertain; only opening the store again makes it certain.
    pub fn poison(&self, reason: &str) {
        if self.stopped.set(reason.to_owned()).is_ok() {
            tracing::error!(reason, "the store is poisoned and takes no more commits");
        }
    }

    pub fn stopped(&self) -> Option<&str> {
        self.stopped.get().map(String::as_str)
    }

    pub fn report_file_damage(&self, file: PathBuf, reason: String) {
        self.damage().add(None, Damage { file, offset: 0, reason });
    }

    pub fn report_damage(&self, segment: u64, offset: u64, reason: String) {
        let damage = Damage { file: self.segments.path(segment), offset, reason };
        self.damage().add(Some(segment), damage);
    }
}

/// Bodies that were appended lately, oldest out first.
#[derive(Debug, Default)]
pub(crate) struct RecentBodies {
    bodies: HashMap<u64, Bytes>,
    order: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl RecentBodies {
    pub fn get(&self, id: u64) -> Option<Bytes> {
        self.bodies.get(&id).cloned()
    }

    pub fn insert(&mut self, id: u64, octets: Bytes) {
        self.bytes += octets.len();
        self.order.push_back((id, octets.len()));
        self.bodies.insert(id, octets);
        while self.bytes > RECENT_BYTES_MAX || self.order.len() > self.bodies.len() * 2 + 64 {
            let Some((oldest, length)) = self.order.pop_front() else { break };
            if self.bodies.remove(&oldest).is_some() {
                self.bytes = self.bytes.saturating_sub(length);
            }
        }
    }

    pub fn remove(&mut self, id: u64) {
        if let Some(octets) = self.bodies.remove(&id) {
            self.bytes = self.bytes.saturating_sub(octets.len());
        }
        if self.bodies.is_empty() {
            self.order.clear();
        }
    }
}

/// The directories of a store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub dir: PathBuf,
}

impl Layout {
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    pub fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_bodies_are_bounded_in_octets_and_in_number() {
        let mut recent = RecentBodies::default();
        let body = Bytes::from(vec![0; 1024 * 1024]);
        (0..20).for_each(|id| recent.insert(id, body.clone()));
        assert!(recent.get(11).is_none() && recent.get(12).is_some() && recent.get(19).is_some());
        (0..20).for_each(|id| recent.remove(id));
        assert_eq!((recent.bytes, recent.order.len()), (0, 0));
        recent.insert(100, body.clone());
        for id in 200..2000 {
            recent.insert(id, Bytes::new());
            recent.remove(id);
        }
        assert!(recent.order.len() < 100);
    }
}
