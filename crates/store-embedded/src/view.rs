//! The state as readers see it: the table that commits go into, the one on its way to the index, and the index.

use std::{cmp::Ordering, collections::BTreeMap, iter::Peekable, sync::Arc};

use bytes::Bytes;
use store::{Key, KeyRange, Order, StoreError};

use crate::{
    codec::{BlobRow, Writes},
    index::Snapshot,
    memtable::{Memtable, Write},
};

/// Newest first. Whatever `active` and `frozen` do not know is in `base`.
#[derive(Debug)]
pub(crate) struct View {
    pub active: Memtable,
    pub frozen: Option<Arc<Memtable>>,
    pub base: Arc<Snapshot>,
}

/// A commit's changes, ready for `active`.
#[derive(Debug)]
pub(crate) struct Changes {
    pairs: Vec<(Key, Write)>,
    blobs: Vec<(u64, Option<BlobRow>, bool)>,
}

impl View {
    pub fn pair(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.recent_pair(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.pair(key),
        }
    }

    /// None if only the index can tell.
    pub fn recent_pair(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.active.pair(key).or_else(|| self.frozen.as_ref()?.pair(key))
    }

    pub fn blob(&self, id: u64) -> Result<Option<BlobRow>, StoreError> {
        match self.recent_blob(id) {
            Some(row) => Ok(*row),
            None => self.base.blob(id),
        }
    }

    pub fn recent_blob(&self, id: u64) -> Option<&Option<BlobRow>> {
        self.active.blob(id).or_else(|| self.frozen.as_ref()?.blob(id))
    }

