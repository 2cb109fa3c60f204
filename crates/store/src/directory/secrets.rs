//! Secrets that the store makes for itself.

use mail::seal::Seal;
use world::Entropy;

use super::Directory;
use crate::{
    batch::{Batch, Expect},
    engine::{CommitError, Key, StoreError},
    keys::{KeyBuilder, SECRET},
};

const SECRET_BYTES: usize = 32;
const SEAL: &str = "seal";

impl Directory {
    /// What return addresses and confirmations are proven by. `None` before [`make_seal`](Self::make_seal): then there are
    /// none to prove.
    pub async fn seal(&self) -> Result<Option<Seal>, StoreError> {
        Ok(self.engine.get(&secret_key(SEAL)).await?.map(|secret| Seal::new(&secret)))
    }

    pub async fn make_seal(&self, entropy: &dyn Entropy) -> Result<Seal, StoreError> {
        self.secret(SEAL, entropy).await.map(|secret| Seal::new(&secret))
    }

    /// Made when it is first needed, and kept.
    pub(super) async fn secret(&self, name: &str, entropy: &dyn Entropy) -> Result<Vec<u8>, StoreError> {
        let key = secret_key(name);
        if let Some(secret) = self.engine.get(&key).await? {
            return Ok(secret.to_vec());
        }
        let secret = entropy.array::<SECRET_BYTES>().to_vec();
        let mut batch = Batch::new();
        batch.check(key.clone(), Expect::Absent);
        batch.put(key.clone(), secret.clone());
        match self.engine.commit(batch).await {
            Ok(_) => Ok(secret),
            // Somebody else was first.
            Err(CommitError::Conflict(_)) => {
                self.engine.get(&key).await?.map(|secret| secret.to_vec()).ok_or(StoreError::NotFound)
            }
            Err(CommitError::Full) => Err(StoreError::Full),
            Err(CommitError::Poisoned(why)) => Err(StoreError::Io(why)),
            Err(CommitError::Read(error)) => Err(error),
        }
    }
}

fn secret_key(name: &str) -> Key {
    KeyBuilder::new(SECRET).text(name).key()
}
