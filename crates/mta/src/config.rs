//! What an operator may choose about the transfer agent, already checked.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use mail::{Domain, Reply, ReversePath};
use proto::smtp::server::{Flavour, Limits};
pub use world::tls::TlsMode;
use world::tls::{ClientTls, TlsError, Verify};

use crate::{
    policy::limits::ClientLimits,
    route::{RecipientPattern, Route, limits::DeliveryLimits, site::OwnHosts},
    tls_reports::TlsReporting,
};

#[derive(Clone, Debug)]
pub struct Config {
    /// Greeting, HELO and Received name.
    pub hostname: Arc<str>,
    pub own: OwnHosts,
    /// Networks that may relay without authentication.
    pub trusted_networks: Vec<Network>,
    pub proxies: ProxyNetworks,
    pub vrfy: Audience,
    pub expn: Audience,
    /// SEND, SOML and SAML.
    pub send: Audience,
    /// Accounts are users of this machine, and messages to terminals go to their logins too.
    pub send_to_ttys: bool,
    pub sender_check: SenderCheck,
    pub etrn: Audience,
    /// TURN is for clients that have logged in under TLS; without it for nobody.
    pub turn: bool,
    /// First match wins.
    pub routes: Vec<Route>,
    pub forward: Forward,
    /// How much of us other hosts get.
    pub delivery: DeliveryLimits,
    /// Delays between attempts; the last repeats.
    pub retry_delays: Vec<Duration>,
    pub expire_after: Duration,
    /// The same for mail from the null sender, if that is sooner.
    pub report_expire_after: Duration,
    /// The postmaster is told of mail from the null sender that failed.
    pub dead_letters: bool,
    /// Mail of ours goes abroad under return addresses that name the message.
    pub verp: bool,
    pub suppression: Suppressing,
    /// The sender of a message that is still on its way after this long is told, once.
    pub delay_notice_after: Duration,
    pub transport: TransportPolicies,
    /// For deliveries whose certificate need not verify, and for those that must.
    pub client_tls: ClientTlsPair,
    /// What one session may use up.
    pub session: Limits,
    /// What clients may use up over time.
    pub clients: ClientLimits,
    /// RFC 2852: senders who want their message back if it is late have to give us so much time.
    pub deliver_by_min: Duration,
    /// RFC 4865: how long submitted messages may be held; zero: not at all.
    pub hold_max: Duration,
    pub disclosure: Disclosure,
    /// Classes of solicitation that are refused (RFC 3865).
    pub no_soliciting: mail::Solicitation,
    /// MTRK is offered (RFC 3885).
    pub tracking: bool,
    pub tls_reporting: TlsReporting,
    /// `https://lists.example.org`: where the web server is reached; none: nobody is led there.
    pub web_url: Option<Arc<str>>,
    /// Histories older than this are forgotten.
    pub history_kept_for: Duration,
    #[cfg(feature = "planted")]
    pub planted: Option<crate::planted::Planted>,
}

impl Config {
    /// What holds where nothing is chosen, for a host of this name: no routes, nobody trusted, and no limits on clients.
    pub fn new(hostname: &str) -> Result<Self, TlsError> {
        let client_tls = ClientTlsPair {
            opportunistic: ClientTls::new(Verify::Nothing, "")?,
            verified: ClientTls::new(Verify::RootsAndName, "")?,
        };
        Ok(Self {
            hostname: hostname.into(),
            own: OwnHosts { names: [hostname.to_owned()].into(), addresses: BTreeSet::new() },
            trusted_networks: Vec::new(),
            proxies: ProxyNetworks::default(),
            vrfy: Audience::Authenticated,
            expn: Audience::Authenticated,
            send: Audience::Authenticated,
            send_to_ttys: false,
            sender_check: SenderCheck::Header,
            etrn: Audience::Authenticated,
            turn: false,
            routes: Vec::new(),
            forward: Forward { srs: true, srs_domain: None },
            delivery: DeliveryLimits::default(),
            retry_delays: [1, 5, 15, 30, 60, 120].map(Duration::from_mins).to_vec(),
            expire_after: Duration::from_hours(5 * 24),
            report_expire_after: Duration::from_hours(2 * 24),
            dead_letters: true,
            verp: false,
            suppression: Suppressing {
                senders: Vec::new(),
                failures: 2,
                kept_for: Duration::from_hours(90 * 24),
            },
            delay_notice_after: Duration::from_hours(4),
            transport: TransportPolicies::default(),
            client_tls,
            session: Limits::default(),
            clients: ClientLimits::default(),
            deliver_by_min: Duration::ZERO,
            hold_max: Duration::from_hours(24),
            disclosure: Disclosure { submitter: true, forwarding: Forwarding::Silent },
            no_soliciting: mail::Solicitation::default(),
            tracking: false,
            tls_reporting: TlsReporting::default(),
            web_url: None,
            history_kept_for: Duration::from_hours(30 * 24),
            #[cfg(feature = "planted")]
            planted: None,
        })
    }

