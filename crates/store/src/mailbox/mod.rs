//! Mailboxes with everything that IMAP will ask for: UIDs, flags, MODSEQ, sizes.

mod create;
mod expunge;
mod message;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use mail::{QueueId, Timestamp};
use serde::{Deserialize, Serialize};

use create::canonical_name;

use crate::{
    batch::{Batch, Expect, HoleWidth, Slot},
    engine::{BlobId, Engine, Key, KeyRange, Order, StoreError, after_prefix},
    keys::{KeyBuilder, MAILBOX, MAILBOX_CHANGE, MAILBOX_MESSAGE, MAILBOX_NAME, counter},
    value::Value,
};

/// The mailboxes over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    engine: Arc<dyn Engine>,
}

/// At most [`u32::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub u64);

/// Holds the account's number too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MailboxId(pub u64);

/// RFC 9051 §2.3.1.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uid(pub u32);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    pub id: MailboxId,
    pub account: AccountId,
    /// UTF-8, `/` between levels; `INBOX` in upper case.
    pub name: String,
    pub uid_validity: u32,
    /// RFC 6154: `\Sent`, `\Trash`, …
    pub special_use: Option<String>,
    pub subscribed: bool,
    pub created_at: Timestamp,
}

/// A message in a mailbox. What the client reads is `prefix` followed by the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    pub blob: BlobId,
    pub blob_bytes: u64,
    /// Header fields of final delivery: Return-Path, Delivered-To.
    pub prefix: Bytes,
    pub internal_date: Timestamp,
    /// Bits of [`Flags`].
    pub flags: Flags,
    pub keywords: Vec<String>,
    /// The queue ID it came by; none if appended.
    pub queue_id: Option<QueueId>,
}

/// RFC 9051 §2.3.2 system flags, as bits: seen 1, answered 2, flagged 4, deleted 8, draft 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags(pub u8);

/// A stored message with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    pub uid: Uid,
    pub modseq: u64,
    pub record: MessageRecord,
}

/// The numbers that an append gets at commit time.
#[derive(Clone, Copy, Debug)]
pub struct AppendSlots {
    pub uid: Slot,
    pub modseq: Slot,
}

impl Value for Mailbox {
    const NAME: &'static str = "mailbox";
    const VERSION: u8 = 1;
}

impl MailboxId {
    /// Whose mailbox it is.
    pub fn account(self) -> AccountId {
        AccountId(self.0 >> 32)
    }
}

impl MessageRecord {
    /// Octets of prefix and body (RFC822.SIZE, POP3 LIST).
    pub fn octets(&self) -> u64 {
        self.blob_bytes.saturating_add(self.prefix.len() as u64)
    }
}

