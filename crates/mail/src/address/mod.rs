//! Mailboxes and paths exactly as RFC 5321 §4.1.2 spells them, with the UTF-8 of RFC 6531 §3.3.

mod domain;
mod literal;
mod parse;
mod path;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use domain::Domain;
pub use path::{ForwardPath, ReversePath};

use crate::limits::{LOCAL_PART_BYTES_MAX, PATH_BYTES_MAX};

/// What stands left of the `@`, without quotes and escapes: `"a b"@x` and `"a\ b"@x` hold `a b`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalPart(String);

/// What stands right of the `@`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Domain(Domain),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`
    Literal(IpAddr),
    /// `[tag:content]` of a kind we do not know (RFC 5321 §4.1.3 General-address-literal), held without brackets.
    GeneralLiteral(String),
}

/// A mailbox: local part, `@`, host. One that exists is valid and fits into a path of 256 octets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    local_part: LocalPart,
    host: Host,
}

/// Why a text is not an address; the message tells a person what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the address is empty")]
    Empty,
    #[error("there is no @ in the address")]
    NoAt,
    #[error("the local part is not valid")]
    LocalPart,
    #[error("the local part is longer than 64 octets")]
    LocalPartTooLong,
    #[error("the domain is not valid")]
    Domain,
    #[error("the domain is longer than 255 octets")]
    DomainTooLong,
    #[error("the address literal is not valid")]
    Literal,
    #[error("the path is longer than 256 octets")]
    PathTooLong,
    #[error("the path must stand between < and >")]
    Brackets,
    #[error("the source route is not valid")]
    SourceRoute,
}

impl Address {
    /// `local_part` without quotes and escapes, as [`Address::local_part`] gives it.
    pub fn new(local_part: &str, domain: Domain) -> Result<Self, AddressError> {
        Self::from_parts(LocalPart::new(local_part.to_owned())?, Host::Domain(domain))
    }

    fn from_parts(local_part: LocalPart, host: Host) -> Result<Self, AddressError> {
        // RFC 5321 §4.5.3.1.3: the path, with its brackets and the @.
        if local_part.written_len() + host.written_len() + 3 > PATH_BYTES_MAX {
            return Err(AddressError::PathTooLong);
        }
        Ok(Self { local_part, host })
    }

    /// Without quotes and escapes, in the case it came in (RFC 5321 §2.4).
    pub fn local_part(&self) -> &str {
        self.local_part.as_str()
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The domain, unless the host is a literal.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.host {
            Host::Domain(domain) => Some(domain),
            Host::Literal(_) | Host::GeneralLiteral(_) => None,
        }
    }

    /// False if sending it takes SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local_part().is_ascii() && self.domain().is_none_or(|domain| domain.as_str().is_ascii())
    }

    /// The form that mailboxes are looked up by: unquoted local part in lower case (NFC), `@`, domain as
    /// [`Domain::to_lookup`]. What follows the last `@` is the host.
    pub fn to_lookup(&self) -> String {
        let local_part = self.local_part.to_lookup();
        match &self.host {
            Host::Domain(domain) => format!("{local_part}@{}", domain.to_lookup()),
            literal => format!("{local_part}@{literal}"),
        }
    }
}

/// Writes the local part with quotes if it needs them, and no more than it needs.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.host)
    }
}

/// Parses a mailbox without angle brackets, UTF-8 allowed.
impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match parse::mailbox(text)? {
            (address, "") => Ok(address),
            (_, _) => Err(AddressError::Domain),
        }
    }
}

/// As text, without a copy on the way: queue entries are written and read for every message.
impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl LocalPart {
    /// From the value without quotes and escapes: printable ASCII, space, and any UTF-8 that is no control character.
    pub fn new(value: String) -> Result<Self, AddressError> {
        if value.chars().any(char::is_control) {
            return Err(AddressError::LocalPart);
        }
        let local_part = Self(value);
        // RFC 5321 §4.5.3.1.1
        if local_part.written_len() > LOCAL_PART_BYTES_MAX {
            return Err(AddressError::LocalPartTooLong);
        }
        Ok(local_part)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lower case, and one form for what Unicode holds canonically equal.
    fn to_lookup(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        nfc(&nfc(&self.0).to_lowercase()).into_owned()
    }

    /// Octets of the written form.
    fn written_len(&self) -> usize {
        if parse::is_dot_string(&self.0) {
            return self.0.len();
        }
        self.0.len() + 2 + self.0.chars().filter(|&c| needs_escape(c)).count()
    }
}

/// RFC 5321 §4.1.2: as a dot-string if it is one, as a quoted string if not.
impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if parse::is_dot_string(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if needs_escape(c) {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

impl Host {
    fn written_len(&self) -> usize {
        match self {
            Self::Domain(domain) => domain.as_str().len(),
            literal => literal.to_string().len(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
            Self::GeneralLiteral(content) => write!(f, "[{content}]"),
        }
    }
}

fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\')
}

/// Unicode normalisation form C.
fn nfc(text: &str) -> Cow<'_, str> {
    icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(text)
}
