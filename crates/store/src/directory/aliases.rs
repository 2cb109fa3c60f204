use mail::{Address, Domain, Timestamp};

use super::{Alias, Directory, DirectoryError, alias_key, claim, domain_of, users_counter};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, StoreError},
    keys::ALIAS,
    value::Value,
};

/// Longer lists of members are mailing lists.
const ALIAS_TARGETS_MAX: usize = 1000;

/// Lookup form of an alias and of its domain.
struct AliasName {
    lookup: String,
    domain: String,
}

impl AliasName {
    fn parse(text: &str) -> Result<Self, DirectoryError> {
        let invalid =
            |error: mail::AddressError| DirectoryError::Invalid(format!("{text:?} is not an alias: {error}"));
        if let Some(domain) = text.strip_prefix('@') {
            let domain = domain.parse::<Domain>().map_err(invalid)?.to_lookup();
            return Ok(Self { lookup: catch_all(&domain), domain });
        }
        let address = text.parse::<Address>().map_err(invalid)?;
        Ok(Self { lookup: address.to_lookup(), domain: domain_of(&address)? })
    }
}

/// The lookup form of a domain's catch-all.
pub(super) fn catch_all(domain: &str) -> String {
    format!("@{domain}")
}

impl Directory {
    /// Adds an alias; `@domain` catches what nobody else of the domain has.
    pub async fn add_alias(
        &self,
        address: &str,
        targets: Vec<Address>,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let name = AliasName::parse(address)?;
        if targets.is_empty() || targets.len() > ALIAS_TARGETS_MAX {
            return Err(DirectoryError::Invalid(format!("an alias has 1 to {ALIAS_TARGETS_MAX} targets")));
        }
        let alias = Alias { address: name.lookup, targets, created_at: now };
        for _ in 0..CONFLICTS_MAX {
            if self.domain(&name.domain).await?.is_none() {
                return Err(DirectoryError::DomainUnknown(name.domain));
            }
            if !self.is_free(&alias.address).await? {
                return Err(DirectoryError::AddressTaken(alias.address));
            }
            let mut batch = Batch::new();
            claim(&mut batch, &alias.address, &name.domain);
            batch.put(alias_key(&alias.address), alias.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(alias_key(&alias.address)).into())
    }

    pub async fn remove_alias(&self, address: &str) -> Result<(), DirectoryError> {
        let name = AliasName::parse(address)?;
        let key = alias_key(&name.lookup);
        let mut batch = Batch::new();
        batch.check(key.clone(), Expect::Present);
        batch.delete(key);
        batch.add(users_counter(&name.domain), -1);
        match self.engine.commit(batch).await {
            Err(CommitError::Conflict(_)) => Err(DirectoryError::AliasUnknown(name.lookup)),
            other => other.map(drop).map_err(Into::into),
        }
    }

    pub async fn aliases(&self) -> Result<Vec<Alias>, StoreError> {
        self.all(ALIAS).await
    }

    pub(super) async fn alias(&self, lookup: &str) -> Result<Option<Alias>, StoreError> {
        self.read(&alias_key(lookup)).await
    }
}
