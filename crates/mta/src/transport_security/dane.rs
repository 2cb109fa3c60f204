//! What DNSSEC proves of a host (RFC 7672 §2).

use std::net::IpAddr;

use world::{
    Dns, DnsError,
    dns::{Answer, Tlsa, literal},
    tls::usable,
};

use crate::{
    config::TransportPolicies,
    route::{NextHost, RouteTls},
};

/// What came of looking for TLSA records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaneFinding {
    /// Something on the way to the host is not proven, so that its records prove nothing and are not asked for.
    Unproven(&'static str),
    /// The host has none, or none that are proven.
    NoRecords,
    /// RFC 7672 §2.2: none that we know what to do with.
    Unusable {
        /// The name that has them, `mx.example.org`.
        base: String,
    },
    Records {
        base: String,
        records: Vec<Tlsa>,
    },
    /// Whether there are any cannot be learned now.
    Unknown(String),
}

/// As [`look_up`], if what is there would count.
pub async fn find(
    dns: &dyn Dns,
    policies: TransportPolicies,
    host: &NextHost,
    addresses: &Answer<IpAddr>,
    (proven_way, waived): (bool, bool),
) -> DaneFinding {
    match host.tls {
        RouteTls::Dane => {}
        RouteTls::None => return DaneFinding::Unproven("the route has tls = \"none\""),
        _ if !policies.dane => return DaneFinding::Unproven("DANE is switched off ([tls_policy] dane)"),
        _ if waived => return DaneFinding::Unproven("the sender set it aside"),
        _ => {}
    }
    look_up(dns, &host.host, host.port, addresses, proven_way).await
}

/// `proven_way`: DNSSEC proves that mail for the domain goes to this host. `addresses`: those of the host, as they were
/// looked up to be connected to.
pub async fn look_up(
    dns: &dyn Dns,
    host: &str,
    port: u16,
    addresses: &Answer<IpAddr>,
    proven_way: bool,
) -> DaneFinding {
    if !proven_way {
        return DaneFinding::Unproven("DNSSEC does not prove that mail for the domain goes there");
    }
    // RFC 7672 §2.2.2: servers of zones that are not signed may fail when they are asked for what they do not know.
    let bases: Vec<&str> = match &addresses.canonical {
        _ if literal(host).is_some() => return DaneFinding::Unproven("an address has no TLSA records"),
        Some(canonical) if addresses.secure => vec![canonical, host],
        None if addresses.secure => vec![host],
        // An alias that is proven and leads to what is not: only its own name can have records.
        Some(_) if addresses.owner_secure => vec![host],
        _ => return DaneFinding::Unproven("DNSSEC does not prove its addresses"),
    };
    for base in bases {
        match records_of(dns, base, port).await {
            DaneFinding::NoRecords => {}
            found => return found,
        }
    }
    DaneFinding::NoRecords
}

async fn records_of(dns: &dyn Dns, base: &str, port: u16) -> DaneFinding {
    let base = base.to_owned();
    match dns.tlsa(&format!("_{port}._tcp.{base}")).await {
        Ok(answer) if !answer.secure => DaneFinding::NoRecords,
        Ok(answer) => match usable(&answer.records) {
            records if records.is_empty() => DaneFinding::Unusable { base },
            records => DaneFinding::Records { base, records },
        },
        Err(error @ DnsError::Temporary { .. }) => DaneFinding::Unknown(error.to_string()),
        Err(DnsError::NoName { .. } | DnsError::NoRecords { .. }) => DaneFinding::NoRecords,
    }
}
