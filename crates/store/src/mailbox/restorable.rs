//! Messages that were expunged and can still be restored: they keep their body for a while.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use mail::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AccountId, Flags, Found, MailboxError, MailboxId, Mailboxes, MessageRecord, Quota, Uid, is_over_quota,
    keyspace::{account_counter, mailbox_key, restorable_key},
    put_message,
    tally::Tally,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, KeyRange, Order, StoreError, after_prefix},
    keys::{EXPUNGED_MESSAGE, KeyBuilder, KeyReader, counter},
    value::Value,
};

/// Messages that are restored, or let go, in one batch.
const BATCH_MAX: usize = 1_000;

/// How long, and how much of each account. The default is not at all.
#[derive(Debug, Default)]
pub(super) struct Retention {
    window_ms: AtomicU64,
    octets_max: AtomicU64,
}

/// An expunged message that can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpungedMessage {
    pub expunged_at: Timestamp,
    pub mailbox: MailboxId,
    /// Of the mailbox, as it was then.
    pub mailbox_name: String,
    pub uid: Uid,
    pub record: MessageRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    mailbox_name: String,
    record: MessageRecord,
}

impl Value for Kept {
    const NAME: &'static str = "expunged message";
    const VERSION: u8 = 1;
}

impl Mailboxes {
    /// From now on expunged messages can be restored for so long; of an account, no more than so many octets.
    pub fn keep_expunged(&self, window: Duration, octets_max: u64) {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        self.retention.window_ms.store(window_ms, Ordering::Relaxed);
        self.retention.octets_max.store(octets_max, Ordering::Relaxed);
    }

    /// What becomes of messages that leave for good: those that fit keep the reference to their body and can be restored,
    /// others lose it.
    pub(super) async fn stage_restorable(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        name: &str,
        found: &[Found],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let counter = account_counter(counter::RESTORABLE_OCTETS, mailbox.account());
        let mut room = 0;
        if self.retention.window_ms.load(Ordering::Relaxed) > 0 {
            let kept = self.counter(&counter).await?;
            room = self.retention.octets_max.load(Ordering::Relaxed).saturating_sub(kept);
        }
        let mut more = 0;
        for one in found {
            let record = &one.message.record;
            if record.octets() > room {
                batch.references(record.blob, -1);
                continue;
            }
            room -= record.octets();
            more += record.octets();
            let kept = Kept { mailbox_name: name.to_owned(), record: record.clone() };
            batch.put(restorable_key(mailbox, one.message.uid, now), kept.encode());
        }
        add_octets(batch, counter, i64::try_from(more).unwrap_or(i64::MAX));
        Ok(())
    }

