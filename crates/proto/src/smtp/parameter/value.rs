//! Values of parameters that are not a type of `mail` alone. `None`: not a value of that parameter.

use mail::{Body, OriginalRecipient, xtext};

use super::Accepted;

/// RFC 3461 §4.4: octets of an ENVID, encoded.
const ENVID_BYTES_MAX: usize = 100;
/// RFC 3461 §4.2: octets of an ORCPT, encoded, with its type.
const ORCPT_BYTES_MAX: usize = 500;

/// Digits only, as SIZE and BDAT want them. `None` beyond 64 bits too.
pub(in crate::smtp) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A keyword that takes no value.
pub(super) fn flag(value: Option<&str>) -> Option<bool> {
    value.is_none().then_some(true)
}

pub(super) fn body(value: &str, accepted: Accepted) -> Option<Body> {
    value.parse().ok().filter(|body| *body != Body::BinaryMime || accepted.binary_mime)
}

pub(super) fn envid(value: &str) -> Option<String> {
    if value.is_empty() || value.len() > ENVID_BYTES_MAX {
        return None;
    }
    xtext::decode(value).ok().filter(|envid| envid.is_ascii())
}

/// The value of `AUTH=` is well-formed (RFC 4954 §5).
pub(super) fn mailbox(value: &str) -> Option<()> {
    if value.is_empty() { None } else { xtext::decode(value).ok().map(drop) }
}

pub(super) fn orcpt(value: &str) -> Option<OriginalRecipient> {
    if value.len() > ORCPT_BYTES_MAX {
        return None;
    }
    let mut orcpt: OriginalRecipient = value.parse().ok()?;
    // RFC 6533 §3 has a type of its own for UTF-8; Postfix puts the octets under the old one, as xtext.
    if orcpt.address_type.eq_ignore_ascii_case("rfc822") && !orcpt.address.is_ascii() {
        "utf-8".clone_into(&mut orcpt.address_type);
    }
    Some(orcpt).filter(|orcpt| orcpt.is_utf8() || orcpt.address.is_ascii())
}
