//! What clients ask of many messages at once, kept beside them: nobody reads a body to list a mailbox.

use bytes::Bytes;
use mail::{
    Timestamp,
    mime::{self, PREVIEW_SOURCE_BYTES_MAX, Structure, StructureHead},
};
use serde::{Deserialize, Serialize};

use super::{
    AppendSlots, Flags, Found, MailboxId, Mailboxes, MessageRecord, Quota, StoredMessage, Uid,
    keyspace::{message_key, summary_key},
};
use crate::{
    batch::{Batch, Expect},
    engine::{BlobWriter, KeyRange, Order, PendingBlob, StoreError},
    value::Value,
};

/// Octets of a body read in one go.
const CHUNK_BYTES: u64 = 256 * 1024;

/// Of a message as clients read it, its prefix included. The structure is first, so that its start can be read alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// ENVELOPE, BODYSTRUCTURE, and where each part stands.
    pub structure: Structure,
    /// RFC 8970; empty if there is no text.
    pub preview: String,
}

impl Value for Summary {
    const NAME: &'static str = "message summary";
    const VERSION: u8 = 1;
}

impl Summary {
    /// Of the same message with so many octets of header fields in front, none of which is in ENVELOPE.
    pub fn behind(self, prefix_bytes: u64) -> Self {
        Self { structure: self.structure.behind(prefix_bytes), ..self }
    }

    /// RFC 8474 §5.2: the same for all messages whose References begin with the same message. `None` if nothing tells.
    pub fn thread_id(&self) -> Option<String> {
        let envelope = self.structure.parts().first()?.envelope.as_ref()?;
        let fields = [&envelope.references, &envelope.in_reply_to, &envelope.message_id];
        let first = fields.into_iter().flatten().find_map(|field| first_message_id(field))?;
        Some(format!("T{:016x}", xxhash_rust::xxh3::xxh3_64(first.as_bytes())))
    }
}

fn first_message_id(field: &str) -> Option<&str> {
    let (_, rest) = field.split_once('<')?;
    rest.split_once('>').map(|(id, _)| id.trim()).filter(|id| !id.is_empty())
}

/// Takes a message in pieces of any size; holds little of it.
#[derive(Debug, Default)]
pub struct SummaryBuilder {
    structure: mime::Builder,
    start: Vec<u8>,
}

impl SummaryBuilder {
    pub fn push(&mut self, octets: &[u8]) {
        let room = PREVIEW_SOURCE_BYTES_MAX.saturating_sub(self.start.len());
        self.start.extend_from_slice(octets.get(..room).unwrap_or(octets));
        self.structure.push(octets);
    }

    pub fn finish(self) -> Summary {
        let structure = self.structure.finish();
        Summary { preview: structure.preview(&self.start), structure }
    }
}

/// Streams a new message into the store, and finds out about it on the way. Dropped before its batch is committed, it
/// leaves nothing behind.
pub struct MessageWriter {
    body: Box<dyn BlobWriter>,
    summary: SummaryBuilder,
}

impl std::fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageWriter").finish_non_exhaustive()
    }
}

/// A message whose octets are in the store, for [`Mailboxes::append_written`].
#[derive(Debug)]
pub struct WrittenMessage {
    pub body: PendingBlob,
    pub summary: Summary,
}

/// What a message is appended with.
#[derive(Clone, Debug)]
pub struct AppendWith {
    pub internal_date: Timestamp,
    pub flags: Flags,
    pub keywords: Vec<String>,
}

impl MessageWriter {
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        self.summary.push(&chunk);
        self.body.write(chunk).await
    }

    pub async fn finish(self) -> Result<WrittenMessage, StoreError> {
        Ok(WrittenMessage { body: self.body.finish().await?, summary: self.summary.finish() })
    }
}

impl Mailboxes {
    /// For a message that did not come by the queue: APPEND, import.
    pub async fn message_writer(&self) -> Result<MessageWriter, StoreError> {
        Ok(MessageWriter { body: self.engine.blob_writer().await?, summary: SummaryBuilder::default() })
    }

