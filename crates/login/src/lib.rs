//! Who a client is, for SMTP and POP3 alike: [`Logins`] checks passwords, app passwords, SCRAM, tokens and
//! certificates, and [`backoff`] makes guessing slow.
//!
//! Whatever is wrong, a refusal takes as long and says the same: an unknown user is not told from a wrong password.

mod backoff;
mod token;

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use mail::{precis, scram::ScramVerifier, text::clean_within};
use proto::sasl::{BearerToken, Credentials, Nonce, ScramOutcome, ScramUser, TokenHint};
use store::{
    Directory, StoreError,
    directory::{Account, Service, login_address},
};
use world::{Clock, Entropy, World};

use backoff::Backoff;
pub use backoff::Limits;
use token::TokenError;
pub use token::{AddressClaim, TokenRules, TokenSource, TokenVerifier};

/// Octets of a user name that a log line shows.
const LOGGED_NAME_BYTES: usize = 80;
/// Addresses in the certificate of a client; one with more is no certificate of one person.
const CERTIFICATE_ADDRESSES_MAX: usize = 16;

/// Checks logins for all services; one for the process, as it holds what was guessed lately.
pub struct Logins {
    directory: Directory,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    backoff: Backoff,
    /// None: no token is taken.
    tokens: RwLock<Option<Arc<TokenVerifier>>>,
}

/// Who asks to be let in.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub ip: IpAddr,
    /// To what.
    pub service: Service,
}

/// What comes of a login.
#[derive(Clone, Debug)]
pub enum Outcome {
    Accepted(Box<Account>),
    /// Unknown user, wrong password, or no right to act as somebody else. To be said after this time only.
    Refused {
        after: Duration,
    },
    /// Too many failed before; this one was not even looked at. Trying later helps.
    Held,
    /// It could not be checked; why is in the log.
    Unavailable,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logins")
    }
}

impl Logins {
    pub fn new(directory: Directory, world: &World, limits: Limits) -> Self {
        Self {
            directory,
            clock: world.clock.clone(),
            entropy: world.entropy.clone(),
            backoff: Backoff::new(limits),
            tokens: RwLock::default(),
        }
    }

    /// Puts other limits in force, and other rules for tokens. None: no token is taken.
    pub fn reload(&self, limits: Limits, tokens: Option<TokenVerifier>) {
        self.backoff.set_limits(limits);
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens.map(Arc::new);
    }

    /// Whether tokens can open anything.
    pub fn takes_tokens(&self) -> bool {
        self.tokens().is_some()
    }

    /// What a client is told whose token is refused.
    pub fn token_hint(&self) -> TokenHint {
        self.tokens().map(|tokens| tokens.hint()).unwrap_or_default()
    }

    fn tokens(&self) -> Option<Arc<TokenVerifier>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// PLAIN, LOGIN, USER and PASS: the account's password, or one of its app passwords for this service.
    pub async fn password(&self, client: Client, credentials: &Credentials) -> Outcome {
        let Credentials { authorization_id, authentication_id, password } = credentials;
        let (entropy, now) = (&*self.entropy, self.clock.wall());
        let check = async {
            let found =
                self.directory.log_in(authentication_id, password, client.service, entropy, now).await;
            let found = found.map_err(|error| error.to_string())?;
            Ok(found.filter(|account| may_act(authentication_id, authorization_id, account)))
        };
        self.attempt(client, authentication_id, check).await
    }

    /// RFC 5802: the verifier, or one that stands in for nobody's. The error is what to tell instead.
    pub async fn scram_verifier(
        &self,
        client: Client,
        user: &ScramUser,
    ) -> Result<(ScramVerifier, Nonce), Outcome> {
        let name = &user.authentication_id;
        if self.backoff.is_held(&counted_name(name), client.ip, self.clock.now()) {
            return Err(Outcome::Held);
        }
        let verifier = self.directory.scram_verifier(name, user.hash, &*self.entropy).await;
        match verifier {
            Ok(verifier) => Ok((verifier, self.entropy.array())),
            Err(error) => {
                tracing::error!(%error, "a login could not be checked");
                Err(Outcome::Unavailable)
            }
        }
    }

    pub async fn finish_scram(&self, client: Client, outcome: &ScramOutcome) -> Outcome {
        let ScramUser { authorization_id, authentication_id, .. } = &outcome.user;
        let check = async {
            let account = self.directory.account_of_login(authentication_id).await;
            let account = account.map_err(|error| error.to_string())?.filter(|_| outcome.proven);
            Ok(account.filter(|account| may_act(authentication_id, authorization_id, account)))
        };
        self.attempt(client, authentication_id, check).await
    }

