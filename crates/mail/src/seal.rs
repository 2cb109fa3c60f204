//! Short proofs that we wrote what comes back to us: in return addresses of lists and forwarded mail, in confirmations.

use aws_lc_rs::{constant_time, hmac};

/// In lower case, because mail systems on the way may change the case of an address.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Writes and checks tags under one secret.
#[derive(Clone)]
pub struct Seal(hmac::Key);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(withheld)")
    }
}

impl Seal {
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// `chars` letters and digits, 5 bits each, 51 at most. A tag of one purpose is no tag of another; `parts` count
    /// as they stand.
    pub fn tag(&self, purpose: &str, parts: &[&str], chars: usize) -> String {
        let mut tag = encode(self.sign(purpose, parts).as_ref());
        tag.truncate(chars);
        tag
    }

    /// All of it, as 64 hexadecimal digits.
    pub fn hex_tag(&self, purpose: &str, parts: &[&str]) -> String {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
        self.sign(purpose, parts)
            .as_ref()
            .iter()
            .flat_map(|octet| [octet >> 4, octet & 15])
            .map(digit)
            .collect()
    }

    fn sign(&self, purpose: &str, parts: &[&str]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in std::iter::once(&purpose).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }

    /// Whether `tag` is one of these parts, in any case; takes as long whether or not.
    pub fn fits(&self, purpose: &str, parts: &[&str], tag: &str) -> bool {
        is_same(&self.tag(purpose, parts, tag.len()), tag)
    }

    /// As [`fits`](Self::fits), for [`hex_tag`](Self::hex_tag).
    pub fn fits_hex(&self, purpose: &str, parts: &[&str], tag: &str) -> bool {
        is_same(&self.hex_tag(purpose, parts), tag)
    }
}

fn is_same(expected: &str, given: &str) -> bool {
    let given = given.to_ascii_lowercase();
    constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok()
}

/// RFC 4648 §6 in lower case, without padding.
pub fn encode(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len() * 8 / 5 + 1);
    for chunk in octets.chunks(5) {
        let group =
            chunk.iter().chain(&[0; 5]).take(5).fold(0_u64, |group, octet| group << 8 | u64::from(*octet));
        let letters = (chunk.len() * 8).div_ceil(5);
        out.extend((0..letters).map(|at| letter(group >> (35 - 5 * at))));
    }
    out
}

/// Reads what [`encode`] wrote, in any case. `None` if it is not of that form.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u64, 0_u32);
    for c in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == c.to_ascii_lowercase())?;
        bits = bits << 5 & 0xFFFF | digit as u64;
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xFF).ok()?);
        }
    }
    Some(out)
}

/// The letter for the low 5 bits.
pub(crate) fn letter(bits: u64) -> char {
    let digit = usize::try_from(bits & 31).unwrap_or_default();
    ALPHABET.get(digit).copied().map_or('a', char::from)
}

/// The 5 bits of a letter in any case.
pub(crate) fn digit(letter: char) -> Option<u64> {
    ALPHABET.iter().position(|known| char::from(*known) == letter.to_ascii_lowercase()).map(|at| at as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tag_fits_its_secret_purpose_and_parts_only() {
        let seal = Seal::new(b"secret");
        let tag = seal.tag("srs", &["a", "bc"], 6);
        assert_eq!(tag.len(), 6);
        assert!(seal.fits("srs", &["a", "bc"], &tag) && seal.fits("srs", &["a", "bc"], &tag.to_uppercase()));
        assert!(!seal.fits("srs", &["ab", "c"], &tag), "parts are kept apart");
        assert!(!seal.fits("list", &["a", "bc"], &tag));
        assert!(!Seal::new(b"other").fits("srs", &["a", "bc"], &tag));
        assert!(!seal.fits("srs", &["a", "bc"], "aaaaaa"));
    }

    proptest! {
        #[test]
        fn round_trip(octets: Vec<u8>) {
            let text = encode(&octets);
            prop_assert_eq!(decode(&text), Some(octets.clone()));
            prop_assert_eq!(decode(&text.to_uppercase()), Some(octets));
        }

        #[test]
        fn decoding_never_panics(text: String) {
            let _ = decode(&text);
        }
    }

    #[test]
    fn whole_tags_are_hexadecimal() {
        let seal = Seal::new(b"secret");
        let tag = seal.hex_tag("url", &["x"]);
        assert!(tag.len() == 64 && tag.bytes().all(|octet| octet.is_ascii_hexdigit()));
        assert!(seal.fits_hex("url", &["x"], &tag.to_uppercase()));
        assert!(!seal.fits_hex("url", &["y"], &tag) && !seal.fits_hex("url", &["x"], &tag[..62]));
    }
}
