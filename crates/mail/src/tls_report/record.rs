//! `_smtp._tls.<domain>`: who wants reports on TLS (RFC 8460 §3).

use crate::Address;

/// Places that one domain is sent reports to; further ones are left out.
pub const DESTINATIONS_MAX: usize = 4;
/// Octets of one URI.
const URI_BYTES_MAX: usize = 1000;

/// Where reports go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Mail(Address),
    /// Begins with `https://`.
    Https(String),
}

/// As it stands in the record.
impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mail(address) => write!(f, "mailto:{address}"),
            Self::Https(url) => f.write_str(url),
        }
    }
}

/// What the TXT records at that name say. None: the domain wants no reports, or says so in a way that nobody can be sure
/// of. Places of other kinds are left out.
pub fn record(texts: &[Vec<u8>]) -> Option<Vec<Destination>> {
    let mut records = texts.iter().filter_map(|text| fields(text));
    // RFC 8460 §3: exactly one, or there is none.
    let (Some(fields), None) = (records.next(), records.next()) else { return None };
    let uris = fields.split(';').find_map(|field| field.trim().strip_prefix("rua="))?;
    let found = uris.split(',').filter_map(|uri| destination(uri.trim()));
    Some(found.take(DESTINATIONS_MAX).collect()).filter(|found: &Vec<_>| !found.is_empty())
}

/// What stands behind the version; none if it is no such record.
fn fields(text: &[u8]) -> Option<&str> {
    let rest = str::from_utf8(text).ok()?.strip_prefix("v=TLSRPTv1")?;
    rest.trim_start().strip_prefix(';')
}

fn destination(uri: &str) -> Option<Destination> {
    if uri.len() > URI_BYTES_MAX || !uri.bytes().all(|octet| matches!(octet, b'!'..=b'~')) {
        return None;
    }
    let (scheme, rest) = uri.split_once(':')?;
    if scheme.eq_ignore_ascii_case("mailto") {
        // RFC 6068 §2: header fields may follow; the report has its own.
        let address = rest.split('?').next().unwrap_or_default();
        return decoded(address)?.parse().ok().map(Destination::Mail);
    }
    let is_https = scheme.eq_ignore_ascii_case("https") && rest.starts_with("//");
    is_https.then(|| Destination::Https(format!("https:{rest}")))
}

/// RFC 3986 §2.1
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        out.push(match octet {
            b'%' => digit(octets.next()?)? << 4 | digit(octets.next()?)?,
            octet => octet,
        });
    }
    String::from_utf8(out).ok()
}

fn digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
