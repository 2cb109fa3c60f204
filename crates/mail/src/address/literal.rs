//! Address literals: RFC 5321 §4.1.3.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AddressError, Host};

/// In an IPv6 literal `::` stands for two groups at least.
const COMPRESSED_GROUPS_MAX: usize = 6;

/// The literal from behind its `[`, and what follows its `]`.
pub(super) fn literal(text: &str) -> Result<(Host, &str), AddressError> {
    let (content, rest) = text.split_once(']').ok_or(AddressError::Literal)?;
    let host = match content.split_once(':') {
        None => ipv4(content).map(|ip| Host::Literal(IpAddr::V4(ip))),
        Some((tag, ip)) if tag.eq_ignore_ascii_case("IPv6") => {
            ipv6(ip).map(|ip| Host::Literal(IpAddr::V6(ip)))
        }
        Some((tag, ip)) if is_tag(tag) && is_dcontent(ip) => Some(Host::GeneralLiteral(content.to_owned())),
        Some(_) => None,
    };
    Ok((host.ok_or(AddressError::Literal)?, rest))
}

/// `Snum 3("." Snum)`, `Snum = 1*3DIGIT`: decimal, leading zeros or not.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.').map(|part| {
        let is_snum = matches!(part.len(), 1..=3) && part.bytes().all(|octet| octet.is_ascii_digit());
        if is_snum { part.parse::<u8>().ok() } else { None }
    });
    let octets = [parts.next()??, parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then(|| octets.into())
}

fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let ip: Ipv6Addr = text.parse().ok()?;
    let groups = text.split(':').filter(|group| !group.is_empty());
    let count: usize = groups.map(|group| if group.contains('.') { 2 } else { 1 }).sum();
    (!text.contains("::") || count <= COMPRESSED_GROUPS_MAX).then_some(ip)
}

/// `Ldh-str = *( ALPHA / DIGIT / "-" ) Let-dig`
fn is_tag(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// `dcontent = %d33-90 / %d94-126`
fn is_dcontent(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| matches!(octet, 33..=90 | 94..=126))
}
