//! A store of an earlier release: its entries get their places in the indexes, page by page, while everything else goes on.
//! Until that is done whoever looks for entries looks at all of them.

use super::{EntryId, QueueEntry, Spool, entry_key, index};
use crate::{
    batch::{Batch, Expect},
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, OLD_QUEUE_NODE, QUEUE_ENTRY, counter},
    value::Value,
};

/// Rises when entries get other index keys.
const INDEX_VERSION: u64 = 1;
const PAGE_ENTRIES_MAX: usize = 200;
const PAGE_KEYS_MAX: usize = 2000;

/// How far it has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    after: Option<EntryId>,
    /// Entries looked at so far.
    pub entries: u64,
    is_over: bool,
}

impl Renewal {
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Spool {
    /// Whether every entry is found by its indexes.
    pub async fn is_indexed(&self) -> Result<bool, StoreError> {
        let stored = self.engine.get(&mark_key()).await?;
        Ok(stored.is_some_and(|octets| *octets == INDEX_VERSION.to_be_bytes()))
    }

    /// One page of it; call it until it is over. A store that is new, or up to date, needs one call.
    pub async fn renew(&self, mut renewal: Renewal) -> Result<Renewal, CommitError> {
        if renewal.is_over || self.is_indexed().await? {
            return Ok(Renewal { is_over: true, ..renewal });
        }
        let mut range = KeyRange::prefix(&[QUEUE_ENTRY]);
        if let Some(after) = renewal.after {
            range.start = entry_key(after).key().successor();
        }
        let mut limit = PAGE_ENTRIES_MAX;
        loop {
            let page = self.engine.scan(range.clone(), Order::Ascending, limit).await?;
            let mut batch = Batch::new();
            for (key, octets) in &page {
                let entry = QueueEntry::decode(octets)?;
                batch.check(key.clone(), Expect::Equals(octets.clone()));
                if octets.first() != Some(&QueueEntry::VERSION) {
                    batch.put(key.clone(), entry.encode());
                }
                index::update(&mut batch, None, Some(&entry));
                renewal.after = Some(entry.id());
            }
            if page.is_empty() {
                return self.end_renewal(renewal).await;
            }
            match self.engine.commit(batch).await {
                Ok(_) => {
                    renewal.entries += page.len() as u64;
                    return Ok(renewal);
                }
                // Something moved meanwhile: the smaller the page, the rarer.
                Err(CommitError::Conflict(_)) => limit = (limit / 2).max(1),
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the index that went before, and says that it is done.
    async fn end_renewal(&self, renewal: Renewal) -> Result<Renewal, CommitError> {
        let range = KeyRange::prefix(&[OLD_QUEUE_NODE]);
        let old = self.engine.scan(range, Order::Ascending, PAGE_KEYS_MAX).await?;
        let is_over = old.len() < PAGE_KEYS_MAX;
        let mut batch = Batch::new();
        for (key, _) in old {
            batch.delete(key);
        }
        if is_over {
            batch.put(mark_key(), INDEX_VERSION.to_be_bytes().to_vec());
        }
        self.engine.commit(batch).await?;
        Ok(Renewal { is_over, ..renewal })
    }
}

fn mark_key() -> Key {
    KeyBuilder::counter(counter::QUEUE_INDEX).key()
}
