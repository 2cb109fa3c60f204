//! What was committed since the last checkpoint, in memory.
//!
//! Keys that are put and deleted within one table's life leave no trace in it: queue entries live for milliseconds and
//! never reach the index.

use std::{
    collections::{BTreeMap, btree_map},
    ops::Bound,
};

use bytes::Bytes;
use store::{Key, KeyRange, Order};

use crate::codec::{BlobRow, ROW_BYTES};

/// What an entry takes besides its octets, roughly.
const ENTRY_OVERHEAD_BYTES: usize = 160;

#[derive(Clone, Debug, Default)]
pub(crate) struct Memtable {
    pairs: BTreeMap<Key, Option<Bytes>>,
    blobs: BTreeMap<u64, Option<BlobRow>>,
    bytes: usize,
}

/// What becomes of a key.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put(Bytes),
    /// Hides what an older table or the index has.
    Hide,
    /// Nothing older has the key.
    Forget,
}

impl Memtable {
    /// Memory held, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// None: this table does not know; Some(None): it is deleted.
    pub fn pair(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.pairs.get(key)
    }

    pub fn blob(&self, id: u64) -> Option<&Option<BlobRow>> {
        self.blobs.get(&id)
    }

    pub fn write(&mut self, key: Key, write: Write) {
        let key_bytes = key.0.len();
        let older = match write {
            Write::Put(value) => {
                self.bytes += entry_bytes(key_bytes, Some(&value));
                self.pairs.insert(key, Some(value))
            }
            Write::Hide => {
                self.bytes += entry_bytes(key_bytes, None);
                self.pairs.insert(key, None)
            }
            Write::Forget => self.pairs.remove(&key),
        };
        if let Some(older) = older {
            self.bytes = self.bytes.saturating_sub(entry_bytes(key_bytes, older.as_ref()));
        }
    }

    /// `older` tells whether an older table or the index has the body.
    pub fn write_blob(&mut self, id: u64, row: Option<BlobRow>, older: bool) {
        let before = if row.is_some() || older { self.blobs.insert(id, row) } else { self.blobs.remove(&id) };
        let is_known = self.blobs.contains_key(&id);
        match (before.is_some(), is_known) {
            (false, true) => self.bytes += ROW_BYTES + ENTRY_OVERHEAD_BYTES,
            (true, false) => self.bytes = self.bytes.saturating_sub(ROW_BYTES + ENTRY_OVERHEAD_BYTES),
            _ => {}
        }
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&Key, Option<&Bytes>)> {
        self.pairs.iter().map(|(key, value)| (key, value.as_ref()))
    }

    pub fn blobs(&self) -> impl Iterator<Item = (u64, Option<&BlobRow>)> {
        self.blobs.iter().map(|(id, row)| (*id, row.as_ref()))
    }

    /// Those with numbers from `first` to `last`.
    pub fn blobs_within(&self, first: u64, last: u64) -> impl Iterator<Item = (u64, Option<BlobRow>)> {
        self.blobs.range(first..=last).map(|(id, row)| (*id, *row))
    }

    pub fn range(&self, range: &KeyRange, order: Order) -> Entries<'_> {
        let bounds = (Bound::Included(range.start.as_slice()), Bound::Excluded(range.end.as_slice()));
        Entries { entries: self.pairs.range::<[u8], _>(bounds), order }
    }

    /// The entries that a scan of so many pairs can need from this table, in order.
    pub fn first(&self, range: &KeyRange, order: Order, limit: usize) -> Vec<(Key, Option<Bytes>)> {
        let mut left = limit;
        let mut found = Vec::new();
        for (key, value) in self.range(range, order) {
            if left == 0 {
                break;
            }
            left -= usize::from(value.is_some());
            found.push((key.clone(), value.clone()));
        }
        found
    }
}

fn entry_bytes(key_bytes: usize, value: Option<&Bytes>) -> usize {
    ENTRY_OVERHEAD_BYTES + key_bytes + value.map_or(0, Bytes::len)
}

#[derive(Debug)]
pub(crate) struct Entries<'a> {
    entries: btree_map::Range<'a, Key, Option<Bytes>>,
    order: Order,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a Key, &'a Option<Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        match self.order {
            Order::Ascending => self.entries.next(),
            Order::Descending => self.entries.next_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Key {
        Key(Bytes::from_static(text.as_bytes()))
    }

    fn put(table: &mut Memtable, name: &'static str) {
        table.write(key(name), Write::Put(Bytes::from_static(b"value")));
    }

    #[test]
    fn what_came_and_went_leaves_no_trace() {
        let mut table = Memtable::default();
        put(&mut table, "a");
        put(&mut table, "a");
        table.write(key("a"), Write::Forget);
        let row = BlobRow { place: crate::codec::Place::File, bytes: 1, checksum: 0, references: 1 };
        table.write_blob(1, Some(row), false);
        table.write_blob(1, None, false);
        assert!(table.pairs.is_empty() && table.blobs.is_empty() && table.bytes() == 0);
        table.write(key("b"), Write::Hide);
        table.write_blob(2, None, true);
        assert_eq!((table.pair(b"b"), table.blob(2)), (Some(&None), Some(&None)));
    }

    #[test]
    fn a_scan_takes_as_many_pairs_as_asked_and_the_deletions_between() {
        let mut table = Memtable::default();
        for name in ["a", "c", "e", "g"] {
            put(&mut table, name);
        }
        table.write(key("b"), Write::Hide);
        let range = KeyRange { start: key("a"), end: key("g") };
        let names = |order, limit| -> Vec<_> {
            table.first(&range, order, limit).iter().map(|(key, _)| key.0.clone()).collect()
        };
        assert_eq!(names(Order::Ascending, 2), ["a", "b", "c"]);
        assert_eq!(names(Order::Descending, 3), ["e", "c", "b", "a"]);
        assert!(names(Order::Ascending, 0).is_empty());
    }
}
