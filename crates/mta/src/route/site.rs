//! Finding the hosts that take a domain's mail (RFC 5321 §5.1, RFC 7505).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use mail::{Address, EnhancedStatus, Host};
use store::spool::LaneId;
use world::{
    Dns, DnsError, Entropy,
    dns::{Answer, Mx},
};
use xxhash_rust::xxh3::xxh3_64;

use super::MX_LANES;

/// Hosts that one attempt may turn to.
const HOSTS_MAX: usize = 10;

/// Names and addresses that are ours: mail that leads back to them would go in a circle.
#[derive(Clone, Debug, Default)]
pub struct OwnHosts {
    /// Lower case.
    pub names: BTreeSet<String>,
    pub addresses: BTreeSet<IpAddr>,
}

/// Where the mail of a domain is taken. Domains with the same hosts are one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// By preference, then by name; none that is not better than ourselves. Not empty.
    hosts: Vec<Mx>,
    /// No MX says so: the domain itself is the host (RFC 5321 §5.1).
    pub implicit: bool,
    /// That these are the hosts is proven by DNSSEC.
    pub secure: bool,
}

/// Why no host takes mail for a domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSite {
    #[error("the domain {0} does not exist")]
    NoDomain(String),
    /// RFC 7505
    #[error("the domain {0} takes no mail")]
    NullMx(String),
    #[error("the domain {0} has no host that takes mail")]
    NoHost(String),
    #[error("the best host that takes mail for {0} is this one, which does not host it: a loop")]
    OnlyUs(String),
    #[error("{0}")]
    Unknown(#[from] DnsError),
}

impl NoSite {
    /// RFC 3463, RFC 7505 §4
    pub fn status(&self) -> EnhancedStatus {
        let (class, subject, detail) = match self {
            Self::NoDomain(_) => (5, 1, 2),
            Self::NullMx(_) => (5, 1, 10),
            Self::NoHost(_) => (5, 4, 4),
            Self::OnlyUs(_) => (5, 4, 6),
            Self::Unknown(_) => (4, 4, 3),
        };
        EnhancedStatus { class, subject, detail }
    }

    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl Site {
    /// Of an address that is to be relayed: its domain's, or the host that an address literal names (RFC 5321 §5.1).
    pub async fn of(dns: &dyn Dns, own: &OwnHosts, address: &Address) -> Result<Self, NoSite> {
        match address.host() {
            Host::Domain(domain) => find(dns, own, &domain.to_lookup()).await,
            Host::Literal(ip) if own.addresses.contains(ip) => Err(NoSite::OnlyUs(format!("[{ip}]"))),
            literal @ Host::Literal(_) => Ok(Self::only(&literal.to_string(), false)),
            unknown @ Host::GeneralLiteral(_) => Err(NoSite::NoHost(unknown.to_string())),
        }
    }

    fn only(host: &str, secure: bool) -> Self {
        let host = Mx { preference: 0, exchange: host.to_ascii_lowercase() };
        Self { hosts: vec![host], implicit: true, secure }
    }

    /// The lane of this site: the same for the same hosts, whatever their order.
    pub fn lane(&self) -> LaneId {
        let names: BTreeSet<&str> = self.hosts.iter().map(|host| &*host.exchange).collect();
        let first = self.hosts.first().map_or("", |host| &*host.exchange);
        let all: Vec<&str> = names.into_iter().collect();
        match &all[..] {
            [_] => LaneId(format!("{MX_LANES}{first}").into()),
            all => {
                let hash = xxh3_64(all.join(" ").as_bytes()) >> 32;
                LaneId(format!("{MX_LANES}{first}+{hash:08x}").into())
            }
        }
    }

    /// By preference.
    pub fn hosts(&self) -> &[Mx] {
        &self.hosts
    }

    /// In the order to try them: by preference, and hosts of one preference shuffled anew each time (RFC 5321 §5.1).
    pub fn in_order(&self, entropy: &dyn Entropy) -> Vec<Vec<String>> {
        let chosen = self.hosts.iter().take(HOSTS_MAX);
        let mut groups: BTreeMap<u16, Vec<(u64, &str)>> = BTreeMap::new();
        for host in chosen {
            groups.entry(host.preference).or_default().push((entropy.u64(), &host.exchange));
        }
        let shuffled = |mut group: Vec<(u64, &str)>| {
            group.sort_unstable();
            group.into_iter().map(|(_, name)| name.to_owned()).collect()
        };
        groups.into_values().map(shuffled).collect()
    }
}

async fn find(dns: &dyn Dns, own: &OwnHosts, domain: &str) -> Result<Site, NoSite> {
    match dns.mx(domain).await {
        Ok(answer) => explicit(own, domain, answer),
        // RFC 5321 §5.1: a domain without MX is its own host; one whose MX cannot be had is not.
        Err(DnsError::NoRecords { secure, .. }) => implicit(dns, own, domain, secure).await,
        Err(DnsError::NoName { .. }) => Err(NoSite::NoDomain(domain.to_owned())),
        Err(error) => Err(error.into()),
    }
}

fn explicit(own: &OwnHosts, domain: &str, answer: Answer<Mx>) -> Result<Site, NoSite> {
    let mut hosts = answer.records;
    // RFC 7505 §3: the null MX stands alone; among others it is a mistake, and no host.
    if hosts.iter().all(|host| host.exchange.is_empty()) {
        return Err(NoSite::NullMx(domain.to_owned()));
    }
    hosts.retain(|host| !host.exchange.is_empty());
    // RFC 5321 §5.1: MX records name hosts; an address written as one is a name that nobody has.
    hosts.retain(|host| world::dns::literal(&host.exchange).is_none());
    if hosts.is_empty() {
        return Err(NoSite::NoHost(domain.to_owned()));
    }
    hosts.sort();
    hosts.dedup_by(|a, b| a.exchange == b.exchange);
    // RFC 5321 §5.1: where we stand ourselves, only better hosts may have it.
    if let Some(ours) = hosts.iter().find(|host| own.names.contains(&host.exchange)) {
        let preference = ours.preference;
        hosts.retain(|host| host.preference < preference);
    }
    if hosts.is_empty() {
        return Err(NoSite::OnlyUs(domain.to_owned()));
    }
    Ok(Site { hosts, implicit: false, secure: answer.secure })
}

async fn implicit(dns: &dyn Dns, own: &OwnHosts, domain: &str, secure: bool) -> Result<Site, NoSite> {
    match dns.addresses(domain).await {
        Ok(_) if own.names.contains(domain) => Err(NoSite::OnlyUs(domain.to_owned())),
        Ok(_) => Ok(Site::only(domain, secure)),
        Err(error @ DnsError::Temporary { .. }) => Err(error.into()),
        Err(DnsError::NoName { .. }) => Err(NoSite::NoDomain(domain.to_owned())),
        Err(DnsError::NoRecords { .. }) => Err(NoSite::NoHost(domain.to_owned())),
    }
}

#[cfg(test)]
mod tests;
