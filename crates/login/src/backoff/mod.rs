//! What guessing costs: failed logins count for a while, and too many hold further ones off.
//!
//! Failures count by account and network, by network, and by account. The last two spare who has logged in to this
//! account from this network before, so that strangers lock nobody out. Counts decay steadily; all of it lives in
//! memory and is bounded.

mod generations;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use generations::Generations;

/// Entries of each table: failures, and networks that accounts are known from.
const ENTRIES_MAX: usize = 100_000;
/// An account is known from a network for so long after a login.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// Before the first refusal is said; doubles with each further failure.
const DELAY: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(8);

/// How many failed logins may be had within `window`; after that one each `window / attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To one account from one network.
    pub attempts: u32,
    /// To all accounts from one network. Loopback is spared, since a web mailer may speak for everybody.
    pub attempts_network: u32,
    /// To one account from all networks.
    pub attempts_account: u32,
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 10, attempts_network: 100, attempts_account: 100, window: Duration::from_mins(15) }
    }
}

#[derive(Debug)]
pub(super) struct Backoff {
    limits: Mutex<Limits>,
    hasher: RandomState,
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    failures: Generations<Key, Failures>,
    /// When the account logged in from the network.
    known: Generations<Key, Instant>,
}

/// What failures are counted by; accounts by the hash of their name. The network alone has no account, and the other
/// way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    account: Option<u64>,
    network: Option<Network>,
}

/// Failures as the time when all of them will have decayed.
#[derive(Clone, Copy, Debug)]
struct Failures {
    until: Instant,
    told: bool,
}

/// /24 or /64: what one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

/// One login that was let through and counts as failed until it is known to have succeeded.
#[derive(Debug)]
pub(super) struct Attempt {
    pair: Key,
    at: Instant,
    counted: Vec<(Key, Duration)>,
    /// To wait before it is refused.
    pub(super) delay: Duration,
}

/// Too many failed.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) network: Network,
    /// To be logged, once.
    pub(super) first: bool,
}

impl Backoff {
    pub(super) fn new(limits: Limits) -> Self {
        let tables = Tables { failures: Generations::new(ENTRIES_MAX), known: Generations::new(ENTRIES_MAX) };
        Self { limits: Mutex::new(limits), hasher: RandomState::new(), tables: Mutex::new(tables) }
    }

    pub(super) fn set_limits(&self, limits: Limits) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Counts a login before it is checked, so that many at a time gain nothing. `name`: in the form it is looked up by.
    pub(super) fn begin(&self, name: &str, ip: IpAddr, now: Instant) -> Result<Attempt, Held> {
        let limits = self.limits();
        let pair = self.pair(name, ip);
        let mut tables = self.tables();
        let counted = tables.counted_by(pair, &limits, now);
        if let Some(key) = tables.full(&counted, &limits, now) {
            let told = tables.failures.get(&key).map(|failures| std::mem::replace(&mut failures.told, true));
            return Err(Held { network: Network::of(ip), first: told == Some(false) });
        }
        let counts = counted.iter().map(|(key, interval)| tables.count(*key, now, *interval, limits.window));
        let delay = delay(counts.max().unwrap_or(1));
        Ok(Attempt { pair, at: now, counted, delay })
    }

    /// Whether [`begin`](Self::begin) would refuse; counts nothing.
    pub(super) fn is_held(&self, name: &str, ip: IpAddr, now: Instant) -> bool {
        let limits = self.limits();
        let pair = self.pair(name, ip);
        let mut tables = self.tables();
        let counted = tables.counted_by(pair, &limits, now);
        tables.full(&counted, &limits, now).is_some()
    }

    pub(super) fn succeed(&self, attempt: &Attempt) {
        let mut tables = self.tables();
        tables.take_back(attempt);
        tables.failures.remove(&attempt.pair);
        tables.known.insert(attempt.pair, attempt.at);
    }

    /// It could not be told whether it was right.
    pub(super) fn forget(&self, attempt: &Attempt) {
        self.tables().take_back(attempt);
    }

    fn pair(&self, name: &str, ip: IpAddr) -> Key {
        Key { account: Some(self.hasher.hash_one(name)), network: Some(Network::of(ip)) }
    }

    fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// What a login of this pair counts by, each with the time in which one failure decays.
    fn counted_by(&mut self, pair: Key, limits: &Limits, now: Instant) -> Vec<(Key, Duration)> {
        let mut counted = vec![(pair, limits.interval(limits.attempts))];
        if self.knows(&pair, now) {
            return counted;
        }
        counted.push((Key { network: None, ..pair }, limits.interval(limits.attempts_account)));
        if !pair.network.is_some_and(|network| network.0.is_loopback()) {
            counted.push((Key { account: None, ..pair }, limits.interval(limits.attempts_network)));
        }
        counted
    }

    /// The first that has no room for another failure.
    fn full(&mut self, counted: &[(Key, Duration)], limits: &Limits, now: Instant) -> Option<Key> {
        let is_full = |(key, interval): &&(Key, Duration)| {
            self.failures.get(key).is_some_and(|failures| failures.is_full(now, *interval, limits.window))
        };
        counted.iter().find(is_full).map(|(key, _)| *key)
    }

    fn knows(&mut self, pair: &Key, now: Instant) -> bool {
        self.known.get(pair).is_some_and(|at| now.saturating_duration_since(*at) < KNOWN_FOR)
    }

    /// One failure more; how many there are.
    fn count(&mut self, key: Key, now: Instant, interval: Duration, window: Duration) -> u32 {
        let failures = self.failures.get_or_insert(key, || Failures { until: now, told: false });
        failures.until = failures.until.max(now) + interval;
        let left = failures.left(now);
        failures.told &= left > window / 2;
        u32::try_from(left.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u32::MAX)
    }

    fn take_back(&mut self, attempt: &Attempt) {
        for (key, interval) in &attempt.counted {
            if let Some(failures) = self.failures.get(key) {
                failures.until = failures.until.checked_sub(*interval).unwrap_or(attempt.at);
            }
        }
    }
}

impl Failures {
    fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }

    fn is_full(&self, now: Instant, interval: Duration, window: Duration) -> bool {
        // As many intervals fit into the window as there may be failures; what division loses is no failure more.
        self.left(now) + interval > window + interval / 2
    }
}

impl Limits {
    fn interval(&self, attempts: u32) -> Duration {
        self.window / attempts.max(1)
    }
}

impl Network {
    fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) if ip.is_loopback() => ip.into(),
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() >> 8 << 8).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 64 })
    }
}

/// For the so-maniest failure.
fn delay(failures: u32) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    DELAY.saturating_mul(doubled).min(DELAY_MAX)
}

#[cfg(test)]
mod tests;
