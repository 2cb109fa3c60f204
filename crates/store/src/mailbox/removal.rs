//! Emptying mailboxes that are gone or about to go, in steps: there may be many messages.

use bytes::Bytes;
use mail::Timestamp;

use super::{
    AccountId, Annotated, DeletedMailbox, Found, Mailbox, MailboxId, Mailboxes, Quota,
    delete::counters,
    expunge::stage_leaving,
    keyspace::{account_counter, deleted_key, mailbox_key, modseq_counter, name_key, space},
    message,
};
use crate::{
    batch::{Batch, Expect},
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{
        DELETED_MAILBOX, IMPORTED, KeyBuilder, KeyReader, MAILBOX_CHANGE, MAILBOX_EXPUNGED, MAILBOX_MESSAGE,
        ORPHAN_SUBSCRIPTION, URL_KEY, counter,
    },
    search_index::SearchIndex,
    value::Value,
};

/// Keys that a removal takes in one step.
const PAGE_MAX: usize = 2_000;

/// Why a mailbox is emptied.
#[derive(Clone, Copy)]
pub(super) enum Removal<'a> {
    /// Its account goes. The mailbox is still there.
    Account,
    /// It was deleted, and its account counts it no more.
    Deleted(&'a DeletedMailbox),
}

impl Mailboxes {
    /// Empties all mailboxes of an account, in steps, and adds their removal to the batch. That conflicts if anything
    /// came in meanwhile: stage again.
    pub(crate) async fn stage_removal(
        &self,
        batch: &mut Batch,
        account: AccountId,
    ) -> Result<(), CommitError> {
        let numbering = account_counter(counter::MAILBOX_NUMBER, account);
        let numbered = self.engine.get(&numbering).await?;
        for mailbox in self.list(account).await? {
            self.stage_removal_of_one(batch, &mailbox).await?;
        }
        self.stage_removal_of_outbox(batch, account).await?;
        let [.., a, b, c, d] = account.0.to_be_bytes();
        self.clear_deleted(&[DELETED_MAILBOX, a, b, c, d]).await?;
        self.forget_grantee(account).await?;
        for tag in [ORPHAN_SUBSCRIPTION, IMPORTED, URL_KEY] {
            self.clear_space(&KeyBuilder::new(tag).u64(account.0).octets()).await?;
        }
        batch.check(numbering.clone(), numbered.map_or(Expect::Absent, Expect::Equals));
        batch.delete(numbering);
        self.let_go_of(account, Timestamp::from_millis(i64::MAX)).await?;
        SearchIndex::new(self.engine.clone()).stage_removal(batch, account).await?;
        self.clear_annotations(Annotated::Account(account)).await?;
        for name in [
            counter::USAGE_MESSAGES,
            counter::USAGE_OCTETS,
            counter::RESTORABLE_OCTETS,
            counter::ANNOTATION_OCTETS,
        ] {
            batch.delete(account_counter(name, account));
        }
        Ok(())
    }

    async fn stage_removal_of_one(&self, batch: &mut Batch, mailbox: &Mailbox) -> Result<(), CommitError> {
        let id = mailbox.id;
        let modseq = self.engine.get(&modseq_counter(id)).await?;
        self.clear(id, Removal::Account).await?;
        batch.check(modseq_counter(id), modseq.map_or(Expect::Absent, Expect::Equals));
        batch.check(mailbox_key(id), Expect::Present);
        batch.delete(mailbox_key(id));
        batch.delete(name_key(id.account(), &mailbox.name));
        counters(id).for_each(|key| batch.delete(key));
        self.stage_unshared(batch, id).await?;
        Ok(())
    }

    /// Lets go of the messages of mailboxes that were deleted; after a crash some may be left.
    pub async fn finish_deletions(&self) -> Result<(), CommitError> {
        self.clear_deleted(&[DELETED_MAILBOX]).await
    }

    async fn clear_deleted(&self, prefix: &[u8]) -> Result<(), CommitError> {
        let range = KeyRange::prefix(prefix);
        for (key, value) in self.engine.scan(range, Order::Ascending, usize::MAX).await? {
            let id = MailboxId(KeyReader::new(&key)?.u64()?);
            self.clear(id, Removal::Deleted(&DeletedMailbox::decode(&value)?)).await?;
        }
        Ok(())
    }

    pub(super) async fn clear(&self, mailbox: MailboxId, removal: Removal<'_>) -> Result<(), CommitError> {
        while let Some(page) = self.page(&space(MAILBOX_MESSAGE, mailbox)).await? {
            let mut batch = Batch::new();
            let found = page.into_iter().map(found).collect::<Result<Vec<_>, _>>()?;
            let tally = stage_leaving(&mut batch, mailbox, &found);
            match removal {
                Removal::Account => {
                    for one in &found {
                        batch.references(one.message.record.blob, -1);
                    }
                    tally.stage(&mut batch, mailbox);
                    tally.stage_usage(&mut batch, mailbox.account(), Quota::default());
                }
                Removal::Deleted(DeletedMailbox { name, deleted_at }) => {
                    self.stage_restorable(&mut batch, mailbox, name, &found, *deleted_at).await?;
                }
            }
            match self.engine.commit(batch).await {
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.clear_annotations(Annotated::Mailbox(mailbox)).await?;
        for tag in [MAILBOX_CHANGE, MAILBOX_EXPUNGED] {
            self.clear_space(&space(tag, mailbox)).await?;
        }
        if let Removal::Deleted(_) = removal {
            let mut batch = Batch::new();
            batch.delete(deleted_key(mailbox));
            self.engine.commit(batch).await?;
        }
        Ok(())
    }

    pub(super) async fn clear_space(&self, prefix: &[u8]) -> Result<(), CommitError> {
        while let Some(page) = self.page(prefix).await? {
            let mut batch = Batch::new();
            for (key, _) in page {
                batch.delete(key);
            }
            self.engine.commit(batch).await?;
        }
        Ok(())
    }

    pub(super) async fn page(&self, prefix: &[u8]) -> Result<Option<Vec<(Key, Bytes)>>, StoreError> {
        let found = self.engine.scan(KeyRange::prefix(prefix), Order::Ascending, PAGE_MAX).await?;
        Ok(Some(found).filter(|found| !found.is_empty()))
    }
}

pub(super) fn found((key, octets): (Key, Bytes)) -> Result<Found, StoreError> {
    Ok(Found { message: message::decode(message::uid_of(&key)?, &octets)?, key, octets })
}
