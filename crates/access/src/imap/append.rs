//! APPEND (RFC 9051 §6.3.12, RFC 3502) and REPLACE (RFC 8508): messages go to the store as they come, and all of them
//! stand in the mailbox or none; the message that one replaces goes in the same batch.

use std::num::NonZeroU32;

use bytes::Bytes;
use mail::Right;
use proto::imap::{
    command::{AppendMessage, AppendStart, Replaced},
    response::{Code, Condition, Status},
    sequence::SequenceSet,
    server::AppendEvent,
};
use store::{
    Batch, CommitError,
    mailbox::{
        AppendWith, Mailbox, MailboxId, MessageWriter, Quota, StoredMessage, Uid, WrittenMessage,
        is_over_quota,
    },
    sharing::Reached,
};

use super::{flags, reach::changeable, refusal::Refusal, session::Session};

/// Messages of one command. Each may be in memory while it waits for the others.
const MESSAGES_MAX: usize = 100;

/// An APPEND on its way.
pub(super) struct Append {
    target: Reached,
    quota: Quota,
    message: AppendMessage,
    writer: Option<MessageWriter>,
    complete: Vec<(AppendWith, WrittenMessage)>,
    /// Of all messages so far.
    octets: u64,
    replaced: Option<Old>,
}

/// What the new message replaces.
#[derive(Clone, Copy)]
struct Old {
    mailbox: MailboxId,
    uid: Uid,
    octets: u64,
}

impl Session {
    pub(super) async fn take_append(&mut self, event: AppendEvent) {
        let outcome = match event {
            AppendEvent::Start(start) => self.start_append(start).await,
            AppendEvent::Message(message) => self.start_message(message).await,
            AppendEvent::Literal { octets } => self.promise(octets).await,
            AppendEvent::Octets(octets) => self.write_message(octets).await,
            AppendEvent::MessageEnd => self.end_message().await,
            AppendEvent::End => return self.end_append().await,
            AppendEvent::Aborted => {
                self.append = None;
                Ok(())
            }
            AppendEvent::Url(url) => self.add_part(&url).await,
        };
        if let Err(refusal) = outcome {
            // What was written of it goes with it.
            self.append = None;
            self.machine.refuse_append(refusal.into_status());
        }
    }

    async fn start_append(&mut self, start: AppendStart) -> Result<(), Refusal> {
        self.renew_rights().await?;
        let target = self.find_target(&start.mailbox).await?;
        let replaced = match start.replaced {
            Some(replaced) => Some(self.find_replaced(replaced).await?),
            None => None,
        };
        self.append = Some(Box::new(Append {
            quota: self.quota(&target.owner).await?,
            target,
            message: AppendMessage::default(),
            writer: None,
            complete: Vec::new(),
            octets: 0,
            replaced,
        }));
        Ok(())
    }

    /// RFC 8508 §3: a message that is not there is told of before another is sent.
    async fn find_replaced(&mut self, replaced: Replaced) -> Result<Old, Refusal> {
        let Replaced { uid, message } = replaced;
        let mailbox = self.selected()?.removable()?;
        let uids = self.resolve(&SequenceSet::Ranges(vec![(message, message)]), uid)?;
        let [uid] = uids.as_slice() else { return Err(not_there()) };
        let message = self.mailboxes().message(mailbox, Uid(*uid)).await?;
        let StoredMessage { uid, record, .. } = message.ok_or_else(not_there)?;
        Ok(Old { mailbox, uid, octets: record.octets() })
    }

    fn append(&mut self) -> Result<&mut Append, Refusal> {
        self.append.as_deref_mut().ok_or_else(|| Refusal::bad("no message is expected"))
    }

    async fn start_message(&mut self, message: AppendMessage) -> Result<(), Refusal> {
        let writer = self.mailboxes().message_writer().await?;
        let append = self.append()?;
        if append.complete.len() >= MESSAGES_MAX {
            return Err(Refusal::no(Code::Limit, "append fewer messages at once"));
        }
        append.message = message;
        append.writer = Some(writer);
        Ok(())
    }

    /// Refuses what would not fit before it is sent.
    async fn promise(&mut self, octets: u64) -> Result<(), Refusal> {
        self.claim(octets).await?;
        self.machine.go_ahead();
        Ok(())
    }

