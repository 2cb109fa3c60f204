//! Mailboxes of earlier releases: their changes say nothing of flags, and nobody counted what is in them.

use super::{
    Mailbox, MailboxId, Mailboxes, Uid,
    keyspace::{change_key, mailbox_counter, mailbox_key},
    message,
    tally::Tally,
};
use crate::{
    batch::{Batch, Expect},
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, MAILBOX, counter},
    value::Value,
};

/// Rises when mailboxes get other counters or changes.
const LAYOUT_VERSION: u64 = 1;
const PAGE_MESSAGES_MAX: usize = 2_000;

impl Mailboxes {
    /// Brings the mailboxes of a store to the layout of this release. Call it when the store was opened and before anything
    /// else uses it; after the first time it costs one read.
    pub async fn renew(&self) -> Result<(), CommitError> {
        let mark = KeyBuilder::counter(counter::MAILBOX_LAYOUT).key();
        if self.counter(&mark).await? == LAYOUT_VERSION {
            return Ok(());
        }
        let found = self.engine.scan(KeyRange::prefix(&[MAILBOX]), Order::Ascending, usize::MAX).await?;
        for (_, value) in found {
            self.renew_one(Mailbox::decode(&value)?.id).await?;
        }
        let mut batch = Batch::new();
        batch.put(mark, LAYOUT_VERSION.to_be_bytes().to_vec());
        self.engine.commit(batch).await.map(drop)
    }

    async fn renew_one(&self, mailbox: MailboxId) -> Result<(), CommitError> {
        let (mut tally, mut from) = (Tally::default(), Uid(1));
        loop {
            let page = self.messages(mailbox, from, PAGE_MESSAGES_MAX).await?;
            let Some(last) = page.last() else { break };
            from = Uid(last.uid.0.saturating_add(1));
            let mut batch = Batch::new();
            for one in &page {
                tally.add(&one.record);
                let change = message::changed(one.uid, one.record.flags, &one.record.keywords);
                batch.put(change_key(mailbox, one.modseq), change);
            }
            self.engine.commit(batch).await?;
        }
        let mut batch = Batch::new();
        batch.check(mailbox_key(mailbox), Expect::Present);
        for name in [counter::MAILBOX_COUNTS, counter::MAILBOX_OCTETS, counter::MAILBOX_DELETED] {
            batch.delete(mailbox_counter(name, mailbox));
        }
        self.forget_old_expunges(&mut batch, mailbox).await?;
        tally.stage(&mut batch, mailbox);
        self.engine.commit(batch).await.map(drop)
    }

    /// They had no bound. Whoever asks for what was expunged before now is told everything that is not there.
    async fn forget_old_expunges(&self, batch: &mut Batch, mailbox: MailboxId) -> Result<(), StoreError> {
        let highest: Key = super::keyspace::modseq_counter(mailbox);
        let old = self.old_changes(mailbox).await?;
        if !old.is_empty() {
            for key in old {
                batch.delete(key);
            }
            let floor = mailbox_counter(counter::EXPUNGED_FLOOR, mailbox);
            batch.put(floor, self.counter(&highest).await?.to_be_bytes().to_vec());
        }
        Ok(())
    }
}
