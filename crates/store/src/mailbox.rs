//! Mailboxes with everything that IMAP will ask for: UIDs, flags, MODSEQ, sizes.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use mail::{QueueId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    batch::{Batch, Slot},
    engine::{BlobId, CommitError, Engine, StoreError},
    value::Value,
};

/// The mailboxes over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailboxes {
    engine: Arc<dyn Engine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub u64);

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

    /// Makes a mailbox; `Conflict` if the account has one of that name. UIDVALIDITY is taken from `now`.
    pub async fn create(
        &self,
        _account: AccountId,
        _name: &str,
        _special_use: Option<&str>,
        _now: Timestamp,
    ) -> Result<Mailbox, CommitError> {
        todo!()
    }

    pub async fn list(&self, _account: AccountId) -> Result<Vec<Mailbox>, StoreError> {
        todo!()
    }

    pub async fn by_name(&self, _account: AccountId, _name: &str) -> Result<Option<Mailbox>, StoreError> {
        todo!()
    }

    /// Adds a message with one reference to its body; UID and MODSEQ are assigned at commit time.
    pub fn append(&self, _batch: &mut Batch, _mailbox: MailboxId, _record: &MessageRecord) -> AppendSlots {
        todo!()
    }

    /// Messages with UIDs from `from` on, in order.
    pub async fn messages(
        &self,
        _mailbox: MailboxId,
        _from: Uid,
        _limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        todo!()
    }

    pub async fn message(&self, _mailbox: MailboxId, _uid: Uid) -> Result<Option<StoredMessage>, StoreError> {
        todo!()
    }

    /// Octets of prefix and body as one stream, cut to what exists.
    pub async fn read(&self, _record: &MessageRecord, _range: Range<u64>) -> Result<Bytes, StoreError> {
        todo!()
    }

    /// Removes those of `uids` that are still there, all in one batch. Returns which were.
    pub async fn expunge(&self, _mailbox: MailboxId, _uids: &[Uid]) -> Result<Vec<Uid>, CommitError> {
        todo!()
    }

    /// Replaces flags and keywords; the batch conflicts if the message changed meanwhile.
    pub fn set_flags(
        &self,
        _batch: &mut Batch,
        _mailbox: MailboxId,
        _message: &StoredMessage,
        _flags: Flags,
        _keywords: Vec<String>,
    ) -> Slot {
        todo!()
    }

    /// How many messages and octets the account's mailboxes hold; kept by counters, costs two reads.
    pub async fn usage(&self, _account: AccountId) -> Result<(u64, u64), StoreError> {
        todo!()
    }
}
