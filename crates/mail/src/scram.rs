//! What SCRAM computes (RFC 5802 §3, RFC 7677): the verifier that a server keeps of a password, and the proofs.

use std::{borrow::Cow, fmt, num::NonZeroU32};

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

use crate::precis;

/// RFC 7677 §4: no server asks for fewer.
pub const ITERATIONS_MIN: u32 = 4096;
/// What new verifiers have: as many as Cyrus SASL's clients bear. Only clients pay for them, and who steals verifiers.
pub const ITERATIONS: u32 = 65_536;
/// Of a salt that we make.
pub const SALT_BYTES: usize = 16;

/// The hash function of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScramHash {
    /// RFC 5802
    Sha1,
    /// RFC 7677
    Sha256,
}

/// What proves a password without telling it. Whoever reads it may guess passwords against it and, after one login
/// overheard, act as the user; so `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramVerifier {
    pub salt: Vec<u8>,
    pub iterations: u32,
    /// As long as the hash.
    pub stored_key: Vec<u8>,
    /// As long as the hash.
    pub server_key: Vec<u8>,
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier(withheld)")
    }
}

/// What a client makes of the password for one salt.
#[derive(Clone)]
pub struct ScramKeys {
    hash: ScramHash,
    client_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(withheld)")
    }
}

impl ScramHash {
    /// Octets of a hash value.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => digest::SHA1_OUTPUT_LEN,
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
        }
    }

    /// `HMAC()` of RFC 5802 §2.2.
    pub fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }

    /// `H()` of RFC 5802 §2.2.
    pub fn digest(self, message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }

    /// `Hi()` of RFC 5802 §2.2; takes as long as `iterations` say.
    fn salted_password(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut out = vec![0; self.bytes()];
        pbkdf2::derive(algorithm, iterations, salt, prepared(password).as_bytes(), &mut out);
        out
    }
}

/// RFC 5802 §2.2 asks for SASLprep (RFC 4013). What that refuses, such as letters newer than Unicode 3.2, is prepared as
/// RFC 8265 §4.2 says.
fn prepared(password: &str) -> Cow<'_, str> {
    let newer = |_| precis::password(password).map_or(Cow::Borrowed(password), Cow::Owned);
    stringprep::saslprep(password).unwrap_or_else(newer)
}

impl ScramVerifier {
    /// Takes as long as `iterations` say.
    pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Self {
        ScramKeys::derive(hash, password, salt, iterations).verifier(salt, iterations)
    }

    /// Stands in for a user who does not exist: the same for the same name and secret, and no password fits it.
    pub fn of_nobody(hash: ScramHash, name: &str, secret: &[u8]) -> Self {
        let made = |what: &str| hash.hmac(secret, format!("{hash:?} {what} {name}").as_bytes());
        let mut salt = made("salt");
        salt.truncate(SALT_BYTES);
        Self { salt, iterations: ITERATIONS, stored_key: made("stored key"), server_key: made("server key") }
    }

    /// Whether the client's proof for this exchange comes from the password (RFC 5802 §3). Takes as long whether or not.
    pub fn is_proven_by(&self, hash: ScramHash, auth_message: &[u8], proof: &[u8]) -> bool {
        let signature = hash.hmac(&self.stored_key, auth_message);
        if proof.len() != signature.len() {
            return false;
        }
        let client_key = xor(proof, &signature);
        constant_time::verify_slices_are_equal(&hash.digest(&client_key), &self.stored_key).is_ok()
    }

    pub fn server_signature(&self, hash: ScramHash, auth_message: &[u8]) -> Vec<u8> {
        hash.hmac(&self.server_key, auth_message)
    }
}

impl ScramKeys {
    /// Takes as long as `iterations` say.
    pub fn derive(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted_password = hash.salted_password(password, salt, iterations);
        let client_key = hash.hmac(&salted_password, b"Client Key");
        let server_key = hash.hmac(&salted_password, b"Server Key");
        Self { hash, client_key, server_key }
    }

