//! The index on disk: a B-tree file that is as old as the last checkpoint.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::Bound,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, WriteTransaction,
};
use store::{Key, KeyRange, Order, StoreError};

use crate::{
    codec::{BlobRow, Input, put_u64},
    error::{Context, OpenError},
    memtable::Memtable,
    segment::sync_dir,
};

const PAIRS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("pairs");
const BLOBS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blobs");
/// Per segment: octets of its live bodies, its length.
const SEGMENTS: TableDefinition<'_, u64, (u64, u64)> = TableDefinition::new("segments");
const MARK: TableDefinition<'_, (), &[u8]> = TableDefinition::new("mark");

const NAME: &str = "index.redb";
/// A half made index has this name, and is made anew.
const NEW_NAME: &str = "index.redb.new";
const MARK_VERSION: u64 = 1;

/// Up to where the log is in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Seeds the checksums of records.
    pub secret: u64,
    /// Where the log goes on.
    pub segment: u64,
    pub offset: u64,
    /// The next record's.
    pub sequence: u64,
    pub next_blob: u64,
    pub usage: Usage,
}

/// What each segment holds.
pub(crate) type Usage = BTreeMap<u64, SegmentUse>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentUse {
    /// Octets of bodies that something refers to.
    pub live_bytes: u64,
    pub bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Index {
    database: Database,
}

/// The index as of one checkpoint.
pub(crate) struct Snapshot {
    pairs: ReadOnlyTable<&'static [u8], &'static [u8]>,
    blobs: ReadOnlyTable<u64, &'static [u8]>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

pub(crate) fn exists(dir: &Path) -> io::Result<bool> {
    fs::exists(dir.join(NAME))
}

impl Index {
    /// Makes the index of an empty store; it appears whole or not at all.
    pub fn create(dir: &Path, mark: &Mark) -> Result<(), OpenError> {
        let (path, new_path) = (dir.join(NAME), dir.join(NEW_NAME));
        if fs::exists(&new_path).while_("looking for", &new_path)? {
            fs::remove_file(&new_path).while_("removing", &new_path)?;
        }
        let broken =
            |reason: redb::Error| OpenError::Index { path: new_path.clone(), reason: reason.to_string() };
        let database = Builder::new().create(&new_path).map_err(|error| broken(error.into()))?;
        let index = Self { database };
        index.write(&Memtable::default(), mark, &Usage::new()).map_err(broken)?;
        drop(index);
        fs::rename(&new_path, &path).while_("renaming", &new_path)?;
        sync_dir(dir).while_("syncing", dir)
    }

    pub fn open(dir: &Path, cache_bytes: usize) -> Result<(Self, Mark), OpenError> {
        let path = dir.join(NAME);
        let broken =
            |reason: redb::Error| OpenError::Index { path: path.clone(), reason: reason.to_string() };
        let database =
            Builder::new().set_cache_size(cache_bytes).open(&path).map_err(|error| broken(error.into()))?;
        let index = Self { database };
        let mark = index.mark().map_err(broken)?;
        let damaged = || OpenError::Index { path: path.clone(), reason: "its mark is unreadable".to_owned() };
        Ok((index, mark.ok_or_else(damaged)?))
    }

    fn mark(&self) -> Result<Option<Mark>, redb::Error> {
        let read = self.database.begin_read()?;
        let mut usage = Usage::new();
        for entry in read.open_table(SEGMENTS)?.iter()? {
            let (number, sizes) = entry?;
            let (live_bytes, bytes) = sizes.value();
            usage.insert(number.value(), SegmentUse { live_bytes, bytes });
        }
        let stored = read.open_table(MARK)?.get(())?;
        Ok(stored.and_then(|octets| Mark::decode(octets.value(), usage)))
    }

    /// A checkpoint: everything in `table` and the mark, or nothing.
    pub fn write(&self, table: &Memtable, mark: &Mark, usage_before: &Usage) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate).map_err(redb::Error::from)?;
        // Opening after a crash must not walk the whole file.
        transaction.set_quick_repair(true);
        write_pairs(&transaction, table)?;
        write_blobs(&transaction, table)?;
        write_usage(&transaction, usage_before, &mark.usage)?;
        transaction.open_table(MARK)?.insert((), mark.encode().as_slice())?;
        transaction.commit()?;
        Ok(())
    }

    pub fn snapshot(&self) -> Result<Snapshot, redb::Error> {
        let read = self.database.begin_read()?;
        Ok(Snapshot { pairs: read.open_table(PAIRS)?, blobs: read.open_table(BLOBS)? })
    }
}

