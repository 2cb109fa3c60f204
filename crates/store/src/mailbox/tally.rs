//! What mailboxes and accounts hold, counted by the batches that change it.

use super::{
    AccountId, Flags, MailboxId, MessageRecord,
    keyspace::{account_counter, mailbox_counter},
};
use crate::{
    batch::Batch,
    engine::{CommitError, Key},
    keys::counter,
};

/// How much an account may hold; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub octets: Option<u64>,
    pub messages: Option<u64>,
}

/// What comes to a mailbox, or leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) messages: i64,
    unseen: i64,
    deleted: i64,
    pub(super) octets: i64,
}

impl Tally {
    pub(super) fn add(&mut self, record: &MessageRecord) {
        self.messages += 1;
        self.octets = self.octets.saturating_add(octets(record));
        self.flag(record.flags, 1);
    }

    pub(super) fn remove(&mut self, record: &MessageRecord) {
        self.messages -= 1;
        self.octets = self.octets.saturating_sub(octets(record));
        self.flag(record.flags, -1);
    }

    /// So many messages and octets less.
    pub(super) fn leaving(messages: u64, octets: u64) -> Self {
        let less = |count: u64| i64::try_from(count).map_or(i64::MIN, |count| -count);
        Self { messages: less(messages), octets: less(octets), ..Self::default() }
    }

    pub(super) fn change(&mut self, before: Flags, after: Flags) {
        self.flag(before, -1);
        self.flag(after, 1);
    }

    fn flag(&mut self, flags: Flags, count: i64) {
        self.unseen += if flags.has(Flags::SEEN) { 0 } else { count };
        self.deleted += if flags.has(Flags::DELETED) { count } else { 0 };
    }

    /// Of the mailbox only.
    pub(super) fn stage(self, batch: &mut Batch, mailbox: MailboxId) {
        let counts = (self.messages << 32).wrapping_add(self.unseen);
        for (name, delta) in [
            (counter::MAILBOX_COUNTS, counts),
            (counter::MAILBOX_OCTETS, self.octets),
            (counter::MAILBOX_DELETED, self.deleted),
        ] {
            if delta != 0 {
                batch.add(mailbox_counter(name, mailbox), delta);
            }
        }
    }

    /// Of the account only. The batch conflicts on a counter if that would exceed the quota.
    pub(super) fn stage_usage(self, batch: &mut Batch, account: AccountId, quota: Quota) {
        for (name, delta, max) in [
            (counter::USAGE_MESSAGES, self.messages, quota.messages),
            (counter::USAGE_OCTETS, self.octets, quota.octets),
        ] {
            if delta != 0 {
                batch.add_within(account_counter(name, account), delta, max);
            }
        }
    }
}

fn octets(record: &MessageRecord) -> i64 {
    i64::try_from(record.octets()).unwrap_or(i64::MAX)
}

/// Whether a commit failed because the account that holds the mailbox would exceed its quota.
pub fn is_over_quota(error: &CommitError, account: AccountId) -> bool {
    let usage = |at: &Key| {
        [counter::USAGE_MESSAGES, counter::USAGE_OCTETS]
            .iter()
            .any(|name| *at == account_counter(*name, account))
    };
    matches!(error, CommitError::Conflict(at) if usage(at))
}
