//! Finding entries by what they have in common, in time that depends on what is found; page by page, with a place to go on
//! from instead of a list in memory.

use std::collections::BTreeMap;

use mail::{Address, Domain, QueueId, ReversePath, Timestamp};

use super::{EntryId, LaneId, QueueEntry, Spool, due_key, entry_key, index, lane_prefix};
use crate::{
    engine::{Key, KeyRange, Order, StoreError},
    keys::{DUE, KeyBuilder, QUEUE_ENTRY, QUEUE_HELD},
};

/// Keys that are counted of each condition, to see which leads to the fewest.
const PROBE_KEYS_MAX: usize = 256;

/// One thing that entries have in common. What the index finds may hold others too: look at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// Every entry, in the order of acceptance, of messages accepted in this time (both ends included).
    Accepted {
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    },
    Recipient(Address),
    RecipientDomain(Domain),
    /// Recipients at any domain below.
    RecipientsBelow(Domain),
    Sender(ReversePath),
    SenderDomain(Domain),
    Lane(LaneId),
    /// What has a due time.
    Waiting,
    /// What is, or was once, held.
    Held,
}

/// A way through the entries of a criterion.
#[derive(Clone, Debug)]
pub struct AccessPath {
    /// Ascending, none overlaps another.
    ranges: Vec<KeyRange>,
}

/// Where a walk goes on: behind this key.
pub type Place = Key;

/// Some entries of a way, and where it goes on; none at its end.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub entries: Vec<QueueEntry>,
    pub next: Option<Place>,
}

impl AccessPath {
    pub fn new(by: &Criterion) -> Self {
        let prefix = |key: KeyBuilder| KeyRange::prefix(&key.octets());
        let ranges = match by {
            Criterion::Accepted { from, until } => vec![accepted_range(*from, *until)],
            Criterion::Recipient(address) => index::recipient_prefixes(address).map(prefix).into(),
            Criterion::RecipientDomain(domain) => vec![prefix(index::domain_prefix(domain).octet(0))],
            Criterion::RecipientsBelow(domain) => vec![prefix(index::domain_prefix(domain).octet(b'.'))],
            Criterion::Sender(path) => vec![prefix(index::sender_prefix(path))],
            Criterion::SenderDomain(domain) => vec![prefix(index::sender_host_prefix(&domain.to_lookup()))],
            Criterion::Lane(lane) => vec![prefix(lane_prefix(lane)), prefix(index::held_prefix(lane))],
            Criterion::Waiting => vec![KeyRange::prefix(&[DUE])],
            Criterion::Held => vec![KeyRange::prefix(&[QUEUE_HELD])],
        };
        Self { ranges }
    }

    fn holds(&self, key: &Key) -> bool {
        self.ranges.iter().any(|range| range.start <= *key && *key < range.end)
    }

    /// What is left behind a place.
    fn after(&self, place: Option<&Place>) -> Vec<KeyRange> {
        let left = self.ranges.iter().filter(|range| place.is_none_or(|place| *place < range.end)).cloned();
        left.map(|mut range| {
            if let Some(place) = place.filter(|place| **place >= range.start) {
                range.start = place.successor();
            }
            range
        })
        .collect()
    }

    /// The key by which this way finds the entry first: an entry with several is told once.
    fn first_key(&self, entry: &QueueEntry) -> Option<Key> {
        let own = std::iter::once(entry_key(entry.id()).key()).chain(due_key(entry));
        own.chain(index::keys(entry)).filter(|key| self.holds(key)).min()
    }
}

/// A message gets its ID when it begins to come, and is accepted at its end.
const TRANSACTION_MILLIS_MAX: i64 = 24 * 60 * 60 * 1000;

fn accepted_range(from: Option<Timestamp>, until: Option<Timestamp>) -> KeyRange {
    let mut range = KeyRange::prefix(&[QUEUE_ENTRY]);
    let before = |at: Timestamp| at.millis().saturating_sub(TRANSACTION_MILLIS_MAX).max(0);
    if let Some(from) = from {
        let first = QueueId::new(Timestamp::from_millis(before(from)), 0);
        range.start = KeyBuilder::new(QUEUE_ENTRY).id(first).key();
    }
    if let Some(until) = until.filter(|until| until.millis() < i64::MAX) {
        let end = QueueId::new(Timestamp::from_millis(until.millis().max(0) + 1), 0);
        range.end = KeyBuilder::new(QUEUE_ENTRY).id(end).key();
    }
    range
}

impl Spool {
    /// Of several criteria that all have to hold, the way of the one that leads to the fewest entries; that of a place that
    /// was reached already.
    pub async fn shortest_path(
        &self,
        criteria: &[Criterion],
        place: Option<&Place>,
    ) -> Result<AccessPath, StoreError> {
        let all = Criterion::Accepted { from: None, until: None };
        let usable = if self.is_indexed().await? { criteria } else { &[] };
        let mut by_count = BTreeMap::new();
        for by in usable.iter().chain(std::iter::once(&all)) {
            let way = AccessPath::new(by);
            if place.is_some_and(|place| way.holds(place)) {
                return Ok(way);
            }
            let count = self.count_keys(&way, PROBE_KEYS_MAX).await?;
            by_count.entry(count).or_insert(way);
            if count == 0 {
                break;
            }
        }
        Ok(by_count.into_values().next().unwrap_or_else(|| AccessPath::new(&all)))
    }

    async fn count_keys(&self, way: &AccessPath, limit: usize) -> Result<usize, StoreError> {
        let mut count = 0;
        for range in &way.ranges {
            count += self.engine.scan(range.clone(), Order::Ascending, limit - count).await?.len();
            if count >= limit {
                break;
            }
        }
        Ok(count)
    }

    /// The next entries of a way behind `place`: each once, at most `limit` keys looked at.
    pub async fn find(
        &self,
        way: &AccessPath,
        place: Option<&Place>,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut left = limit;
        for range in way.after(place) {
            let pairs = self.engine.scan(range, Order::Ascending, left).await?;
            left -= pairs.len();
            found.next = pairs.last().map(|(key, _)| key.clone()).or(found.next);
            for (key, value) in pairs {
                found.entries.extend(self.entry_behind(way, key, value).await?);
            }
            if left == 0 {
                return Ok(found);
            }
        }
        found.next = None;
        Ok(found)
    }

    /// None if the entry is told by another key, or gone.
    async fn entry_behind(
        &self,
        way: &AccessPath,
        key: Key,
        value: bytes::Bytes,
    ) -> Result<Option<QueueEntry>, StoreError> {
        if key.as_slice().first() == Some(&QUEUE_ENTRY) {
            return self.read(key, value).await.map(Some);
        }
        let id: EntryId = index::entry_at_end(&key)?;
        let entry = self.entry(id).await?;
        Ok(entry.filter(|entry| way.first_key(entry).is_some_and(|first| first == key)))
    }
}