    /// What can be restored of what was expunged since then, the oldest first.
    pub async fn restorable(
        &self,
        account: AccountId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<ExpungedMessage>, StoreError> {
        let space = KeyBuilder::new(EXPUNGED_MESSAGE).u64(account.0);
        let range = KeyRange { start: space.clone().time(since).key(), end: after_prefix(&space.octets()) };
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        found.iter().map(|(key, value)| decode(key, value)).collect()
    }

    /// Brings messages back to where they were; a mailbox that is gone is made anew. They get new UIDs and are no more
    /// flagged `\Deleted`. Returns how many there were to restore.
    pub async fn restore(
        &self,
        account: AccountId,
        messages: &[ExpungedMessage],
        quota: Quota,
        now: Timestamp,
    ) -> Result<usize, MailboxError> {
        let mut by_mailbox: BTreeMap<(MailboxId, &str), Vec<&ExpungedMessage>> = BTreeMap::new();
        for message in messages.iter().filter(|message| message.mailbox.account() == account) {
            by_mailbox.entry((message.mailbox, &message.mailbox_name)).or_default().push(message);
        }
        let mut restored = 0;
        for ((id, name), messages) in by_mailbox {
            for part in messages.chunks(BATCH_MAX) {
                restored += self.restore_part(id, name, part, quota, now).await?;
            }
        }
        Ok(restored)
    }

    async fn restore_part(
        &self,
        mailbox: MailboxId,
        name: &str,
        messages: &[&ExpungedMessage],
        quota: Quota,
        now: Timestamp,
    ) -> Result<usize, MailboxError> {
        let account = mailbox.account();
        for _ in 0..CONFLICTS_MAX {
            let target = self.mailbox_to_restore(mailbox, name, now).await?;
            let mut batch = Batch::new();
            batch.check(mailbox_key(target), Expect::Present);
            let (mut tally, mut octets, mut restored) = (Tally::default(), 0_i64, 0);
            for message in messages {
                let key = restorable_key(message.mailbox, message.uid, message.expunged_at);
                if self.engine.get(&key).await?.is_none() {
                    continue;
                }
                // Nobody else restores it, and nobody lets it go.
                batch.check(key.clone(), Expect::Present);
                batch.delete(key);
                let flags = message.record.flags & !Flags::DELETED;
                let record = MessageRecord { flags, saved_at: now, ..message.record.clone() };
                put_message(&mut batch, target, &record, None);
                tally.add(&record);
                octets = octets.saturating_add_unsigned(record.octets());
                restored += 1;
            }
            tally.stage(&mut batch, target);
            tally.stage_usage(&mut batch, account, quota);
            add_octets(&mut batch, account_counter(counter::RESTORABLE_OCTETS, account), -octets);
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(restored),
                Err(error) if is_over_quota(&error, account) => return Err(MailboxError::OverQuota),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(mailbox_key(mailbox)).into())
    }

    async fn mailbox_to_restore(
        &self,
        mailbox: MailboxId,
        name: &str,
        now: Timestamp,
    ) -> Result<MailboxId, MailboxError> {
        if self.by_id(mailbox).await?.is_some() {
            return Ok(mailbox);
        }
        let account = mailbox.account();
        match self.by_name(account, name).await? {
            Some(found) => Ok(found.id),
            None => Ok(self.create(account, name, None, now).await?.id),
        }
    }

    /// Lets go of what was expunged longer ago than it is kept, of all accounts. Returns how many messages that were.
    pub async fn let_go(&self, now: Timestamp) -> Result<usize, CommitError> {
        let window = Duration::from_millis(self.retention.window_ms.load(Ordering::Relaxed));
        let before = Timestamp::from_millis(
            now.millis().saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX)),
        );
        let (mut from, mut gone) = (KeyBuilder::new(EXPUNGED_MESSAGE).key(), 0);
        let end = after_prefix(&[EXPUNGED_MESSAGE]);
        loop {
            let range = KeyRange { start: from, end: end.clone() };
            let Some((key, _)) = self.engine.scan(range, Order::Ascending, 1).await?.pop() else {
                return Ok(gone);
            };
            let account = AccountId(KeyReader::new(&key)?.u64()?);
            gone += self.let_go_of(account, before).await?;
            from = after_prefix(&KeyBuilder::new(EXPUNGED_MESSAGE).u64(account.0).octets());
        }
    }

    /// Of what one account expunged before then.
    pub(super) async fn let_go_of(
        &self,
        account: AccountId,
        before: Timestamp,
    ) -> Result<usize, CommitError> {
        let space = KeyBuilder::new(EXPUNGED_MESSAGE).u64(account.0);
        let range = KeyRange { start: space.clone().key(), end: space.time(before).key() };
        let (mut gone, mut conflicts) = (0, 0);
        loop {
            let page = self.engine.scan(range.clone(), Order::Ascending, BATCH_MAX).await?;
            if page.is_empty() {
                return Ok(gone);
            }
            let (mut batch, mut octets) = (Batch::new(), 0_i64);
            for (key, value) in &page {
                let record = decode(key, value)?.record;
                batch.check(key.clone(), Expect::Present);
                batch.delete(key.clone());
                batch.references(record.blob, -1);
                octets = octets.saturating_add_unsigned(record.octets());
            }
            add_octets(&mut batch, account_counter(counter::RESTORABLE_OCTETS, account), -octets);
            match self.engine.commit(batch).await {
                Ok(_) => gone += page.len(),
                // Somebody restored one of them.
                Err(CommitError::Conflict(_)) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

fn add_octets(batch: &mut Batch, counter: Key, octets: i64) {
    if octets != 0 {
        batch.add(counter, octets);
    }
}

fn decode(key: &Key, value: &Bytes) -> Result<ExpungedMessage, StoreError> {
    let mut reader = KeyReader::new(key)?;
    reader.u64()?;
    let (expunged_at, mailbox, uid) = (reader.time()?, MailboxId(reader.u64()?), Uid(reader.u32()?));
    let Kept { mailbox_name, record } = Kept::decode(value)?;
    Ok(ExpungedMessage { expunged_at, mailbox, mailbox_name, uid, record })
}
