use std::net::IpAddr;

/// Names to addresses. MX, TXT and TLSA records, with DNSSEC, join when mail is routed by MX.
#[async_trait::async_trait]
pub trait Dns: Send + Sync {
    /// The addresses of a host, in the order to try them. An address literal resolves to itself.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError>;
}

/// Why a name gave no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist or has no address: trying again will not help.
    #[error("{0} has no address")]
    NoAddress(String),
    /// No answer, or a server failure: trying again may help.
    #[error("looking up {host} failed for now: {reason}")]
    Temporary { host: String, reason: String },
}

/// The system's resolver (`getaddrinfo`).
#[derive(Debug)]
pub struct SystemDns;

#[async_trait::async_trait]
impl Dns for SystemDns {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(literal) = bare.trim_start_matches("IPv6:").parse() {
            return Ok(vec![literal]);
        }
        match tokio::net::lookup_host((bare, 0)).await {
            Ok(found) => {
                let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                if addresses.is_empty() { Err(DnsError::NoAddress(host.to_owned())) } else { Ok(addresses) }
            }
            // getaddrinfo's error does not tell "no such name" from "no answer"; deferring never loses mail.
            Err(error) => Err(DnsError::Temporary { host: host.to_owned(), reason: error.to_string() }),
        }
    }
}
