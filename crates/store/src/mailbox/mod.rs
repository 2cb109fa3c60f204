//! Mailboxes with everything that IMAP asks for: UIDs, flags, MODSEQ, sizes, what changed since when.
//!
//! Every message has one entry among the changes of its mailbox, at its last MODSEQ, with its flags: listing a mailbox is
//! one scan of them, and so is what changed since a MODSEQ. Counts are kept by the batches that change them.

mod acl;
mod anew;
mod annotations;
mod copy;
#[cfg(test)]
mod crash_tests;
mod create;
mod delete;
mod error;
mod expunge;
mod flags;
mod imported;
mod keyspace;
mod known;
mod layout;
mod listing;
mod message;
#[cfg(test)]
mod name_tests;
mod names;
mod outbox;
#[cfg(test)]
mod outbox_tests;
mod removal;
mod rename;
mod restorable;
#[cfg(test)]
mod restorable_tests;
mod set_flags;
mod status;
mod subscribe;
mod summary;
#[cfg(test)]
mod summary_tests;
#[cfg(test)]
mod sync_tests;
mod tally;
#[cfg(test)]
mod tests;
mod uid_ranges;
mod url_keys;

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use mail::{QueueId, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use keyspace::mailbox_key;
use keyspace::{
    change_prefix, message_key, message_prefix, modseq_counter, name_key, space, summary_prefix, uid_counter,
};
use known::{KnownDates, KnownListings};
use tally::Tally;

pub use acl::{Acl, AclEntry, Identifier, Who};
pub use annotations::{ANNOTATION_BYTES_MAX, ANNOTATIONS_OCTETS_MAX, Annotated};
pub use copy::{Arrival, COPY_MAX, Copied};
pub use delete::DeletedMailbox;
pub use error::MailboxError;
pub use expunge::Expunged;
pub use flags::{FlagChange, FlagChangeKind, FlagMask, Flags, KEYWORD_BYTES_MAX, KEYWORDS_MAX};
pub use imported::ImportMark;
pub use listing::{LISTED_KEYWORDS_MAX, ListedMessage, Listing, MailboxChanges};
pub(crate) use names::parents;
pub use names::{NAME_BYTES_MAX, canonical_name};
pub use outbox::{OUTBOX, Outbox, OutgoingMessage};
pub use restorable::ExpungedMessage;
use restorable::Retention;
pub use set_flags::FlagsStored;
pub use status::MailboxStatus;
pub use summary::{AppendWith, MessageWriter, Summary, SummaryBuilder, WrittenMessage};
pub use tally::{Quota, is_over_quota};
pub use uid_ranges::UidRanges;
pub use url_keys::UrlKey;

use crate::{
    batch::{Batch, Expect, HoleWidth, Slot},
    changes::Changes,
    engine::{BlobId, Engine, Key, KeyRange, Order, StoreError, after_prefix},
    keys::{KeyBuilder, MAILBOX, MAILBOX_MESSAGE, counter},
    value::Value,
};

/// The mailboxes over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    engine: Arc<dyn Engine>,
    retention: Arc<Retention>,
    known: Arc<KnownListings>,
    dates: Arc<KnownDates>,
}

/// At most [`u32::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub u64);

/// Holds the account's number too. Never used again.
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
    pub flags: Flags,
    pub keywords: Vec<String>,
    /// The queue ID it came by; none if appended.
    pub queue_id: Option<QueueId>,
    /// When it came into this mailbox (RFC 8514).
    pub saved_at: Timestamp,
}

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

    /// RFC 8474 §4.1
    pub fn object_id(self) -> String {
        format!("F{:x}", self.0)
    }
}

impl MessageRecord {
    /// Octets of prefix and body (RFC822.SIZE, POP3 LIST).
    pub fn octets(&self) -> u64 {
        self.blob_bytes.saturating_add(self.prefix.len() as u64)
    }

    /// The same for a message and its copies, and whatever became of their store: in a backup of it, and restored from that.
    pub fn likeness(&self) -> u64 {
        let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(self.blob.0);
        hash.update(&self.blob_bytes.to_be_bytes());
        hash.update(&self.internal_date.millis().to_be_bytes());
        hash.update(&self.prefix);
        hash.digest()
    }

    /// RFC 8474 §5.1: copies share it, as they share what they consist of.
    pub fn email_id(&self) -> String {
        format!("M{:x}-{:08x}", self.blob.0, xxhash_rust::xxh3::xxh3_64(&self.prefix) >> 32)
    }
}

