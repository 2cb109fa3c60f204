//! What is still to be indexed, and blocks as they come and go.

use bytes::Bytes;

use super::{Block, BlockInfo, ContentId, SearchIndex, build::merge, damaged};
use crate::{
    batch::{Batch, Expect},
    engine::{BlobId, CommitError, Key, KeyRange, Order, StoreError, after_prefix},
    keys::{KeyBuilder, KeyReader, SEARCH_BLOCK, counter},
    mailbox::{AccountId, MailboxId, Uid, mailbox_key},
    value::Value,
};

/// So many blocks of about one size become one.
const MERGE_BLOCKS: usize = 4;
/// A block never gets longer by merging; those of half of it are left alone.
const BLOCK_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Of the smallest size.
const TIER_BYTES: u64 = 64 * 1024;
/// Counters that are read in one go.
const PAGE_COUNTERS: usize = 2_000;

/// Rises whenever the blocks of an account change, so that one who builds sees that somebody else did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision(u64);

/// A mailbox with messages that nobody looked at for the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub mailbox: MailboxId,
    /// The last that was looked at.
    pub seen: Uid,
    /// The last there is, or was.
    pub last: Uid,
}

impl Pending {
    pub fn messages(&self) -> u64 {
        u64::from(self.last.0.saturating_sub(self.seen.0))
    }
}

impl SearchIndex {
    pub async fn revision(&self, account: AccountId) -> Result<Revision, StoreError> {
        self.counter(&revision_key(account)).await.map(Revision)
    }

    /// Mailboxes of the account that have something new, in order.
    pub async fn pending(&self, account: AccountId) -> Result<Vec<Pending>, StoreError> {
        let [.., a, b, c, d] = account.0.to_be_bytes();
        let of_account = |name: u8| {
            let prefix = [a, b, c, d].into_iter().fold(KeyBuilder::counter(name), KeyBuilder::octet);
            KeyRange::prefix(&prefix.octets())
        };
        let mut pending = Vec::new();
        for (key, value) in self.engine.scan(of_account(counter::UID), Order::Ascending, usize::MAX).await? {
            let mailbox = MailboxId(KeyReader::end_of(&key, 8)?.u64()?);
            let seen = self.counter(&seen_key(mailbox)).await?;
            let last = crate::apply::counter_value(Some(&value))?;
            let uid = |number: u64| Uid(u32::try_from(number).unwrap_or(u32::MAX));
            pending.push(Pending { mailbox, seen: uid(seen), last: uid(last) });
        }
        // What is in an Outbox is few, and soon gone.
        pending.retain(|one| one.messages() > 0 && !one.mailbox.is_outbox());
        Ok(pending)
    }

    /// The next account after this one that ever had a message.
    pub async fn next_account(&self, after: Option<AccountId>) -> Result<Option<AccountId>, StoreError> {
        let start = after.map_or(0, |account| account.0.saturating_add(1));
        let [.., a, b, c, d] = start.to_be_bytes();
        let space = KeyBuilder::counter(counter::UID);
        let end = after_prefix(&space.clone().octets());
        let start = [a, b, c, d].into_iter().fold(space, KeyBuilder::octet).key();
        let found = self.engine.scan(KeyRange { start, end }, Order::Ascending, 1).await?;
        let account = |(key, _): &(Key, Bytes)| Ok(MailboxId(KeyReader::end_of(key, 8)?.u64()?).account());
        found.first().map(account).transpose()
    }

    /// Puts a block in the place of others, and notes how far the mailboxes were looked through. Conflicts if the account's
    /// index is not as it was at `revision`, or if one of the mailboxes is gone.
    pub async fn replace(
        &self,
        account: AccountId,
        revision: Revision,
        replaced: &[BlobId],
        block: Option<Block>,
        seen: &[(MailboxId, Uid)],
    ) -> Result<Revision, CommitError> {
        let mut batch = Batch::new();
        // No block comes to an account that is gone.
        batch.check(KeyBuilder::counter(counter::MAILBOX_NUMBER).u64(account.0).key(), Expect::Present);
        let next = stage_revision(&mut batch, account, revision);
        for (mailbox, uid) in seen {
            batch.check(mailbox_key(*mailbox), Expect::Present);
            batch.put(seen_key(*mailbox), u64::from(uid.0).to_be_bytes().to_vec());
        }
        stage_dropped(&mut batch, account, replaced);
        if let Some(block) = block.filter(|block| block.messages() > 0) {
            let mut writer = self.engine.blob_writer().await?;
            for part in block.parts {
                writer.write(part.into()).await?;
            }
            let body = writer.finish().await?;
            batch.put(block_key(account, body.id), block.record.encode());
            batch.references(body.id, 1);
            batch.blob(body);
        }
        self.engine.commit(batch).await?;
        Ok(next)
    }

