//! How much of us a destination gets, by the rule that holds for it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{RecipientPattern, RouteTls};
use crate::policy::limits::Rate;

/// Deliveries to other hosts.
#[derive(Clone, Debug)]
pub struct DeliveryLimits {
    /// Connections to all sites together.
    pub connections_max: usize,
    /// A site that cannot be reached is tried again after this at the latest.
    pub probe_interval_max: Duration,
    /// First match wins.
    pub rules: Vec<DestinationRule>,
    /// Where none matches.
    pub usual: DestinationLimits,
    /// Counts reloads: what was found under an earlier configuration holds no more.
    pub version: u64,
}

/// One `[[destination]]`.
#[derive(Clone, Debug)]
pub struct DestinationRule {
    pub pattern: DestinationPattern,
    pub limits: DestinationLimits,
}

/// What a site may get of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationLimits {
    /// At once; at least 1.
    pub connections_max: usize,
    pub messages_per_connection_max: u32,
    pub recipients_per_message_max: usize,
    /// Messages.
    pub rate: Option<Rate>,
    pub source: SourceAddresses,
    /// In place of what the route says.
    pub tls: Option<RouteTls>,
    /// How long a connection waits for the next message.
    pub idle_timeout: Duration,
}

/// Where connections come from; none: the system chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceAddresses {
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceAddress(pub IpAddr);

impl std::str::FromStr for SourceAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an address: write \"192.0.2.1\" or \"2001:db8::1\"");
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl FromIterator<SourceAddress> for SourceAddresses {
    /// Of several of a family the last.
    fn from_iter<T: IntoIterator<Item = SourceAddress>>(addresses: T) -> Self {
        let mut source = Self::default();
        for SourceAddress(address) in addresses {
            match address {
                IpAddr::V4(address) => source.v4 = Some(address),
                IpAddr::V6(address) => source.v6 = Some(address),
            }
        }
        source
    }
}

impl SourceAddresses {
    pub fn towards(&self, peer: IpAddr) -> Option<IpAddr> {
        match peer {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }

    /// Nothing can go to this address from those that were chosen.
    pub fn exclude(&self, peer: IpAddr) -> bool {
        (self.v4.is_some() || self.v6.is_some()) && self.towards(peer).is_none()
    }
}

/// `example.com` or `*.example.com`: recipients of that domain, whose mail goes by MX. `host:mx.example.com` or
/// `host:*.example.com`: the name of a host that mail goes to, found by MX or given by a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationPattern {
    Domain(RecipientPattern),
    Host {
        /// Lower case; with `below`, what has to stand behind a dot.
        name: String,
        below: bool,
    },
}

impl std::str::FromStr for DestinationPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a destination: write \"example.com\", \"*.example.com\", \
                 \"host:mx.example.com\" or \"host:*.example.com\""
            )
        };
        if let Some(host) = text.strip_prefix("host:") {
            let (below, name) = host.strip_prefix("*.").map_or((false, host), |name| (true, name));
            let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '*');
            return if is_name {
                Ok(Self::Host { name: name.to_ascii_lowercase(), below })
            } else {
                Err(wrong())
            };
        }
        let is_domain = !text.contains('@') && text != "*";
        let pattern = if is_domain { format!("*@{text}").parse().ok() } else { None };
        pattern.map(Self::Domain).ok_or_else(wrong)
    }
}

impl DestinationPattern {
    fn is_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self {
            Self::Domain(_) => false,
            Self::Host { name, below: false } => host == *name,
            Self::Host { name, below: true } => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        }
    }

    /// Whether one of the hosts is meant or, where they are found by MX, one of the recipients.
    pub fn matches(&self, hosts: &[&str], recipients: &[&mail::Address], by_mx: bool) -> bool {
        match self {
            Self::Domain(pattern) => by_mx && recipients.iter().any(|address| pattern.matches(address)),
            Self::Host { .. } => hosts.iter().any(|host| self.is_host(host)),
        }
    }
}

impl DeliveryLimits {
    /// The place of the first rule that matches; behind the last one, if none does.
    pub fn place(&self, hosts: &[&str], recipients: &[&mail::Address], by_mx: bool) -> usize {
        let found = self.rules.iter().position(|rule| rule.pattern.matches(hosts, recipients, by_mx));
        found.unwrap_or(self.rules.len())
    }

    /// By place.
    pub fn limits(&self, place: usize) -> &DestinationLimits {
        self.rules.get(place).map_or(&self.usual, |rule| &rule.limits)
    }
}

impl Default for DestinationLimits {
    fn default() -> Self {
        Self {
            connections_max: 20,
            messages_per_connection_max: 1000,
            recipients_per_message_max: 1000,
            rate: None,
            source: SourceAddresses::default(),
            tls: None,
            idle_timeout: Duration::from_secs(5),
        }
    }
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            connections_max: 2000,
            probe_interval_max: Duration::from_mins(30),
            rules: Vec::new(),
            usual: DestinationLimits::default(),
            version: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str, recipient: &str) -> bool {
        let pattern: DestinationPattern = pattern.parse().unwrap();
        pattern.matches(&[host], &[&recipient.parse().unwrap()], true)
    }

    #[test]
    fn domains_are_of_recipients_and_hosts_of_sites() {
        assert!(matches("b.example", "mx.p.example", "a@B.example"));
        assert!(!matches("b.example", "mx.p.example", "a@sub.b.example"));
        assert!(matches("*.b.example", "mx.p.example", "a@sub.b.example"));
        assert!(matches("host:MX.p.example", "mx.P.example", "a@b.example"));
        assert!(matches("host:*.p.example", "mx.p.example", "a@b.example"));
        assert!(!matches("host:*.p.example", "p.example", "a@b.example"));
        assert!(!matches("host:*.p.example", "mxp.example", "a@b.example"));
        assert!(!matches("p.example", "p.example", "a@b.example"), "a host is no domain");
    }

    #[test]
    fn a_domain_of_recipients_says_nothing_of_a_relay_host() {
        let pattern: DestinationPattern = "b.example".parse().unwrap();
        assert!(!pattern.matches(&["relay.example"], &[&"a@b.example".parse().unwrap()], false));
    }

    #[test]
    fn a_bad_pattern_says_how_to_write_one() {
        for text in ["", "*", "a@b.example", "host:", "host:*", "host:a b", "*@b.example", "b..example"] {
            let error = text.parse::<DestinationPattern>().unwrap_err();
            assert!(error.contains("\"host:*.example.com\""), "{error}");
        }
    }

    #[test]
    fn an_address_of_a_family_without_source_is_out_of_reach() {
        let source = SourceAddresses { v4: Some(Ipv4Addr::LOCALHOST), v6: None };
        assert!(source.exclude("2001:db8::1".parse().unwrap()));
        assert!(!source.exclude("192.0.2.1".parse().unwrap()));
        assert!(!SourceAddresses::default().exclude("2001:db8::1".parse().unwrap()));
    }
}
