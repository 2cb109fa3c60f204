//! Full names, and who is called so.

use mail::{Address, FullName};

use super::{Account, Directory, DirectoryError, account_key};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, KeyRange, Order, StoreError},
    keys::{ACCOUNT_NAME, KeyBuilder, KeyReader},
    value::Value,
};

/// Index keys looked at for one question; who asks for a name that more people share has to be more precise.
const NAME_KEYS_MAX: usize = 1000;

impl Directory {
    /// Sets the account's full name, or takes it away.
    pub async fn set_full_name(
        &self,
        address: &Address,
        full_name: Option<FullName>,
    ) -> Result<(), DirectoryError> {
        let lookup = address.to_lookup();
        let key = account_key(&lookup);
        for _ in 0..CONFLICTS_MAX {
            let (account, stored) = self.must_exist(address).await?;
            let mut batch = Batch::new();
            batch.check(key.clone(), Expect::Equals(stored));
            stage_names(&mut batch, &lookup, account.full_name.as_ref(), full_name.as_ref());
            batch.put(key.clone(), Account { full_name: full_name.clone(), ..account }.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(key).into())
    }

    /// Accounts whose full name this is in any case; if there are none, those that have a word beginning like each word
    /// of it. At most `limit`, in order of address.
    pub async fn accounts_by_name(&self, text: &str, limit: usize) -> Result<Vec<Account>, StoreError> {
        let words = FullName::words(text);
        let Ok(name) = text.parse::<FullName>() else { return Ok(Vec::new()) };
        let Some(longest) = words.iter().max_by_key(|word| word.len()) else { return Ok(Vec::new()) };
        let whole = KeyBuilder::new(ACCOUNT_NAME).text(&whole(&name)).octet(0);
        let named = self.named(&whole.octets(), &[], limit).await?;
        if !named.is_empty() {
            return Ok(named);
        }
        self.named(&KeyBuilder::new(ACCOUNT_NAME).text(longest).octets(), &words, limit).await
    }

    /// Accounts under this prefix of the index whose name has a beginning of each of the words.
    async fn named(&self, prefix: &[u8], words: &[String], limit: usize) -> Result<Vec<Account>, StoreError> {
        let found = self.engine.scan(KeyRange::prefix(prefix), Order::Ascending, NAME_KEYS_MAX).await?;
        let mut lookups = Vec::with_capacity(found.len());
        for (key, _) in &found {
            let mut reader = KeyReader::new(key)?;
            reader.text_to_nul()?;
            lookups.push(reader.text()?);
        }
        lookups.sort_unstable();
        lookups.dedup();
        let mut accounts = Vec::new();
        for lookup in lookups {
            let account: Option<Account> = self.read(&account_key(lookup)).await?;
            accounts.extend(account.filter(|account| has_words(account, words)));
            if accounts.len() >= limit {
                break;
            }
        }
        Ok(accounts)
    }
}

fn has_words(account: &Account, wanted: &[String]) -> bool {
    let Some(name) = &account.full_name else { return false };
    let words = FullName::words(name.as_str());
    wanted.iter().all(|wanted| words.iter().any(|word| word.starts_with(wanted.as_str())))
}

/// The index follows a change of the name.
pub(super) fn stage_names(batch: &mut Batch, lookup: &str, old: Option<&FullName>, new: Option<&FullName>) {
    old.into_iter().flat_map(|name| name_keys(name, lookup)).for_each(|key| batch.delete(key));
    new.into_iter().flat_map(|name| name_keys(name, lookup)).for_each(|key| batch.put(key, Vec::new()));
}

fn name_keys(name: &FullName, lookup: &str) -> Vec<Key> {
    let mut terms = FullName::words(name.as_str());
    terms.push(whole(name));
    terms.iter().map(|term| KeyBuilder::new(ACCOUNT_NAME).text(term).octet(0).text(lookup).key()).collect()
}

fn whole(name: &FullName) -> String {
    name.as_str().to_lowercase()
}
