//! Confirmations: who asks to join or leave proves by them that the address is theirs. Nothing is kept until then.

use crate::{
    Address, Timestamp,
    seal::{self, Seal},
};

const PURPOSE: &str = "list confirmation";
/// Letters of a tag: 80 bits.
const TAG_CHARS: usize = 16;
/// Letters of a time: 40 bits of minutes.
const TIME_CHARS: usize = 8;
const MINUTE_MS: i64 = 60_000;

/// What is to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Subscribe,
    Unsubscribe,
}

/// Why a token confirms nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the confirmation was not made here")]
    NotOurs,
    #[error("the confirmation has expired")]
    Expired,
}

impl Wish {
    fn letter(self) -> char {
        match self {
            Self::Subscribe => 's',
            Self::Unsubscribe => 'u',
        }
    }
}

/// A word of lower-case letters and digits that stands for the wish, the address and the time, for list number `list`.
pub fn token(seal: &Seal, list: u64, wish: Wish, address: &Address, expires_at: Timestamp) -> String {
    let minutes = u64::try_from(expires_at.millis() / MINUTE_MS).unwrap_or_default();
    let time = seal::encode(minutes.to_be_bytes().get(3..).unwrap_or_default());
    let open = format!("{}{time}", wish.letter());
    let address = address.to_string();
    let tag = seal.tag(PURPOSE, &[&list.to_string(), &open, &address], TAG_CHARS);
    format!("{open}{tag}{}", seal::encode(address.as_bytes()))
}

/// What a token stands for, if list number `list` gave it out and its time has not passed.
pub fn read_token(
    seal: &Seal,
    list: u64,
    token: &str,
    now: Timestamp,
) -> Result<(Wish, Address), TokenError> {
    let token = token.to_ascii_lowercase();
    let (open, rest) = token.split_at_checked(1 + TIME_CHARS).ok_or(TokenError::NotOurs)?;
    let (tag, address) = rest.split_at_checked(TAG_CHARS).ok_or(TokenError::NotOurs)?;
    let address = seal::decode(address).and_then(|octets| String::from_utf8(octets).ok());
    let address = address.ok_or(TokenError::NotOurs)?;
    if !seal.fits(PURPOSE, &[&list.to_string(), open, &address], tag) {
        return Err(TokenError::NotOurs);
    }
    let wish = [Wish::Subscribe, Wish::Unsubscribe].into_iter().find(|wish| open.starts_with(wish.letter()));
    let time = open.get(1..).and_then(seal::decode).unwrap_or_default();
    let minutes = time.iter().fold(0_i64, |minutes, octet| minutes << 8 | i64::from(*octet));
    if now.millis() / MINUTE_MS > minutes {
        return Err(TokenError::Expired);
    }
    let address = address.parse().map_err(|_| TokenError::NotOurs)?;
    wish.map(|wish| (wish, address)).ok_or(TokenError::NotOurs)
}
