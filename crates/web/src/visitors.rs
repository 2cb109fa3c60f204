//! How many connections one address has.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Connections at once from one address. Browsers have six.
const CONNECTIONS_MAX: u32 = 32;

#[derive(Clone, Debug, Default)]
pub(crate) struct Visitors(Arc<Mutex<HashMap<IpAddr, u32>>>);

/// Counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    visitors: Visitors,
    ip: IpAddr,
}

impl Visitors {
    /// None: there are enough from there.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<Visit> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_default();
        if *count >= CONNECTIONS_MAX {
            return None;
        }
        *count += 1;
        Some(Visit { visitors: self.clone(), ip })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.visitors.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_so_many_and_nothing_is_left_of_those_that_went() {
        let (visitors, [one, other]) =
            (Visitors::default(), ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap()));
        let visits: Vec<_> = (0..CONNECTIONS_MAX).map(|_| visitors.admit(one).unwrap()).collect();
        assert!(visitors.admit(one).is_none());
        assert!(visitors.admit(other).is_some());
        drop(visits);
        assert!(visitors.0.lock().unwrap().is_empty());
    }
}
