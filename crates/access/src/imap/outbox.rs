//! The Outbox: a mailbox that shows what its account has submitted and that is still on its way.
//!
//! It is read as any other, once [`Session::follow_queue`] has brought it up to date. What is in it changes as the queue
//! does; its client may flag messages, and call them off by expunging or moving them. Messages are not put there, and it is
//! not made, renamed or deleted.

use async_trait::async_trait;
use mail::{QueueId, Timestamp, text::clean_within};
use proto::imap::{command::MailboxName, response::Code};
use store::{
    Batch, CommitError, Committed, Slot, StoreError,
    mailbox::{
        Copied, FlagChange, FlagMask, Mailbox, OUTBOX, OutgoingMessage, StoredMessage, Uid, is_over_quota,
    },
    sharing::Reached,
    spool::{Cancelled, EntryStatus, QueueEntry},
};

use super::{refusal::Refusal, session::Session};

/// Messages that are shown, the oldest.
const MESSAGES_MAX: usize = 5_000;
/// RFC 8970 §3.1: characters; octets are more.
const PREVIEW_BYTES: usize = 256;
/// How often what met a conflict is looked at anew.
const CONFLICTS_MAX: usize = 16;

/// The keywords of a message in the Outbox. One of the first four for each of its entries in the queue: it was not tried
/// yet, its sender wants it to leave later, an operator holds it, it was tried in vain and will be again. The last one: its
/// sender was told of the delay.
pub(super) const STATES: [&str; 5] = ["$Queued", "$Scheduled", "$Held", "$Deferred", "$Delayed"];

/// What the transfer agent knows of mail that accounts have submitted, and does for its senders.
#[async_trait]
pub trait Outgoing: Send + Sync {
    /// What a message waits for, in a sentence; none if it is not on its way any more. Clean, of any length.
    async fn waits_for(&self, id: QueueId) -> Result<Option<String>, StoreError>;

    /// Calls off what can be called off, in one batch with `also`; `whole`: all that is left of the message, or nothing.
    /// `also` is committed only with the whole of it. After a conflict: look again.
    async fn cancel(&self, id: QueueId, whole: bool, also: Batch) -> Result<Cancelled, CommitError>;
}

pub(super) fn cannot() -> Refusal {
    Refusal::no(
        Code::Cannot,
        "Outbox shows what you have sent and is still on its way; it is not made, renamed, deleted or put into",
    )
}

fn busy(count: usize) -> Refusal {
    let text =
        format!("{count} of the messages are just being delivered; see what comes of it and try again");
    Refusal::no(Code::InUse, &text)
}

/// A change that leaves the keywords alone, which tell the state.
pub(super) fn without_state(change: FlagChange) -> FlagChange {
    change.within(FlagMask::FLAGS)
}

fn outgoing(entries: &[QueueEntry], now: Timestamp) -> Vec<OutgoingMessage> {
    let messages = entries.chunk_by(|one, next| one.queue_id == next.queue_id);
    let message = |entries: &[QueueEntry]| {
        let first = entries.first()?;
        let has = |state: &&&str| entries.iter().any(|entry| states(entry, now).contains(*state));
        Some(OutgoingMessage {
            queue_id: first.queue_id,
            blob: first.blob,
            blob_bytes: first.blob_bytes,
            accepted_at: first.accepted_at,
            keywords: STATES.iter().filter(has).map(|state| (*state).to_owned()).collect(),
        })
    };
    messages.filter_map(message).collect()
}

fn states(entry: &QueueEntry, now: Timestamp) -> Vec<&'static str> {
    let state = match entry.status {
        EntryStatus::Held => "$Held",
        EntryStatus::Waiting if entry.is_ahead_of_time(now) => "$Scheduled",
        EntryStatus::Waiting if entry.attempts > 0 => "$Deferred",
        EntryStatus::Waiting => "$Queued",
    };
    let delayed = entry.delay_told.then_some("$Delayed");
    [state].into_iter().chain(delayed).collect()
}

impl Session {
    /// The account's Outbox, as it was when somebody last looked; none where there is none.
    pub(super) async fn outbox(&mut self) -> Result<Option<Mailbox>, Refusal> {
        if self.service.outgoing.is_none() {
            return Ok(None);
        }
        let (account, now) = (self.account()?.id, self.service.clock.wall());
        Ok(self.mailboxes().outbox(account, now).await?)
    }

