//! Bearer tokens in place of passwords: is this one good here, and whose is it?
//!
//! Either the issuer's keys tell ([`keys`]; RFC 7519, RFC 7517) or the issuer is asked each time ([`introspection`];
//! RFC 7662). What a token has to say is the same for both ([`claims`]).

mod claims;
mod introspection;
mod keys;

use std::{fmt, path::PathBuf, sync::Arc};

use mail::Address;
use proto::sasl::TokenHint;
use tokio::sync::Semaphore;
use world::{
    Clock, World,
    http::{Http, HttpUrl},
};

pub use claims::AddressClaim;
use keys::Keys;

/// Tokens looked at at a time; each may take a request to the issuer.
const CHECKS_AT_ONCE_MAX: usize = 16;

/// Which tokens are good here.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// What `iss` has to be.
    pub issuer: Option<String>,
    /// What `aud` has to hold.
    pub audience: Option<String>,
    /// What `scope` has to hold.
    pub scope: Option<String>,
    /// Where the account's address stands.
    pub claim: AddressClaim,
    pub source: TokenSource,
}

/// Who says that a token is genuine.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// The issuer's public keys, read again when they change.
    KeyFile(PathBuf),
    KeyUrl(HttpUrl),
    Introspection {
        url: HttpUrl,
        client_id: String,
        /// Read at each use.
        client_secret_file: PathBuf,
    },
}

/// Why a token opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// For the log; the client is told less.
    Refused(&'static str),
    /// It cannot be told now.
    Unavailable(String),
}

/// Checks tokens by one set of rules.
pub struct TokenVerifier {
    rules: TokenRules,
    keys: Keys,
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenVerifier({:?})", self.rules)
    }
}

impl TokenVerifier {
    pub fn new(rules: TokenRules, http: Arc<dyn Http>, world: &World) -> Self {
        Self {
            rules,
            keys: Keys::default(),
            http,
            clock: world.clock.clone(),
            permits: Semaphore::new(CHECKS_AT_ONCE_MAX),
        }
    }

    /// What a client is told whose token is refused.
    pub(crate) fn hint(&self) -> TokenHint {
        let issuer = self.rules.issuer.as_deref().map(|issuer| issuer.trim_end_matches('/'));
        TokenHint {
            scope: self.rules.scope.clone(),
            metadata: issuer.map(|issuer| format!("{issuer}/.well-known/openid-configuration")),
        }
    }

    /// The address that a good token names.
    pub(crate) async fn address(&self, token: &str) -> Result<Address, TokenError> {
        let _permit =
            self.permits.acquire().await.map_err(|error| TokenError::Unavailable(error.to_string()))?;
        let claims = match &self.rules.source {
            TokenSource::Introspection { url, client_id, client_secret_file } => {
                introspection::ask(&*self.http, url, client_id, client_secret_file, token).await?
            }
            source => self.keys.verify(source, &*self.http, self.clock.now(), token).await?,
        };
        claims.address(&self.rules, self.clock.wall())
    }
}

#[cfg(test)]
mod tests;
