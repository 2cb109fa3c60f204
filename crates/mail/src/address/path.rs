//! What stands between `<` and `>` in MAIL and RCPT.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Address, AddressError, domain, parse};

/// The path that reports go to; empty for reports themselves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReversePath {
    Null,
    Address(Address),
}

/// The path that the message goes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain (RFC 5321 §4.5.1).
    Postmaster,
    Address(Address),
}

impl ReversePath {
    /// Parses the path at the start of `text` (`<…>`, source route dropped), returns it and what follows.
    pub fn parse_prefix(text: &str) -> Result<(Self, &str), AddressError> {
        // RFC 5321 §4.5.5
        if let Some(rest) = text.strip_prefix("<>") {
            return Ok((Self::Null, rest));
        }
        path(text).map(|(address, rest)| (Self::Address(address), rest))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }
}

impl ForwardPath {
    /// As [`ReversePath::parse_prefix`]; `<>` is refused, `<postmaster>` in any case is [`ForwardPath::Postmaster`].
    pub fn parse_prefix(text: &str) -> Result<(Self, &str), AddressError> {
        // RFC 5321 §4.1.1.3
        if let Some((inside, rest)) = text.strip_prefix('<').and_then(|text| text.split_once('>'))
            && inside.eq_ignore_ascii_case("postmaster")
        {
            return Ok((Self::Postmaster, rest));
        }
        path(text).map(|(address, rest)| (Self::Address(address), rest))
    }

    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Postmaster => None,
            Self::Address(address) => Some(address),
        }
    }
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
fn path(text: &str) -> Result<(Address, &str), AddressError> {
    let text = text.strip_prefix('<').ok_or(AddressError::Brackets)?;
    if text.starts_with('>') {
        return Err(AddressError::Empty);
    }
    let (address, rest) = parse::mailbox(after_source_route(text)?)?;
    match rest.strip_prefix('>') {
        Some(rest) => Ok((address, rest)),
        None if rest.contains('>') => Err(AddressError::Domain),
        None => Err(AddressError::Brackets),
    }
}

/// RFC 5321 §3.6.1, Appendix C: `@a.example,@b.example:` is understood, and ignored.
fn after_source_route(text: &str) -> Result<&str, AddressError> {
    let mut rest = text;
    while let Some(at_domain) = rest.strip_prefix('@') {
        let (_, after) = domain::prefix(at_domain).map_err(|_| AddressError::SourceRoute)?;
        if let Some(mailbox) = after.strip_prefix(':') {
            return if mailbox.starts_with('@') { Err(AddressError::SourceRoute) } else { Ok(mailbox) };
        }
        rest =
            after.strip_prefix(',').filter(|rest| rest.starts_with('@')).ok_or(AddressError::SourceRoute)?;
    }
    Ok(rest)
}

/// Without brackets; empty for the null path.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Without brackets; `postmaster` for the postmaster without a domain.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("postmaster"),
            Self::Address(address) => address.fmt(f),
        }
    }
}
