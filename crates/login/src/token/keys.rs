//! The issuer's public keys, and signatures by them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use tokio::{io::AsyncReadExt, sync::Mutex};
use world::http::{BODY_BYTES_MAX, Http, HttpRequest};

use super::{TokenError, TokenSource, claims::Claims};

/// Keys are fetched again when they are older.
const KEYS_FRESH_FOR: Duration = Duration::from_mins(10);
/// While the issuer does not answer, its keys are good for so long.
const KEYS_GOOD_FOR: Duration = Duration::from_hours(24);
/// Between two requests for keys, whatever tokens ask for.
const FETCH_INTERVAL: Duration = Duration::from_secs(30);
/// Keys of one issuer; further ones are ignored.
const KEYS_MAX: usize = 100;
/// Keys tried for a token that does not name its own.
const CANDIDATES_MAX: usize = 8;
/// Those that take a key pair. `none` and the symmetric ones, to which a public key would be a secret that everybody
/// knows, are not among them (RFC 8725 §3.1, §3.2).
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Fetched when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Keys(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    keys: Arc<[Jwk]>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Keys {
    /// The claims of a token that one of the keys signed.
    pub(super) async fn verify(
        &self,
        source: &TokenSource,
        http: &dyn Http,
        now: Instant,
        token: &str,
    ) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| TokenError::Refused("it is no signed token with an algorithm we know"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(TokenError::Refused("its algorithm takes no key pair"));
        }
        // RFC 7515 §4.1.11: we understand no extension.
        if header.crit.is_some() {
            return Err(TokenError::Refused("it has critical extensions"));
        }
        let candidates = self.candidates(source, http, now, header.kid.as_deref(), header.alg).await?;
        if candidates.is_empty() {
            return Err(TokenError::Refused("its issuer has no such key"));
        }
        let signed = candidates.iter().find_map(|key| claims_signed_by(key, header.alg, token));
        signed.ok_or(TokenError::Refused("its signature is wrong"))
    }

    /// The keys that may have signed. One that is not known yet may be new, so the keys are fetched again, now and then.
    async fn candidates(
        &self,
        source: &TokenSource,
        http: &dyn Http,
        now: Instant,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Jwk>, TokenError> {
        let mut cache = self.0.lock().await;
        if cache.is_older(KEYS_FRESH_FOR, now) {
            cache.fetch(source, http, now).await;
        }
        let mut found = cache.matching(kid, algorithm);
        if found.is_empty() && cache.fetch(source, http, now).await {
            found = cache.matching(kid, algorithm);
        }
        if cache.is_older(KEYS_GOOD_FOR, now) {
            return Err(TokenError::Unavailable("the issuer's keys cannot be had".to_owned()));
        }
        Ok(found)
    }
}

impl Cache {
    fn is_older(&self, than: Duration, now: Instant) -> bool {
        self.fetched_at.is_none_or(|at| now.saturating_duration_since(at) > than)
    }

    fn matching(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<Jwk> {
        let matches = |key: &&Jwk| {
            kid.is_none_or(|kid| key.common.key_id.as_deref() == Some(kid)) && may_verify(key, algorithm)
        };
        self.keys.iter().filter(matches).take(CANDIDATES_MAX).cloned().collect()
    }

    /// Whether there was an answer; without one the keys stay what they were.
    async fn fetch(&mut self, source: &TokenSource, http: &dyn Http, now: Instant) -> bool {
        if self.tried_at.is_some_and(|at| now.saturating_duration_since(at) < FETCH_INTERVAL) {
            return false;
        }
        self.tried_at = Some(now);
        match read(source, http).await {
            Ok(keys) => {
                self.keys = keys;
                self.fetched_at = Some(now);
                true
            }
            Err(reason) => {
                tracing::warn!(%reason, "the keys of the token issuer cannot be had");
                false
            }
        }
    }
}

async fn read(source: &TokenSource, http: &dyn Http) -> Result<Arc<[Jwk]>, String> {
    let octets = match source {
        TokenSource::KeyFile(path) => {
            let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
            let file = tokio::fs::File::open(path).await.map_err(wrong)?;
            let mut octets = Vec::new();
            file.take(BODY_BYTES_MAX as u64).read_to_end(&mut octets).await.map_err(wrong)?;
            octets.into()
        }
        TokenSource::KeyUrl(url) => {
            let request = HttpRequest {
                url: url.clone(),
                body: None,
                authorization: None,
                accept: "application/json, application/jwk-set+json",
            };
            let answer = http.ask(request).await.map_err(|error| error.to_string())?;
            if answer.status != 200 {
                return Err(format!("{url} answered {}", answer.status));
            }
            answer.body
        }
        TokenSource::Introspection { .. } => return Err("the issuer is asked instead".to_owned()),
    };
    let set: JwkSet =
        serde_json::from_slice(&octets).map_err(|error| format!("this is no JWK set: {error}"))?;
    Ok(set.keys.into_iter().filter(is_public).take(KEYS_MAX).collect())
}

/// A key of a pair, meant for signatures.
fn is_public(key: &Jwk) -> bool {
    let is_pair = !matches!(key.algorithm, AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_));
    is_pair && !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption))
}

fn may_verify(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let fits_kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => {
            matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
        }
        AlgorithmParameters::EllipticCurve(_) => matches!(algorithm, ES256 | ES384),
        AlgorithmParameters::OctetKeyPair(_) => matches!(algorithm, EdDSA),
        _ => false,
    };
    // RFC 7517 §4.4
    let named = key.common.key_algorithm;
    fits_kind && named.is_none_or(|named| named == KeyAlgorithm::from(algorithm))
}

fn claims_signed_by(key: &Jwk, algorithm: Algorithm, token: &str) -> Option<Claims> {
    let key = DecodingKey::from_jwk(key).ok()?;
    // The signature alone: what the claims must be is checked by our own clock and rules.
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode(token, &key, &validation).ok()?;
    Some(Claims { members: decoded.claims, signed: true })
}
