use mail::Timestamp;

use super::{
    AccountId, Mailbox, MailboxError, MailboxId, Mailboxes,
    keyspace::{account_counter, mailbox_key, name_key, orphan_key},
    names::{self, canonical_name},
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, StoreError},
    keys::{KeyBuilder, counter},
    value::Value,
};

/// Name and special use of a mailbox to be.
pub(crate) type Wanted<'a> = (&'a str, Option<&'a str>);

/// Mailboxes of an account.
const MAILBOXES_MAX: usize = 10_000;
/// RFC 6154 §2; `\All` and `\Flagged` are for mailboxes that show what is in others.
const SPECIAL_USES: [&str; 5] = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];

impl Mailboxes {
    /// Makes a mailbox, and the levels above it that are missing. UIDVALIDITY is taken from `now`, and rises with every
    /// mailbox made.
    pub async fn create(
        &self,
        account: AccountId,
        name: &str,
        special_use: Option<&str>,
        now: Timestamp,
    ) -> Result<Mailbox, MailboxError> {
        let name = names::new_name(name)?;
        let special_use = special_use.map(known_use).transpose()?;
        for _ in 0..CONFLICTS_MAX {
            let mut batch = Batch::new();
            let above = self.missing_parents(account, &name).await?;
            let wanted: Vec<Wanted<'_>> =
                above.iter().map(|name| (name.as_str(), None)).chain([(&*name, special_use)]).collect();
            let mut made = self.stage(&mut batch, account, &wanted, now).await?;
            self.stage_inherited(&mut batch, account, &made).await?;
            match (self.engine.commit(batch).await, made.pop()) {
                (Ok(_), Some(mailbox)) => return Ok(mailbox),
                (Err(CommitError::Conflict(at)), _) if at == name_key(account, &name) => {
                    return Err(MailboxError::Exists);
                }
                (Ok(_) | Err(CommitError::Conflict(_)), _) => {}
                (Err(error), _) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(numbering_key()).into())
    }

    /// The levels above `name` that the account does not have, outermost first.
    pub(super) async fn missing_parents(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Vec<String>, MailboxError> {
        let there = self.list(account).await?;
        let missing = names::parents(name).filter(|parent| !there.iter().any(|one| one.name == *parent));
        let missing: Vec<String> = missing.map(str::to_owned).collect();
        if there.len().saturating_add(missing.len()) >= MAILBOXES_MAX {
            return Err(MailboxError::Limit("the account has as many mailboxes as it may have"));
        }
        Ok(missing)
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
        let number_key = account_counter(counter::MAILBOX_NUMBER, account);
        let mut number = self.counter(&number_key).await?;
        let mut made = Vec::with_capacity(wanted.len());
        // One check guards all numbers, the account's own too: whoever takes any moves this one.
        let validities = self.stage_validities(batch, wanted.len(), now).await?;
        for ((name, special_use), validity) in wanted.iter().zip(validities) {
            number += 1;
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
        batch.put(number_key, number.to_be_bytes().to_vec());
        Ok(made)
    }

    /// So many values of UIDVALIDITY. The batch conflicts if others took some meanwhile.
    pub(super) async fn stage_validities(
        &self,
        batch: &mut Batch,
        count: usize,
        now: Timestamp,
    ) -> Result<Vec<u32>, StoreError> {
        let numbering = self.engine.get(&numbering_key()).await?;
        let last = u32::try_from(crate::apply::counter_value(numbering.as_ref())?).unwrap_or(u32::MAX);
        // RFC 9051 §2.3.1.1: never again a value that a mailbox of this name had.
        let first = last.max(seconds(now).saturating_sub(1)).saturating_add(1);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let validities: Vec<u32> = (0..count).map(|place| first.saturating_add(place)).collect();
        let last = validities.last().copied().unwrap_or(last);
        batch.check(numbering_key(), numbering.map_or(Expect::Absent, Expect::Equals));
        batch.put(numbering_key(), u64::from(last).to_be_bytes().to_vec());
        Ok(validities)
    }
}

fn known_use(name: &str) -> Result<&'static str, MailboxError> {
    let found = SPECIAL_USES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    found.ok_or(MailboxError::SpecialUse)
}

fn put_mailbox(batch: &mut Batch, mailbox: &Mailbox) {
    let name = name_key(mailbox.account, &mailbox.name);
    batch.check(name.clone(), Expect::Absent);
    batch.put(name, mailbox.id.0.to_be_bytes().to_vec());
    batch.put(mailbox_key(mailbox.id), mailbox.encode());
    // The mailbox is subscribed itself.
    batch.delete(orphan_key(mailbox.account, &mailbox.name));
}

/// Not 0, which is no UIDVALIDITY.
pub(super) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.millis() / 1000).unwrap_or(if at.millis() < 0 { 1 } else { u32::MAX }).max(1)
}

pub(super) fn numbering_key() -> Key {
    KeyBuilder::counter(counter::UID_VALIDITY).key()
}
