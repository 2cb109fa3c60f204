//! What SCRAM needs of an account instead of its password (RFC 5802).

use mail::{
    Address,
    scram::{SALT_BYTES, ScramHash, ScramVerifier},
};
use serde::{Deserialize, Serialize};
use world::Entropy;

use super::{Account, Directory, login_address};
use crate::{
    engine::{Key, StoreError},
    keys::{KeyBuilder, SCRAM},
    mailbox::AccountId,
    value::Value,
};

/// No account has it.
const NOBODY: AccountId = AccountId(0);

/// Made whenever a password is set. An account without them cannot use SCRAM until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramVerifiers {
    pub sha1: ScramVerifier,
    pub sha256: ScramVerifier,
}

impl Value for ScramVerifiers {
    const NAME: &'static str = "SCRAM verifier";
    const VERSION: u8 = 1;
}

impl ScramVerifiers {
    /// Takes a while: two times so many iterations.
    pub(super) fn derive(
        password: &str,
        salt_sha1: &[u8; SALT_BYTES],
        salt_sha256: &[u8; SALT_BYTES],
        iterations: u32,
    ) -> Self {
        Self {
            sha1: ScramVerifier::derive(ScramHash::Sha1, password, salt_sha1, iterations),
            sha256: ScramVerifier::derive(ScramHash::Sha256, password, salt_sha256, iterations),
        }
    }

    fn into_one(self, hash: ScramHash) -> ScramVerifier {
        match hash {
            ScramHash::Sha1 => self.sha1,
            ScramHash::Sha256 => self.sha256,
        }
    }
}

impl Directory {
    /// The verifier of this account. Where there is none, one that no password fits, always the same for the same
    /// name, after as many reads: neither tells whether there is such a user.
    pub async fn scram_verifier(
        &self,
        login: &str,
        hash: ScramHash,
        entropy: &dyn Entropy,
    ) -> Result<ScramVerifier, StoreError> {
        let address = login_address(login);
        let name = address.as_ref().map_or_else(|| login.to_owned(), Address::to_lookup);
        // Kept, so that nobody's salts stay what they are when the server restarts.
        let secret = self.secret("scram", entropy).await?;
        let nobody = ScramVerifier::of_nobody(hash, &name, &secret);
        let account = self.account_of_login(login).await?;
        let id = account.map_or(NOBODY, |account| account.id);
        let verifiers = self.read::<ScramVerifiers>(&scram_key(id)).await?;
        Ok(verifiers.map_or(nobody, |verifiers| verifiers.into_one(hash)))
    }

    /// The account that logs in with this name, whatever it proves. `None` also if the name is no address.
    pub async fn account_of_login(&self, login: &str) -> Result<Option<Account>, StoreError> {
        match login_address(login) {
            Some(address) => self.account(&address).await,
            None => Ok(None),
        }
    }
}

pub(super) fn scram_key(account: AccountId) -> Key {
    KeyBuilder::new(SCRAM).u64(account.0).key()
}