    /// Adds a written message to the batch, its body too. Conflicts as [`append_within`](Self::append_within).
    pub fn append_written(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        message: WrittenMessage,
        with: AppendWith,
        quota: Quota,
        now: Timestamp,
    ) -> AppendSlots {
        let record = MessageRecord {
            blob: message.body.id,
            blob_bytes: message.body.bytes,
            prefix: Bytes::new(),
            internal_date: with.internal_date,
            flags: with.flags,
            keywords: with.keywords,
            queue_id: None,
            saved_at: now,
        };
        batch.blob(message.body);
        self.append_summarized(batch, mailbox, &record, Some(&message.summary), quota)
    }

    /// Reads a message to the end and sums it up.
    pub async fn summarize(&self, record: &MessageRecord) -> Result<Summary, StoreError> {
        let mut summary = SummaryBuilder::default();
        let (mut at, end) = (0, record.octets());
        while at < end {
            let chunk = self.read(record, at..at.saturating_add(CHUNK_BYTES).min(end)).await?;
            if chunk.is_empty() {
                return Err(StoreError::Damaged("a message is shorter than its record says".to_owned()));
            }
            summary.push(&chunk);
            at = at.saturating_add(chunk.len() as u64);
        }
        Ok(summary.finish())
    }

    /// The summary that is kept of a message. One that has none, as it is older than summaries, gets it.
    pub async fn summary(&self, mailbox: MailboxId, message: &StoredMessage) -> Result<Summary, StoreError> {
        if let Some(kept) = self.kept_summary(mailbox, message.uid).await? {
            return Ok(kept);
        }
        let made = self.summarize(&message.record).await?;
        self.keep(mailbox, &[(message.uid, &made)]).await;
        Ok(made)
    }

    /// As [`summary`](Self::summary) for many messages, where those made are kept together. `None` for a message whose body
    /// cannot be read any more.
    pub async fn summaries(
        &self,
        mailbox: MailboxId,
        messages: &[StoredMessage],
    ) -> Result<Vec<Option<Summary>>, StoreError> {
        let mut all = Vec::with_capacity(messages.len());
        let mut is_new = Vec::new();
        for (message, kept) in messages.iter().zip(self.kept_summaries(mailbox, messages).await?) {
            is_new.push(kept.is_none());
            all.push(match kept {
                Some(kept) => Some(kept),
                None => readable(self.summarize(&message.record).await)?,
            });
        }
        let made = messages.iter().zip(&all).zip(is_new).filter(|(_, is_new)| *is_new);
        let made: Vec<_> =
            made.filter_map(|((message, made), _)| Some((message.uid, made.as_ref()?))).collect();
        self.keep(mailbox, &made).await;
        Ok(all)
    }

    /// Those that are kept of messages that are in the order of their UIDs; none is made.
    pub async fn kept_summaries(
        &self,
        mailbox: MailboxId,
        messages: &[StoredMessage],
    ) -> Result<Vec<Option<Summary>>, StoreError> {
        let uids: Vec<Uid> = messages.iter().map(|message| message.uid).collect();
        let stored = self.stored_in_order(mailbox, &uids).await?;
        let summary = |octets: Option<Bytes>| octets.map(|octets| Summary::decode(&octets)).transpose();
        stored.into_iter().map(summary).collect()
    }

