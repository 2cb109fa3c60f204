//! What a report shall tell, and of whom (RFC 3461).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::ParameterError;
use crate::{Address, xtext};

/// How much of the message a report returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Return {
    Full,
    Headers,
}

/// RFC 3461 §4.1; all three false is NEVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    pub success: bool,
    pub failure: bool,
    pub delay: bool,
}

/// RFC 3461 §4.2: `rfc822;a@b`, the address xtext decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalRecipient {
    pub address_type: String,
    pub address: String,
}

/// The value of `RET=`.
impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

impl FromStr for Return {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let all = [Self::Full, Self::Headers];
        all.into_iter().find(|ret| text.eq_ignore_ascii_case(&ret.to_string())).ok_or(ParameterError)
    }
}

impl Notify {
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
}

/// The value of `NOTIFY=`.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("NEVER");
        }
        let words = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let words: Vec<&str> =
            words.into_iter().filter_map(|(is_set, word)| is_set.then_some(word)).collect();
        f.write_str(&words.join(","))
    }
}

/// RFC 3461 §4.1: `NEVER` stands alone; of the others at least one.
impl FromStr for Notify {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let mut notify = Self::NEVER;
        if text.eq_ignore_ascii_case("NEVER") {
            return Ok(notify);
        }
        for word in text.split(',') {
            match word {
                word if word.eq_ignore_ascii_case("SUCCESS") => notify.success = true,
                word if word.eq_ignore_ascii_case("FAILURE") => notify.failure = true,
                word if word.eq_ignore_ascii_case("DELAY") => notify.delay = true,
                _ => return Err(ParameterError),
            }
        }
        Ok(notify)
    }
}

impl OriginalRecipient {
    /// The address as RCPT said it, for a message that came without ORCPT (RFC 3461 §5.2.1, RFC 6533 §3).
    pub fn of(address: &Address) -> Self {
        let address_type = if address.is_ascii() { "rfc822" } else { "utf-8" };
        Self { address_type: address_type.to_owned(), address: address.to_string() }
    }

    /// RFC 6533 §3: the address may hold UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.address_type.eq_ignore_ascii_case("utf-8")
    }
}

/// The value of `ORCPT=` in a form that every server with DSN takes: xtext, for UTF-8 `utf-8-addr-xtext` (RFC 6533 §3).
impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address_type, address } = self;
        if self.is_utf8() {
            write!(f, "{address_type};{}", xtext::encode_utf8_address(address))
        } else {
            write!(f, "{address_type};{}", xtext::encode(address))
        }
    }
}

/// Reads the value of `ORCPT=`: `address-type;xtext`, or for the type `utf-8` the forms of RFC 6533 §3.
impl FromStr for OriginalRecipient {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let (address_type, encoded) = text.split_once(';').ok_or(ParameterError)?;
        let is_atom = !address_type.is_empty()
            && address_type.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        let address = if address_type.eq_ignore_ascii_case("utf-8") {
            xtext::decode_utf8_address(encoded)
        } else {
            xtext::decode(encoded)
        };
        let address = address.ok().filter(|address| is_atom && !address.is_empty()).ok_or(ParameterError)?;
        Ok(Self { address_type: address_type.to_owned(), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_values() {
        let read = |text: &str| text.parse::<Notify>();
        assert_eq!(read("never"), Ok(Notify::NEVER));
        assert_eq!(read("DELAY,Success"), Ok(Notify { success: true, failure: false, delay: true }));
        assert_eq!(read("SUCCESS,FAILURE,DELAY").unwrap().to_string(), "SUCCESS,FAILURE,DELAY");
        for bad in ["", "FOO", "NEVER,SUCCESS", "SUCCESS,", ",SUCCESS", "SUCCESS, FAILURE"] {
            assert_eq!(read(bad), Err(ParameterError), "{bad}");
        }
    }

    #[test]
    fn ret_values() {
        assert_eq!("hdrs".parse(), Ok(Return::Headers));
        assert_eq!(Return::Full.to_string(), "FULL");
        assert_eq!("".parse::<Return>(), Err(ParameterError));
    }

    #[test]
    fn original_recipients() {
        let orcpt: OriginalRecipient = "rfc822;a+2Bb@c".parse().unwrap();
        assert_eq!((orcpt.address_type.as_str(), orcpt.address.as_str()), ("rfc822", "a+b@c"));
        assert_eq!(orcpt.to_string(), "rfc822;a+2Bb@c");
        for bad in
            ["", "rfc822", "rfc822;", ";a@b", "rfc 822;a@b", "rfc822;a+2@b", "rfc822;a+00@b", "rfc822;a+0Ab"]
        {
            assert_eq!(bad.parse::<OriginalRecipient>(), Err(ParameterError), "{bad}");
        }
    }

    #[test]
    fn original_recipients_in_utf8() {
        for form in ["utf-8;b\u{fc}cher@example", "utf-8;b\\x{FC}cher@example"] {
            let orcpt: OriginalRecipient = form.parse().unwrap();
            assert_eq!(orcpt.address, "bücher@example");
            assert_eq!(orcpt.to_string(), "utf-8;b\\x{FC}cher@example");
        }
        let plus: OriginalRecipient = "utf-8;a\\x{2B}b@example".parse().unwrap();
        assert_eq!(plus.address, "a+b@example");
        assert_eq!(plus.to_string(), "utf-8;a\\x{2B}b@example");
        for bad in
            ["utf-8;a\\x{0A}b", "utf-8;a\\x{110000}b", "utf-8;a\\x{D800}", "utf-8;a\\x{2B", "utf-8;a\\y"]
        {
            assert_eq!(bad.parse::<OriginalRecipient>(), Err(ParameterError), "{bad}");
        }
    }
}
