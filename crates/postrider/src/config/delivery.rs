//! The options of `[delivery]`, `[[destination]]` and `[tls_policy]`.

use mta::route::limits::{DeliveryLimits, DestinationLimits, DestinationRule, SourceAddresses};

use super::{
    options::RouteTls,
    section::section,
    types::{Rate, Site, SourceAddress, Span},
};
use crate::serve::routing;

section! {
    /// How much of us other hosts get, if no [[destination]] says otherwise. Within these limits the number of connections
    /// adapts to what a site takes.
    Delivery "[delivery]" {
        /// Connections to all sites together; what there is is shared fairly.
        connections_max: u32 = 2000;
        /// Connections to one site at once, also while they are being made and closed.
        site_connections_max: u32 = 20;
        /// A site that cannot be reached is left alone but for single tries: after the retry_delays of [queue], and no later
        /// than this.
        probe_interval_max: Span = Span::seconds(30 * 60);
        /// Messages that go over one connection, one after the other.
        messages_per_connection_max: u32 = 1000;
        /// Recipients of one transaction; more are further ones.
        recipients_per_message_max: u32 = 1000;
        /// How long a connection waits for the next message.
        idle_timeout: Span = Span::seconds(5);
        /// Addresses of this machine that connections come from, one of each family; hosts without an address of a family
        /// given are not reached. Without it the system chooses.
        source_address: Vec<SourceAddress> = Vec::new(), example "[\"192.0.2.1\", \"2001:db8::1\"]";
    }
}

section! {
    /// Limits for certain sites; the first section that matches decides. A site is the hosts that take mail, with all
    /// domains whose mail they take: where sections that match its domains differ, the first of them holds for all of it.
    Destination "[[destination]]" {
        /// The site: a domain, "*.example.com" (what is below it), or a host that takes mail, found by MX or named by a route:
        /// "host:mx.example.com", "host:*.example.com".
        site: Site, example "\"host:*.mail.example.com\"";
        /// Connections at once, also while they are being made and closed.
        connections_max: Option<u32> = None, example "5";
        /// Messages that go over one connection, one after the other.
        messages_per_connection_max: Option<u32> = None, example "100";
        /// Recipients of one transaction; more are further ones.
        recipients_per_message_max: Option<u32> = None, example "50";
        /// Messages in a time, evenly spread.
        rate: Rate = Rate(None), example "\"100/1m\"";
        /// As in [delivery].
        source_address: Vec<SourceAddress> = Vec::new(), example "[\"192.0.2.2\"]";
        /// TLS in place of what the route says.
        tls: Option<RouteTls> = None, example "\"required\"";
        /// How long a connection waits for the next message.
        idle_timeout: Option<Span> = None, example "\"30s\"";
    }
}

impl Delivery {
    /// As the transfer agent takes them.
    pub fn limits(&self, destinations: &[Destination]) -> DeliveryLimits {
        let usual = DestinationLimits {
            connections_max: count(self.site_connections_max),
            messages_per_connection_max: self.messages_per_connection_max,
            recipients_per_message_max: count(self.recipients_per_message_max),
            rate: None,
            source: source(&self.source_address),
            tls: None,
            idle_timeout: self.idle_timeout.0,
        };
        let rule = |destination: &Destination| DestinationRule {
            pattern: destination.site.value.clone(),
            limits: destination.limits(&usual),
        };
        DeliveryLimits {
            connections_max: count(self.connections_max),
            probe_interval_max: self.probe_interval_max.0,
            rules: destinations.iter().map(rule).collect(),
            usual: usual.clone(),
            version: 0,
        }
    }
}

impl Destination {
    /// What it does not say is as usual.
    fn limits(&self, usual: &DestinationLimits) -> DestinationLimits {
        let source = source(&self.source_address);
        DestinationLimits {
            connections_max: self.connections_max.map_or(usual.connections_max, count),
            messages_per_connection_max: self
                .messages_per_connection_max
                .unwrap_or(usual.messages_per_connection_max),
            recipients_per_message_max: self
                .recipients_per_message_max
                .map_or(usual.recipients_per_message_max, count),
            rate: self.rate.0,
            source: if self.source_address.is_empty() { usual.source } else { source },
            tls: self.tls.map(routing::tls),
            idle_timeout: self.idle_timeout.map_or(usual.idle_timeout, |timeout| timeout.0),
        }
    }
}

fn count(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn source(addresses: &[SourceAddress]) -> SourceAddresses {
    addresses.iter().map(|address| address.value).collect()
}

/// More than one address of a family.
pub fn has_two_of_a_family(addresses: &[SourceAddress]) -> bool {
    let v4 = addresses.iter().filter(|address| address.value.0.is_ipv4()).count();
    v4 > 1 || addresses.len() - v4 > 1
}

section! {
    /// What recipients' domains say of TLS, and whether it is kept to. Routes with tls = "none" are left alone.
    TlsPolicy "[tls_policy]" {
        /// Whether hosts with TLSA records have to show the key that these prove (DANE, RFC 7672). It needs DNS servers that
        /// pass on DNSSEC signatures; without them no record counts.
        dane: bool = true;
        /// Whether the policies that domains publish over HTTPS are fetched, kept for as long as they hold, and kept to
        /// (MTA-STS, RFC 8461).
        mta_sts: bool = true;
        /// The port of the web servers that policies are fetched from; another than 443 is for tests.
        mta_sts_port: u16 = 443;
    }
}
