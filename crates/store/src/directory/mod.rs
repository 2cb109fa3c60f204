//! Who is who: hosted domains, accounts with passwords, aliases, mailing lists.

mod accounts;
mod aliases;
#[cfg(test)]
mod app_password_tests;
mod app_passwords;
mod lists;
mod members;
mod names;
mod password;
mod resolve;
mod scram;
mod secrets;
#[cfg(test)]
mod tests;
mod turn_domains;

use std::sync::Arc;

use mail::{Address, Domain, FullName, Timestamp, precis};
use serde::{Deserialize, Serialize};

use crate::{
    batch::{Batch, Expect},
    engine::{CommitError, Engine, Key, KeyRange, Order, StoreError},
    keys::{ACCOUNT, ALIAS, DOMAIN, KeyBuilder, LIST, counter},
    mailbox::{AccountId, MailboxId, Mailboxes, Quota},
    value::{Value, unknown_version},
};
pub use app_passwords::{AppPassword, Service, make_password};
pub use lists::{ListChange, ListId, ListRole, MailingList, Posting, Subscription};
pub use members::{Distribution, Member};
pub use password::PasswordCost;
use password::Passwords;
pub use scram::ScramVerifiers;
pub use turn_domains::TurnDomain;

/// The directory over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Directory {
    engine: Arc<dyn Engine>,
    mailboxes: Mailboxes,
    passwords: Passwords,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRecord {
    /// Lookup form.
    pub name: String,
    /// The oldest account of the domain; reads postmaster's mail unless an account or alias of that name does.
    pub first_account: Option<Address>,
    pub created_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub address: Address,
    /// PHC string, argon2id.
    pub password_hash: String,
    pub inbox: MailboxId,
    pub inbox_uid_validity: u32,
    /// Octets; none is no limit.
    pub quota_bytes: Option<u64>,
    pub created_at: Timestamp,
    /// What VRFY and EXPN tell beside the address.
    pub full_name: Option<FullName>,
    /// None is no limit.
    pub quota_messages: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Lookup form, `@domain` for a catch-all.
    pub address: String,
    pub targets: Vec<Address>,
    pub created_at: Timestamp,
}

/// What an address leads to.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// The domain is not ours.
    NotHosted,
    /// The domain is ours, the user is not.
    UnknownUser,
    /// Accounts and foreign addresses, aliases followed, each once.
    Targets(Vec<Target>),
    /// Aliases lead in a circle or too deep (550 5.4.6).
    Loop,
}

#[derive(Clone, Debug)]
pub enum Target {
    Account(Box<Account>),
    /// To be relayed, because an alias says so.
    Foreign(Address),
    /// An alias leads to an address of ours that nobody has; others of its targets exist.
    Unknown(Address),
    List(Box<ListAddress>),
}

/// A list, or one of the addresses that come with it.
#[derive(Clone, Debug)]
pub struct ListAddress {
    /// As it was written: a bounce address says whose bounce it is.
    pub address: Address,
    pub role: ListRole,
    pub list: MailingList,
}

/// Since when things have been as they are (RFC 7293).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// The domain was added.
    pub domain: Timestamp,
    /// The account or alias was made; none for a catch-all, which stands for many.
    pub owner: Option<Timestamp>,
}

/// Why a change of the directory was refused; tells the operator what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("{0} is hosted already")]
    DomainExists(String),
    #[error("{0} is not hosted here; `postrider domain add {0}` adds it")]
    DomainUnknown(String),
    #[error("{0} still has accounts, aliases or lists; remove them first")]
    DomainInUse(String),
    #[error("there is an account, alias or list {0} already")]
    AddressTaken(String),
    #[error("there is no account {0}")]
    AccountUnknown(String),
    #[error("mail for {0} is fetched by {1} already; `postrider account turn-domain remove {0}` ends that")]
    TurnDomainTaken(String, String),
    #[error("nobody fetches mail for {0}; `postrider account turn-domain list` shows what is fetched")]
    TurnDomainUnknown(String),
    #[error("{0} fetches mail for other domains; `postrider account turn-domain remove` them first")]
    AccountFetches(String),
    #[error("there is no alias {0}")]
    AliasUnknown(String),
    #[error("there is no list {0}")]
    ListUnknown(String),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Read(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] CommitError),
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({}, {})", self.id.0, self.address)
    }
}

impl Account {
    /// What its mailboxes may hold.
    pub fn quota(&self) -> Quota {
        Quota { octets: self.quota_bytes, messages: self.quota_messages }
    }
}

impl Value for DomainRecord {
    const NAME: &'static str = "domain";
    const VERSION: u8 = 1;
}

impl Value for Account {
    const NAME: &'static str = "account";
    const VERSION: u8 = 3;

    /// Version 1 ended before `full_name`, version 2 before `quota_messages`.
    fn decode_old(version: u8, octets: &[u8]) -> Result<Self, StoreError> {
        match version {
            1 => Self::decode(&[&[Self::VERSION], octets, &[0, 0]].concat()),
            2 => Self::decode(&[&[Self::VERSION], octets, &[0]].concat()),
            _ => Err(unknown_version::<Self>(version)),
        }
    }
}

impl Value for Alias {
    const NAME: &'static str = "alias";
    const VERSION: u8 = 1;
}