    /// What `each` makes of the start of each message's structure. `uids`: ascending. Messages that are gone, or cannot be
    /// read, are left out.
    pub async fn structure_heads<T: Send>(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        mut each: impl FnMut(Uid, &StructureHead<'_>) -> T + Send,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::with_capacity(uids.len());
        for (uid, stored) in uids.iter().zip(self.stored_in_order(mailbox, uids).await?) {
            let octets = match stored {
                Some(octets) if octets.first() == Some(&Summary::VERSION) => octets,
                _ => match self.message(mailbox, *uid).await? {
                    Some(message) => match readable(self.summary(mailbox, &message).await)? {
                        Some(summary) => summary.encode().into(),
                        None => continue,
                    },
                    None => continue,
                },
            };
            let structure = octets.get(1..).unwrap_or_default();
            let (head, _) = postcard::take_from_bytes(structure)
                .map_err(|error| StoreError::Value(format!("a message summary cannot be read: {error}")))?;
            all.push(each(*uid, &head));
        }
        Ok(all)
    }

    /// When each was written (RFC 5256 §2.2), in milliseconds; where that cannot be told, when it came. `uids`: ascending.
    /// Messages that are gone, or cannot be read, may be left out. What was asked for lately is not read again.
    pub async fn sent_dates(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<Vec<(Uid, i64)>, StoreError> {
        let (mut found, missing) = self.dates.find(mailbox, uids);
        let read = |uid: Uid, head: &StructureHead<'_>| {
            (uid, head.envelope.as_ref().and_then(|envelope| sent(envelope.date?)))
        };
        let mut new = Vec::with_capacity(missing.len());
        for (uid, date) in self.structure_heads(mailbox, &missing, read).await? {
            let date = match date {
                Some(date) => Some(date),
                None => self.message(mailbox, uid).await?.map(|message| message.record.internal_date),
            };
            new.extend(date.map(|date| (uid, date.millis())));
        }
        if !new.is_empty() {
            self.dates.add(mailbox, &new);
            found.extend(new);
            found.sort_unstable();
        }
        Ok(found)
    }

    /// The summaries of messages as they are stored, where there are any. `uids`: ascending.
    async fn stored_in_order(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut all = Vec::with_capacity(uids.len());
        let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(all) };
        let span = usize::try_from(last.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        if span >= uids.len().saturating_mul(2) {
            for uid in uids {
                all.push(self.engine.get(&summary_key(mailbox, *uid)).await?);
            }
            return Ok(all);
        }
        // They are close together: one scan.
        let (start, end) = (summary_key(mailbox, *first), summary_key(mailbox, *last).successor());
        let found = self.engine.scan(KeyRange { start, end }, Order::Ascending, span + 1).await?;
        let mut found = found.into_iter().peekable();
        for uid in uids {
            let key = summary_key(mailbox, *uid);
            while found.next_if(|(other, _)| *other < key).is_some() {}
            all.push(found.next_if(|(other, _)| *other == key).map(|(_, octets)| octets));
        }
        Ok(all)
    }

    async fn kept_summary(&self, mailbox: MailboxId, uid: Uid) -> Result<Option<Summary>, StoreError> {
        let kept = self.engine.get(&summary_key(mailbox, uid)).await?;
        kept.map(|octets| Summary::decode(&octets)).transpose()
    }

    /// If that fails they are made again next time.
    async fn keep(&self, mailbox: MailboxId, made: &[(Uid, &Summary)]) {
        if made.is_empty() {
            return;
        }
        let mut batch = Batch::new();
        for (uid, summary) in made {
            batch.check(message_key(mailbox, *uid), Expect::Present);
            batch.put(summary_key(mailbox, *uid), summary.encode());
        }
        if let Err(error) = self.engine.commit(batch).await {
            tracing::debug!(%error, "summaries of messages were not kept");
        }
    }

    /// The summaries of messages as they are stored, where there are any.
    pub(super) async fn stored_summaries(
        &self,
        mailbox: MailboxId,
        found: &[Found],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut summaries = Vec::with_capacity(found.len());
        for one in found {
            summaries.push(self.engine.get(&summary_key(mailbox, one.message.uid)).await?);
        }
        Ok(summaries)
    }
}

fn sent(date: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc5322(date.trim()).ok()
}

fn readable(made: Result<Summary, StoreError>) -> Result<Option<Summary>, StoreError> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(StoreError::NotFound | StoreError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
