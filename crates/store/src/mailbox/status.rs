use super::{
    AccountId, MailboxId, Mailboxes, Uid,
    keyspace::{account_counter, mailbox_counter, modseq_counter},
};
use crate::{engine::StoreError, keys::counter};

/// What STATUS tells (RFC 9051 §6.3.11), kept by counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxStatus {
    pub messages: u64,
    pub unseen: u64,
    /// Flagged `\Deleted`.
    pub deleted: u64,
    pub octets: u64,
    pub uid_next: Uid,
    /// Not 0 (RFC 7162 §3.1.2.1).
    pub highest_modseq: u64,
}

impl Mailboxes {
    /// Costs five reads, whatever is in the mailbox.
    pub async fn status(&self, mailbox: MailboxId) -> Result<MailboxStatus, StoreError> {
        let counts = self.counter(&mailbox_counter(counter::MAILBOX_COUNTS, mailbox)).await?;
        Ok(MailboxStatus {
            messages: counts >> 32,
            unseen: counts & u64::from(u32::MAX),
            deleted: self.counter(&mailbox_counter(counter::MAILBOX_DELETED, mailbox)).await?,
            octets: self.counter(&mailbox_counter(counter::MAILBOX_OCTETS, mailbox)).await?,
            uid_next: self.uid_next(mailbox).await?,
            highest_modseq: self.counter(&modseq_counter(mailbox)).await?.max(1),
        })
    }

    /// How many messages and octets the account's mailboxes hold; kept by counters, costs two reads.
    pub async fn usage(&self, account: AccountId) -> Result<(u64, u64), StoreError> {
        let messages = self.counter(&account_counter(counter::USAGE_MESSAGES, account)).await?;
        let octets = self.counter(&account_counter(counter::USAGE_OCTETS, account)).await?;
        Ok((messages, octets))
    }
}
