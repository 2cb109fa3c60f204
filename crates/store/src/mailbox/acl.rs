//! Who besides its owner may do what with a mailbox (RFC 4314). The owner may do everything, always.

use std::collections::BTreeSet;

use bytes::Bytes;
use mail::{Address, Rights, RightsChange};
use serde::{Deserialize, Serialize};

use super::{
    AccountId, Mailbox, MailboxError, MailboxId, Mailboxes,
    keyspace::{acl_key, mailbox_key, shared_key, shared_prefix},
    names,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, KeyRange, Order, StoreError},
    keys::KeyReader,
    value::Value,
};

/// Entries of one list.
const ENTRIES_MAX: usize = 500;
/// Mailboxes of others that an account is shown, and as many of those that are shared with everybody.
const SHARED_MAX: usize = 2_000;

/// An access control list, kept under the number of its mailbox, so that it is renamed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// Of the mailbox.
    pub owner: Address,
    pub entries: Vec<AclEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    pub identifier: Identifier,
    /// Never empty.
    pub rights: Rights,
}

/// Whose rights an entry is about (RFC 4314 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    pub who: Who,
    /// The rights are taken away, whatever else grants them.
    pub negative: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// Everybody who has an account here.
    Anyone,
    /// The number counts: who gets the address later inherits nothing.
    Account { id: AccountId, address: Address },
}

impl Value for Acl {
    const NAME: &'static str = "access control list";
    const VERSION: u8 = 1;
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.negative { "-" } else { "" })?;
        match &self.who {
            Who::Anyone => f.write_str("anyone"),
            Who::Account { address, .. } => address.fmt(f),
        }
    }
}

impl Who {
    /// In keys; no account has the number 0.
    fn number(&self) -> AccountId {
        match self {
            Self::Anyone => ANYONE,
            Self::Account { id, .. } => *id,
        }
    }
}

/// Stands for everybody in keys.
const ANYONE: AccountId = AccountId(0);

impl Acl {
    /// What an account may do that does not own the mailbox. RFC 4314 §2: all that it is granted, less what is taken away.
    pub fn rights_of(&self, account: AccountId) -> Rights {
        let all = |negative: bool| {
            let meant = self.entries.iter().filter(|entry| {
                let number = entry.identifier.who.number();
                entry.identifier.negative == negative && (number == account || number == ANYONE)
            });
            meant.fold(Rights::default(), |all, entry| all.union(entry.rights))
        };
        all(false).without(all(true))
    }

    fn change(&mut self, identifier: &Identifier, change: RightsChange) -> Result<(), MailboxError> {
        let is_meant = |entry: &AclEntry| entry.identifier == *identifier;
        let before = self.entries.iter().find(|entry| is_meant(entry)).map(|entry| entry.rights);
        let rights = change.applied(before.unwrap_or_default());
        self.entries.retain(|entry| !is_meant(entry));
        if rights.is_empty() {
            return Ok(());
        }
        if self.entries.len() >= ENTRIES_MAX {
            return Err(MailboxError::Limit("the mailbox is shared with as many as it may be"));
        }
        self.entries.push(AclEntry { identifier: identifier.clone(), rights });
        Ok(())
    }

    /// Those to whom something is granted.
    fn granted(&self) -> BTreeSet<AccountId> {
        let granted = self.entries.iter().filter(|entry| !entry.identifier.negative);
        granted.map(|entry| entry.identifier.who.number()).collect()
    }
}

impl Mailboxes {
    /// `None`: nobody but its owner has rights.
    pub async fn acl(&self, mailbox: MailboxId) -> Result<Option<Acl>, StoreError> {
        let stored = self.engine.get(&acl_key(mailbox)).await?;
        stored.map(|octets| Acl::decode(&octets)).transpose()
    }