    /// How long delivery is tried.
    pub fn lifetime(&self, reverse_path: &ReversePath) -> Duration {
        if reverse_path.is_null() {
            self.report_expire_after.min(self.expire_after)
        } else {
            self.expire_after
        }
    }
}

/// Which policies of recipients' domains are kept to.
#[derive(Clone, Copy, Debug)]
pub struct TransportPolicies {
    /// RFC 7672, as far as the resolver validates.
    pub dane: bool,
    /// RFC 8461
    pub mta_sts: bool,
    /// The port of the web servers that policies are fetched from: 443, but for tests.
    pub mta_sts_port: u16,
}

impl Default for TransportPolicies {
    fn default() -> Self {
        Self { dane: true, mta_sts: true, mta_sts_port: 443 }
    }
}

/// Addresses that mail to failed for good.
#[derive(Clone, Debug)]
pub struct Suppressing {
    /// Whose mail fills the list, and heeds it.
    pub senders: Vec<RecipientPattern>,
    /// So many messages that failed.
    pub failures: u32,
    pub kept_for: Duration,
}

/// How mail goes on that an alias leads abroad.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Under a sender of ours, which bounces come back to (SRS).
    pub srs: bool,
    /// The domain of such senders; none: the alias's own.
    pub srs_domain: Option<Domain>,
}

/// One class of solicitation, `net.example:ADV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolicitationClass;

impl std::str::FromStr for SolicitationClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_class = !text.contains(',') && text.parse::<mail::Solicitation>().is_ok();
        is_class.then_some(Self).ok_or_else(|| {
            format!("{text:?} is not a class of solicitation: write a domain, a colon and a word, \"net.example:ADV\"")
        })
    }
}

/// Who is believed when it says that it speaks for somebody else.
#[derive(Clone, Debug, Default)]
pub struct ProxyNetworks {
    /// With the PROXY protocol, where a listener wants it.
    pub protocol: Vec<Network>,
    /// With XCLIENT: policy takes the client for the one it names.
    pub xclient: Vec<Network>,
    /// With XFORWARD: for Received, log and history only.
    pub xforward: Vec<Network>,
}

/// What others get to know.
#[derive(Clone, Copy, Debug)]
pub struct Disclosure {
    /// The host and the address that a message was submitted from, in its Received line.
    pub submitter: bool,
    pub forwarding: Forwarding,
}

/// What a client is told of an address that leads to one elsewhere (RFC 5321 §3.4, §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    Silent,
    /// The address, with 251.
    Told,
    /// The address, with 551: it is not forwarded.
    Redirected,
}

#[derive(Clone, Debug)]
pub struct ClientTlsPair {
    pub opportunistic: ClientTls,
    pub verified: ClientTls,
}

/// Who may use a command that tells about users or the queue.
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
    /// The greeting, if no mail is taken there.
    pub refusal: Option<Arc<Reply>>,
}

/// An IP network: `127.0.0.0/8`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// What one customer has (an address, or a /64 of IPv6), and the network around it: a /24, or a /48.
    pub fn around(ip: IpAddr) -> [Self; 2] {
        let prefixes = if ip.to_canonical().is_ipv4() { [32, 24] } else { [64, 48] };
        prefixes.map(|prefix_bits| Self::of(ip.to_canonical(), prefix_bits))
    }

    fn of(ip: IpAddr, prefix_bits: u8) -> Self {
        let address = match ip {
            IpAddr::V4(ip) => {
                IpAddr::V4((ip.to_bits() & !(u32::MAX.checked_shr(prefix_bits.into()).unwrap_or(0))).into())
            }
            IpAddr::V6(ip) => {
                IpAddr::V6((ip.to_bits() & !(u128::MAX.checked_shr(prefix_bits.into()).unwrap_or(0))).into())
            }
        };
        Self { address, prefix_bits }
    }

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

/// An address alone where the network is no larger.
impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alone = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix_bits {
            bits if bits == alone => self.address.fmt(f),
            bits => write!(f, "{}/{bits}", self.address),
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
    fn networks_around_an_address() {
        let around = |ip: &str| Network::around(ip.parse().unwrap()).map(|network| network.to_string());
        assert_eq!(around("192.0.2.7"), ["192.0.2.7", "192.0.2.0/24"]);
        assert_eq!(around("::ffff:192.0.2.7"), around("192.0.2.7"));
        assert_eq!(around("2001:db8:1:2:3::4"), ["2001:db8:1:2::/64", "2001:db8:1::/48"]);
    }

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
