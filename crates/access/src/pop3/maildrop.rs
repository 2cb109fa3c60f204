//! An INBOX as POP3 sees it: listed once, read in chunks, emptied at the end.

use bytes::Bytes;
use mail::Timestamp;
use proto::pop3::{MAILDROP_MESSAGES_MAX, MaildropEntry, MaildropListing};
use store::{
    CommitError, Mailboxes, StoreError,
    mailbox::{MailboxId, MessageRecord, Uid},
};

use super::lock::MaildropLock;

/// Records looked at in one go while a maildrop is listed.
const LIST_PAGE_MESSAGES: usize = 1000;
/// Octets of a message read in one go.
const CHUNK_BYTES: u64 = 64 * 1024;

/// An open maildrop; its lock goes with it.
#[derive(Debug)]
pub(super) struct Maildrop {
    mailboxes: Mailboxes,
    inbox: MailboxId,
    _lock: MaildropLock,
}

/// A message that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    record: MessageRecord,
    offset: u64,
}

impl Maildrop {
    pub(super) fn new(mailboxes: Mailboxes, inbox: MailboxId, lock: MaildropLock) -> Self {
        Self { mailboxes, inbox, _lock: lock }
    }

    /// Sizes and UIDs of the oldest messages, up to [`MAILDROP_MESSAGES_MAX`].
    pub(super) async fn list(&self, uid_validity: u32) -> Result<MaildropListing, StoreError> {
        let mut entries = Vec::new();
        let mut next = Some(Uid(1));
        while let Some(from) = next.filter(|_| entries.len() < MAILDROP_MESSAGES_MAX) {
            let page = self.mailboxes.messages(self.inbox, from, LIST_PAGE_MESSAGES).await?;
            next = page.last().and_then(|last| last.uid.0.checked_add(1)).map(Uid);
            entries
                .extend(page.iter().map(|one| MaildropEntry { octets: one.record.octets(), uid: one.uid.0 }));
        }
        entries.truncate(MAILDROP_MESSAGES_MAX);
        entries.shrink_to_fit();
        Ok(MaildropListing { uid_validity, entries })
    }

    /// `None` if the message was removed since it was listed.
    pub(super) async fn find(&self, uid: u32) -> Result<Option<Reading>, StoreError> {
        let message = self.mailboxes.message(self.inbox, Uid(uid)).await?;
        Ok(message.map(|message| Reading { record: message.record, offset: 0 }))
    }

    /// The next octets of a message; `None` at its end. A message that ends too soon is an error.
    pub(super) async fn read(&self, reading: &mut Reading) -> Result<Option<Bytes>, StoreError> {
        let octets = reading.record.octets();
        if reading.offset >= octets {
            return Ok(None);
        }
        let end = reading.offset.saturating_add(CHUNK_BYTES).min(octets);
        let chunk = self.mailboxes.read(&reading.record, reading.offset..end).await?;
        if chunk.is_empty() {
            return Err(StoreError::Damaged("a message is shorter than its record says".to_owned()));
        }
        reading.offset = reading.offset.saturating_add(chunk.len() as u64);
        Ok(Some(chunk))
    }

    /// Removes those of these messages that are still there, and gives the maildrop free. Returns how many were.
    pub(super) async fn expunge(self, deleted: &[u32], now: Timestamp) -> Result<usize, CommitError> {
        if deleted.is_empty() {
            return Ok(0);
        }
        let uids: Vec<Uid> = deleted.iter().copied().map(Uid).collect();
        Ok(self.mailboxes.expunge(self.inbox, &uids, now).await?.uids.len())
    }
}
