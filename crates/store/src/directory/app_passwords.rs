//! Passwords for one program each: made here, shown once, good for some services.
//!
//! They are random, so a keyed hash is enough: guessing one of 2^80 is hopeless without the Argon2 that a password of
//! human make needs, and a program that asks for mail each minute costs next to nothing. SCRAM would need verifiers of
//! each and has no way to say which one is meant, so they are for PLAIN, LOGIN and USER.

use mail::{Address, Timestamp, scram::ScramHash};
use serde::{Deserialize, Serialize};
use world::Entropy;

use super::{Account, Directory, DirectoryError, account_key};
use crate::{
    batch::{Batch, Expect},
    engine::{Key, KeyRange, Order, StoreError},
    keys::{APP_PASSWORD, KeyBuilder},
    mailbox::AccountId,
    value::Value,
};

/// Of one account.
const APP_PASSWORDS_MAX: usize = 50;
const NAME_CHARACTERS_MAX: usize = 64;
/// The last use is noted when the one noted before is older than this, so that logins are not writes.
const USE_NOTED_AFTER_MS: i64 = 60 * 60 * 1000;
/// No account has it.
const NOBODY: AccountId = AccountId(0);
/// The name of the secret that the hashes are keyed with.
const SECRET: &str = "app password";

/// What somebody logs in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    Submission,
    Pop3,
    Imap,
    /// The mail of the account's turn domains is fetched, and gone.
    Odmr,
}

/// Kept by account and hash. The hash tells nothing of the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPassword {
    /// What its owner calls it.
    pub name: String,
    /// What it is good for.
    pub services: Vec<Service>,
    pub created_at: Timestamp,
    /// To the hour.
    pub last_used_at: Option<Timestamp>,
}

impl Value for AppPassword {
    const NAME: &'static str = "app password";
    const VERSION: u8 = 1;
}

impl Service {
    pub const ALL: [Self; 4] = [Self::Submission, Self::Pop3, Self::Imap, Self::Odmr];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Pop3 => "pop3",
            Self::Imap => "imap",
            Self::Odmr => "odmr",
        }
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Directory {
    /// Makes a password; returns what is kept of it and, this once, the password. Without a name it gets a number.
    pub async fn add_app_password(
        &self,
        address: &Address,
        name: Option<&str>,
        services: &[Service],
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<(AppPassword, String), DirectoryError> {
        let (account, stored) = self.must_exist(address).await?;
        let there = self.app_passwords_of(account.id).await?;
        if there.len() >= APP_PASSWORDS_MAX {
            let rule = format!("{address} has {APP_PASSWORDS_MAX} app passwords; remove one first");
            return Err(DirectoryError::Invalid(rule));
        }
        let is_taken = |name: &str| there.iter().any(|(_, other)| other.name == name);
        let name = match name {
            Some(name) => checked_name(name)?,
            None => free_name(is_taken),
        };
        if is_taken(&name) {
            return Err(DirectoryError::Invalid(format!("{address} has an app password {name:?} already")));
        }
        let password = make_password(entropy);
        let digest = self.digest(&password, entropy).await?;
        let record = AppPassword { name, services: services.to_vec(), created_at: now, last_used_at: None };
        let mut batch = Batch::new();
        let key = account_key(&account.address.to_lookup());
        batch.check(key, Expect::Equals(stored));
        batch.put(app_password_key(account.id, &digest), record.encode());
        self.engine.commit(batch).await?;
        Ok((record, password))
    }

    /// The oldest first.
    pub async fn app_passwords(&self, address: &Address) -> Result<Vec<AppPassword>, DirectoryError> {
        let (account, _) = self.must_exist(address).await?;
        let found = self.app_passwords_of(account.id).await?;
        let mut found: Vec<AppPassword> = found.into_iter().map(|(_, record)| record).collect();
        found.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        Ok(found)
    }

    pub async fn remove_app_password(&self, address: &Address, name: &str) -> Result<(), DirectoryError> {
        let (account, _) = self.must_exist(address).await?;
        let mut meant = self.app_passwords_of(account.id).await?;
        meant.retain(|(_, record)| record.name == name);
        if meant.is_empty() {
            return Err(DirectoryError::Invalid(format!(
                "{address} has no app password {name:?}; `postrider account app-password list {address}` shows them"
            )));
        }
        let mut batch = Batch::new();
        for (key, _) in meant {
            batch.delete(key);
        }
        self.engine.commit(batch).await?;
        Ok(())
    }

    /// The account, if this is its password or one of its app passwords for the service. What is refused takes as long
    /// whatever is wrong.
    pub async fn log_in(
        &self,
        login: &str,
        password: &str,
        service: Service,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Option<Account>, StoreError> {
        let account = self.account_of_login(login).await?;
        let id = account.as_ref().map_or(NOBODY, |account| account.id);
        let key = app_password_key(id, &self.digest(password, entropy).await?);
        if let Some(record) = self.read::<AppPassword>(&key).await?
            && record.services.contains(&service)
        {
            self.note_use(key, record, now);
            return Ok(account);
        }
        self.verify(account, password).await
    }

    pub(super) async fn app_passwords_of(
        &self,
        account: AccountId,
    ) -> Result<Vec<(Key, AppPassword)>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(APP_PASSWORD).u64(account.0).octets());
        let found = self.engine.scan(range, Order::Ascending, usize::MAX).await?;
        found.into_iter().map(|(key, value)| Ok((key, AppPassword::decode(&value)?))).collect()
    }

    /// The login does not wait for it, and at worst it is lost.
    fn note_use(&self, key: Key, record: AppPassword, now: Timestamp) {
        let noted = record.last_used_at.map_or(i64::MIN, Timestamp::millis);
        if now.millis().saturating_sub(noted) < USE_NOTED_AFTER_MS {
            return;
        }
        let mut batch = Batch::new();
        batch.check(key.clone(), Expect::Equals(record.encode().into()));
        batch.put(key, AppPassword { last_used_at: Some(now), ..record }.encode());
        let engine = self.engine.clone();
        tokio::spawn(async move {
            if let Err(error) = engine.commit(batch).await {
                tracing::debug!(%error, "the use of an app password was not noted");
            }
        });
    }

    /// People type them with or without the dashes, in any case.
    async fn digest(&self, password: &str, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        let secret = self.secret(SECRET, entropy).await?;
        let typed: String = password.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        Ok(ScramHash::Sha256.hmac(&secret, typed.to_ascii_lowercase().as_bytes()))
    }
}

fn checked_name(name: &str) -> Result<String, DirectoryError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        let rule =
            format!("the name of an app password has 1 to {NAME_CHARACTERS_MAX} characters on one line");
        return Err(DirectoryError::Invalid(rule));
    }
    Ok(name.to_owned())
}

/// One of so many is free, since there are fewer app passwords.
fn free_name(is_taken: impl Fn(&str) -> bool) -> String {
    let mut names = (1..=APP_PASSWORDS_MAX).map(|n| format!("app-{n}"));
    names.find(|name| !is_taken(name)).unwrap_or_default()
}

fn app_password_key(account: AccountId, digest: &[u8]) -> Key {
    let mut octets = KeyBuilder::new(APP_PASSWORD).u64(account.0).octets();
    octets.extend_from_slice(digest);
    octets.into()
}

/// Four groups of four letters and digits that nobody mixes up: 80 bits.
pub fn make_password(entropy: &dyn Entropy) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = [0; 16];
    entropy.fill(&mut octets);
    let letters: Vec<char> = octets
        .iter()
        .filter_map(|octet| LETTERS.get(usize::from(octet % 32)))
        .map(|&letter| letter.into())
        .collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}