impl Mailboxes {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, retention: Arc::default(), known: Arc::default(), dates: Arc::default() }
    }

    /// In the order they were made.
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
        self.by_id(id).await
    }

    pub async fn by_id(&self, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        Ok(self.stored(id).await?.map(|(mailbox, _)| mailbox))
    }

    /// A mailbox and its octets as they are stored.
    async fn stored(&self, id: MailboxId) -> Result<Option<(Mailbox, Bytes)>, StoreError> {
        let stored = self.engine.get(&mailbox_key(id)).await?;
        stored.map(|octets| Ok((Mailbox::decode(&octets)?, octets))).transpose()
    }

    /// Wakes after each commit that changes messages of the mailbox, and when the mailbox goes. Other processes' commits
    /// are not seen; there are none while this one has the store.
    pub fn watch(&self, mailbox: MailboxId) -> Changes {
        self.engine.changes(modseq_counter(mailbox))
    }

    /// As [`watch`](Self::watch), for all mailboxes of the account.
    pub fn watch_messages(&self, account: AccountId) -> Changes {
        let [.., a, b, c, d] = account.0.to_be_bytes();
        let counters = KeyBuilder::counter(counter::MODSEQ);
        self.engine.changes([a, b, c, d].into_iter().fold(counters, KeyBuilder::octet).key())
    }

    /// Wakes after each commit that makes, renames, deletes or (un)subscribes mailboxes of the account.
    pub fn watch_names(&self, account: AccountId) -> Changes {
        self.engine.changes(KeyBuilder::new(MAILBOX).u64(account.0).key())
    }

    /// Adds a message with one reference to its body; UID and MODSEQ are assigned at commit time. The batch conflicts
    /// if the mailbox is gone.
    pub fn append(&self, batch: &mut Batch, mailbox: MailboxId, record: &MessageRecord) -> AppendSlots {
        self.append_summarized(batch, mailbox, record, None, Quota::default())
    }

    /// As [`append`](Self::append). The batch also conflicts if the account would exceed its quota
    /// ([`is_over_quota`]).
    pub fn append_within(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        record: &MessageRecord,
        quota: Quota,
    ) -> AppendSlots {
        self.append_summarized(batch, mailbox, record, None, quota)
    }

    /// As [`append_within`](Self::append_within), with what is known of the message.
    pub fn append_summarized(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        record: &MessageRecord,
        summary: Option<&Summary>,
        quota: Quota,
    ) -> AppendSlots {
        batch.check(mailbox_key(mailbox), Expect::Present);
        let slots = put_message(batch, mailbox, record, summary.map(Summary::encode));
        batch.references(record.blob, 1);
        let mut tally = Tally::default();
        tally.add(record);
        tally.stage(batch, mailbox);
        tally.stage_usage(batch, mailbox.account(), quota);
        slots
    }

    /// Messages with UIDs from `from` on, in order.
    pub async fn messages(
        &self,
        mailbox: MailboxId,
        from: Uid,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        let end = after_prefix(&space(MAILBOX_MESSAGE, mailbox));
        let range = KeyRange { start: message_key(mailbox, from), end };
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

    /// Those of the messages that are there, with their octets as they are stored.
    async fn find(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::with_capacity(uids.len());
        for uid in uids {
            let key = message_key(mailbox, *uid);
            if let Some(octets) = self.engine.get(&key).await? {
                found.push(Found { message: message::decode(*uid, &octets)?, key, octets });
            }
        }
        Ok(found)
    }

    async fn counter(&self, key: &Key) -> Result<u64, StoreError> {
        crate::apply::counter_value(self.engine.get(key).await?.as_ref())
    }
}

/// A message as it was read.
struct Found {
    message: StoredMessage,
    key: Key,
    octets: Bytes,
}

/// A message with new numbers and its summary as it is stored; references and counters are the caller's.
fn put_message(
    batch: &mut Batch,
    mailbox: MailboxId,
    record: &MessageRecord,
    summary: Option<Vec<u8>>,
) -> AppendSlots {
    let uid = batch.next(uid_counter(mailbox));
    let modseq = batch.next(modseq_counter(mailbox));
    batch.put(message_prefix(mailbox).hole(HoleWidth::Four, uid), message::template(modseq, record));
    let change = message::added(uid, record.flags, &record.keywords);
    batch.put(change_prefix(mailbox).hole(HoleWidth::Eight, modseq), change);
    if let Some(summary) = summary {
        batch.put(summary_prefix(mailbox).hole(HoleWidth::Four, uid), summary);
    }
    AppendSlots { uid, modseq }
}

/// UIDs in ascending order, each once.
fn ascending(uids: &[Uid]) -> Vec<Uid> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    uids.dedup();
    uids
}
