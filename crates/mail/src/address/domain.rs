//! Domain names: RFC 5321 §2.3.5 and §4.1.2, RFC 6531 §3.3 for U-labels.

use std::{borrow::Cow, fmt, hash, str::FromStr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};

use super::{AddressError, nfc};
use crate::limits::DOMAIN_BYTES_MAX;

/// RFC 1035 §2.3.4
const LABEL_BYTES_MAX: usize = 63;

/// A domain name: LDH labels or U-labels, at most 255 octets, in the case it came in, without a final dot.
/// Comparison and hashing ignore ASCII case; U-labels and A-labels of one name are equal only after
/// [`Domain::to_lookup`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lower case and A-labels: the form for DNS, TLS, and comparing (RFC 6531 §3.2). One form for one name.
    pub fn to_lookup(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        let labels: Vec<Cow<'_, str>> = self
            .0
            .split('.')
            .map(|label| a_label(label).unwrap_or_else(|| label.to_ascii_lowercase().into()))
            .collect();
        labels.join(".")
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        validate(text).map(|()| Self(text.to_owned()))
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        validate(&text).map(|()| Self(text))
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Domain {}

impl hash::Hash for Domain {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

/// The domain at the start of `text`, and what follows.
pub(super) fn prefix(text: &str) -> Result<(Domain, &str), AddressError> {
    let end = text.find(|c: char| !is_domain_char(c)).unwrap_or(text.len());
    let (domain, rest) = text.split_at_checked(end).ok_or(AddressError::Domain)?;
    Ok((domain.parse()?, rest))
}

fn is_domain_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.') || !c.is_ascii()
}

fn validate(text: &str) -> Result<(), AddressError> {
    // RFC 5321 §4.5.3.1.2
    if text.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    let mut ascii_len = 0;
    for label in text.split('.') {
        ascii_len += 1 + if label.is_ascii() { ldh_label(label)? } else { u_label(label)? };
    }
    if ascii_len > DOMAIN_BYTES_MAX + 1 {
        return Err(AddressError::DomainTooLong);
    }
    // RFC 1123 §2.1: what ends in a number is no name but an address without brackets.
    let is_number = |label: &str| label.bytes().all(|octet| octet.is_ascii_digit());
    if text.rsplit('.').next().is_some_and(is_number) {
        return Err(AddressError::Domain);
    }
    Ok(())
}

/// `sub-domain = Let-dig [Ldh-str]`; gives its length.
fn ldh_label(label: &str) -> Result<usize, AddressError> {
    let is_ldh = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let is_whole = !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    if !is_ldh || !is_whole || label.len() > LABEL_BYTES_MAX {
        return Err(AddressError::Domain);
    }
    Ok(label.len())
}

/// RFC 5890 §2.3.2.1; gives the length of its A-label.
///
/// Upper case is accepted as it is in ASCII. Forms that only mapping turns into a label (full-width letters, ideographic
/// dots, invisible characters) are not: two readers would see two names.
fn u_label(label: &str) -> Result<usize, AddressError> {
    let ascii = a_label(label).ok_or(AddressError::Domain)?;
    let (unicode, result) =
        Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let lower: String = nfc(label).chars().flat_map(char::to_lowercase).collect();
    if result.is_err() || unicode != nfc(&lower) {
        return Err(AddressError::Domain);
    }
    ldh_label(&ascii)
}

fn a_label(label: &str) -> Option<Cow<'_, str>> {
    Uts46::new()
        .to_ascii(label.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .ok()
}
