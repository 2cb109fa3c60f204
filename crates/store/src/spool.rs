//! The queue: accepted messages on their way.
//!
//! One entry holds the recipients of one message that travel together (one lane), and everything needed to deliver or
//! bounce them, so that entries are settled without touching each other. Each holds one reference to the body.

mod find;
mod index;
mod nodes;
mod old;
mod renew;
mod submitted;

use std::sync::Arc;

use bytes::Bytes;
use mail::{
    Address, ByMode, MailParameters, MtPriority, OriginalRecipient, QueueId, RcptParameters, ReversePath,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    batch::{Batch, Expect},
    engine::{BlobId, CommitError, Engine, Key, KeyRange, Order, StoreError, after_prefix},
    keys::{DUE, KeyBuilder, KeyReader, QUEUE_ENTRY},
    mailbox::AccountId,
    value::{Value, unknown_version},
};
pub use find::{AccessPath, Criterion, Found, Place};
pub use nodes::NodeWalk;
pub use renew::Renewal;
pub use submitted::Cancelled;

/// The queue over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    engine: Arc<dyn Engine>,
}

/// Names a destination site: `local`, `smtp:relay.example:25`, … No NUL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneId(pub Arc<str>);

/// Names one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    pub queue_id: QueueId,
    pub part: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    pub queue_id: QueueId,
    /// Sets apart the entries of one message.
    pub part: u16,
    pub lane: LaneId,
    pub reverse_path: ReversePath,
    pub mail: MailParameters,
    pub recipients: Vec<QueuedRecipient>,
    pub blob: BlobId,
    pub blob_bytes: u64,
    pub accepted_at: Timestamp,
    /// When to try next; entries that are held have no due key.
    pub due: Timestamp,
    pub attempts: u32,
    pub status: EntryStatus,
    /// What the last attempt ran into, for people; cleaned.
    pub last_error: Option<String>,
    /// The sender was told of the delay, once for all recipients.
    pub delay_told: bool,
    /// Delivery may begin, and the time for it counts from here: when the message was accepted, or what FUTURERELEASE
    /// asked for (RFC 4865).
    pub release_at: Timestamp,
    pub deadline: Option<Deadline>,
    /// An operator put it into this lane: until it is settled routes do not count.
    pub rerouted: bool,
    /// The account that submitted the message.
    pub submitter: Option<AccountId>,
}

/// RFC 2852: until when the message is to be delivered; what happens then is in `mail.deliver_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    pub at: Timestamp,
    /// It has passed, and the sender was told.
    pub told: bool,
}

