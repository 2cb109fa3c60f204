use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    AccountId, Mailbox, MailboxId, Mailboxes, Uid, add_usage, change_key, change_prefix, mailbox_key,
    message, message_key, modseq_counter, name_key, uid_counter,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect, HoleWidth},
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, MAILBOX_CHANGE, MAILBOX_MESSAGE, counter},
};

/// Messages that leave in one batch.
const EXPUNGE_BATCH_MAX: usize = 10_000;
/// Keys that a removal takes in one step.
const REMOVAL_PAGE_MAX: usize = 2_000;

impl Mailboxes {
    /// Removes those of `uids` that are still there, in one batch (of every 10,000). Returns which were.
    pub async fn expunge(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Uid>, CommitError> {
        let wanted: Vec<Uid> = uids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut gone = Vec::with_capacity(wanted.len());
        for part in wanted.chunks(EXPUNGE_BATCH_MAX) {
            gone.append(&mut self.expunge_part(mailbox, part).await?);
        }
        Ok(gone)
    }

    /// In one batch. A message that others change meanwhile is read anew.
    async fn expunge_part(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Uid>, CommitError> {
        let mut conflict = mailbox_key(mailbox);
        for _ in 0..CONFLICTS_MAX {
            let mut there = Vec::with_capacity(uids.len());
            for uid in uids {
                let key = message_key(mailbox, *uid);
                if let Some(value) = self.engine.get(&key).await? {
                    there.push((key, value));
                }
            }
            if there.is_empty() {
                return Ok(Vec::new());
            }
            let mut batch = Batch::new();
            let gone = stage_expunge(&mut batch, mailbox, there, Trace::Kept)?;
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(gone),
                Err(CommitError::Conflict(at)) => conflict = at,
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict(conflict))
    }

    /// Empties all mailboxes of an account, in steps, and adds their removal to the batch. That conflicts if anything
    /// came in meanwhile: stage again.
    pub(crate) async fn stage_removal(
        &self,
        batch: &mut Batch,
        account: AccountId,
    ) -> Result<(), CommitError> {
        let numbering = super::usage_counter(counter::MAILBOX_NUMBER, account);
        let numbered = self.engine.get(&numbering).await?;
        for mailbox in self.list(account).await? {
            self.stage_removal_of_one(batch, &mailbox).await?;
        }
        batch.check(numbering.clone(), numbered.map_or(Expect::Absent, Expect::Equals));
        batch.delete(numbering);
        for name in [counter::USAGE_MESSAGES, counter::USAGE_OCTETS] {
            batch.delete(super::usage_counter(name, account));
        }
        Ok(())
    }

    async fn stage_removal_of_one(&self, batch: &mut Batch, mailbox: &Mailbox) -> Result<(), CommitError> {
        let id = mailbox.id;
        let modseq = self.engine.get(&modseq_counter(id)).await?;
        self.clear(id).await?;
        batch.check(modseq_counter(id), modseq.map_or(Expect::Absent, Expect::Equals));
        batch.check(mailbox_key(id), Expect::Present);
        for key in
            [mailbox_key(id), name_key(id.account(), &mailbox.name), uid_counter(id), modseq_counter(id)]
        {
            batch.delete(key);
        }
        Ok(())
    }

    async fn clear(&self, mailbox: MailboxId) -> Result<(), CommitError> {
        let messages = KeyBuilder::new(MAILBOX_MESSAGE).u64(mailbox.0).octets();
        while let Some(found) = self.page(&messages).await? {
            let mut batch = Batch::new();
            stage_expunge(&mut batch, mailbox, found, Trace::Dropped)?;
            match self.engine.commit(batch).await {
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let changes = KeyBuilder::new(MAILBOX_CHANGE).u64(mailbox.0).octets();
        while let Some(found) = self.page(&changes).await? {
            let mut batch = Batch::new();
            for (key, _) in found {
                batch.delete(key);
            }
            self.engine.commit(batch).await?;
        }
        Ok(())
    }

    async fn page(&self, prefix: &[u8]) -> Result<Option<Vec<(Key, Bytes)>>, StoreError> {
        let found = self.engine.scan(KeyRange::prefix(prefix), Order::Ascending, REMOVAL_PAGE_MAX).await?;
        Ok(Some(found).filter(|found| !found.is_empty()))
    }
}

/// Whether clients may still ask what was expunged (RFC 7162 §3.2.10).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trace {
    Kept,
    Dropped,
}

/// Removes stored messages, their octets as read before; the batch conflicts if one changed since.
fn stage_expunge(
    batch: &mut Batch,
    mailbox: MailboxId,
    there: Vec<(Key, Bytes)>,
    trace: Trace,
) -> Result<Vec<Uid>, StoreError> {
    let (mut gone, mut octets) = (Vec::with_capacity(there.len()), 0_u64);
    for (key, value) in there {
        let stored = message::decode(message::uid_of(&key)?, &value)?;
        batch.check(key.clone(), Expect::Equals(value));
        batch.delete(key);
        batch.delete(change_key(mailbox, stored.modseq));
        batch.references(stored.record.blob, -1);
        if trace == Trace::Kept {
            let modseq = batch.next(modseq_counter(mailbox));
            let change = message::change(stored.uid, message::Change::Expunged);
            batch.put(change_prefix(mailbox).hole(HoleWidth::Eight, modseq), change);
        }
        octets = octets.saturating_add(stored.record.octets());
        gone.push(stored.uid);
    }
    let (count, octets) =
        (i64::try_from(gone.len()).unwrap_or(i64::MAX), i64::try_from(octets).unwrap_or(i64::MAX));
    add_usage(batch, mailbox.account(), -count, -octets);
    Ok(gone)
}
