use bytes::Bytes;
use mail::Timestamp;

use super::{
    Found, MailboxError, MailboxId, Mailboxes, MessageRecord, Quota, Uid, ascending, expunge::stage_leaving,
    is_over_quota, keyspace::mailbox_key, put_message, tally::Tally,
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
        let uids = ascending(uids);
        if uids.len() > COPY_MAX {
            return Err(MailboxError::Limit(
                "so many messages cannot be copied at once; copy fewer at a time",
            ));
        }
        self.transfer(from, &uids, to, quota, now, Leave::Stay).await
    }

    /// Moves those of the messages that are there, each of them whole; all in one batch (of every 5,000).
    pub async fn move_messages(
        &self,
        from: MailboxId,
        uids: &[Uid],
        to: MailboxId,
        now: Timestamp,
    ) -> Result<Copied, MailboxError> {
        let mut all = Copied::default();
        for part in ascending(uids).chunks(MOVE_BATCH_MAX) {
            let one = self.transfer(from, part, to, Quota::default(), now, Leave::Go).await?;
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
        quota: Quota,
        now: Timestamp,
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
            let (slots, tally) = stage_copies(&mut batch, &found, summaries, to, now);
            let modseq = match leave {
                Leave::Stay => {
                    tally.stage_usage(&mut batch, to.account(), quota);
                    None
                }
                Leave::Go => Some(self.stage_going(&mut batch, from, &found).await?),
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
        found: &[Found],
    ) -> Result<Slot, CommitError> {
        batch.check(mailbox_key(from), Expect::Present);
        for one in found {
            batch.references(one.message.record.blob, -1);
        }
        stage_leaving(batch, from, found).stage(batch, from);
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
    now: Timestamp,
) -> (Vec<Slot>, Tally) {
    batch.check(mailbox_key(to), Expect::Present);
    let mut tally = Tally::default();
    let mut slots = Vec::with_capacity(found.len());
    for (one, summary) in found.iter().zip(summaries) {
        // The body must not go before it is referred to anew.
        batch.check(one.key.clone(), Expect::Equals(one.octets.clone()));
        let record = MessageRecord { saved_at: now, ..one.message.record.clone() };
        slots.push(put_message(batch, to, &record, summary.map(Vec::from)).uid);
        batch.references(record.blob, 1);
        tally.add(&record);
    }
    tally.stage(batch, to);
    (slots, tally)
}

fn copied(found: &[Found], slots: &[Slot], modseq: Option<Slot>, committed: &Committed) -> Copied {
    let uid = |slot: &Slot| Uid(u32::try_from(committed.value(*slot)).unwrap_or(u32::MAX));
    Copied {
        uids: found.iter().zip(slots).map(|(one, slot)| (one.message.uid, uid(slot))).collect(),
        modseq: modseq.map_or(0, |slot| committed.value(slot)),
    }
}
