//! Passwords as argon2id hashes, computed off the async threads and few at a time.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::SaltString,
};
use mail::{
    precis,
    scram::{ITERATIONS, ITERATIONS_MIN},
};
use tokio::sync::Semaphore;
use world::Entropy;

use super::{DirectoryError, ScramVerifiers};
use crate::engine::StoreError;

/// Each hash takes 19 MiB and a core, so that a flood of logins must wait.
const HASHES_AT_ONCE_MAX: usize = 2;
const PASSWORD_BYTES_MAX: usize = 1024;
const LANES: u32 = 1;
/// Stands in where there is no hash to verify against; not a secret.
const SALT_FOR_NOBODY: [u8; 16] = *b"nobody is nobody";

/// What a guess costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Of argon2id.
    memory_kib: u32,
    passes: u32,
    scram_iterations: u32,
    /// Computed by a thread of its own, as it takes long.
    threaded: bool,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, scram_iterations: ITERATIONS, threaded: true }
    }
}

impl PasswordCost {
    /// Next to nothing, and computed in place: for simulated systems, whose passwords are no secrets and whose runs must
    /// not depend on threads.
    pub fn least() -> Self {
        Self { memory_kib: Params::MIN_M_COST, passes: 1, scram_iterations: 1, threaded: false }
    }

    /// The same with as much of SCRAM as its clients insist on.
    pub fn least_with_scram() -> Self {
        Self { scram_iterations: ITERATIONS_MIN, ..Self::least() }
    }
}

/// Clones share the limit on hashes at a time.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    cost: PasswordCost,
    permits: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

impl Passwords {
    pub(super) fn new(cost: PasswordCost) -> Self {
        Self { cost, permits: Arc::new(Semaphore::new(HASHES_AT_ONCE_MAX)), computed: Arc::default() }
    }

    /// A PHC string, and what SCRAM needs instead of it.
    pub(super) async fn hash(
        &self,
        password: &str,
        entropy: &dyn Entropy,
    ) -> Result<(String, ScramVerifiers), DirectoryError> {
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            let rule = format!("a password has 1 to {PASSWORD_BYTES_MAX} octets");
            return Err(DirectoryError::Invalid(rule));
        }
        let (salt, salt_sha1, salt_sha256) = (entropy.array::<16>(), entropy.array(), entropy.array());
        let Some(password) = precis::password(password) else {
            return Err(DirectoryError::Invalid("a password has no control characters".to_owned()));
        };
        let cost = self.cost;
        let work = move || {
            let scram = ScramVerifiers::derive(&password, &salt_sha1, &salt_sha256, cost.scram_iterations);
            Ok::<_, StoreError>((hash(cost, &password, &salt)?, scram))
        };
        Ok(self.run(work).await??)
    }

    /// False if there is no hash, after as much work as if there were.
    pub(super) async fn verify(&self, hash: Option<String>, password: &str) -> Result<bool, StoreError> {
        // RFC 8265 §4.2. What is nobody's password is refused no faster than a wrong one.
        let prepared = precis::password(password).filter(|_| password.len() <= PASSWORD_BYTES_MAX);
        let hash = hash.filter(|_| prepared.is_some());
        let password = prepared.unwrap_or_default();
        let cost = self.cost;
        self.run(move || verify(cost, hash.as_deref(), &password)).await?
    }

    /// Hashes computed so far, by which it can be shown that refusals cost the same.
    pub(super) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// The permit goes along, so that a caller who gives up does not make room for another.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped =
            |error: &dyn std::fmt::Display| StoreError::Io(format!("hashing a password failed: {error}"));
        self.computed.fetch_add(1, Ordering::Relaxed);
        if !self.cost.threaded {
            return Ok(work());
        }
        let permit = self.permits.clone().acquire_owned().await.map_err(|error| stopped(&error))?;
        let running = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        running.await.map_err(|error| stopped(&error))
    }
}

fn hash(cost: PasswordCost, password: &str, salt: &[u8]) -> Result<String, StoreError> {
    let salt = SaltString::encode_b64(salt).map_err(|error| unusable(&error))?;
    let hash = argon2(cost)?.hash_password(password.as_bytes(), &salt).map_err(|error| unusable(&error))?;
    Ok(hash.to_string())
}

fn verify(cost: PasswordCost, hash_of_account: Option<&str>, password: &str) -> Result<bool, StoreError> {
    let Some(stored) = hash_of_account else {
        return hash(cost, password, &SALT_FOR_NOBODY).map(|_| false);
    };
    let stored = PasswordHash::new(stored).map_err(|error| unusable(&error))?;
    match argon2(cost)?.verify_password(password.as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(error) => Err(unusable(&error)),
    }
}

fn argon2(cost: PasswordCost) -> Result<Argon2<'static>, StoreError> {
    let params = Params::new(cost.memory_kib, cost.passes, LANES, None).map_err(|error| unusable(&error))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn unusable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Value(format!("a password hash cannot be used: {error}"))
}
