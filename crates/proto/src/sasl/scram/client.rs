//! The client's side, without channel binding.

use mail::scram::{ITERATIONS_MIN, ScramHash, ScramKeys};

use super::{
    Nonce,
    message::{ServerFirst, base64, escaped, server_signature},
};
use crate::sasl::Credentials;

/// What a server may ask of us; a hostile one would have us compute for hours.
const ITERATIONS_MAX: u32 = 1_000_000;
/// `n,,`: no channel binding.
const GS2_FLAG: &str = "n,";

/// One exchange. `None` from any step: the server is not to be believed, so cancel.
#[derive(Debug)]
pub(in crate::sasl) struct ClientExchange {
    hash: ScramHash,
    nonce: Nonce,
    awaits: Awaits,
}

#[derive(Debug)]
enum Awaits {
    Start,
    ServerFirst { gs2_header: String, bare: String },
    ServerFinal { keys: ScramKeys, message: String },
    Verified,
    Nothing,
}

impl ClientExchange {
    pub(in crate::sasl) fn new(hash: ScramHash, nonce: Nonce) -> Self {
        Self { hash, nonce, awaits: Awaits::Start }
    }

    /// Whether the server has proven that it knows our verifier. Without that its 235 means nothing (RFC 5802 §5).
    pub(in crate::sasl) fn server_is_verified(&self) -> bool {
        matches!(self.awaits, Awaits::Verified)
    }

    /// Takes as long as the iterations that the server asks for.
    pub(in crate::sasl) fn respond(
        &mut self,
        challenge: &[u8],
        credentials: &Credentials,
    ) -> Option<Vec<u8>> {
        match std::mem::replace(&mut self.awaits, Awaits::Nothing) {
            Awaits::Start => Some(self.first(credentials)),
            Awaits::ServerFirst { gs2_header, bare } => {
                self.last(challenge, &gs2_header, &bare, &credentials.password)
            }
            Awaits::ServerFinal { keys, message } => {
                let signature = server_signature(challenge)?;
                keys.is_servers(message.as_bytes(), &signature).then(|| {
                    self.awaits = Awaits::Verified;
                    Vec::new()
                })
            }
            Awaits::Verified | Awaits::Nothing => None,
        }
    }

    fn first(&mut self, credentials: &Credentials) -> Vec<u8> {
        let authorization_id = match credentials.authorization_id.as_str() {
            "" => String::new(),
            name => format!("a={}", escaped(name)),
        };
        let gs2_header = format!("{GS2_FLAG}{authorization_id},");
        let bare = format!("n={},r={}", escaped(&credentials.authentication_id), base64(&self.nonce));
        let message = format!("{gs2_header}{bare}").into_bytes();
        self.awaits = Awaits::ServerFirst { gs2_header, bare };
        message
    }

    fn last(&mut self, challenge: &[u8], gs2_header: &str, bare: &str, password: &str) -> Option<Vec<u8>> {
        let first = ServerFirst::parse(challenge)?;
        let added = first.nonce.strip_prefix(base64(&self.nonce).as_str())?;
        if added.is_empty() || !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&first.iterations) {
            return None;
        }
        let keys = ScramKeys::derive(self.hash, password, &first.salt, first.iterations);
        let without_proof = format!("c={},r={}", base64(gs2_header.as_bytes()), first.nonce);
        let message = format!("{bare},{},{without_proof}", std::str::from_utf8(challenge).ok()?);
        let proof = keys.client_proof(message.as_bytes());
        self.awaits = Awaits::ServerFinal { keys, message };
        Some(format!("{without_proof},p={}", base64(&proof)).into_bytes())
    }
}