fn write_pairs(transaction: &WriteTransaction, table: &Memtable) -> Result<(), redb::Error> {
    let mut pairs = transaction.open_table(PAIRS)?;
    for (key, value) in table.pairs() {
        match value {
            Some(value) => pairs.insert(key.as_slice(), value.as_ref())?,
            None => pairs.remove(key.as_slice())?,
        };
    }
    Ok(())
}

fn write_blobs(transaction: &WriteTransaction, table: &Memtable) -> Result<(), redb::Error> {
    let mut blobs = transaction.open_table(BLOBS)?;
    for (id, row) in table.blobs() {
        match row {
            Some(row) => blobs.insert(id, row.encode().as_slice())?,
            None => blobs.remove(id)?,
        };
    }
    Ok(())
}

fn write_usage(transaction: &WriteTransaction, before: &Usage, now: &Usage) -> Result<(), TableError> {
    let mut segments = transaction.open_table(SEGMENTS)?;
    for (number, sizes) in now {
        if before.get(number) != Some(sizes) {
            segments.insert(number, (sizes.live_bytes, sizes.bytes))?;
        }
    }
    for number in before.keys().filter(|number| !now.contains_key(number)) {
        segments.remove(number)?;
    }
    Ok(())
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let numbers = [MARK_VERSION, self.secret, self.segment, self.offset, self.sequence, self.next_blob];
        for number in numbers {
            put_u64(&mut octets, number);
        }
        octets
    }

    fn decode(octets: &[u8], usage: Usage) -> Option<Self> {
        let mut input = Input(octets);
        if input.u64()? != MARK_VERSION {
            return None;
        }
        Some(Self {
            secret: input.u64()?,
            segment: input.u64()?,
            offset: input.u64()?,
            sequence: input.u64()?,
            next_blob: input.u64()?,
            usage,
        })
    }
}

impl Snapshot {
    pub fn pair(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let found = self.pairs.get(key).map_err(|error| read_error(&error))?;
        Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
    }

    pub fn has_pair(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.pairs.get(key).map_err(|error| read_error(&error))?.is_some())
    }

    pub fn blob(&self, id: u64) -> Result<Option<BlobRow>, StoreError> {
        let found = self.blobs.get(id).map_err(|error| read_error(&error))?;
        let Some(octets) = found else { return Ok(None) };
        let damaged = || StoreError::Damaged(format!("the index entry of body {id}"));
        BlobRow::decode(octets.value()).map(Some).ok_or_else(damaged)
    }

    /// At most `limit` bodies with numbers from `first` on.
    pub fn blobs(&self, first: u64, limit: usize) -> Result<Vec<(u64, BlobRow)>, StoreError> {
        let entries = self.blobs.range(first..).map_err(|error| read_error(&error))?;
        let decoded = entries.take(limit).map(|entry| {
            let (id, octets) = entry.map_err(|error| read_error(&error))?;
            let damaged = || StoreError::Damaged(format!("the index entry of body {}", id.value()));
            Ok((id.value(), BlobRow::decode(octets.value()).ok_or_else(damaged)?))
        });
        decoded.collect()
    }

    pub fn range(
        &self,
        range: &KeyRange,
        order: Order,
    ) -> Result<impl Iterator<Item = Result<(Key, Bytes), StoreError>>, StoreError> {
        let bounds = (Bound::Included(range.start.as_slice()), Bound::Excluded(range.end.as_slice()));
        let mut entries = self.pairs.range::<&[u8]>(bounds).map_err(|error| read_error(&error))?;
        Ok(std::iter::from_fn(move || {
            let entry = match order {
                Order::Ascending => entries.next(),
                Order::Descending => entries.next_back(),
            };
            let owned = |octets: &[u8]| Bytes::copy_from_slice(octets);
            entry.map(|entry| match entry {
                Ok((key, value)) => Ok((Key(owned(key.value())), owned(value.value()))),
                Err(error) => Err(read_error(&error)),
            })
        }))
    }
}

fn read_error(error: &redb::StorageError) -> StoreError {
    match error {
        redb::StorageError::Corrupted(what) => StoreError::Damaged(format!("the index: {what}")),
        other => StoreError::Io(other.to_string()),
    }
}

/// Where the index is.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}