    /// At most `limit` bodies with numbers from `first` on; fewer only at the end.
    pub fn blobs(&self, first: u64, limit: usize) -> Result<Vec<(u64, BlobRow)>, StoreError> {
        let (mut first, mut found) = (first, Vec::new());
        while found.len() < limit {
            let base = self.base.blobs(first, limit)?;
            let is_end = base.len() < limit;
            let last = base.last().map(|(id, _)| *id).filter(|_| !is_end).unwrap_or(u64::MAX);
            let mut rows: BTreeMap<u64, Option<BlobRow>> =
                base.into_iter().map(|(id, row)| (id, Some(row))).collect();
            for table in self.frozen.as_deref().into_iter().chain([&self.active]) {
                rows.extend(table.blobs_within(first, last));
            }
            found.extend(rows.into_iter().filter_map(|(id, row)| Some((id, row?))));
            if is_end {
                break;
            }
            first = last.saturating_add(1);
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Finds out what the writes mean for `active`. It holds until the next commit, whatever checkpoints do meanwhile.
    pub fn prepare(&self, writes: &Writes) -> Result<Changes, StoreError> {
        let mut changes = Changes {
            pairs: Vec::with_capacity(writes.pairs.len()),
            blobs: Vec::with_capacity(writes.blobs.len()),
        };
        for (key, value) in &writes.pairs {
            let write = match value {
                Some(value) => Write::Put(value.clone()),
                None if self.older_has_pair(key)? => Write::Hide,
                None => Write::Forget,
            };
            changes.pairs.push((key.clone(), write));
        }
        for (id, row) in &writes.blobs {
            let older = row.is_none() && self.older_has_blob(*id)?;
            changes.blobs.push((*id, *row, older));
        }
        Ok(changes)
    }

    pub fn apply(&mut self, changes: Changes) {
        for (key, write) in changes.pairs {
            self.active.write(key, write);
        }
        for (id, row, older) in changes.blobs {
            self.active.write_blob(id, row, older);
        }
    }

    fn older_has_pair(&self, key: &Key) -> Result<bool, StoreError> {
        match self.frozen.as_ref().and_then(|frozen| frozen.pair(key.as_slice())) {
            Some(value) => Ok(value.is_some()),
            None => self.base.has_pair(key.as_slice()),
        }
    }

    fn older_has_blob(&self, id: u64) -> Result<bool, StoreError> {
        match self.frozen.as_ref().and_then(|frozen| frozen.blob(id)) {
            Some(row) => Ok(row.is_some()),
            None => Ok(self.base.blob(id)?.is_some()),
        }
    }

    /// Everything that a scan needs, so that it can go on without holding up commits.
    pub fn scan(&self, range: KeyRange, order: Order, limit: usize) -> Scan {
        Scan {
            active: self.active.first(&range, order, limit),
            frozen: self.frozen.clone(),
            base: Arc::clone(&self.base),
            range,
            order,
            limit,
        }
    }
}

/// A scan over one state.
#[derive(Debug)]
pub(crate) struct Scan {
    active: Vec<(Key, Option<Bytes>)>,
    frozen: Option<Arc<Memtable>>,
    base: Arc<Snapshot>,
    range: KeyRange,
    order: Order,
    limit: usize,
}

type Entry = Result<(Key, Option<Bytes>), StoreError>;

impl Scan {
    pub fn run(self) -> Result<Vec<(Key, Bytes)>, StoreError> {
        let frozen = self.frozen.iter().flat_map(|table| table.range(&self.range, self.order));
        let frozen = frozen.map(|(key, value)| Ok((key.clone(), value.clone())));
        let base = self.base.range(&self.range, self.order)?;
        let base = base.map(|entry| entry.map(|(key, value)| (key, Some(value))));
        let older = Overlay::new(frozen, base, self.order);
        let all = Overlay::new(self.active.into_iter().map(Ok), older, self.order);
        let live = all.filter_map(|entry| match entry {
            Ok((key, Some(value))) => Some(Ok((key, value))),
            Ok((_, None)) => None,
            Err(error) => Some(Err(error)),
        });
        live.take(self.limit).collect()
    }
}

/// Two ordered runs as one; where both have a key, the upper one's entry stands.
struct Overlay<U: Iterator, L: Iterator> {
    upper: Peekable<U>,
    lower: Peekable<L>,
    order: Order,
}

impl<U: Iterator<Item = Entry>, L: Iterator<Item = Entry>> Overlay<U, L> {
    fn new(upper: U, lower: L, order: Order) -> Self {
        Self { upper: upper.peekable(), lower: lower.peekable(), order }
    }
}

impl<U: Iterator<Item = Entry>, L: Iterator<Item = Entry>> Iterator for Overlay<U, L> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let (Some(Ok((upper, _))), Some(Ok((lower, _)))) = (self.upper.peek(), self.lower.peek()) else {
            // One has ended, or failed and says so now.
            return match self.lower.peek() {
                Some(Err(_)) => self.lower.next(),
                _ => self.upper.next().or_else(|| self.lower.next()),
            };
        };
        let ordering = match self.order {
            Order::Ascending => upper.cmp(lower),
            Order::Descending => lower.cmp(upper),
        };
        match ordering {
            Ordering::Less => self.upper.next(),
            Ordering::Greater => self.lower.next(),
            Ordering::Equal => {
                self.lower.next();
                self.upper.next()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(entries: &[(&'static str, Option<&'static str>)]) -> Vec<Entry> {
        let octets = |text: &'static str| Bytes::from_static(text.as_bytes());
        entries.iter().map(|(key, value)| Ok((Key(octets(key)), value.map(octets)))).collect()
    }

    #[test]
    fn the_upper_run_hides_the_lower_one() {
        let mut upper = run(&[("a", Some("1")), ("c", None), ("d", Some("1"))]);
        let mut lower = run(&[("b", Some("2")), ("c", Some("2")), ("e", Some("2"))]);
        let expected = [("a", Some("1")), ("b", Some("2")), ("c", None), ("d", Some("1")), ("e", Some("2"))];
        let merged = Overlay::new(upper.clone().into_iter(), lower.clone().into_iter(), Order::Ascending);
        let merged: Vec<_> = merged.map(Result::unwrap).collect();
        let expected: Vec<_> = run(&expected).into_iter().map(Result::unwrap).collect();
        assert_eq!(merged, expected);
        upper.reverse();
        lower.reverse();
        let merged = Overlay::new(upper.into_iter(), lower.into_iter(), Order::Descending);
        let merged: Vec<_> = merged.map(Result::unwrap).collect();
        assert!(merged.iter().eq(expected.iter().rev()));
    }

    #[test]
    fn a_failure_is_not_passed_over() {
        let mut lower = run(&[("b", Some("2"))]);
        lower.push(Err(StoreError::Io("read".to_owned())));
        let merged = Overlay::new(run(&[("z", Some("1"))]).into_iter(), lower.into_iter(), Order::Ascending);
        assert!(merged.take(2).collect::<Result<Vec<_>, _>>().is_err());
    }
}
