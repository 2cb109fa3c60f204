//! Who is who: hosted domains, accounts with passwords, aliases.

use std::sync::Arc;

use mail::{Address, Domain, Timestamp};
use serde::{Deserialize, Serialize};
use world::Entropy;

use crate::{
    engine::{CommitError, Engine, StoreError},
    mailbox::{AccountId, MailboxId},
    value::Value,
};

/// The directory over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Directory {
    engine: Arc<dyn Engine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRecord {
    pub name: String,
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
}

/// Why a change of the directory was refused; tells the operator what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("{0} is hosted already")]
    DomainExists(String),
    #[error("{0} is not hosted here; `postrider domain add {0}` adds it")]
    DomainUnknown(String),
    #[error("{0} still has accounts or aliases; remove them first")]
    DomainInUse(String),
    #[error("there is an account or alias {0} already")]
    AddressTaken(String),
    #[error("there is no account {0}")]
    AccountUnknown(String),
    #[error("there is no alias {0}")]
    AliasUnknown(String),
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

impl Value for DomainRecord {
    const NAME: &'static str = "domain";
    const VERSION: u8 = 1;
}

impl Value for Account {
    const NAME: &'static str = "account";
    const VERSION: u8 = 1;
}

impl Value for Alias {
    const NAME: &'static str = "alias";
    const VERSION: u8 = 1;
}

impl Directory {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    pub async fn add_domain(&self, _domain: &Domain, _now: Timestamp) -> Result<(), DirectoryError> {
        todo!()
    }

    pub async fn remove_domain(&self, _domain: &Domain) -> Result<(), DirectoryError> {
        todo!()
    }

    pub async fn domains(&self) -> Result<Vec<DomainRecord>, StoreError> {
        todo!()
    }

    pub async fn hosts(&self, _domain: &Domain) -> Result<bool, StoreError> {
        todo!()
    }

    /// Makes an account with its INBOX. The password is hashed with argon2id off the async threads.
    pub async fn add_account(
        &self,
        _address: &Address,
        _password: &str,
        _quota_bytes: Option<u64>,
        _entropy: &dyn Entropy,
        _now: Timestamp,
    ) -> Result<Account, DirectoryError> {
        todo!()
    }

    pub async fn set_password(
        &self,
        _address: &Address,
        _password: &str,
        _entropy: &dyn Entropy,
    ) -> Result<(), DirectoryError> {
        todo!()
    }

    /// Removes the account and its mailboxes.
    pub async fn remove_account(&self, _address: &Address) -> Result<(), DirectoryError> {
        todo!()
    }

    pub async fn account(&self, _address: &Address) -> Result<Option<Account>, StoreError> {
        todo!()
    }

    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        todo!()
    }

    pub async fn add_alias(
        &self,
        _address: &str,
        _targets: Vec<Address>,
        _now: Timestamp,
    ) -> Result<(), DirectoryError> {
        todo!()
    }

    pub async fn remove_alias(&self, _address: &str) -> Result<(), DirectoryError> {
        todo!()
    }

    pub async fn aliases(&self) -> Result<Vec<Alias>, StoreError> {
        todo!()
    }

    /// Where mail to this address goes: exact account or alias, then `user+detail`, then the catch-all;
    /// `postmaster@` any hosted domain leads to the domain's first account if there is none (RFC 5321 §4.5.1).
    pub async fn resolve(&self, _address: &Address) -> Result<Resolution, StoreError> {
        todo!()
    }

    /// As [`resolve`](Self::resolve) for `<postmaster>` without a domain.
    pub async fn resolve_postmaster(&self) -> Result<Resolution, StoreError> {
        todo!()
    }

    /// The account if the password is right. Takes as long for an unknown user; at most two hashes run at a time.
    pub async fn authenticate(&self, _login: &str, _password: &str) -> Result<Option<Account>, StoreError> {
        todo!()
    }
}
