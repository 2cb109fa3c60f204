//! The mailbox that shows what an account has submitted and that is still on its way.
//!
//! It is number 0 of the account's mailboxes and is read as any other. What is in it follows the queue whenever somebody
//! looks: a message gets its UID when it is first seen, its keywords tell its state, and it goes when the queue has
//! nothing more of it. Bodies belong to the queue, so messages here hold no reference to theirs and count to no quota.

use std::collections::BTreeMap;

use bytes::Bytes;
use mail::{QueueId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    AccountId, Arrival, FlagChange, FlagChangeKind, Flags, Found, Mailbox, MailboxId, Mailboxes,
    MessageRecord, StoredMessage, Uid,
    delete::counters,
    expunge::stage_leaving,
    keyspace::{modseq_counter, outbox_key, space},
    put_message,
    removal::found,
    set_flags,
    tally::Tally,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect, Slot},
    engine::{BlobId, CommitError, KeyRange, Order, StoreError},
    keys::{self, MAILBOX_CHANGE, MAILBOX_EXPUNGED, MAILBOX_MESSAGE, MESSAGE_SUMMARY},
    value::Value,
};

pub const OUTBOX: &str = "Outbox";

/// Read in one go.
const PAGE_OUTBOXES: usize = 500;

/// What is kept of an Outbox itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    pub uid_validity: u32,
    pub subscribed: bool,
    pub created_at: Timestamp,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    pub queue_id: QueueId,
    pub blob: BlobId,
    pub blob_bytes: u64,
    pub accepted_at: Timestamp,
    /// Its state.
    pub keywords: Vec<String>,
}

impl Value for Outbox {
    const NAME: &'static str = "outbox";
    const VERSION: u8 = 1;
}

impl Outbox {
    fn into_mailbox(self, account: AccountId) -> Mailbox {
        let Self { uid_validity, subscribed, created_at } = self;
        let name = OUTBOX.to_owned();
        let id = MailboxId::outbox(account);
        Mailbox { id, account, name, uid_validity, special_use: None, subscribed, created_at }
    }
}

impl MailboxId {
    pub fn outbox(account: AccountId) -> Self {
        Self(account.0 << 32)
    }

    pub fn is_outbox(self) -> bool {
        self == Self::outbox(self.account())
    }
}

