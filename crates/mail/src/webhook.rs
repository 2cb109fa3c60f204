//! Signatures of what is posted to other systems, as Standard Webhooks (version 1.0) has them.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

/// Octets that a secret may have.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What sender and receiver share.
pub struct WebhookSecret(hmac::Key);

/// Not `whsec_` and base64 of 24 to 64 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook secret is \"whsec_\" and 24 to 64 random octets in base64: `echo whsec_$(openssl rand -base64 32)` makes one"
)]
pub struct WebhookSecretError;

/// Takes a body in pieces.
pub struct WebhookSigner(hmac::Context);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(withheld)")
    }
}

impl std::fmt::Debug for WebhookSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSigner")
    }
}

impl std::str::FromStr for WebhookSecret {
    type Err = WebhookSecretError;

    fn from_str(text: &str) -> Result<Self, WebhookSecretError> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or(WebhookSecretError)?;
        let secret = STANDARD.decode(encoded).ok().filter(|secret| SECRET_BYTES.contains(&secret.len()));
        secret.map(|secret| Self(hmac::Key::new(hmac::HMAC_SHA256, &secret))).ok_or(WebhookSecretError)
    }
}

impl WebhookSecret {
    /// Of one message: `webhook-id`, `webhook-timestamp` in seconds, then the body.
    pub fn signer(&self, id: &str, seconds: i64) -> WebhookSigner {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{seconds}.").as_bytes());
        WebhookSigner(context)
    }
}

impl WebhookSigner {
    pub fn push(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// `webhook-signature`
    pub fn finish(self) -> String {
        format!("v1,{}", STANDARD.encode(self.0.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hmac.
    #[test]
    fn a_signature_that_another_program_made() {
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n".parse().unwrap();
        let mut signer = secret.signer("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        signer.push(b"{\"test\": ");
        signer.push(b"2432232314}");
        assert_eq!(signer.finish(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret() {
        for text in ["", "secret", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!"] {
            assert!(text.parse::<WebhookSecret>().is_err(), "{text}");
        }
    }
}
