use bytes::Bytes;
use mail::Timestamp;

use super::{
    AccountId, Mailbox, MailboxError, Mailboxes, Uid,
    create::Wanted,
    keyspace::{mailbox_key, name_key, orphan_key},
    names::{self, canonical_name},
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::CommitError,
    value::Value,
};

/// Messages of INBOX that move in one step.
const MOVE_PAGE_MAX: usize = 5_000;

impl Mailboxes {
    /// Renames a mailbox and everything below it, in one batch; makes the levels above the new name that are missing.
    /// INBOX stays: its messages move to a new mailbox (RFC 9051 §6.3.6).
    pub async fn rename(
        &self,
        account: AccountId,
        from: &str,
        to: &str,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let (from, to) = (canonical_name(from).into_owned(), names::new_name(to)?);
        if from == "INBOX" {
            return self.empty_inbox_into(account, &to, now).await;
        }
        if names::below(&to, &from).is_some() {
            return Err(MailboxError::Name("it would be below itself"));
        }
        for _ in 0..CONFLICTS_MAX {
            let moving = self.with_all_below(account, &from).await?;
            let mut batch = Batch::new();
            let above = self.missing_parents(account, &to).await?;
            let wanted: Vec<Wanted<'_>> = above.iter().map(|name| (name.as_str(), None)).collect();
            if !wanted.is_empty() {
                let made = self.stage(&mut batch, account, &wanted, now).await?;
                self.stage_inherited(&mut batch, account, &made).await?;
            }
            let mut taken = Vec::with_capacity(moving.len());
            for (mailbox, stored) in moving {
                let rest = mailbox.name.strip_prefix(&from).unwrap_or_default();
                let name = names::new_name(&format!("{to}{rest}"))?;
                taken.push(name_key(account, &name));
                stage_rename(&mut batch, mailbox, stored, name);
            }
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(at)) if taken.contains(&at) => return Err(MailboxError::Exists),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(name_key(account, &from)).into())
    }

    /// The mailbox, if there is one of that name, and those below, with their octets as they are stored.
    async fn with_all_below(
        &self,
        account: AccountId,
        name: &str,
    ) -> Result<Vec<(Mailbox, Bytes)>, MailboxError> {
        let mut found = Vec::new();
        for mailbox in self.list(account).await? {
            if mailbox.name == name || names::below(&mailbox.name, name).is_some() {
                found.extend(self.stored(mailbox.id).await?);
            }
        }
        if found.is_empty() { Err(MailboxError::NotFound) } else { Ok(found) }
    }

    async fn empty_inbox_into(
        &self,
        account: AccountId,
        to: &str,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let inbox = self.by_name(account, "INBOX").await?.ok_or(MailboxError::NotFound)?.id;
        // What comes in meanwhile stays.
        let end = self.uid_next(inbox).await?;
        let target = self.create(account, to, None, now).await?;
        let mut from = Uid(1);
        loop {
            let page = self.messages(inbox, from, MOVE_PAGE_MAX).await?;
            let uids: Vec<Uid> = page.iter().map(|one| one.uid).filter(|uid| *uid < end).collect();
            let Some(last) = uids.last() else { return Ok(()) };
            from = Uid(last.0.saturating_add(1));
            self.move_messages(inbox, &uids, target.id, now).await?;
        }
    }
}

fn stage_rename(batch: &mut Batch, mailbox: Mailbox, stored: Bytes, name: String) {
    let (id, account) = (mailbox.id, mailbox.account);
    let (before, after) = (name_key(account, &mailbox.name), name_key(account, &name));
    batch.check(mailbox_key(id), Expect::Equals(stored));
    batch.check(after.clone(), Expect::Absent);
    batch.delete(before);
    batch.put(after, id.0.to_be_bytes().to_vec());
    batch.delete(orphan_key(account, &name));
    batch.put(mailbox_key(id), Mailbox { name, ..mailbox }.encode());
}
