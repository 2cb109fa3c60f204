use bytes::Bytes;
use mail::Timestamp;

use super::{
    FlagMask, Found, MailboxError, MailboxId, Mailboxes, MessageRecord, Quota, Uid, ascending,
    expunge::stage_leaving, is_over_quota, keyspace::mailbox_key, put_message, tally::Tally,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect, Slot},
    engine::{CommitError, Committed},
};

/// Messages that can be copied in one batch.
pub const COPY_MAX: usize = 25_000;
/// Messages that move in one batch.
const MOVE_BATCH_MAX: usize = 5_000;

/// Messages that were copied or moved, each with its UID in both mailboxes (RFC 4315 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Ascending, here and there.
    pub uids: Vec<(Uid, Uid)>,
    /// Of a move: the last MODSEQ that the messages' leaving took in the mailbox they left.
    pub modseq: u64,
}

/// How messages come to a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Of the account that owns it.
    pub quota: Quota,
    /// The flags that they keep.
    pub keeps: FlagMask,
    pub now: Timestamp,
}

impl Mailboxes {
    /// Copies those of the messages that are there, in one batch. Bodies are shared.
    pub async fn copy(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Copied, MailboxError> {
        self.copy_as(from, uids, to, Arrival { quota, keeps: FlagMask::ALL, now }).await
    }

    /// As [`copy`](Self::copy).
    pub async fn copy_as(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        arrival: Arrival,
    ) -> Result<Copied, MailboxError> {
        let uids = ascending(uids);
        if uids.len() > COPY_MAX {
            return Err(MailboxError::Limit(
                "so many messages cannot be copied at once; copy fewer at a time",
            ));
        }
        self.transfer(from, &uids, to, arrival, Leave::Stay).await
    }

    /// Moves those of the messages that are there, each of them whole; all in one batch (of every 5,000). Between mailboxes
    /// of one account.
    pub async fn move_messages(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        now: Timestamp,
    ) -> Result<Copied, MailboxError> {
        self.move_as(from, uids, to, Arrival { quota: Quota::default(), keeps: FlagMask::ALL, now }).await
    }

    /// As [`move_messages`](Self::move_messages), also to another account, whose quota is kept.
    pub async fn move_as(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        arrival: Arrival,
    ) -> Result<Copied, MailboxError> {
        let mut all = Copied::default();
        for part in ascending(uids).chunks(MOVE_BATCH_MAX) {
            let one = self.transfer(from, part, to, arrival, Leave::Go).await?;
            all.uids.extend(one.uids);
            all.modseq = all.modseq.max(one.modseq);
        }
        Ok(all)
    }

    async fn transfer(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        arrival: Arrival,
        leave: Leave,
    ) -> Result<Copied, MailboxError> {
        let mut conflict = mailbox_key(to);
        for _ in 0..CONFLICTS_MAX {
            let found = self.find(from, uids).await?;
            if found.is_empty() {
                let there = self.by_id(to).await?.is_some();
                return if there { Ok(Copied::default()) } else { Err(MailboxError::NotFound) };
            }
            let mut batch = Batch::new();
            let summaries = self.stored_summaries(from, &found).await?;
            let (slots, tally) = stage_copies(&mut batch, &found, summaries, to, arrival);
            if leave == Leave::Stay || from.account() != to.account() {
                tally.stage_usage(&mut batch, to.account(), arrival.quota);
            }
            let modseq = match leave {
                Leave::Stay => None,
                Leave::Go => Some(self.stage_going(&mut batch, from, to, &found).await?),
            };
            match self.engine.commit(batch).await {
                Ok(committed) => return Ok(copied(&found, &slots, modseq, &committed)),
                Err(error) if is_over_quota(&error, to.account()) => return Err(MailboxError::OverQuota),
                Err(CommitError::Conflict(at)) if at == mailbox_key(to) => {
                    return Err(MailboxError::NotFound);
                }
                Err(CommitError::Conflict(at)) => conflict = at,
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(conflict).into())
    }

    async fn stage_going(
        &self,
        batch: &mut Batch,
        from: MailboxId,
        to: MailboxId,
        found: &[Found],
    ) -> Result<Slot, CommitError> {
        batch.check(mailbox_key(from), Expect::Present);
        for one in found {
            batch.references(one.message.record.blob, -1);
        }
        let tally = stage_leaving(batch, from, found);
        tally.stage(batch, from);
        if from.account() != to.account() {
            tally.stage_usage(batch, from.account(), Quota::default());
        }
        let uids: Vec<Uid> = found.iter().map(|one| one.message.uid).collect();
        Ok(self.stage_trace(batch, from, &uids).await?)
    }
}

/// What becomes of the messages where they were.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    Stay,
    Go,
}

fn stage_copies(
    batch: &mut Batch,
    found: &[Found],
    summaries: Vec<Option<Bytes>>,
    to: MailboxId,
    arrival: Arrival,
) -> (Vec<Slot>, Tally) {
    batch.check(mailbox_key(to), Expect::Present);
    let mut tally = Tally::default();
    let mut slots = Vec::with_capacity(found.len());
    for (one, summary) in found.iter().zip(summaries) {
        // The body must not go before it is referred to anew.
        batch.check(one.key.clone(), Expect::Equals(one.octets.clone()));
        let record = arriving(&one.message.record, arrival);
        slots.push(put_message(batch, to, &record, summary.map(Vec::from)).uid);
        batch.references(record.blob, 1);
        tally.add(&record);
    }
    tally.stage(batch, to);
    (slots, tally)
}

fn arriving(record: &MessageRecord, arrival: Arrival) -> MessageRecord {
    let Arrival { keeps, now, .. } = arrival;
    let keywords = if keeps.keywords { record.keywords.clone() } else { Vec::new() };
    MessageRecord { saved_at: now, flags: record.flags & keeps.flags, keywords, ..record.clone() }
}

fn copied(found: &[Found], slots: &[Slot], modseq: Option<Slot>, committed: &Committed) -> Copied {
    let uid = |slot: &Slot| Uid(u32::try_from(committed.value(*slot)).unwrap_or(u32::MAX));
    Copied {
        uids: found.iter().zip(slots).map(|(one, slot)| (one.message.uid, uid(slot))).collect(),
        modseq: modseq.map_or(0, |slot| committed.value(slot)),
    }
}
