//! Domains whose mail waits here until an account fetches it with ATRN (RFC 2645).

use mail::{Address, Domain, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Account, Directory, DirectoryError, account_key, domain_key};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{ACCOUNT_TURN_DOMAIN, KeyBuilder, TURN_DOMAIN, counter},
    mailbox::AccountId,
    value::Value,
};

/// A domain that is not hosted: mail for it is taken from anybody, and kept for this account to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnDomain {
    /// Lookup form.
    pub name: String,
    pub account: AccountId,
    /// The account's.
    pub address: Address,
    pub created_at: Timestamp,
}

impl Value for TurnDomain {
    const NAME: &'static str = "turn domain";
    const VERSION: u8 = 1;
}

impl Directory {
    /// Mail for `domain` is kept for this account from now on. A domain is fetched by one account, and not hosted too.
    pub async fn add_turn_domain(
        &self,
        address: &Address,
        domain: &Domain,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let name = domain.to_lookup();
        for _ in 0..CONFLICTS_MAX {
            let (account, stored) = self.must_exist(address).await?;
            if self.hosts(domain).await? {
                return Err(DirectoryError::DomainExists(name));
            }
            if let Some(taken) = self.turn_domain(domain).await? {
                return Err(DirectoryError::TurnDomainTaken(name, taken.address.to_string()));
            }
            let (id, address) = (account.id, account.address.clone());
            let record = TurnDomain { name: name.clone(), account: id, address, created_at: now };
            let mut batch = Batch::new();
            batch.check(account_key(&account.address.to_lookup()), Expect::Equals(stored));
            batch.check(domain_key(&name), Expect::Absent);
            batch.check(turn_key(&name), Expect::Absent);
            batch.put(turn_key(&name), record.encode());
            batch.put(of_account(id).text(&name).key(), Vec::new());
            batch.next(turn_domains_counter(id));
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(turn_key(&name)).into())
    }

    /// Mail that waits for the domain goes where the routes lead, when it is looked at next.
    pub async fn remove_turn_domain(&self, domain: &Domain) -> Result<(), DirectoryError> {
        let name = domain.to_lookup();
        let Some(record) = self.turn_domain(domain).await? else {
            return Err(DirectoryError::TurnDomainUnknown(name));
        };
        let mut batch = Batch::new();
        batch.check(turn_key(&name), Expect::Equals(record.encode().into()));
        batch.delete(turn_key(&name));
        batch.delete(of_account(record.account).text(&name).key());
        batch.add(turn_domains_counter(record.account), -1);
        match self.engine.commit(batch).await {
            Err(CommitError::Conflict(_)) => Err(DirectoryError::TurnDomainUnknown(name)),
            other => other.map(drop).map_err(Into::into),
        }
    }

    pub async fn turn_domain(&self, domain: &Domain) -> Result<Option<TurnDomain>, StoreError> {
        self.read(&turn_key(&domain.to_lookup())).await
    }

    pub async fn turn_domains(&self) -> Result<Vec<TurnDomain>, StoreError> {
        self.all(TURN_DOMAIN).await
    }

    /// The domains that this account fetches, in order of name.
    pub async fn turn_domains_of(&self, account: &Account) -> Result<Vec<Domain>, StoreError> {
        let prefix = of_account(account.id).octets();
        let found = self.engine.scan(KeyRange::prefix(&prefix), Order::Ascending, usize::MAX).await?;
        let name = |key: &Key| {
            let name = key.as_slice().get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
            let domain = name.and_then(|name| name.parse().ok());
            domain.ok_or_else(|| StoreError::Value("a turn domain has no name".to_owned()))
        };
        found.iter().map(|(key, _)| name(key)).collect()
    }

    /// An account goes only when it fetches for nobody any more.
    pub(super) async fn stage_no_turn_domains(
        &self,
        batch: &mut Batch,
        account: &Account,
    ) -> Result<(), DirectoryError> {
        let key = turn_domains_counter(account.id);
        let count = self.engine.get(&key).await?;
        if crate::apply::counter_value(count.as_ref())? > 0 {
            return Err(DirectoryError::AccountFetches(account.address.to_string()));
        }
        batch.check(key.clone(), count.map_or(Expect::Absent, Expect::Equals));
        batch.delete(key);
        Ok(())
    }
}

pub(super) fn turn_key(lookup: &str) -> Key {
    KeyBuilder::new(TURN_DOMAIN).text(lookup).key()
}

fn of_account(account: AccountId) -> KeyBuilder {
    KeyBuilder::new(ACCOUNT_TURN_DOMAIN).u64(account.0)
}

fn turn_domains_counter(account: AccountId) -> Key {
    KeyBuilder::counter(counter::TURN_DOMAINS).u64(account.0).key()
}