impl Mailboxes {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    pub async fn list(&self, account: AccountId) -> Result<Vec<Mailbox>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(MAILBOX).u64(account.0).octets());
        let found = self.engine.scan(range, Order::Ascending, usize::MAX).await?;
        found.iter().map(|(_, value)| Mailbox::decode(value)).collect()
    }

    pub async fn by_name(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, StoreError> {
        let Some(number) = self.engine.get(&name_key(account, &canonical_name(name))).await? else {
            return Ok(None);
        };
        let id = number
            .as_ref()
            .try_into()
            .map(|octets| MailboxId(u64::from_be_bytes(octets)))
            .map_err(|_| StoreError::Damaged("a mailbox name leads nowhere".to_owned()))?;
        let stored = self.engine.get(&mailbox_key(id)).await?;
        stored.map(|octets| Mailbox::decode(&octets)).transpose()
    }

    /// Adds a message with one reference to its body; UID and MODSEQ are assigned at commit time. The batch conflicts
    /// if the mailbox is gone.
    pub fn append(&self, batch: &mut Batch, mailbox: MailboxId, record: &MessageRecord) -> AppendSlots {
        batch.check(mailbox_key(mailbox), Expect::Present);
        let uid = batch.next(uid_counter(mailbox));
        let modseq = batch.next(modseq_counter(mailbox));
        batch.put(message_prefix(mailbox).hole(HoleWidth::Four, uid), message::template(modseq, record));
        batch.put(change_prefix(mailbox).hole(HoleWidth::Eight, modseq), message::changed(uid));
        batch.references(record.blob, 1);
        let octets = i64::try_from(record.octets()).unwrap_or(i64::MAX);
        add_usage(batch, mailbox.account(), 1, octets);
        AppendSlots { uid, modseq }
    }

    /// Messages with UIDs from `from` on, in order.
    pub async fn messages(
        &self,
        mailbox: MailboxId,
        from: Uid,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let prefix = KeyBuilder::new(MAILBOX_MESSAGE).u64(mailbox.0).octets();
        let range = KeyRange { start: message_key(mailbox, from), end: after_prefix(&prefix) };
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        found.iter().map(|(key, value)| message::decode(message::uid_of(key)?, value)).collect()
    }

    pub async fn message(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<StoredMessage>, StoreError> {
        let stored = self.engine.get(&message_key(mailbox, uid)).await?;
        stored.map(|octets| message::decode(uid, &octets)).transpose()
    }

    /// Octets of prefix and body as one stream, cut to what exists.
    pub async fn read(&self, record: &MessageRecord, range: Range<u64>) -> Result<Bytes, StoreError> {
        let split = record.prefix.len() as u64;
        let end = range.end.min(record.octets());
        let start = range.start.min(end);
        let within = |position: u64| usize::try_from(position.min(split)).unwrap_or(usize::MAX);
        let head = record.prefix.slice(within(start)..within(end));
        if end <= split {
            return Ok(head);
        }
        let body = self.engine.blob_read(record.blob, start.saturating_sub(split)..end - split).await?;
        if head.is_empty() {
            return Ok(body);
        }
        let mut both = BytesMut::with_capacity(head.len() + body.len());
        both.extend_from_slice(&head);
        both.extend_from_slice(&body);
        Ok(both.freeze())
    }

    /// Replaces flags and keywords; the batch conflicts if the message changed meanwhile.
    pub fn set_flags(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        message: &StoredMessage,
        flags: Flags,
        keywords: Vec<String>,
    ) -> Slot {
        let key = message_key(mailbox, message.uid);
        batch.check(key.clone(), Expect::Equals(message::encode(message).into()));
        batch.delete(change_key(mailbox, message.modseq));
        let modseq = batch.next(modseq_counter(mailbox));
        let record = MessageRecord { flags, keywords, ..message.record.clone() };
        batch.put(key, message::template(modseq, &record));
        let change = message::change(message.uid, message::Change::Changed);
        batch.put(change_prefix(mailbox).hole(HoleWidth::Eight, modseq), change);
        modseq
    }

    /// How many messages and octets the account's mailboxes hold; kept by counters, costs two reads.
    pub async fn usage(&self, account: AccountId) -> Result<(u64, u64), StoreError> {
        let messages = self.counter(&usage_counter(counter::USAGE_MESSAGES, account)).await?;
        let octets = self.counter(&usage_counter(counter::USAGE_OCTETS, account)).await?;
        Ok((messages, octets))
    }

    async fn counter(&self, key: &Key) -> Result<u64, StoreError> {
        crate::apply::counter_value(self.engine.get(key).await?.as_ref())
    }
}

fn add_usage(batch: &mut Batch, account: AccountId, messages: i64, octets: i64) {
    batch.add(usage_counter(counter::USAGE_MESSAGES, account), messages);
    batch.add(usage_counter(counter::USAGE_OCTETS, account), octets);
}

fn mailbox_key(id: MailboxId) -> Key {
    KeyBuilder::new(MAILBOX).u64(id.account().0).u64(id.0).key()
}

fn name_key(account: AccountId, name: &str) -> Key {
    KeyBuilder::new(MAILBOX_NAME).u64(account.0).text(name).key()
}

fn message_prefix(mailbox: MailboxId) -> crate::Template {
    KeyBuilder::new(MAILBOX_MESSAGE).u64(mailbox.0).octets().into()
}

fn message_key(mailbox: MailboxId, uid: Uid) -> Key {
    KeyBuilder::new(MAILBOX_MESSAGE).u64(mailbox.0).u32(uid.0).key()
}

fn change_prefix(mailbox: MailboxId) -> crate::Template {
    KeyBuilder::new(MAILBOX_CHANGE).u64(mailbox.0).octets().into()
}

fn change_key(mailbox: MailboxId, modseq: u64) -> Key {
    KeyBuilder::new(MAILBOX_CHANGE).u64(mailbox.0).u64(modseq).key()
}

fn uid_counter(mailbox: MailboxId) -> Key {
    KeyBuilder::counter(counter::UID).u64(mailbox.0).key()
}

fn modseq_counter(mailbox: MailboxId) -> Key {
    KeyBuilder::counter(counter::MODSEQ).u64(mailbox.0).key()
}

fn usage_counter(name: u8, account: AccountId) -> Key {
    KeyBuilder::counter(name).u64(account.0).key()
}