    /// Blocks that are to become one: some of about the same size.
    pub fn to_merge(blocks: &[BlockInfo]) -> Option<Vec<BlockInfo>> {
        let tier = |block: &BlockInfo| (block.record.octets() / TIER_BYTES).max(1).ilog(4);
        let small = || blocks.iter().filter(|block| block.record.octets() < BLOCK_BYTES_MAX / 2);
        let tiers: std::collections::BTreeSet<u32> = small().map(tier).collect();
        tiers.into_iter().find_map(|wanted| {
            let mut octets = 0;
            let alike: Vec<BlockInfo> = small().filter(|block| tier(block) == wanted).cloned().collect();
            let fitting = alike.iter().take_while(|block| {
                octets += block.record.octets();
                octets <= BLOCK_BYTES_MAX
            });
            let fitting = fitting.count();
            (alike.len() >= MERGE_BLOCKS && fitting > 1)
                .then(|| alike.into_iter().take(fitting.min(2 * MERGE_BLOCKS)).collect())
        })
    }

    /// One block of these, without the messages that `is_kept` does not know. Holds all of them in memory.
    pub async fn merged(
        &self,
        blocks: &[BlockInfo],
        is_kept: impl Fn(ContentId) -> bool + Send + 'static,
    ) -> Result<Block, StoreError> {
        let mut inputs = Vec::with_capacity(blocks.len());
        for block in blocks {
            let octets = self.read(block, 0..block.record.octets()).await?;
            inputs.push((block.record.clone(), octets));
        }
        tokio::task::spawn_blocking(move || merge(&inputs, is_kept)).await.map_err(|_| damaged())?
    }

    /// Blocks of other releases, which nobody reads.
    pub async fn unreadable(&self, account: AccountId) -> Result<Vec<BlobId>, StoreError> {
        let all = self.all_blocks(account).await?;
        Ok(all.into_iter().filter(|(_, record)| record.is_none()).map(|(blob, _)| blob).collect())
    }

    /// Drops all blocks of the account, whose messages are then looked at anew. Conflicts as [`replace`](Self::replace).
    pub async fn drop_blocks(&self, account: AccountId, revision: Revision) -> Result<Revision, CommitError> {
        let all: Vec<BlobId> = self.all_blocks(account).await?.into_iter().map(|(blob, _)| blob).collect();
        self.drop_some(account, revision, &all).await
    }

    /// As [`drop_blocks`](Self::drop_blocks), for blocks of other releases and damaged ones.
    pub async fn drop_some(
        &self,
        account: AccountId,
        revision: Revision,
        dropped: &[BlobId],
    ) -> Result<Revision, CommitError> {
        let mut batch = Batch::new();
        let next = stage_revision(&mut batch, account, revision);
        stage_dropped(&mut batch, account, dropped);
        let [.., a, b, c, d] = account.0.to_be_bytes();
        let seen =
            [a, b, c, d].into_iter().fold(KeyBuilder::counter(counter::INDEXED_UID), KeyBuilder::octet);
        let mut range = KeyRange::prefix(&seen.octets());
        loop {
            let page = self.engine.scan(range.clone(), Order::Ascending, PAGE_COUNTERS).await?;
            let Some((last, _)) = page.last() else { break };
            range.start = last.successor();
            for (key, _) in page {
                batch.delete(key);
            }
        }
        self.engine.commit(batch).await?;
        Ok(next)
    }

    /// For an account that goes: drops all blocks now, and adds to the batch what makes it fail if there are others then.
    pub(crate) async fn stage_removal(
        &self,
        batch: &mut Batch,
        account: AccountId,
    ) -> Result<(), CommitError> {
        let mut revision = self.revision(account).await?;
        if !self.all_blocks(account).await?.is_empty() {
            revision = self.drop_blocks(account, revision).await?;
        }
        check_revision(batch, account, revision);
        batch.delete(revision_key(account));
        Ok(())
    }

    async fn counter(&self, key: &Key) -> Result<u64, StoreError> {
        crate::apply::counter_value(self.engine.get(key).await?.as_ref())
    }
}

fn stage_revision(batch: &mut Batch, account: AccountId, revision: Revision) -> Revision {
    check_revision(batch, account, revision);
    batch.next(revision_key(account));
    Revision(revision.0.saturating_add(1))
}

fn check_revision(batch: &mut Batch, account: AccountId, Revision(revision): Revision) {
    let stored = || Bytes::copy_from_slice(&revision.to_be_bytes());
    batch.check(revision_key(account), if revision == 0 { Expect::Absent } else { Expect::Equals(stored()) });
}

fn stage_dropped(batch: &mut Batch, account: AccountId, dropped: &[BlobId]) {
    for blob in dropped {
        batch.check(block_key(account, *blob), Expect::Present);
        batch.delete(block_key(account, *blob));
        batch.references(*blob, -1);
    }
}

fn block_key(account: AccountId, blob: BlobId) -> Key {
    KeyBuilder::new(SEARCH_BLOCK).u64(account.0).u64(blob.0).key()
}

fn revision_key(account: AccountId) -> Key {
    KeyBuilder::counter(counter::INDEX_REVISION).u64(account.0).key()
}

pub(crate) fn seen_key(mailbox: MailboxId) -> Key {
    KeyBuilder::counter(counter::INDEXED_UID).u64(mailbox.0).key()
}