    /// Refuses what cannot be done to an Outbox, or would have to be below it.
    pub(super) async fn leave_outbox_alone(&mut self, name: &MailboxName) -> Result<(), Refusal> {
        let rest = name.as_str().strip_prefix(OUTBOX);
        let is_meant = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_meant && self.outbox().await?.is_some() { Err(cannot()) } else { Ok(()) }
    }

    /// Brings the Outbox up to date.
    pub(super) async fn follow_queue(&mut self) -> Result<(), Refusal> {
        let (account, now) = (self.account()?.id, self.service.clock.wall());
        let entries = self.service.stores.spool.submitted_by(account, MESSAGES_MAX).await?;
        Ok(self.mailboxes().show_outbox(account, &outgoing(&entries, now)).await?)
    }

    /// What a message of the Outbox waits for; none for all others.
    pub(super) async fn waits_for(&mut self, message: &StoredMessage) -> Result<Option<String>, StoreError> {
        let is_outbox = self.selected.as_ref().is_some_and(|selected| selected.mailbox.is_outbox());
        let (Some(id), Some(outgoing)) = (message.record.queue_id, self.service.outgoing.clone()) else {
            return Ok(None);
        };
        if !is_outbox {
            return Ok(None);
        }
        let sentence = outgoing.waits_for(id).await?;
        Ok(sentence.map(|sentence| clean_within(sentence.as_bytes(), PREVIEW_BYTES)))
    }

    async fn message(&mut self, uid: Uid) -> Result<Option<(StoredMessage, QueueId)>, Refusal> {
        let outbox = self.selected()?.mailbox;
        let message = self.mailboxes().message(outbox, uid).await?;
        Ok(message.and_then(|message| message.record.queue_id.map(|id| (message, id))))
    }

    async fn cancel(&mut self, id: QueueId, whole: bool, also: Batch) -> Result<Cancelled, CommitError> {
        match self.service.outgoing.clone() {
            Some(outgoing) => outgoing.cancel(id, whole, also).await,
            None => Ok(Cancelled::Gone),
        }
    }

    /// Messages that are expunged are called off, as far as nobody has them yet. The MODSEQ that it took.
    pub(super) async fn call_off(&mut self, uids: &[Uid]) -> Result<u64, Refusal> {
        let mut held_up = 0;
        for uid in uids {
            let Some((_, id)) = self.message(*uid).await? else { continue };
            if self.call_off_one(id).await? {
                held_up += 1;
            }
        }
        self.follow_queue().await?;
        if held_up > 0 {
            return Err(busy(held_up));
        }
        let outbox = self.selected()?.mailbox;
        Ok(if uids.is_empty() { 0 } else { self.mailboxes().status(outbox).await?.highest_modseq })
    }

