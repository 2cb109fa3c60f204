//! From options to logins: what guessing costs, and which tokens are good.

use std::sync::Arc;

use login::{AddressClaim, Limits, Logins, TokenRules, TokenSource, TokenVerifier};
use store::Stores;
use world::{
    World,
    http::HttpClient,
    tls::{ClientTls, Verify},
};

use crate::{
    Failure,
    config::{
        Config,
        options::{Login, OAuth, TokenClaim},
    },
    tls,
};

pub fn start(config: &Config, stores: &Stores, world: &World) -> Result<Arc<Logins>, Failure> {
    let logins = Logins::new(stores.directory.clone(), world, limits(&config.login));
    logins.reload(limits(&config.login), verifier(&config.oauth, world)?);
    Ok(Arc::new(logins))
}

/// What [`Logins::reload`] takes.
pub fn prepare(config: &Config, world: &World) -> Result<(Limits, Option<TokenVerifier>), Failure> {
    Ok((limits(&config.login), verifier(&config.oauth, world)?))
}

fn limits(login: &Login) -> Limits {
    Limits {
        attempts: login.attempts,
        attempts_network: login.attempts_network,
        attempts_account: login.attempts_account,
        window: login.window.0,
    }
}

/// None: no token is taken.
fn verifier(oauth: &OAuth, world: &World) -> Result<Option<TokenVerifier>, Failure> {
    let Some(source) = source(oauth) else { return Ok(None) };
    let rules = TokenRules {
        issuer: oauth.issuer.clone(),
        audience: oauth.audience.clone(),
        scope: oauth.scope.clone(),
        claim: match oauth.claim {
            TokenClaim::Email => AddressClaim::Email,
            TokenClaim::Sub => AddressClaim::Sub,
            TokenClaim::PreferredUsername => AddressClaim::PreferredUsername,
            TokenClaim::Username => AddressClaim::Username,
        },
        source,
    };
    let tls = ClientTls::new(Verify::RootsAndName, &tls::system_roots()).map_err(Failure::new)?;
    let http = Arc::new(HttpClient::new(world.clone(), tls));
    Ok(Some(TokenVerifier::new(rules, http, world)))
}

fn source(oauth: &OAuth) -> Option<TokenSource> {
    let keys = oauth.jwks_file.clone().map(TokenSource::KeyFile);
    let keys = keys.or_else(|| oauth.jwks_url.clone().map(TokenSource::KeyUrl));
    keys.or_else(|| {
        Some(TokenSource::Introspection {
            url: oauth.introspection_url.clone()?,
            client_id: oauth.client_id.clone()?,
            client_secret_file: oauth.client_secret_file.clone()?,
        })
    })
}
