//! Which words are in which messages, so that a search need not read them all. Derived from the messages, and never
//! believed when it says that one holds a text: the index rules messages out, and those that it does not know, it does not.
//!
//! A block covers messages of one account by what they consist of, so that copies and moves change nothing, and messages
//! that go leave it as it is until most of its messages have gone. Blocks are written by one batch each, which also replaces
//! those that became part of it.

mod block;
mod build;
mod postings;
mod progress;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

pub use block::{Block, BlockRecord, IndexedMessage};
pub use build::{BLOCK_MESSAGES_MAX, BlockBuilder, MessageWords};
pub use progress::{Pending, Revision};
pub use words::{Query, WORD_BYTES_MAX};

use block::WordList;

use crate::{
    changes::Changes,
    engine::{BlobId, Engine, KeyRange, Order, StoreError},
    keys::{KeyBuilder, KeyReader, SEARCH_BLOCK, counter},
    mailbox::{AccountId, MessageRecord},
    value::Value,
};

/// A block that is no longer is read in one go.
const WHOLE_BYTES_MAX: u64 = 512 * 1024;
/// Lists that are read one by one; for more, all of them are.
const LISTS_APART_MAX: usize = 32;

/// The search index over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct SearchIndex {
    engine: Arc<dyn Engine>,
    wanted: Arc<Wanted>,
}

/// Accounts in which a search had to read much.
#[derive(Debug, Default)]
struct Wanted {
    accounts: Mutex<BTreeSet<AccountId>>,
    notify: Notify,
}

/// What a message consists of: the same for all copies, and for no other message of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    pub(super) blob: u64,
    /// Of everything else.
    pub(super) around: u64,
}

impl ContentId {
    pub fn of(record: &MessageRecord) -> Self {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(&record.blob_bytes.to_be_bytes());
        // Numbers of bodies may come to mean others where a store is made anew from a copy.
        hash.update(&record.internal_date.millis().to_be_bytes());
        hash.update(&record.prefix);
        Self { blob: record.blob.0, around: hash.digest() }
    }
}

/// A block as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    pub blob: BlobId,
    pub record: BlockRecord,
}

/// Messages of a block, by whether what was looked for may be in their header, and in their body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones(Vec<u64>);

impl Zones {
    fn none(messages: u32) -> Self {
        Self(vec![0; (messages as usize * 2).div_ceil(64)])
    }

    fn all(messages: u32) -> Self {
        Self(vec![u64::MAX; (messages as usize * 2).div_ceil(64)])
    }

    fn add(&mut self, zone: u32) {
        if let Some(bits) = self.0.get_mut(zone as usize / 64) {
            *bits |= 1 << (zone % 64);
        }
    }

    fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(bits, other)| *bits &= other);
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    pub fn in_header(&self, message: usize) -> bool {
        self.has(message * 2)
    }

    pub fn in_body(&self, message: usize) -> bool {
        self.has(message * 2 + 1)
    }

    fn has(&self, zone: usize) -> bool {
        self.0.get(zone / 64).is_some_and(|bits| bits >> (zone % 64) & 1 == 1)
    }
}