    /// Whether something of it is being delivered.
    async fn call_off_one(&mut self, id: QueueId) -> Result<bool, Refusal> {
        for _ in 0..CONFLICTS_MAX {
            match self.cancel(id, false, Batch::new()).await {
                Ok(cancelled) => return Ok(matches!(cancelled, Cancelled::Busy)),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Moves messages out of the Outbox, which calls them off: each of them as a whole, or not at all.
    pub(super) async fn take_back(
        &mut self,
        uids: &[Uid],
        target: &Reached,
        taken: &mut Copied,
    ) -> Result<(), Refusal> {
        let mut held_up = 0;
        for uid in uids {
            match self.take_back_one(*uid, target).await? {
                Taken::As(new) => taken.uids.push((*uid, new)),
                Taken::Not => held_up += 1,
                Taken::Gone => {}
            }
        }
        self.follow_queue().await?;
        if !taken.uids.is_empty() {
            let outbox = self.selected()?.mailbox;
            taken.modseq = self.mailboxes().status(outbox).await?.highest_modseq;
        }
        if held_up > 0 { Err(busy(held_up)) } else { Ok(()) }
    }

    async fn take_back_one(&mut self, uid: Uid, target: &Reached) -> Result<Taken, Refusal> {
        let arrival = self.arrival(target).await?;
        for _ in 0..CONFLICTS_MAX {
            let Some((message, id)) = self.message(uid).await? else { return Ok(Taken::Gone) };
            let mut batch = Batch::new();
            let to = target.mailbox.id;
            let slot = self.mailboxes().stage_outbox_copy(&mut batch, &message, to, arrival);
            match self.cancel(id, true, batch).await {
                Ok(Cancelled::Whole(committed)) => return Ok(Taken::As(new_uid(&committed, slot))),
                Ok(Cancelled::Busy) => return Ok(Taken::Not),
                Ok(Cancelled::Gone) => return Ok(Taken::Gone),
                Err(error) => refuse_lasting(error, target)?,
            }
        }
        Ok(Taken::Not)
    }

    /// Copies messages of the Outbox, in one batch; they stay on their way.
    pub(super) async fn copy_outgoing(&mut self, uids: &[Uid], target: &Reached) -> Result<Copied, Refusal> {
        let arrival = self.arrival(target).await?;
        for _ in 0..CONFLICTS_MAX {
            let (mut batch, mut slots) = (Batch::new(), Vec::new());
            for uid in uids {
                let Some((message, id)) = self.message(*uid).await? else { continue };
                // As long as an entry is there, so is the body.
                let entries = self.service.stores.spool.entries_of(id).await?;
                let Some(entry) = entries.first() else { continue };
                self.service.stores.spool.keep(&mut batch, entry);
                let to = target.mailbox.id;
                let slot = self.mailboxes().stage_outbox_copy(&mut batch, &message, to, arrival);
                slots.push((*uid, slot));
            }
            if slots.is_empty() {
                return Ok(Copied::default());
            }
            match self.service.stores.engine.commit(batch).await {
                Ok(committed) => {
                    let copied = slots.iter().map(|(uid, slot)| (*uid, new_uid(&committed, *slot)));
                    return Ok(Copied { uids: copied.collect(), modseq: 0 });
                }
                Err(error) => refuse_lasting(error, target)?,
            }
        }
        Err(Refusal::no(Code::InUse, "the messages are just being delivered; try again"))
    }
}

/// What became of a message that was to be moved.
enum Taken {
    As(Uid),
    /// It is being delivered.
    Not,
    Gone,
}

/// A conflict may be over at the next look, if it is not about the quota.
fn refuse_lasting(error: CommitError, target: &Reached) -> Result<(), Refusal> {
    if is_over_quota(&error, target.mailbox.account) {
        return Err(Refusal::no(Code::OverQuota, "the account may not hold so much"));
    }
    match error {
        CommitError::Conflict(_) => Ok(()),
        error => Err(error.into()),
    }
}

fn new_uid(committed: &Committed, slot: Slot) -> Uid {
    Uid(u32::try_from(committed.value(slot)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use store::mailbox::FlagChangeKind;

    use super::*;

    fn entry(part: u16) -> QueueEntry {
        let at = Timestamp::from_millis(1_000);
        QueueEntry {
            queue_id: QueueId::from_u64(7),
            part,
            lane: store::spool::LaneId("mx:a.example".into()),
            reverse_path: mail::ReversePath::Null,
            mail: mail::MailParameters::default(),
            recipients: Vec::new(),
            blob: store::BlobId(1),
            blob_bytes: 10,
            accepted_at: at,
            due: at,
            attempts: 0,
            status: EntryStatus::Waiting,
            last_error: None,
            delay_told: false,
            release_at: at,
            deadline: None,
            rerouted: false,
            submitter: None,
        }
    }

    #[test]
    fn a_message_has_the_states_of_all_its_entries() {
        let later = QueueEntry { release_at: Timestamp::from_millis(9_000), ..entry(1) };
        let held = QueueEntry { status: EntryStatus::Held, attempts: 2, ..entry(2) };
        let tried = QueueEntry { attempts: 1, delay_told: true, ..entry(3) };
        let other = QueueEntry { queue_id: QueueId::from_u64(8), ..entry(0) };
        let now = Timestamp::from_millis(2_000);
        let states = |entries: &[QueueEntry]| -> Vec<String> {
            outgoing(entries, now).iter().map(|message| message.keywords.join(" ")).collect()
        };
        assert_eq!(states(&[entry(0), other.clone()]), ["$Queued", "$Queued"]);
        assert_eq!(states(&[later, held, tried, other]), ["$Scheduled $Held $Deferred $Delayed", "$Queued"]);
    }

    #[test]
    fn what_a_client_stores_leaves_the_state_alone() {
        let change =
            |how| FlagChange { how, flags: store::mailbox::Flags::SEEN, keywords: vec!["x".to_owned()] };
        let state = ["$Held".to_owned()];
        for how in [FlagChangeKind::Replace, FlagChangeKind::Add, FlagChangeKind::Remove] {
            let (_, keywords) = without_state(change(how)).applied(store::mailbox::Flags::default(), &state);
            assert_eq!(keywords, state);
        }
    }
}