    /// EXTERNAL: `addresses` are those that the client's certificate proves. They have to lead to one account: to none
    /// or to two is a certificate that says too little.
    pub async fn external(&self, client: Client, addresses: &[String], authorization_id: &str) -> Outcome {
        let found = self.only_account(addresses).await;
        let name = match &found {
            Ok(Some(account)) => account.address.to_string(),
            Ok(None) | Err(_) => addresses.first().cloned().unwrap_or_default(),
        };
        let found = found.map_err(|error| error.to_string());
        let found = found.map(|found| found.filter(|account| may_act(&name, authorization_id, account)));
        self.attempt(client, &name, async { found }).await
    }

    async fn only_account(&self, addresses: &[String]) -> Result<Option<Account>, StoreError> {
        if addresses.len() > CERTIFICATE_ADDRESSES_MAX {
            return Ok(None);
        }
        let mut found: Option<Account> = None;
        for address in addresses {
            let Some(account) = self.directory.account_of_login(address).await? else { continue };
            if found.is_some_and(|other| other.id != account.id) {
                return Ok(None);
            }
            found = Some(account);
        }
        Ok(found)
    }

    /// OAUTHBEARER and XOAUTH2: the token names the account. What the client is told besides is
    /// [`token_hint`](Self::token_hint).
    pub async fn token(&self, client: Client, shown: &BearerToken) -> Outcome {
        let Some(verifier) = self.tokens().filter(|_| !shown.token.is_empty()) else {
            // RFC 7628 §4.3: it guesses nothing, it asks where tokens come from.
            return Outcome::Refused { after: Duration::ZERO };
        };
        // A token that comes again and again without a name holds up nobody but itself.
        let named = !shown.authorization_id.is_empty();
        let counted = if named { &shown.authorization_id } else { &shown.token };
        let check = self.account_of_token(&verifier, shown);
        self.attempt_counted(client, counted, &shown.authorization_id, check).await
    }

    async fn account_of_token(
        &self,
        verifier: &TokenVerifier,
        shown: &BearerToken,
    ) -> Result<Option<Account>, String> {
        let address = match verifier.address(&shown.token).await {
            Ok(address) => address,
            Err(TokenError::Refused(reason)) => {
                tracing::info!(reason, "a token was refused");
                return Ok(None);
            }
            Err(TokenError::Unavailable(reason)) => return Err(reason),
        };
        let account = self.directory.account(&address).await.map_err(|error| error.to_string())?;
        Ok(account.filter(|account| may_act("", &shown.authorization_id, account)))
    }

    /// `check` finds the account if what was shown is right; the error is for the log.
    async fn attempt(
        &self,
        client: Client,
        name: &str,
        check: impl Future<Output = Result<Option<Account>, String>>,
    ) -> Outcome {
        self.attempt_counted(client, name, name, check).await
    }

    /// `counted`: what failures count for. `shown`: what the log may say of it.
    async fn attempt_counted(
        &self,
        client: Client,
        counted: &str,
        shown: &str,
        check: impl Future<Output = Result<Option<Account>, String>>,
    ) -> Outcome {
        let user = clean_within(shown.as_bytes(), LOGGED_NAME_BYTES);
        let attempt = match self.backoff.begin(&counted_name(counted), client.ip, self.clock.now()) {
            Ok(attempt) => attempt,
            Err(held) => {
                if held.first {
                    let network = held.network;
                    tracing::warn!(%network, %user, service = %client.service, "too many logins failed; further ones are put off");
                }
                return Outcome::Held;
            }
        };
        match check.await {
            Ok(Some(account)) => {
                self.backoff.succeed(&attempt);
                Outcome::Accepted(Box::new(account))
            }
            Ok(None) => {
                tracing::info!(client = %client.ip, %user, service = %client.service, "a login failed");
                Outcome::Refused { after: attempt.delay }
            }
            Err(error) => {
                tracing::error!(%user, %error, "a login could not be checked");
                self.backoff.forget(&attempt);
                Outcome::Unavailable
            }
        }
    }
}

/// The form of a name that failures are counted by, whether there is such an account or not.
fn counted_name(name: &str) -> String {
    login_address(name).map_or_else(|| name.to_lowercase(), |address| address.to_lookup())
}

/// RFC 4616 §2: nobody acts as somebody else here; naming oneself by the full address is fine.
fn may_act(name: &str, authorization_id: &str, account: &Account) -> bool {
    let acts_as = precis::username(authorization_id);
    authorization_id.is_empty()
        || (acts_as.is_some() && acts_as == precis::username(name))
        || login_address(authorization_id).is_some_and(|it| it.to_lookup() == account.address.to_lookup())
}

#[cfg(test)]
mod tests;