impl Mailboxes {
    /// The account's Outbox, which is made if this is the first look. None if the account has a mailbox of its own of that
    /// name, which comes first as long as it is there.
    pub async fn outbox(&self, account: AccountId, now: Timestamp) -> Result<Option<Mailbox>, CommitError> {
        if self.by_name(account, OUTBOX).await?.is_some() {
            return Ok(None);
        }
        for _ in 0..CONFLICTS_MAX {
            if let Some(stored) = self.engine.get(&outbox_key(account)).await? {
                return Ok(Some(Outbox::decode(&stored)?.into_mailbox(account)));
            }
            let mut batch = Batch::new();
            let validity = self.stage_validities(&mut batch, 1, now).await?;
            let uid_validity = validity.first().copied().unwrap_or(1);
            let made = Outbox { uid_validity, subscribed: true, created_at: now };
            batch.check(outbox_key(account), Expect::Absent);
            batch.put(outbox_key(account), made.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(Some(made.into_mailbox(account))),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict(outbox_key(account)))
    }

    pub async fn subscribe_outbox(&self, account: AccountId, subscribed: bool) -> Result<(), CommitError> {
        let key = outbox_key(account);
        for _ in 0..CONFLICTS_MAX {
            let Some(stored) = self.engine.get(&key).await? else { return Ok(()) };
            let changed = Outbox { subscribed, ..Outbox::decode(&stored)? };
            let mut batch = Batch::new();
            batch.check(key.clone(), Expect::Equals(stored));
            batch.put(key.clone(), changed.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict(key))
    }

    /// Makes the Outbox hold these messages, in this order where they are new, and no others; one batch, none if it does so
    /// already.
    pub async fn show_outbox(
        &self,
        account: AccountId,
        outgoing: &[OutgoingMessage],
    ) -> Result<(), CommitError> {
        let outbox = MailboxId::outbox(account);
        let modseq = modseq_counter(outbox);
        for _ in 0..CONFLICTS_MAX {
            // Whoever else brings it up to date moves this.
            let before = self.engine.get(&modseq).await?;
            let mut batch = Batch::new();
            if !self.stage_outbox(&mut batch, outbox, outgoing).await? {
                return Ok(());
            }
            batch.check(outbox_key(account), Expect::Present);
            batch.check(modseq.clone(), before.map_or(Expect::Absent, Expect::Equals));
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict(modseq))
    }

    /// False if there is nothing to do.
    async fn stage_outbox(
        &self,
        batch: &mut Batch,
        outbox: MailboxId,
        outgoing: &[OutgoingMessage],
    ) -> Result<bool, StoreError> {
        let mut wanted: BTreeMap<QueueId, &OutgoingMessage> =
            outgoing.iter().map(|message| (message.queue_id, message)).collect();
        let (mut gone, mut changed) = (Vec::new(), Vec::new());
        for one in self.outbox_messages(outbox).await? {
            match one.message.record.queue_id.and_then(|id| wanted.remove(&id)) {
                None => gone.push(one),
                Some(now) if now.keywords != one.message.record.keywords => changed.push((one, now)),
                Some(_) => {}
            }
        }
        if gone.is_empty() && changed.is_empty() && wanted.is_empty() {
            return Ok(false);
        }
        let mut tally = Tally::default();
        for (one, now) in changed {
            let (how, flags) = (FlagChangeKind::Replace, one.message.record.flags);
            let change = FlagChange { how, flags, keywords: now.keywords.clone() };
            set_flags::stage(batch, &mut tally, outbox, &one, &change);
        }
        for message in outgoing.iter().filter(|message| wanted.contains_key(&message.queue_id)) {
            let record = record(message);
            put_message(batch, outbox, &record, None);
            tally.add(&record);
        }
        tally.stage(batch, outbox);
        if !gone.is_empty() {
            stage_leaving(batch, outbox, &gone).stage(batch, outbox);
            let uids: Vec<Uid> = gone.iter().map(|one| one.message.uid).collect();
            self.stage_trace(batch, outbox, &uids).await?;
        }
        Ok(true)
    }

    async fn outbox_messages(&self, outbox: MailboxId) -> Result<Vec<Found>, StoreError> {
        let range = KeyRange::prefix(&space(MAILBOX_MESSAGE, outbox));
        let all = self.engine.scan(range, Order::Ascending, usize::MAX).await?;
        all.into_iter().map(found).collect()
    }

    /// Adds a copy of a message of an Outbox to a mailbox, without the keywords that tell its state. The batch conflicts if
    /// the mailbox is gone, or the account would exceed its quota; that the body is still there is the caller's to see to.
    pub fn stage_outbox_copy(
        &self,
        batch: &mut Batch,
        message: &StoredMessage,
        to: MailboxId,
        arrival: Arrival,
    ) -> Slot {
        let StoredMessage { record, .. } = message;
        let Arrival { quota, keeps, now } = arrival;
        let flags = record.flags & keeps.flags & !Flags::DELETED;
        let record = MessageRecord { flags, keywords: Vec::new(), saved_at: now, ..record.clone() };
        self.append_within(batch, to, &record, quota).uid
    }

    /// Gives every Outbox a new UIDVALIDITY, as [`begin_anew`](Self::begin_anew) does for other mailboxes.
    pub(super) async fn begin_outboxes_anew(&self, now: Timestamp) -> Result<(), CommitError> {
        let mut range = KeyRange::prefix(&[keys::OUTBOX]);
        loop {
            let found = self.engine.scan(range.clone(), Order::Ascending, PAGE_OUTBOXES).await?;
            let Some((end, _)) = found.last() else { return Ok(()) };
            range.start = end.successor();
            let mut batch = Batch::new();
            let validities = self.stage_validities(&mut batch, found.len(), now).await?;
            for ((key, value), uid_validity) in found.into_iter().zip(validities) {
                let outbox = Outbox { uid_validity, ..Outbox::decode(&value)? };
                batch.check(key.clone(), Expect::Equals(value));
                batch.put(key, outbox.encode());
            }
            self.engine.commit(batch).await?;
        }
    }

    pub(super) async fn stage_removal_of_outbox(
        &self,
        batch: &mut Batch,
        account: AccountId,
    ) -> Result<(), CommitError> {
        let outbox = MailboxId::outbox(account);
        for tag in [MAILBOX_MESSAGE, MAILBOX_CHANGE, MESSAGE_SUMMARY, MAILBOX_EXPUNGED] {
            self.clear_space(&space(tag, outbox)).await?;
        }
        counters(outbox).for_each(|key| batch.delete(key));
        batch.delete(outbox_key(account));
        Ok(())
    }
}

/// What one has sent oneself one has read.
fn record(message: &OutgoingMessage) -> MessageRecord {
    MessageRecord {
        blob: message.blob,
        blob_bytes: message.blob_bytes,
        prefix: Bytes::new(),
        internal_date: message.accepted_at,
        flags: Flags::SEEN,
        keywords: message.keywords.clone(),
        queue_id: Some(message.queue_id),
        saved_at: message.accepted_at,
    }
}
