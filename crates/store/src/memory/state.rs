use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
};

use bytes::{Bytes, BytesMut};

use crate::{
    apply::{Evaluated, Reader},
    engine::{BlobId, BlobPayload, Key, KeyRange, Order, StoreError},
    snapshot::{self, Snapshot},
};

/// Pairs and bodies. A clone shares the octets.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pairs: BTreeMap<Key, Bytes>,
    bodies: BTreeMap<BlobId, Body>,
}

#[derive(Clone, Debug)]
struct Body {
    octets: Bytes,
    references: u64,
}

/// One batch as the log would hold it.
#[derive(Debug)]
pub(super) struct Record {
    writes: Vec<(Key, Option<Bytes>)>,
    bodies: Vec<(BlobId, Bytes)>,
    references: Vec<(BlobId, i64)>,
}

impl Record {
    pub(super) fn new(evaluated: Evaluated) -> Self {
        let bodies = evaluated.blobs.into_iter().map(|blob| (blob.id, joined(blob.payload))).collect();
        Self { writes: evaluated.writes, bodies, references: evaluated.references }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.writes.iter().map(|(key, _)| key.as_slice())
    }

    /// What it would take on disk; at least 1.
    pub(super) fn octets(&self) -> u64 {
        let writes =
            self.writes.iter().map(|(key, value)| key.0.len() + value.as_ref().map_or(0, Bytes::len));
        let bodies = self.bodies.iter().map(|(_, octets)| octets.len());
        (1 + writes.chain(bodies).sum::<usize>() + 16 * self.references.len()) as u64
    }
}

fn joined(payload: BlobPayload) -> Bytes {
    match payload {
        BlobPayload::Memory(chunks) => match <[Bytes; 1]>::try_from(chunks) {
            Ok([only]) => only,
            Err(chunks) => {
                let mut all = BytesMut::new();
                for chunk in &chunks {
                    all.extend_from_slice(chunk);
                }
                all.freeze()
            }
        },
        // This engine stages nothing; another's handle is of no use here.
        BlobPayload::Staged(_) => Bytes::new(),
    }
}

impl State {
    pub(super) fn pair(&self, key: &Key) -> Option<Bytes> {
        self.pairs.get(key).cloned()
    }

    pub(super) fn scan(&self, range: KeyRange, order: Order, limit: usize) -> Vec<(Key, Bytes)> {
        if range.start >= range.end {
            return Vec::new();
        }
        let found = self.pairs.range((Bound::Included(range.start), Bound::Excluded(range.end)));
        let owned = |(key, value): (&Key, &Bytes)| (key.clone(), value.clone());
        match order {
            Order::Ascending => found.take(limit).map(owned).collect(),
            Order::Descending => found.rev().take(limit).map(owned).collect(),
        }
    }

    pub(super) fn body(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        let octets = &self.bodies.get(&id).ok_or(StoreError::NotFound)?.octets;
        let within = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(octets.len());
        let end = within(range.end);
        Ok(octets.slice(within(range.start).min(end)..end))
    }

    pub(super) fn bodies_kept(&self) -> (usize, u64) {
        (self.bodies.len(), self.bodies.values().map(|body| body.octets.len() as u64).sum())
    }

    pub(super) fn apply(&mut self, record: &Record) {
        for (key, value) in &record.writes {
            match value {
                Some(value) => self.pairs.insert(key.clone(), value.clone()),
                None => self.pairs.remove(key),
            };
        }
        for (id, octets) in &record.bodies {
            self.bodies.insert(*id, Body { octets: octets.clone(), references: 0 });
        }
        for (id, delta) in &record.references {
            if let Some(body) = self.bodies.get_mut(id) {
                body.references = body.references.saturating_add_signed(*delta);
            }
        }
        let touched =
            record.bodies.iter().map(|(id, _)| id).chain(record.references.iter().map(|(id, _)| id));
        for id in touched {
            if self.bodies.get(id).is_some_and(|body| body.references == 0) {
                self.bodies.remove(id);
            }
        }
    }
}

#[async_trait::async_trait]
impl Snapshot for State {
    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Bytes)>, StoreError> {
        Ok(State::scan(self, range, Order::Ascending, limit))
    }

    async fn bodies(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<snapshot::Body>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.bodies.range((from, Bound::Unbounded)).take(limit);
        Ok(found.map(|(id, body)| body.told(*id)).collect())
    }

    async fn blob_read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.body(id, range)
    }
}

impl Body {
    fn told(&self, id: BlobId) -> snapshot::Body {
        let checksum = xxhash_rust::xxh3::xxh3_64(&self.octets);
        snapshot::Body { id, bytes: self.octets.len() as u64, references: self.references, checksum }
    }
}

impl Reader for State {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.pairs.get(key).cloned())
    }
}