impl Directory {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self::with_password_cost(engine, PasswordCost::default())
    }

    /// As [`new`](Self::new), where passwords cost something else to set and to check.
    pub fn with_password_cost(engine: Arc<dyn Engine>, cost: PasswordCost) -> Self {
        Self { mailboxes: Mailboxes::new(engine.clone()), passwords: Passwords::new(cost), engine }
    }

    /// Passwords hashed since the start, to set or to check them.
    pub fn passwords_hashed(&self) -> u64 {
        self.passwords.computed()
    }

    pub async fn add_domain(&self, domain: &Domain, now: Timestamp) -> Result<(), DirectoryError> {
        let record = DomainRecord { name: domain.to_lookup(), first_account: None, created_at: now };
        let key = domain_key(&record.name);
        let mut batch = Batch::new();
        let fetched = turn_domains::turn_key(&record.name);
        batch.check(key.clone(), Expect::Absent);
        batch.check(fetched.clone(), Expect::Absent);
        batch.put(key, record.encode());
        match self.engine.commit(batch).await {
            Err(CommitError::Conflict(at)) if at == fetched => {
                let by = self.turn_domain(domain).await?.map(|record| record.address.to_string());
                Err(DirectoryError::TurnDomainTaken(record.name, by.unwrap_or_default()))
            }
            Err(CommitError::Conflict(_)) => Err(DirectoryError::DomainExists(record.name)),
            other => other.map(drop).map_err(Into::into),
        }
    }

    pub async fn remove_domain(&self, domain: &Domain) -> Result<(), DirectoryError> {
        let name = domain.to_lookup();
        let (key, users) = (domain_key(&name), users_counter(&name));
        let count = self.engine.get(&users).await?;
        if crate::apply::counter_value(count.as_ref())? > 0 {
            return Err(DirectoryError::DomainInUse(name));
        }
        let mut batch = Batch::new();
        batch.check(key.clone(), Expect::Present);
        batch.check(users.clone(), count.map_or(Expect::Absent, Expect::Equals));
        batch.delete(key);
        batch.delete(users.clone());
        match self.engine.commit(batch).await {
            Err(CommitError::Conflict(at)) if at == users => Err(DirectoryError::DomainInUse(name)),
            Err(CommitError::Conflict(_)) => Err(DirectoryError::DomainUnknown(name)),
            other => other.map(drop).map_err(Into::into),
        }
    }

    pub async fn domains(&self) -> Result<Vec<DomainRecord>, StoreError> {
        self.all(DOMAIN).await
    }

    pub async fn hosts(&self, domain: &Domain) -> Result<bool, StoreError> {
        Ok(self.engine.get(&domain_key(&domain.to_lookup())).await?.is_some())
    }

    async fn domain(&self, name: &str) -> Result<Option<DomainRecord>, StoreError> {
        self.read(&domain_key(name)).await
    }

    async fn read<V: Value>(&self, key: &Key) -> Result<Option<V>, StoreError> {
        self.engine.get(key).await?.map(|octets| V::decode(&octets)).transpose()
    }

    async fn all<V: Value>(&self, tag: u8) -> Result<Vec<V>, StoreError> {
        let found = self.engine.scan(KeyRange::prefix(&[tag]), Order::Ascending, usize::MAX).await?;
        found.iter().map(|(_, value)| V::decode(value)).collect()
    }

    async fn is_free(&self, lookup: &str) -> Result<bool, StoreError> {
        Ok(self.engine.get(&account_key(lookup)).await?.is_none()
            && self.engine.get(&alias_key(lookup)).await?.is_none()
            && self.engine.get(&list_key(lookup)).await?.is_none())
    }
}

/// Claims an address for an account, alias or list: it must be free, its domain hosted, and the domain counts one more.
fn claim(batch: &mut Batch, lookup: &str, domain: &str) {
    batch.check(account_key(lookup), Expect::Absent);
    batch.check(alias_key(lookup), Expect::Absent);
    batch.check(list_key(lookup), Expect::Absent);
    batch.check(domain_key(domain), Expect::Present);
    batch.next(users_counter(domain));
}

fn domain_key(lookup: &str) -> Key {
    KeyBuilder::new(DOMAIN).text(lookup).key()
}

fn account_key(lookup: &str) -> Key {
    KeyBuilder::new(ACCOUNT).text(lookup).key()
}

fn alias_key(lookup: &str) -> Key {
    KeyBuilder::new(ALIAS).text(lookup).key()
}

fn list_key(lookup: &str) -> Key {
    KeyBuilder::new(LIST).text(lookup).key()
}

fn users_counter(domain: &str) -> Key {
    KeyBuilder::counter(counter::DOMAIN_USERS).text(domain).key()
}

/// The account that a login name means, prepared as RFC 8265 §3.3 says. `None`: no account can have it.
pub fn login_address(login: &str) -> Option<Address> {
    precis::username(login)?.parse().ok()
}

/// The domain that an address of ours must have, in lookup form.
fn domain_of(address: &Address) -> Result<String, DirectoryError> {
    address
        .domain()
        .map(Domain::to_lookup)
        .ok_or_else(|| DirectoryError::Invalid(format!("{address} has no domain name after the @")))
}
