//! Mailing lists: a third kind of address next to accounts and aliases. Their members have keys of their own.

use mail::{Address, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Directory, DirectoryError, claim, domain_of, list_key,
    members::{self, MEMBERS_PAGE_MAX},
    users_counter,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, StoreError},
    keys::{KeyBuilder, LIST, counter},
    value::Value,
};

/// So that `-unsubscribe` and return addresses fit behind it (RFC 5321 §4.5.3.1.1).
const NAME_CHARS_MAX: usize = 40;
const TITLE_CHARS_MAX: usize = 100;
const OWNERS_MAX: usize = 100;

/// Names a list for good: one that is made again under the same address is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailingList {
    pub id: ListId,
    pub address: Address,
    /// What it is about, for people: `The garden club`.
    pub title: Option<String>,
    pub owners: Vec<Address>,
    pub posting: Posting,
    pub subscription: Subscription,
    pub created_at: Timestamp,
}

/// Who may write to a list. Owners always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Posting {
    Anyone,
    Members,
    Owners,
}

/// Who may join a list by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subscription {
    /// Everybody who confirms.
    Open,
    /// Nobody: an operator adds members.
    Closed,
}

/// What one of a list's addresses is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRole {
    Post,
    Owner,
    Request,
    Subscribe,
    Unsubscribe,
    /// Return address of what the list sends; behind a `+` it says to whom.
    Bounces,
}

/// New settings of a list; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListChange {
    /// Empty takes it away.
    pub title: Option<String>,
    pub owners: Option<Vec<Address>>,
    pub posting: Option<Posting>,
    pub subscription: Option<Subscription>,
}

impl Value for MailingList {
    const NAME: &'static str = "mailing list";
    const VERSION: u8 = 1;
}

impl ListRole {
    /// RFC 2142 §6 has `-request`; the others are what list managers agree on.
    const SUFFIXES: [(&'static str, Self); 5] = [
        ("-owner", Self::Owner),
        ("-request", Self::Request),
        ("-subscribe", Self::Subscribe),
        ("-unsubscribe", Self::Unsubscribe),
        ("-bounces", Self::Bounces),
    ];

    /// The list's name and the role of a local part such as `list-request` or `list-bounces+whose`.
    pub fn of(local_part: &str) -> Option<(&str, Self)> {
        let name = local_part.split('+').next()?;
        Self::SUFFIXES.iter().find_map(|(suffix, role)| {
            let (start, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
            (end.eq_ignore_ascii_case(suffix) && !start.is_empty()).then_some((start, *role))
        })
    }

    /// What follows the list's name in its local part.
    pub fn suffix(self) -> &'static str {
        Self::SUFFIXES.iter().find(|(_, role)| *role == self).map_or("", |(suffix, _)| suffix)
    }
}

impl MailingList {
    /// The list's address for this role.
    pub fn role_address(&self, role: ListRole) -> Result<Address, mail::AddressError> {
        let domain = self.address.domain().ok_or(mail::AddressError::Domain)?;
        Address::new(&format!("{}{}", self.address.local_part(), role.suffix()), domain.clone())
    }

    pub fn is_owner(&self, address: &Address) -> bool {
        let lookup = address.to_lookup();
        self.owners.iter().any(|owner| owner.to_lookup() == lookup)
    }

    fn change(&mut self, change: ListChange) -> Result<(), DirectoryError> {
        if let Some(title) = change.title {
            self.title = Some(title.trim().to_owned()).filter(|title| !title.is_empty());
        }
        if let Some(owners) = change.owners {
            self.owners = owners;
        }
        self.posting = change.posting.unwrap_or(self.posting);
        self.subscription = change.subscription.unwrap_or(self.subscription);
        self.check()
    }

    fn check(&self) -> Result<(), DirectoryError> {
        let name = self.address.local_part();
        let is_plain = name.split('.').all(|part| !part.is_empty())
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet));
        let invalid = |why: String| Err(DirectoryError::Invalid(why));
        if !is_plain || name.len() > NAME_CHARS_MAX {
            return invalid(format!(
                "{name:?} cannot be the name of a list: take at most {NAME_CHARS_MAX} letters, digits, '.', '-' and '_'"
            ));
        }
        if ListRole::of(name).is_some() {
            return invalid(format!("a name that ends like {name:?} is an address of another list"));
        }
        if self.owners.len() > OWNERS_MAX {
            return invalid(format!("a list has at most {OWNERS_MAX} owners"));
        }
        let own = self.address.to_lookup();
        if self.owners.iter().any(|owner| owner.to_lookup() == own) {
            return invalid("a list does not own itself".to_owned());
        }
        let title = self.title.as_deref().unwrap_or_default();
        if title.chars().count() > TITLE_CHARS_MAX || title.chars().any(char::is_control) {
            return invalid(format!(
                "the name for people is one line of at most {TITLE_CHARS_MAX} characters"
            ));
        }
        Ok(())
    }
}