impl SearchIndex {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, wanted: Arc::default() }
    }

    /// A search in the account had to read much: [`wanted`](Self::wanted) returns it soon.
    pub fn want(&self, account: AccountId) {
        self.wanted.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(account);
        self.wanted.notify.notify_one();
    }

    /// Waits for an account that is to be indexed at once.
    pub async fn wanted(&self) -> AccountId {
        loop {
            let first = self.wanted.accounts.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match first {
                Some(account) => return account,
                None => self.wanted.notify.notified().await,
            }
        }
    }

    /// Wakes after each commit that adds messages.
    pub fn watch(&self) -> Changes {
        self.engine.changes(KeyBuilder::counter(counter::UID).key())
    }

    /// Those that this release can read.
    pub async fn blocks(&self, account: AccountId) -> Result<Vec<BlockInfo>, StoreError> {
        let all = self.all_blocks(account).await?;
        Ok(all.into_iter().filter_map(|(blob, record)| Some(BlockInfo { blob, record: record? })).collect())
    }

    /// Without a record: of another release, or damaged.
    async fn all_blocks(&self, account: AccountId) -> Result<Vec<(BlobId, Option<BlockRecord>)>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(SEARCH_BLOCK).u64(account.0).octets());
        let found = self.engine.scan(range, Order::Ascending, usize::MAX).await?;
        let block = |(key, value): &(crate::Key, Bytes)| {
            let record = BlockRecord::decode(value).ok().filter(BlockRecord::is_current);
            Ok((BlobId(KeyReader::end_of(key, 8)?.u64()?), record))
        };
        found.iter().map(block).collect()
    }

    /// In their order in the block.
    pub async fn messages(&self, block: &BlockInfo) -> Result<Vec<IndexedMessage>, StoreError> {
        IndexedMessage::list(&self.read(block, block.record.message_list()).await?)
    }

    /// Where in the block each query may be found; everywhere else it is not.
    pub async fn find(&self, block: &BlockInfo, queries: &[Query]) -> Result<Vec<Zones>, StoreError> {
        let source = Source::open(self, block).await?;
        let words = WordList::new(
            source.read(block.record.words()).await?,
            &source.read(block.record.samples()).await?,
        )?;
        let mut found = Vec::with_capacity(queries.len());
        for query in queries {
            found.push(source.find(&words, query).await?);
        }
        Ok(found)
    }

    async fn read(&self, block: &BlockInfo, range: Range<u64>) -> Result<Bytes, StoreError> {
        let octets = self.engine.blob_read(block.blob, range.clone()).await?;
        let is_whole = octets.len() as u64 == range.end - range.start;
        if is_whole { Ok(octets) } else { Err(damaged()) }
    }
}

/// A block's octets, at hand or not.
struct Source<'a> {
    index: &'a SearchIndex,
    block: &'a BlockInfo,
    whole: Option<Bytes>,
}

impl<'a> Source<'a> {
    async fn open(index: &'a SearchIndex, block: &'a BlockInfo) -> Result<Self, StoreError> {
        let is_small = block.record.octets() <= WHOLE_BYTES_MAX;
        let whole = if is_small { Some(index.read(block, 0..block.record.octets()).await?) } else { None };
        Ok(Self { index, block, whole })
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        match &self.whole {
            Some(whole) => Ok(slice(whole, &range)?),
            None => self.index.read(self.block, range).await,
        }
    }

    async fn find(&self, words: &WordList, query: &Query) -> Result<Zones, StoreError> {
        let record = &self.block.record;
        let (start, mut lists) = (record.postings().start, None);
        let mut left = Zones::all(record.messages);
        for pattern in &query.patterns {
            let Some(matches) = words.find(pattern, record.postings().end - start) else { continue };
            if matches.len() > LISTS_APART_MAX && lists.is_none() {
                lists = Some(self.read(record.postings()).await?);
            }
            let mut found = Zones::none(record.messages);
            for one in &matches {
                let part = match &lists {
                    Some(lists) => slice(lists, &one.lists)?,
                    None => self.read(start + one.lists.start..start + one.lists.end).await?,
                };
                one.decode(&part, &mut |zone| found.add(zone))?;
            }
            left.keep(&found);
            if left.is_empty() {
                break;
            }
        }
        Ok(left)
    }
}

fn slice(octets: &Bytes, range: &Range<u64>) -> Result<Bytes, StoreError> {
    let place = |at: u64| usize::try_from(at).ok().filter(|at| *at <= octets.len());
    match (place(range.start), place(range.end)) {
        (Some(start), Some(end)) if start <= end => Ok(octets.slice(start..end)),
        _ => Err(damaged()),
    }
}

fn damaged() -> StoreError {
    StoreError::Damaged("a block of the search index does not have its layout".to_owned())
}