    /// Counts octets that are to come to the message.
    pub(super) async fn claim(&mut self, octets: u64) -> Result<(), Refusal> {
        let append_bytes_max = self.append_bytes_max;
        let owner = self.append()?.target.owner.id;
        let (messages, used) = self.mailboxes().usage(owner).await?;
        let append = self.append()?;
        append.octets = append.octets.saturating_add(octets);
        if append.octets > append_bytes_max {
            return Err(Refusal::no(Code::TooBig, "that is too much at once"));
        }
        let (count, quota) = (append.complete.len() as u64 + 1, append.quota);
        let leaving = append.replaced.filter(|old| old.mailbox.account() == owner);
        let (messages, used) = (
            messages.saturating_sub(u64::from(leaving.is_some())),
            used.saturating_sub(leaving.map_or(0, |old| old.octets)),
        );
        let is_over = quota.octets.is_some_and(|max| used.saturating_add(append.octets) > max)
            || quota.messages.is_some_and(|max| messages.saturating_add(count) > max);
        if is_over {
            return Err(over_quota());
        }
        Ok(())
    }

    pub(super) async fn write_message(&mut self, octets: Bytes) -> Result<(), Refusal> {
        let Some(writer) = &mut self.append()?.writer else {
            return Err(Refusal::bad("no message is expected"));
        };
        Ok(writer.write(octets).await?)
    }

    async fn end_message(&mut self) -> Result<(), Refusal> {
        let now = self.service.clock.wall();
        let append = self.append()?;
        let Some(writer) = append.writer.take() else { return Ok(()) };
        let written = writer.finish().await?;
        let (flags, keywords) = flags::new(&append.message.flags, changeable(append.target.rights));
        let with = AppendWith { internal_date: append.message.date.unwrap_or(now), flags, keywords };
        append.complete.push((with, written));
        Ok(())
    }

    async fn end_append(&mut self) {
        let status = match self.append.take() {
            Some(append) => self.commit_append(*append).await.unwrap_or_else(Refusal::into_status),
            None => Status::bad("there is no message"),
        };
        self.end(status).await;
    }

    async fn commit_append(&mut self, append: Append) -> Result<Status, Refusal> {
        let Append { target: Reached { mailbox: target, rights, .. }, quota, complete, replaced, .. } =
            append;
        let now = self.service.clock.wall();
        let mut batch = Batch::new();
        // First, so that what it leaves free counts.
        let expunged = match replaced {
            Some(Old { mailbox, uid, .. }) => {
                let modseq = self.mailboxes().stage_expunge(&mut batch, mailbox, uid, now).await?;
                Some(modseq.ok_or_else(not_there)?)
            }
            None => None,
        };
        let mut slots = Vec::with_capacity(complete.len());
        for (with, written) in complete {
            slots.push(self.mailboxes().append_written(&mut batch, target.id, written, with, quota, now).uid);
        }
        let committed = match self.service.stores.engine.commit(batch).await {
            Ok(committed) => committed,
            Err(error) if is_over_quota(&error, target.account) => return Err(over_quota()),
            Err(error @ CommitError::Conflict(_)) => return Err(self.conflict(&target, error).await?),
            Err(error) => return Err(error.into()),
        };
        let uids =
            slots.iter().map(|slot| u32::try_from(committed.value(*slot)).unwrap_or(u32::MAX)).collect();
        // RFC 4315 §3: who may not read the mailbox learns nothing of it.
        let uid_validity = NonZeroU32::new(target.uid_validity).filter(|_| rights.has(Right::Read));
        let code = uid_validity.map(|uid_validity| Code::AppendUid { uid_validity, uids });
        let Some(expunged) = expunged else {
            return Ok(Status { code, ..Status::ok("appended") });
        };
        // RFC 8508 §4.3: told before the message is seen to go.
        self.machine.status(&Status::new(Condition::Ok, code, "the new message is there"));
        let modseq = self.machine.enabled().qresync.then(|| committed.value(expunged));
        Ok(Status { code: modseq.map(Code::HighestModSeq), ..Status::ok("replaced") })
    }

    /// The mailbox was deleted, or the message to be replaced has changed just now.
    async fn conflict(&mut self, target: &Mailbox, error: CommitError) -> Result<Refusal, Refusal> {
        Ok(match self.mailboxes().by_id(target.id).await? {
            Some(_) => error.into(),
            None => Refusal::no(Code::TryCreate, "the mailbox is not there any more"),
        })
    }
}

fn not_there() -> Refusal {
    Refusal::no(Code::ExpungeIssued, "the message to be replaced is not there")
}

fn over_quota() -> Refusal {
    Refusal::no(Code::OverQuota, "the account may not hold so much")
}