impl Directory {
    /// Makes a list without members; who may post and join is as `change` says, else members and everybody.
    pub async fn add_list(
        &self,
        address: &Address,
        change: ListChange,
        now: Timestamp,
    ) -> Result<MailingList, DirectoryError> {
        let domain = domain_of(address)?;
        let mut list = MailingList {
            id: ListId(0),
            address: address.clone(),
            title: None,
            owners: Vec::new(),
            posting: Posting::Members,
            subscription: Subscription::Open,
            created_at: now,
        };
        list.change(change)?;
        let lookup = address.to_lookup();
        for _ in 0..CONFLICTS_MAX {
            if self.domain(&domain).await?.is_none() {
                return Err(DirectoryError::DomainUnknown(domain));
            }
            if !self.is_free(&lookup).await? {
                return Err(DirectoryError::AddressTaken(address.to_string()));
            }
            let stored = self.engine.get(&id_counter()).await?;
            list.id = ListId(crate::apply::counter_value(stored.as_ref())?.saturating_add(1));
            let mut batch = Batch::new();
            batch.check(id_counter(), stored.map_or(Expect::Absent, Expect::Equals));
            batch.put(id_counter(), list.id.0.to_be_bytes().to_vec());
            claim(&mut batch, &lookup, &domain);
            batch.put(list_key(&lookup), list.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(list),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(list_key(&lookup)).into())
    }

    pub async fn change_list(
        &self,
        address: &Address,
        change: ListChange,
    ) -> Result<MailingList, DirectoryError> {
        let key = list_key(&address.to_lookup());
        for _ in 0..CONFLICTS_MAX {
            let old = self.must_be_list(address).await?;
            let mut list = old.clone();
            list.change(change.clone())?;
            let mut batch = Batch::new();
            batch.check(key.clone(), Expect::Equals(old.encode().into()));
            batch.put(key.clone(), list.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(list),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(key).into())
    }

    /// Removes a list and its members. Many members go in steps; the list itself goes last.
    pub async fn remove_list(&self, address: &Address) -> Result<(), DirectoryError> {
        let (lookup, domain) = (address.to_lookup(), domain_of(address)?);
        for _ in 0..CONFLICTS_MAX {
            let list = self.must_be_list(address).await?;
            self.remove_all_members(list.id).await?;
            let members = members::counter_key(list.id);
            let count = self.engine.get(&members).await?;
            if crate::apply::counter_value(count.as_ref())? > 0 {
                continue;
            }
            let mut batch = Batch::new();
            batch.check(list_key(&lookup), Expect::Equals(list.encode().into()));
            batch.check(members.clone(), count.map_or(Expect::Absent, Expect::Equals));
            batch.delete(list_key(&lookup));
            batch.delete(members);
            batch.add(users_counter(&domain), -1);
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(list_key(&lookup)).into())
    }

    pub async fn list(&self, address: &Address) -> Result<Option<MailingList>, StoreError> {
        self.list_by_lookup(&address.to_lookup()).await
    }

    pub async fn lists(&self) -> Result<Vec<MailingList>, StoreError> {
        self.all(LIST).await
    }

    pub(super) async fn list_by_lookup(&self, lookup: &str) -> Result<Option<MailingList>, StoreError> {
        self.read(&list_key(lookup)).await
    }

    pub(super) async fn must_be_list(&self, address: &Address) -> Result<MailingList, DirectoryError> {
        self.list(address).await?.ok_or_else(|| DirectoryError::ListUnknown(address.to_string()))
    }

    async fn remove_all_members(&self, list: ListId) -> Result<(), DirectoryError> {
        loop {
            let page = self.members(list, None, MEMBERS_PAGE_MAX).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for member in &page {
                members::stage_removal(&mut batch, list, member);
            }
            match self.engine.commit(batch).await {
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn id_counter() -> Key {
    KeyBuilder::counter(counter::LIST_ID).key()
}

#[cfg(test)]
mod tests {
    use super::ListRole;

    #[test]
    fn roles_are_read_from_local_parts() {
        assert_eq!(ListRole::of("club-request"), Some(("club", ListRole::Request)));
        assert_eq!(ListRole::of("Club-Bounces+a=b=x"), Some(("Club", ListRole::Bounces)));
        assert_eq!(ListRole::of("a-owner-unsubscribe"), Some(("a-owner", ListRole::Unsubscribe)));
        for none in ["club", "-owner", "club-owners", "club+x-owner", "", "ü-owne"] {
            assert_eq!(ListRole::of(none), None, "{none}");
        }
    }
}