    /// Changes somebody's rights; without any left the entry goes.
    pub async fn change_acl(
        &self,
        mailbox: MailboxId,
        owner: &Address,
        identifier: &Identifier,
        change: RightsChange,
    ) -> Result<(), MailboxError> {
        for _ in 0..CONFLICTS_MAX {
            let stored = self.engine.get(&acl_key(mailbox)).await?;
            let before = stored.as_ref().map(|octets| Acl::decode(octets)).transpose()?;
            let nobody = || Acl { owner: owner.clone(), entries: Vec::new() };
            let mut acl = before.clone().unwrap_or_else(nobody);
            acl.change(identifier, change)?;
            let mut batch = Batch::new();
            batch.check(mailbox_key(mailbox), Expect::Present);
            batch.check(acl_key(mailbox), stored.map_or(Expect::Absent, Expect::Equals));
            stage(&mut batch, mailbox, before.as_ref(), Some(&acl));
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(at)) if at == mailbox_key(mailbox) => {
                    return Err(MailboxError::NotFound);
                }
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(acl_key(mailbox)).into())
    }

    /// Mailboxes of others in which something is granted to the account, or to everybody; their lists say what.
    pub async fn shared_with(&self, account: AccountId) -> Result<Vec<(Mailbox, Acl)>, StoreError> {
        let mut ids = self.granted_to(account, SHARED_MAX).await?;
        ids.extend(self.granted_to(ANYONE, SHARED_MAX).await?);
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::new();
        for id in ids.into_iter().filter(|id| id.account() != account) {
            if let (Some(mailbox), Some(acl)) = (self.by_id(id).await?, self.acl(id).await?) {
                found.push((mailbox, acl));
            }
        }
        Ok(found)
    }

    async fn granted_to(&self, account: AccountId, limit: usize) -> Result<Vec<MailboxId>, StoreError> {
        let range = KeyRange::prefix(&shared_prefix(account));
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        found.iter().map(|(key, _)| Ok(MailboxId(KeyReader::end_of(key, 8)?.u64()?))).collect()
    }

    /// New mailboxes are shared as the one above them is.
    pub(super) async fn stage_inherited(
        &self,
        batch: &mut Batch,
        account: AccountId,
        made: &[Mailbox],
    ) -> Result<(), StoreError> {
        let Some(outermost) = made.first() else { return Ok(()) };
        let Some(above) = names::parents(&outermost.name).last() else { return Ok(()) };
        let Some(above) = self.by_name(account, above).await? else { return Ok(()) };
        if let Some(acl) = self.acl(above.id).await? {
            for mailbox in made {
                stage(batch, mailbox.id, None, Some(&acl));
            }
        }
        Ok(())
    }

    /// The list goes with its mailbox. The batch conflicts if it was changed meanwhile.
    pub(super) async fn stage_unshared(
        &self,
        batch: &mut Batch,
        mailbox: MailboxId,
    ) -> Result<(), StoreError> {
        let stored: Option<Bytes> = self.engine.get(&acl_key(mailbox)).await?;
        let acl = stored.as_ref().map(|octets| Acl::decode(octets)).transpose()?;
        batch.check(acl_key(mailbox), stored.map_or(Expect::Absent, Expect::Equals));
        stage(batch, mailbox, acl.as_ref(), None);
        Ok(())
    }

    /// The account goes: nobody shares anything with it any more.
    pub(super) async fn forget_grantee(&self, account: AccountId) -> Result<(), CommitError> {
        for mailbox in self.granted_to(account, usize::MAX).await? {
            let Some(acl) = self.acl(mailbox).await? else { continue };
            for entry in acl.entries.iter().filter(|entry| entry.identifier.who.number() == account) {
                let nothing = RightsChange::Replace(Rights::default());
                match self.change_acl(mailbox, &acl.owner, &entry.identifier, nothing).await {
                    Err(MailboxError::Commit(error)) => return Err(error),
                    Err(MailboxError::Read(error)) => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// The list and the index of those who find the mailbox by it.
fn stage(batch: &mut Batch, mailbox: MailboxId, before: Option<&Acl>, after: Option<&Acl>) {
    let after = after.filter(|acl| !acl.entries.is_empty());
    let granted = |acl: Option<&Acl>| acl.map(Acl::granted).unwrap_or_default();
    let (then, now) = (granted(before), granted(after));
    for account in then.difference(&now) {
        batch.delete(shared_key(*account, mailbox));
    }
    for account in now.difference(&then) {
        batch.put(shared_key(*account, mailbox), Vec::new());
    }
    match after {
        Some(acl) => batch.put(acl_key(mailbox), acl.encode()),
        None if before.is_some() => batch.delete(acl_key(mailbox)),
        None => {}
    }
}