/// An entry whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueEntry {
    pub at: Timestamp,
    pub id: EntryId,
    pub priority: MtPriority,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedRecipient {
    pub address: Address,
    /// What RCPT said, if an alias or `<postmaster>` led to `address`.
    pub original: Option<Address>,
    pub rcpt: RcptParameters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryStatus {
    Waiting,
    Held,
}

impl Value for QueueEntry {
    const NAME: &'static str = "queue entry";
    const VERSION: u8 = 5;

    fn decode_old(version: u8, octets: &[u8]) -> Result<Self, StoreError> {
        let second = |octets: &[u8]| postcard::from_bytes::<old::EntryV2>(octets).map(Self::from);
        let read = match version {
            1 => second(&[octets, &[0]].concat()),
            2 => second(octets),
            // It ended before `rerouted`, and the next one before `submitter`.
            3 => postcard::from_bytes(&[octets, &[0, 0]].concat()),
            4 => postcard::from_bytes(&[octets, &[0]].concat()),
            _ => return Err(unknown_version::<Self>(version)),
        };
        read.map_err(|error| {
            StoreError::Value(format!("a {} of version {version} cannot be read: {error}", Self::NAME))
        })
    }
}

impl QueueEntry {
    pub fn id(&self) -> EntryId {
        EntryId { queue_id: self.queue_id, part: self.part }
    }

    pub fn priority(&self) -> MtPriority {
        self.mail.priority.unwrap_or_default()
    }

    /// Its sender wants it to leave later (RFC 4865).
    pub fn is_ahead_of_time(&self, now: Timestamp) -> bool {
        self.release_at > now
    }

    /// RFC 2852: what the deadline asks for, if it has passed and that was not done yet.
    pub fn missed_deadline(&self, now: Timestamp) -> Option<ByMode> {
        let is_missed = self.deadline.is_some_and(|deadline| deadline.at <= now && !deadline.told);
        self.mail.deliver_by.filter(|_| is_missed).map(|by| by.mode)
    }
}

impl QueuedRecipient {
    /// Whom the sender meant: what ORCPT said, else what RCPT said if an alias led elsewhere (RFC 3461 §5.2.1).
    pub fn original_recipient(&self) -> Option<OriginalRecipient> {
        self.rcpt.orcpt.clone().or_else(|| self.original.as_ref().map(OriginalRecipient::of))
    }
}

impl Spool {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Adds a new entry with its reference to the body; the batch conflicts if the ID is taken.
    pub fn add(&self, batch: &mut Batch, entry: &QueueEntry) {
        let key = entry_key(entry.id()).key();
        batch.check(key.clone(), Expect::Absent);
        batch.put(key, entry.encode());
        if let Some(due) = due_key(entry) {
            batch.put(due, due_value(entry));
        }
        index::update(batch, None, Some(entry));
        batch.references(entry.blob, 1);
    }

    /// Removes an entry with its reference; the batch conflicts if the stored entry differs from this one.
    pub fn remove(&self, batch: &mut Batch, entry: &QueueEntry) {
        let key = entry_key(entry.id()).key();
        batch.check(key.clone(), Expect::Equals(entry.encode().into()));
        batch.delete(key);
        if let Some(due) = due_key(entry) {
            batch.delete(due);
        }
        index::update(batch, Some(entry), None);
        batch.references(entry.blob, -1);
    }

    /// Replaces `old` by `new` (same ID and body); the batch conflicts if the stored entry differs from `old`.
    pub fn replace(&self, batch: &mut Batch, old: &QueueEntry, new: &QueueEntry) {
        let key = entry_key(old.id()).key();
        batch.check(key.clone(), Expect::Equals(old.encode().into()));
        batch.put(key, new.encode());
        if let Some(due) = due_key(old) {
            batch.delete(due);
        }
        if let Some(due) = due_key(new) {
            batch.put(due, due_value(new));
        }
        index::update(batch, Some(old), Some(new));
    }

    /// The batch conflicts if the stored entry differs from this one; nothing of it changes.
    pub fn keep(&self, batch: &mut Batch, entry: &QueueEntry) {
        batch.check(entry_key(entry.id()).key(), Expect::Equals(entry.encode().into()));
    }

    pub async fn entry(&self, id: EntryId) -> Result<Option<QueueEntry>, StoreError> {
        let key = entry_key(id).key();
        match self.engine.get(&key).await? {
            Some(octets) => self.read(key, octets).await.map(Some),
            None => Ok(None),
        }
    }

    /// All entries of one message.
    pub async fn entries_of(&self, id: QueueId) -> Result<Vec<QueueEntry>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(QUEUE_ENTRY).id(id).octets());
        self.entries(range, usize::from(u16::MAX) + 1).await
    }

    /// Entries after `after` in order of ID, held ones too; fewer than `limit` only at the end. One that cannot be read is
    /// passed over, so that it does not hide the others.
    pub async fn list(&self, after: Option<EntryId>, limit: usize) -> Result<Vec<QueueEntry>, StoreError> {
        let mut range = KeyRange::prefix(&[QUEUE_ENTRY]);
        if let Some(after) = after {
            range.start = entry_key(after).key().successor();
        }
        let mut entries = Vec::with_capacity(limit.min(1024));
        loop {
            let wanted = limit - entries.len();
            let found = self.engine.scan(range.clone(), Order::Ascending, wanted).await?;
            let is_end = found.len() < wanted;
            for (key, octets) in found {
                range.start = key.successor();
                match self.read(key, octets).await {
                    Ok(entry) => entries.push(entry),
                    Err(StoreError::Value(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if is_end || entries.len() >= limit {
                return Ok(entries);
            }
        }
    }

    /// Lanes with waiting entries and when their first is due, in the lanes' order after `after`. One seek a lane; fewer
    /// than `limit` only at the end.
    pub async fn lanes(
        &self,
        after: Option<&LaneId>,
        limit: usize,
    ) -> Result<Vec<(LaneId, Timestamp)>, StoreError> {
        let mut lanes = Vec::new();
        let mut range = KeyRange::prefix(&[DUE]);
        if let Some(after) = after {
            range.start = after_prefix(&lane_prefix(after).octets());
        }
        while lanes.len() < limit
            && let Some((key, _)) = self.engine.scan(range.clone(), Order::Ascending, 1).await?.first()
        {
            let mut reader = KeyReader::new(key)?;
            let lane = LaneId(reader.text_to_nul()?.into());
            range.start = after_prefix(&lane_prefix(&lane).octets());
            lanes.push((lane, reader.time()?));
        }
        Ok(lanes)
    }

    /// The lane's entries in order of due time, after `after` if given (for paging), up to and including `until`.
    pub async fn due(
        &self,
        lane: &LaneId,
        after: Option<(Timestamp, EntryId)>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueEntry>, StoreError> {
        let start = match after {
            Some((at, id)) => lane_prefix(lane).time(at).id(id.queue_id).u16(id.part).key().successor(),
            None => lane_prefix(lane).key(),
        };
        let range = KeyRange { start, end: after_prefix(&lane_prefix(lane).time(until).octets()) };
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        found
            .iter()
            .map(|(key, value)| {
                let (at, id) = read_due_key(key)?;
                Ok(DueEntry { at, id, priority: read_due_value(value) })
            })
            .collect()
    }

    /// When the lane's first entry after `after` is due.
    pub async fn next_due(&self, lane: &LaneId, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let range = KeyRange {
            start: after_prefix(&lane_prefix(lane).time(after).octets()),
            end: after_prefix(&lane_prefix(lane).octets()),
        };
        let found = self.engine.scan(range, Order::Ascending, 1).await?;
        found.first().map(|(key, _)| read_due_key(key).map(|(at, _)| at)).transpose()
    }

    async fn entries(&self, range: KeyRange, limit: usize) -> Result<Vec<QueueEntry>, StoreError> {
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        let mut entries = Vec::with_capacity(found.len());
        for (key, octets) in found {
            entries.push(self.read(key, octets).await?);
        }
        Ok(entries)
    }

    /// An entry of an earlier version is written anew at once, because batches compare what is stored with what they know,
    /// and joins the indexes that came since.
    async fn read(&self, key: Key, octets: Bytes) -> Result<QueueEntry, StoreError> {
        let entry = QueueEntry::decode(&octets)?;
        if octets.first() != Some(&QueueEntry::VERSION) {
            let mut batch = Batch::new();
            batch.check(key.clone(), Expect::Equals(octets));
            batch.put(key, entry.encode());
            index::update(&mut batch, None, Some(&entry));
            match self.engine.commit(batch).await {
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(CommitError::Full) => return Err(StoreError::Full),
                Err(error) => {
                    return Err(StoreError::Value(format!("a queue entry cannot be renewed: {error}")));
                }
            }
        }
        Ok(entry)
    }
}

fn entry_key(id: EntryId) -> KeyBuilder {
    KeyBuilder::new(QUEUE_ENTRY).id(id.queue_id).u16(id.part)
}

fn lane_prefix(lane: &LaneId) -> KeyBuilder {
    KeyBuilder::new(DUE).text(&lane.0).octet(0)
}

fn due_key(entry: &QueueEntry) -> Option<Key> {
    match entry.status {
        EntryStatus::Waiting => {
            Some(lane_prefix(&entry.lane).time(entry.due).id(entry.queue_id).u16(entry.part).key())
        }
        EntryStatus::Held => None,
    }
}

/// The priority, so that a lane need not read entries to sort them; nothing for the usual one.
fn due_value(entry: &QueueEntry) -> Vec<u8> {
    let level = entry.priority().level();
    if level == 0 { Vec::new() } else { level.to_be_bytes().to_vec() }
}

fn read_due_value(value: &[u8]) -> MtPriority {
    let level = value.first().map_or(0, |octet| i8::from_be_bytes([*octet]));
    MtPriority::new(level).unwrap_or_default()
}

fn read_due_key(key: &Key) -> Result<(Timestamp, EntryId), StoreError> {
    let mut reader = KeyReader::new(key)?;
    reader.text_to_nul()?;
    Ok((reader.time()?, EntryId { queue_id: reader.id()?, part: reader.u16()? }))
}

#[cfg(test)]
mod find_tests;
#[cfg(test)]
mod tests;
