//! How many connections there may be at once: in all, from one address, and from the network around it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mail::Reply;

use super::{Verdict, limits::ClientLimits};
use crate::config::Network;

/// Counts open connections.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_network: HashMap<Network, usize>,
}

/// One counted connection; gone when dropped.
#[derive(Debug)]
pub struct Admission {
    connections: Connections,
    networks: [Network; 2],
}

/// Which limit was reached: of a network, or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    network: Option<Network>,
    open: usize,
}

impl Connections {
    pub fn admit(&self, ip: IpAddr, limits: &ClientLimits) -> Result<Admission, Full> {
        let networks = Network::around(ip);
        let mut counts = self.counts();
        if counts.all >= limits.connections_max {
            return Err(Full { network: None, open: counts.all });
        }
        if !limits.is_exempt(ip) {
            let one = limits.network_connections_max;
            let aggregate =
                one.saturating_mul(usize::try_from(limits.aggregate_factor).unwrap_or(usize::MAX));
            for (network, most) in networks.into_iter().zip([one, aggregate]) {
                let open = counts.by_network.get(&network).copied().unwrap_or(0);
                if open >= most {
                    return Err(Full { network: Some(network), open });
                }
            }
        }
        counts.all += 1;
        for network in networks {
            *counts.by_network.entry(network).or_default() += 1;
        }
        drop(counts);
        Ok(Admission { connections: self.clone(), networks })
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.all = counts.all.saturating_sub(1);
        for network in self.networks {
            match counts.by_network.get_mut(&network) {
                Some(here) if *here > 1 => *here -= 1,
                _ => drop(counts.by_network.remove(&network)),
            }
        }
    }
}

/// RFC 5321 §3.8
pub fn refusal() -> Reply {
    Reply::new(421, (4, 7, 0), "too many connections, try again later")
}

pub fn verdict(full: Full, reply: Reply) -> Verdict {
    let whose = full.network.map_or_else(|| "all".to_owned(), |network| network.to_string());
    Verdict::refuse("connections", reply).with("from", whose).with("open", full.open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(network: &str, open: usize) -> Full {
        Full { network: Some(network.parse().unwrap()), open }
    }

    #[test]
    fn connections_count_by_network_and_in_all_until_they_end() {
        let limits = ClientLimits {
            connections_max: 5,
            network_connections_max: 2,
            aggregate_factor: 2,
            ..ClientLimits::default()
        };
        let connections = Connections::default();
        let admit = |ip: &str| connections.admit(ip.parse().unwrap(), &limits);
        let first = admit("2001:db8::1").unwrap();
        let _second = admit("2001:db8::2").unwrap();
        assert_eq!(admit("2001:db8::3").unwrap_err(), full("2001:db8::/64", 2));
        let _neighbours = [admit("2001:db8:0:1::1").unwrap(), admit("2001:db8:0:2::1").unwrap()];
        assert_eq!(admit("2001:db8:0:3::1").unwrap_err(), full("2001:db8::/48", 4));
        let _fifth = admit("192.0.2.1").unwrap();
        assert_eq!(admit("127.0.0.1").unwrap_err(), Full { network: None, open: 5 });
        drop(first);
        assert!(admit("2001:db8::1").is_ok());
        let exempt: Vec<_> = (0..3).map_while(|_| admit("127.0.0.1").ok()).collect();
        assert_eq!(exempt.len(), 1, "as many as there may be in all");
    }

    #[test]
    fn nothing_is_kept_of_those_that_left() {
        let connections = Connections::default();
        for number in 0..1000_u32 {
            let ip = IpAddr::V4((0x0a00_0000 + number * 999).into());
            drop(connections.admit(ip, &ClientLimits::default()).unwrap());
        }
        assert!(connections.counts().by_network.is_empty());
        assert_eq!(connections.counts().all, 0);
    }
}
