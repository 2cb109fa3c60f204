//! What an operator may choose about the transfer agent, already checked.

use std::{net::IpAddr, sync::Arc, time::Duration};

use proto::smtp::server::{Flavour, Limits};
use world::tls::{ClientTls, ServerTls};

use crate::route::Route;

#[derive(Clone, Debug)]
pub struct Config {
    /// Greeting, HELO and Received name.
    pub hostname: Arc<str>,
    /// Networks that may relay without authentication.
    pub trusted_networks: Vec<Network>,
    pub proxies: ProxyNetworks,
    pub vrfy: Audience,
    pub expn: Audience,
    pub sender_check: SenderCheck,
    /// First match wins.
    pub routes: Vec<Route>,
    /// Delays between attempts; the last repeats.
    pub retry_delays: Vec<Duration>,
    pub expire_after: Duration,
    /// The sender of a message that is still on its way after this long is told, once.
    pub delay_notice_after: Duration,
    /// Certificate for STARTTLS and implicit TLS; none offers neither.
    pub tls: Option<ServerTls>,
    /// For deliveries whose certificate need not verify, and for those that must.
    pub client_tls: ClientTlsPair,
    pub connections: ConnectionLimits,
    /// What one session may use up.
    pub session: Limits,
    /// Histories older than this are forgotten.
    pub history_kept_for: Duration,
}

/// Who is believed when it says that it speaks for somebody else.
#[derive(Clone, Debug, Default)]
pub struct ProxyNetworks {
    /// With the PROXY protocol, where a listener wants it.
    pub protocol: Vec<Network>,
}

#[derive(Clone, Debug)]
pub struct ClientTlsPair {
    pub opportunistic: ClientTls,
    pub verified: ClientTls,
}

/// How many connections one listener bears.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    pub all_max: usize,
    /// IPv6 peers count by their /64.
    pub per_ip_max: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { all_max: 12_000, per_ip_max: 12_000 }
    }
}

/// Who may use a command that tells about users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Anyone,
    Authenticated,
    Never,
}

/// What of a submitted message must name addresses of the account that submits it (RFC 6409 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderCheck {
    /// The reverse-path, From and Sender.
    Header,
    /// The reverse-path alone.
    Envelope,
    Off,
}

/// What a listener speaks.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    pub flavour: Flavour,
    pub tls: TlsMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    None,
    Starttls,
    Implicit,
}

/// An IP network: `127.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => same_prefix(
                u128::from(network.to_bits()) << 96,
                u128::from(ip.to_bits()) << 96,
                self.prefix_bits,
            ),
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                same_prefix(network.to_bits(), ip.to_bits(), self.prefix_bits)
            }
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, bits: u8) -> bool {
    bits == 0 || (a ^ b) >> (128 - u32::from(bits.min(128))) == 0
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a network: write \"192.0.2.0/24\" or \"2001:db8::/32\"");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.unwrap_or(most);
        if prefix_bits > most { Err(wrong()) } else { Ok(Self { address, prefix_bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let network: Network = "127.0.0.0/8".parse().unwrap();
        assert!(network.contains("127.255.0.1".parse().unwrap()));
        assert!(network.contains("::ffff:127.0.0.1".parse().unwrap()), "an IPv4 peer on an IPv6 socket");
        assert!(!network.contains("128.0.0.1".parse().unwrap()));
        let all: Network = "::/0".parse().unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()));
        assert!(!all.contains("192.0.2.1".parse().unwrap()));
        assert!("10.0.0.0/33".parse::<Network>().is_err());
    }
}
