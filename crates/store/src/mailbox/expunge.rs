use bytes::Bytes;
use mail::Timestamp;

use super::{
    Found, MailboxId, Mailboxes, Quota, Uid, UidRanges, ascending,
    keyspace::{change_key, expunged_prefix, mailbox_counter, mailbox_key, modseq_counter, summary_key},
    message,
    tally::Tally,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect, HoleWidth, Slot},
    engine::{CommitError, StoreError},
    keys::counter,
    value::Value,
};

/// Messages that leave in one batch.
const EXPUNGE_BATCH_MAX: usize = 10_000;
/// Entries of what was expunged that a mailbox keeps; each may name many messages.
const ENTRIES_MAX: u64 = 5_000;
/// Entries that are forgotten together.
const FORGET_MAX: usize = 1_000;

/// Messages that an expunge removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expunged {
    pub uids: Vec<Uid>,
    /// The last MODSEQ that it took; 0 if there was nothing to remove.
    pub modseq: u64,
}

/// Whether expunged messages can be restored.
#[derive(Clone, Copy)]
enum Kept {
    Since(Timestamp),
    Nowhere,
}

impl Value for UidRanges {
    const NAME: &'static str = "record of expunged messages";
    const VERSION: u8 = 1;
}

pub(super) fn decode_expunged(octets: &[u8]) -> Result<UidRanges, StoreError> {
    UidRanges::decode(octets)
}

impl Mailboxes {
    /// Removes those of `uids` that are still there, in one batch (of every 10,000), which has one MODSEQ.
    pub async fn expunge(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        now: Timestamp,
    ) -> Result<Expunged, CommitError> {
        let mut all = Expunged::default();
        for part in ascending(uids).chunks(EXPUNGE_BATCH_MAX) {
            let one = self.expunge_part(mailbox, part, Kept::Since(now)).await?;
            all.uids.extend(one.uids);
            all.modseq = all.modseq.max(one.modseq);
        }
        Ok(all)
    }

    /// In one batch. A message that others change meanwhile is read anew.
    async fn expunge_part(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        kept: Kept,
    ) -> Result<Expunged, CommitError> {
        let mut conflict = mailbox_key(mailbox);
        for _ in 0..CONFLICTS_MAX {
            let found = self.find(mailbox, uids).await?;
            if found.is_empty() {
                return Ok(Expunged::default());
            }
            let mut batch = Batch::new();
            let modseq = self.stage_removed(&mut batch, mailbox, &found, kept).await?;
            match self.engine.commit(batch).await {
                Ok(committed) => {
                    let uids = found.iter().map(|one| one.message.uid).collect();
                    return Ok(Expunged { uids, modseq: committed.value(modseq) });
                }
                Err(CommitError::Conflict(at)) => conflict = at,
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict(conflict))
    }

    /// Takes messages away that nobody was to see, such as those of a copy that failed half way: they cannot be restored.
    pub async fn withdraw(&self, mailbox: MailboxId, uids: &[Uid]) -> Result<(), CommitError> {
        for part in ascending(uids).chunks(EXPUNGE_BATCH_MAX) {
            self.expunge_part(mailbox, part, Kept::Nowhere).await?;
        }
        Ok(())
    }

    /// Adds the removal of one message to a batch that does more; what it does must hold together, so nothing is tried
    /// twice: the batch conflicts if the message changes meanwhile. Its MODSEQ; `None` if the message is not there.
    pub async fn stage_expunge(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        uid: Uid,
        now: Timestamp,
    ) -> Result<Option<Slot>, StoreError> {
        let found = self.find(mailbox, &[uid]).await?;
        if found.is_empty() {
            return Ok(None);
        }
        self.stage_removed(batch, mailbox, &found, Kept::Since(now)).await.map(Some)
    }

    async fn stage_removed(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        found: &[Found],
        kept: Kept,
    ) -> Result<Slot, StoreError> {
        batch.check(mailbox_key(mailbox), Expect::Present);
        let uids: Vec<Uid> = found.iter().map(|one| one.message.uid).collect();
        match kept {
            Kept::Since(now) => {
                let name = self.by_id(mailbox).await?.map(|mailbox| mailbox.name).unwrap_or_default();
                self.stage_restorable(batch, mailbox, &name, found, now).await?;
            }
            Kept::Nowhere => {
                for one in found {
                    batch.references(one.message.record.blob, -1);
                }
            }
        }
        let tally = stage_leaving(batch, mailbox, found);
        tally.stage(batch, mailbox);
        tally.stage_usage(batch, mailbox.account(), Quota::default());
        self.stage_trace(batch, mailbox, &uids).await
    }

    /// Notes what was expunged, for clients that ask later (RFC 7162 §3.2.10), and forgets the oldest if that is much.
    pub(super) async fn stage_trace(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
        uids: &[Uid],
    ) -> Result<Slot, StoreError> {
        let modseq = batch.next(modseq_counter(mailbox));
        let trace = UidRanges::of(uids.iter().copied()).encode();
        batch.put(expunged_prefix(mailbox).hole(HoleWidth::Eight, modseq), trace);
        let entries = mailbox_counter(counter::EXPUNGED_ENTRIES, mailbox);
        let kept = self.counter(&entries).await?;
        let mut change = 1;
        if kept >= ENTRIES_MAX {
            let floor = mailbox_counter(counter::EXPUNGED_FLOOR, mailbox);
            let before = self.engine.get(&floor).await?;
            let oldest = self.oldest_expunged(mailbox, FORGET_MAX).await?;
            // Whoever else forgets meanwhile moves the floor, so that none is counted twice.
            batch.check(floor.clone(), before.map_or(Expect::Absent, Expect::Equals));
            for (key, _) in oldest {
                batch.put(floor.clone(), message::modseq_of(&key)?.to_be_bytes().to_vec());
                batch.delete(key);
                change -= 1;
            }
        }
        batch.add(entries, change);
        Ok(modseq)
    }
}

/// Takes messages out of a mailbox; the batch conflicts if one changed since it was read. References to their bodies, the
/// counters and the trace are the caller's.
pub(super) fn stage_leaving(batch: &mut Batch, mailbox: MailboxId, found: &[Found]) -> Tally {
    let mut tally = Tally::default();
    for Found { message, key, octets } in found {
        batch.check(key.clone(), Expect::Equals(Bytes::clone(octets)));
        batch.delete(key.clone());
        batch.delete(change_key(mailbox, message.modseq));
        batch.delete(summary_key(mailbox, message.uid));
        tally.remove(&message.record);
    }
    tally
}
