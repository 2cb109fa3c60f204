use std::borrow::Cow;

use mail::Timestamp;

use super::{AccountId, Mailbox, MailboxId, Mailboxes, mailbox_key, name_key, usage_counter};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, StoreError},
    keys::{KeyBuilder, counter},
    value::Value,
};

/// Name and special use of a mailbox to be.
pub(crate) type Wanted<'a> = (&'a str, Option<&'a str>);

impl Mailboxes {
    /// Makes a mailbox; `Conflict` if the account has one of that name. UIDVALIDITY is taken from `now`, and rises with
    /// every mailbox made.
    pub async fn create(
        &self,
        account: AccountId,
        name: &str,
        special_use: Option<&str>,
        now: Timestamp,
    ) -> Result<Mailbox, CommitError> {
        let mut conflict = numbering_key();
        for _ in 0..CONFLICTS_MAX {
            let mut batch = Batch::new();
            let made = self.stage(&mut batch, account, &[(name, special_use)], now).await?;
            match (self.engine.commit(batch).await, made.into_iter().next()) {
                (Err(CommitError::Conflict(at)), _) if is_numbering(&at) => conflict = at,
                (Err(error), _) => return Err(error),
                (Ok(_), Some(mailbox)) => return Ok(mailbox),
                (Ok(_), None) => break,
            }
        }
        Err(CommitError::Conflict(conflict))
    }

    /// Adds new mailboxes to the batch. It conflicts on a name that is taken, and on the last UIDVALIDITY if
    /// others made mailboxes meanwhile: stage again.
    pub(crate) async fn stage(
        &self,
        batch: &mut Batch,
        account: AccountId,
        wanted: &[Wanted<'_>],
        now: Timestamp,
    ) -> Result<Vec<Mailbox>, StoreError> {
        let number_key = usage_counter(counter::MAILBOX_NUMBER, account);
        let numbering = self.engine.get(&numbering_key()).await?;
        let mut number = self.counter(&number_key).await?;
        let last_validity =
            u32::try_from(crate::apply::counter_value(numbering.as_ref())?).unwrap_or(u32::MAX);
        // RFC 9051 §2.3.1.1: never again a value that a mailbox of this name had.
        let mut validity = last_validity.max(seconds(now).saturating_sub(1));
        let mut made = Vec::with_capacity(wanted.len());
        for (name, special_use) in wanted {
            number += 1;
            validity = validity.saturating_add(1);
            let mailbox = Mailbox {
                id: MailboxId((account.0 << 32) | number),
                account,
                name: canonical_name(name).into_owned(),
                uid_validity: validity,
                special_use: special_use.map(str::to_owned),
                subscribed: true,
                created_at: now,
            };
            put_mailbox(batch, &mailbox);
            made.push(mailbox);
        }
        // One check guards all numbers, the account's own too: whoever takes any moves this one.
        batch.check(numbering_key(), numbering.map_or(Expect::Absent, Expect::Equals));
        batch.put(numbering_key(), u64::from(validity).to_be_bytes().to_vec());
        batch.put(number_key, number.to_be_bytes().to_vec());
        Ok(made)
    }
}

fn put_mailbox(batch: &mut Batch, mailbox: &Mailbox) {
    let name = name_key(mailbox.account, &mailbox.name);
    batch.check(name.clone(), Expect::Absent);
    batch.put(name, mailbox.id.0.to_be_bytes().to_vec());
    batch.put(mailbox_key(mailbox.id), mailbox.encode());
}

/// Not 0, which is no UIDVALIDITY.
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.millis() / 1000).unwrap_or(if at.millis() < 0 { 1 } else { u32::MAX }).max(1)
}

fn numbering_key() -> Key {
    KeyBuilder::counter(counter::UID_VALIDITY).key()
}

/// True for the key on which [`Mailboxes::stage`] conflicts if numbers were taken meanwhile.
fn is_numbering(key: &Key) -> bool {
    *key == numbering_key()
}

/// RFC 9051 §5.1: INBOX is the same in any case, as the first level of a hierarchy too.
pub(super) fn canonical_name(name: &str) -> Cow<'_, str> {
    match name.split_at_checked(5) {
        Some(("INBOX", _)) => name.into(),
        Some((first, rest))
            if first.eq_ignore_ascii_case("INBOX") && (rest.is_empty() || rest.starts_with('/')) =>
        {
            format!("INBOX{rest}").into()
        }
        _ => name.into(),
    }
}
