use super::{
    FlagChange, Found, ListedMessage, MailboxId, Mailboxes, MessageRecord, StoredMessage, Uid, ascending,
    keyspace::{change_key, change_prefix, mailbox_key, modseq_counter},
    message,
    tally::Tally,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect, HoleWidth, Slot},
    engine::{CommitError, Committed},
};

/// Messages that change in one batch.
const BATCH_MAX: usize = 5_000;

/// What came of a change of flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagsStored {
    /// All messages that were there and could change, as they are now; also those that were so before.
    pub messages: Vec<ListedMessage>,
    /// The MODSEQ that each of them had before.
    pub before: Vec<u64>,
    /// Those that changed after `unchanged_since`, and were left alone (RFC 7162 §3.1.3).
    pub modified: Vec<Uid>,
    /// Those that are not there.
    pub missing: Vec<Uid>,
}

impl Mailboxes {
    /// Changes flags and keywords, in one batch of every 5,000 messages. Those that have them already keep their MODSEQ.
    pub async fn store_flags(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<FlagsStored, CommitError> {
        let mut stored = FlagsStored::default();
        for part in ascending(uids).chunks(BATCH_MAX) {
            let mut one = self.store_part(mailbox, part, change, unchanged_since).await?;
            stored.messages.append(&mut one.messages);
            stored.before.append(&mut one.before);
            stored.modified.append(&mut one.modified);
            stored.missing.append(&mut one.missing);
        }
        Ok(stored)
    }

    async fn store_part(
        &self,
        mailbox: MailboxId,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<FlagsStored, CommitError> {
        let mut conflict = mailbox_key(mailbox);
        for _ in 0..CONFLICTS_MAX {
            let found = self.find(mailbox, uids).await?;
            let mut stored = FlagsStored::default();
            let there = |uid: &&Uid| found.binary_search_by_key(*uid, |one| one.message.uid).is_err();
            stored.missing = uids.iter().filter(there).copied().collect();
            let mut batch = Batch::new();
            let mut tally = Tally::default();
            let mut slots = Vec::new();
            for one in found {
                if unchanged_since.is_some_and(|since| one.message.modseq > since) {
                    stored.modified.push(one.message.uid);
                    continue;
                }
                let slot = stage(&mut batch, &mut tally, mailbox, &one, change);
                slots.extend(slot.map(|slot| (stored.messages.len(), slot)));
                stored.messages.push(listed(&one.message, change));
                stored.before.push(one.message.modseq);
            }
            if slots.is_empty() {
                return Ok(stored);
            }
            tally.stage(&mut batch, mailbox);
            match self.engine.commit(batch).await {
                Ok(committed) => return Ok(numbered(stored, &slots, &committed)),
                Err(CommitError::Conflict(at)) => conflict = at,
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict(conflict))
    }
}

/// Nothing if the message is so already.
pub(super) fn stage(
    batch: &mut Batch,
    tally: &mut Tally,
    mailbox: MailboxId,
    found: &Found,
    change: &FlagChange,
) -> Option<Slot> {
    let StoredMessage { uid, modseq, record } = &found.message;
    let (flags, keywords) = change.applied(record.flags, &record.keywords);
    if flags == record.flags && keywords == record.keywords {
        return None;
    }
    tally.change(record.flags, flags);
    batch.check(found.key.clone(), Expect::Equals(found.octets.clone()));
    batch.delete(change_key(mailbox, *modseq));
    let slot = batch.next(modseq_counter(mailbox));
    let listed = message::changed(*uid, flags, &keywords);
    batch.put(
        found.key.clone(),
        message::template(slot, &MessageRecord { flags, keywords, ..record.clone() }),
    );
    batch.put(change_prefix(mailbox).hole(HoleWidth::Eight, slot), listed);
    Some(slot)
}

fn listed(message: &StoredMessage, change: &FlagChange) -> ListedMessage {
    let (flags, keywords) = change.applied(message.record.flags, &message.record.keywords);
    ListedMessage { uid: message.uid, modseq: message.modseq, flags, keywords }
}

fn numbered(mut stored: FlagsStored, slots: &[(usize, Slot)], committed: &Committed) -> FlagsStored {
    for (place, slot) in slots {
        if let Some(message) = stored.messages.get_mut(*place) {
            message.modseq = committed.value(*slot);
        }
    }
    stored
}
