//! How many connections there may be at once, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::config::ConnectionLimits;

/// Counts open connections. IPv6 peers count by their /64, which is what one customer gets.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// One counted connection; gone when dropped.
#[derive(Debug)]
pub struct Admission {
    connections: Connections,
    network: IpAddr,
}

impl Connections {
    /// None if a limit is reached.
    pub fn admit(&self, ip: IpAddr, limits: &ConnectionLimits) -> Option<Admission> {
        let network = network_of(ip);
        let mut counts = self.counts();
        let here = counts.by_network.get(&network).copied().unwrap_or(0);
        if counts.all >= limits.all_max || here >= limits.per_ip_max {
            return None;
        }
        counts.all += 1;
        counts.by_network.insert(network, here + 1);
        drop(counts);
        Some(Admission { connections: self.clone(), network })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.all = counts.all.saturating_sub(1);
        match counts.by_network.get_mut(&self.network) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(counts.by_network.remove(&self.network)),
        }
    }
}

fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_count_by_address_and_in_all_until_they_end() {
        let limits = ConnectionLimits { all_max: 3, per_ip_max: 2 };
        let connections = Connections::default();
        let ip: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        let first = connections.admit(ip, &limits).unwrap();
        let _second = connections.admit(neighbour, &limits).unwrap();
        assert!(connections.admit(ip, &limits).is_none(), "two from one /64");
        let _third = connections.admit(other, &limits).unwrap();
        assert!(connections.admit(other, &limits).is_none(), "three in all");
        drop(first);
        assert!(connections.admit(ip, &limits).is_some());
    }
}
