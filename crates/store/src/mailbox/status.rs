use std::collections::BTreeMap;

use super::{
    AccountId, MailboxId, Mailboxes, Uid,
    keyspace::{account_counter, mailbox_counter, modseq_counter},
};
use crate::{
    engine::{KeyRange, Order, StoreError},
    keys::{KeyBuilder, KeyReader, counter},
};

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

    /// The last MODSEQ of each of the account's mailboxes that ever had a message: one scan.
    pub async fn modseqs(&self, account: AccountId) -> Result<BTreeMap<MailboxId, u64>, StoreError> {
        let [.., a, b, c, d] = account.0.to_be_bytes();
        let counters = KeyBuilder::counter(counter::MODSEQ);
        let prefix = [a, b, c, d].into_iter().fold(counters, KeyBuilder::octet).octets();
        let found = self.engine.scan(KeyRange::prefix(&prefix), Order::Ascending, usize::MAX).await?;
        let modseq = |(key, value): &(_, _)| {
            let mailbox = MailboxId(KeyReader::end_of(key, 8)?.u64()?);
            Ok((mailbox, crate::apply::counter_value(Some(value))?))
        };
        found.iter().map(modseq).collect()
    }

    /// How many messages and octets the account's mailboxes hold; kept by counters, costs two reads.
    pub async fn usage(&self, account: AccountId) -> Result<(u64, u64), StoreError> {
        let messages = self.counter(&account_counter(counter::USAGE_MESSAGES, account)).await?;
        let octets = self.counter(&account_counter(counter::USAGE_OCTETS, account)).await?;
        Ok((messages, octets))
    }
}