    fn verifier(self, salt: &[u8], iterations: u32) -> ScramVerifier {
        let stored_key = self.hash.digest(&self.client_key);
        ScramVerifier { salt: salt.to_vec(), iterations, stored_key, server_key: self.server_key }
    }

    pub fn client_proof(&self, auth_message: &[u8]) -> Vec<u8> {
        let stored_key = self.hash.digest(&self.client_key);
        xor(&self.client_key, &self.hash.hmac(&stored_key, auth_message))
    }

    /// Whether the server knows the verifier of the same password.
    pub fn is_servers(&self, auth_message: &[u8], signature: &[u8]) -> bool {
        let expected = self.hash.hmac(&self.server_key, auth_message);
        constant_time::verify_slices_are_equal(&expected, signature).is_ok()
    }
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"n=user,r=x,r=xy,s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=xy";

    #[test]
    fn a_proof_fits_its_password_hash_salt_and_exchange_only() {
        for hash in [ScramHash::Sha1, ScramHash::Sha256] {
            let verifier = ScramVerifier::derive(hash, "pencil", b"salt", 4096);
            let keys = |password, salt| ScramKeys::derive(hash, password, salt, 4096);
            let proof = keys("pencil", b"salt").client_proof(MESSAGE);
            assert!(verifier.is_proven_by(hash, MESSAGE, &proof));
            assert!(!verifier.is_proven_by(hash, b"another exchange", &proof));
            assert!(!verifier.is_proven_by(hash, MESSAGE, &keys("Pencil", b"salt").client_proof(MESSAGE)));
            assert!(!verifier.is_proven_by(hash, MESSAGE, &keys("pencil", b"tlas").client_proof(MESSAGE)));
            for cut in 0..proof.len() {
                assert!(!verifier.is_proven_by(hash, MESSAGE, &proof[..cut]));
            }
            assert!(!verifier.is_proven_by(hash, MESSAGE, &[&proof[..], b"x"].concat()));
            let signature = verifier.server_signature(hash, MESSAGE);
            assert!(keys("pencil", b"salt").is_servers(MESSAGE, &signature));
            assert!(!keys("pencil", b"salt").is_servers(MESSAGE, &[]));
        }
    }

    #[test]
    fn passwords_are_prepared() {
        // RFC 4013 §3: a soft hyphen counts for nothing, and a ligature for its letters.
        for (one, other) in
            [("I\u{ad}X", "IX"), ("\u{fb01}sh", "fish"), ("a\u{a0}b", "a b"), ("\u{2168}", "IX")]
        {
            let [one, other] = [one, other].map(|it| ScramVerifier::derive(ScramHash::Sha256, it, b"s", 1));
            assert_eq!(one, other);
        }
        ScramVerifier::derive(ScramHash::Sha256, "bell\u{7}", b"s", 1);
    }

    #[test]
    fn nobody_is_always_the_same_and_like_somebody() {
        let nobody = |hash, name, secret: &[u8]| ScramVerifier::of_nobody(hash, name, secret);
        let one = nobody(ScramHash::Sha256, "a@b.example", b"secret");
        assert_eq!(one, nobody(ScramHash::Sha256, "a@b.example", b"secret"));
        assert_ne!(one.salt, nobody(ScramHash::Sha256, "c@b.example", b"secret").salt);
        assert_ne!(one.salt, nobody(ScramHash::Sha256, "a@b.example", b"another").salt);
        assert_ne!(one.salt, nobody(ScramHash::Sha1, "a@b.example", b"secret").salt);
        let somebody = ScramVerifier::derive(ScramHash::Sha256, "x", &[7; SALT_BYTES], ITERATIONS);
        let shape =
            |it: &ScramVerifier| (it.salt.len(), it.iterations, it.stored_key.len(), it.server_key.len());
        assert_eq!(shape(&one), shape(&somebody));
        assert!(!format!("{one:?}").contains('['));
    }
}
