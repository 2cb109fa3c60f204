use bytes::Bytes;
use mail::{Address, Timestamp};
use world::Entropy;

use super::{
    Account, Directory, DirectoryError, DomainRecord, account_key, claim, domain_key, domain_of,
    names::stage_names, scram::scram_key, users_counter,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key, StoreError},
    keys::{ACCOUNT, KeyBuilder, counter},
    mailbox::{AccountId, Quota},
    value::Value,
};

/// What a new account has, with special uses (RFC 6154 §2). INBOX comes first.
const MAILBOXES: [(&str, Option<&str>); 6] = [
    ("INBOX", None),
    ("Sent", Some("\\Sent")),
    ("Drafts", Some("\\Drafts")),
    ("Trash", Some("\\Trash")),
    ("Junk", Some("\\Junk")),
    ("Archive", Some("\\Archive")),
];

impl Directory {
    /// Makes an account with INBOX, Sent, Drafts, Trash, Junk and Archive. The password is hashed with argon2id off the
    /// async threads.
    pub async fn add_account(
        &self,
        address: &Address,
        password: &str,
        quota_bytes: Option<u64>,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Account, DirectoryError> {
        // Refused before the password is hashed, which takes a while.
        self.must_be_addable(address).await?;
        let (password_hash, scram) = self.passwords.hash(password, entropy).await?;
        let draft = Account {
            id: AccountId(0),
            address: address.clone(),
            password_hash,
            inbox: crate::mailbox::MailboxId(0),
            inbox_uid_validity: 0,
            quota_bytes,
            created_at: now,
            full_name: None,
            quota_messages: None,
        };
        for _ in 0..CONFLICTS_MAX {
            let domain = self.must_be_addable(address).await?;
            let mut batch = Batch::new();
            let account = self.stage_account(&mut batch, draft.clone(), domain).await?;
            batch.put(scram_key(account.id), scram.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(account),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(account_key(&address.to_lookup())).into())
    }

    pub async fn set_password(
        &self,
        address: &Address,
        password: &str,
        entropy: &dyn Entropy,
    ) -> Result<(), DirectoryError> {
        let key = account_key(&address.to_lookup());
        self.must_exist(address).await?;
        let (password_hash, scram) = self.passwords.hash(password, entropy).await?;
        for _ in 0..CONFLICTS_MAX {
            let (account, stored) = self.must_exist(address).await?;
            let id = account.id;
            let mut batch = Batch::new();
            batch.check(key.clone(), Expect::Equals(stored));
            batch.put(key.clone(), Account { password_hash: password_hash.clone(), ..account }.encode());
            batch.put(scram_key(id), scram.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(key).into())
    }

    /// What the account's mailboxes may hold. What is there already stays.
    pub async fn set_quota(&self, address: &Address, quota: Quota) -> Result<(), DirectoryError> {
        let key = account_key(&address.to_lookup());
        for _ in 0..CONFLICTS_MAX {
            let (account, stored) = self.must_exist(address).await?;
            let mut batch = Batch::new();
            batch.check(key.clone(), Expect::Equals(stored));
            let Quota { octets: quota_bytes, messages: quota_messages } = quota;
            batch.put(key.clone(), Account { quota_bytes, quota_messages, ..account }.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(key).into())
    }

    /// Removes the account and its mailboxes. Many messages go in steps; the account itself goes last.
    pub async fn remove_account(&self, address: &Address) -> Result<(), DirectoryError> {
        let lookup = address.to_lookup();
        let key = account_key(&lookup);
        for _ in 0..CONFLICTS_MAX {
            let (account, stored) = self.must_exist(address).await?;
            let mut batch = Batch::new();
            // First, because removing mailboxes begins at once.
            self.stage_no_turn_domains(&mut batch, &account).await?;
            self.mailboxes.stage_removal(&mut batch, account.id).await?;
            batch.check(key.clone(), Expect::Equals(stored));
            batch.delete(key.clone());
            batch.delete(scram_key(account.id));
            stage_names(&mut batch, &lookup, account.full_name.as_ref(), None);
            for (key, _) in self.app_passwords_of(account.id).await? {
                batch.delete(key);
            }
            self.stage_leaving(&mut batch, &account, &lookup).await?;
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(key).into())
    }

    pub async fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        self.read(&account_key(&address.to_lookup())).await
    }

    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.all(ACCOUNT).await
    }

    /// The account if the password is its own, app passwords aside.
    pub async fn authenticate(&self, login: &str, password: &str) -> Result<Option<Account>, StoreError> {
        let account = self.account_of_login(login).await?;
        self.verify(account, password).await
    }

    /// The account if the password is right. Takes as long for nobody; at most two hashes run at a time.
    pub(super) async fn verify(
        &self,
        account: Option<Account>,
        password: &str,
    ) -> Result<Option<Account>, StoreError> {
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let is_right = self.passwords.verify(hash, password).await?;
        Ok(account.filter(|_| is_right))
    }

    /// The address is free and its domain hosted.
    async fn must_be_addable(&self, address: &Address) -> Result<DomainRecord, DirectoryError> {
        let name = domain_of(address)?;
        let domain = self.domain(&name).await?.ok_or(DirectoryError::DomainUnknown(name))?;
        if !self.is_free(&address.to_lookup()).await? {
            return Err(DirectoryError::AddressTaken(address.to_string()));
        }
        Ok(domain)
    }

    /// The account, and its octets as they are stored: those of an earlier version differ from what is encoded now.
    pub(super) async fn must_exist(&self, address: &Address) -> Result<(Account, Bytes), DirectoryError> {
        let stored = self.engine.get(&account_key(&address.to_lookup())).await?;
        let stored = stored.ok_or_else(|| DirectoryError::AccountUnknown(address.to_string()))?;
        Ok((Account::decode(&stored)?, stored))
    }

    /// Numbers the account and adds it with its mailboxes. Conflicts if others were numbered meanwhile.
    async fn stage_account(
        &self,
        batch: &mut Batch,
        draft: Account,
        domain: DomainRecord,
    ) -> Result<Account, DirectoryError> {
        let stored = self.engine.get(&id_counter()).await?;
        let id = crate::apply::counter_value(stored.as_ref())? + 1;
        if id > u64::from(u32::MAX) {
            return Err(DirectoryError::Invalid(
                "no more than 4,294,967,295 accounts can be made".to_owned(),
            ));
        }
        batch.check(id_counter(), stored.map_or(Expect::Absent, Expect::Equals));
        batch.put(id_counter(), id.to_be_bytes().to_vec());
        let made = self.mailboxes.stage(batch, AccountId(id), &MAILBOXES, draft.created_at).await?;
        let Some(inbox) = made.first() else { return Err(StoreError::NotFound.into()) };
        let account =
            Account { id: AccountId(id), inbox: inbox.id, inbox_uid_validity: inbox.uid_validity, ..draft };
        let lookup = account.address.to_lookup();
        claim(batch, &lookup, &domain.name);
        batch.put(account_key(&lookup), account.encode());
        if domain.first_account.is_none() {
            Self::stage_first_account(batch, domain, Some(account.address.clone()));
        }
        Ok(account)
    }

    /// The domain counts one less, and its first account is another if it was this one.
    async fn stage_leaving(
        &self,
        batch: &mut Batch,
        account: &Account,
        lookup: &str,
    ) -> Result<(), DirectoryError> {
        let name = domain_of(&account.address)?;
        batch.add(users_counter(&name), -1);
        let Some(domain) = self.domain(&name).await? else { return Ok(()) };
        let is_of_domain = |other: &Account| domain_of(&other.address).is_ok_and(|its| its == name);
        if domain.first_account.as_ref().is_some_and(|first| first.to_lookup() == lookup) {
            let others = self.accounts().await?.into_iter();
            let next = others
                .filter(|other| other.id != account.id && is_of_domain(other))
                .min_by_key(|other| other.id);
            Self::stage_first_account(batch, domain, next.map(|account| account.address));
        }
        Ok(())
    }

    fn stage_first_account(batch: &mut Batch, domain: DomainRecord, first_account: Option<Address>) {
        let key = domain_key(&domain.name);
        batch.check(key.clone(), Expect::Equals(domain.encode().into()));
        batch.put(key, DomainRecord { first_account, ..domain }.encode());
    }
}

fn id_counter() -> Key {
    KeyBuilder::counter(counter::ACCOUNT_ID).key()
}
