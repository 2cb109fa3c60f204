//! Names: what the domain name system says of them, and whether that is proven.

mod resolver;

use std::net::IpAddr;

pub use resolver::{Dnssec, NameServer, ResolverSettings, SystemDns};

/// Records of one answer; more are dropped.
pub const RECORDS_MAX: usize = 100;

/// What can be asked. Names are in ASCII (A-labels), with or without the dot at the end.
#[async_trait::async_trait]
pub trait Dns: Send + Sync {
    /// The addresses of a host, IPv6 and IPv4 in turn. An address literal (`192.0.2.1`, `[192.0.2.1]`,
    /// `[IPv6:2001:db8::1]`) resolves to itself.
    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, DnsError>;
    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, DnsError>;
    /// The strings of each record are joined.
    async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, DnsError>;
    async fn tlsa(&self, name: &str) -> Result<Answer<Tlsa>, DnsError>;
    /// The names that an address points back to, without the dot at the end.
    async fn pointers(&self, ip: IpAddr) -> Result<Answer<String>, DnsError>;
}

/// At least one record, at most [`RECORDS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub records: Vec<T>,
    /// The name that has the records, if the one asked for is an alias (CNAME) of it; without the dot at the end.
    pub canonical: Option<String>,
    /// Proven by DNSSEC, the aliases on the way too.
    pub secure: bool,
    /// What the name asked for has itself is proven, be it the records or an alias that leads to what is not.
    pub owner_secure: bool,
}

impl<T> Answer<T> {
    /// From a source that proves nothing.
    pub fn insecure(records: Vec<T>) -> Self {
        Self { records, canonical: None, secure: false, owner_secure: false }
    }
}

/// RFC 5321 §5.1
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    pub preference: u16,
    /// Lower case, without the dot at the end; empty for the root, which takes no mail (RFC 7505).
    pub exchange: String,
}

/// RFC 6698 §2.1; values that nobody knows are kept, to be found unusable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    pub usage: u8,
    pub selector: u8,
    pub matching: u8,
    pub data: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist: trying again will not help.
    #[error("the name {name} does not exist")]
    NoName { name: String, secure: bool },
    /// The name exists and has no such records: trying again will not help.
    #[error("{name} has no {kind} records")]
    NoRecords { name: String, kind: &'static str, secure: bool },
    /// No answer, a server failure, or one that DNSSEC proves wrong: trying again may help.
    #[error("looking up {name} failed for now: {reason}")]
    Temporary { name: String, reason: String },
}

impl DnsError {
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary { .. })
    }
}

/// The address that a literal stands for.
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let tag = bare.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    if tag { bare.get(5..)?.parse().ok() } else { bare.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn literals_in_all_their_forms() {
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(literal("192.0.2.1"), address("192.0.2.1"));
        assert_eq!(literal("[192.0.2.1]"), address("192.0.2.1"));
        assert_eq!(literal("[ipv6:2001:db8::1]"), address("2001:db8::1"));
        assert_eq!(literal("::1"), address("::1"));
        for name in ["mx.example", "[mx.example]", "192.0.2.1.", "", "[]", "é:é"] {
            assert_eq!(literal(name), None, "{name}");
        }
    }
}
