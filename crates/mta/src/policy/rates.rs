//! How often: what networks and accounts did lately, in a table of bounded size.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::limits::Rate;
use crate::config::Network;

/// Subjects in one generation of the table; there are two.
const GENERATION_MAX: usize = 1 << 16;
/// A penalty lasts no longer than so many times the window.
const PENALTY_WINDOWS_MAX: u64 = 2;

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Network(Network),
    /// In the form addresses are looked up by.
    Account(Box<str>),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Countable {
    Connections,
    Commands,
    Messages,
    Recipients,
    Errors,
    SuccessReports,
    /// Lines in the log about refusals.
    LogLines,
}

const COUNTABLES: usize = 7;

/// Who had too much of what, and when the next will be let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub subject: Subject,
    pub wait: Duration,
}

/// The table. Each count is one instant, in the manner of GCRA: how far the subject has used up the time to come.
/// Which it has not when that instant has passed, so nothing needs to be swept.
#[derive(Debug)]
pub struct Rates {
    origin: Instant,
    table: Mutex<Table>,
}

/// Nanoseconds since the table's origin.
type Used = [u64; COUNTABLES];

/// When a generation is full, the one before it is forgotten. Who is active moves to the younger one, so that a flood
/// of strangers pushes out those who are idle, and not the network that the flood comes from. Keyed: `HashMap` hashes
/// with a secret of this process.
#[derive(Debug, Default)]
struct Table {
    young: HashMap<Subject, Used>,
    old: HashMap<Subject, Used>,
}

impl Rates {
    pub fn new(now: Instant) -> Self {
        Self { origin: now, table: Mutex::default() }
    }

    /// Counts one for each subject if all of them may have one more.
    pub fn take(&self, what: Countable, subjects: &[(Subject, Rate)], now: Instant) -> Result<(), Exceeded> {
        let now = self.since_origin(now);
        let mut table = self.table();
        table.check(what, subjects, 1, now)?;
        for (subject, rate) in subjects {
            table.add(what, subject, *rate, 1, now);
        }
        Ok(())
    }

    /// Whether `take` would succeed; counts nothing.
    pub fn peek(&self, what: Countable, subjects: &[(Subject, Rate)], now: Instant) -> Result<(), Exceeded> {
        self.table().check(what, subjects, 1, self.since_origin(now))
    }

    /// Counts what happened already, allowed or not, and says whether it was too much.
    pub fn charge(
        &self,
        what: Countable,
        subjects: &[(Subject, Rate)],
        count: u32,
        now: Instant,
    ) -> Result<(), Exceeded> {
        let now = self.since_origin(now);
        let mut table = self.table();
        for (subject, rate) in subjects {
            table.add(what, subject, *rate, count, now);
        }
        table.check(what, subjects, 0, now)
    }

    fn since_origin(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.origin))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn check(
        &self,
        what: Countable,
        subjects: &[(Subject, Rate)],
        count: u32,
        now: u64,
    ) -> Result<(), Exceeded> {
        for (subject, rate) in subjects {
            let used = self.young.get(subject).or_else(|| self.old.get(subject));
            let used_until = used.map_or(0, |used| *cell(&mut used.clone(), what)).max(now);
            let wanted_until = used_until.saturating_add(cost(*rate, count));
            let allowed_until = now.saturating_add(nanos(rate.per));
            if wanted_until > allowed_until {
                let wait = Duration::from_nanos(wanted_until - allowed_until);
                return Err(Exceeded { subject: subject.clone(), wait });
            }
        }
        Ok(())
    }

    fn add(&mut self, what: Countable, subject: &Subject, rate: Rate, count: u32, now: u64) {
        let most = now.saturating_add(nanos(rate.per).saturating_mul(PENALTY_WINDOWS_MAX));
        let used = cell(self.used(subject), what);
        *used = (*used).max(now).saturating_add(cost(rate, count)).min(most);
    }

    fn used(&mut self, subject: &Subject) -> &mut Used {
        if !self.young.contains_key(subject) && self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(subject.clone()).or_insert_with(|| old.remove(subject).unwrap_or_default())
    }
}

fn cell(used: &mut Used, what: Countable) -> &mut u64 {
    let [connections, commands, messages, recipients, errors, success_reports, log_lines] = used;
    match what {
        Countable::Connections => connections,
        Countable::Commands => commands,
        Countable::Messages => messages,
        Countable::Recipients => recipients,
        Countable::Errors => errors,
        Countable::SuccessReports => success_reports,
        Countable::LogLines => log_lines,
    }
}

/// Of the time to come, so many use up so much.
fn cost(rate: Rate, count: u32) -> u64 {
    nanos(rate.per).saturating_mul(u64::from(count)) / u64::from(rate.count.max(1))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Account(address) => f.write_str(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const RATE: Rate = Rate::new(3, Duration::from_secs(30));

    fn start() -> (Rates, Instant) {
        let now = world::Clock::now(&world::SystemClock);
        (Rates::new(now), now)
    }

    fn network(ip: &str) -> Vec<(Subject, Rate)> {
        let [one, _] = Network::around(ip.parse().unwrap());
        vec![(Subject::Network(one), RATE)]
    }

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_passes_and_then_as_much_as_time_gives_back() {
        let (rates, now) = start();
        let subject = network("192.0.2.1");
        let take = |now| rates.take(Countable::Messages, &subject, now);
        for _ in 0..3 {
            take(now).unwrap();
        }
        assert_eq!(take(now).unwrap_err().wait, after(10));
        assert_eq!(rates.peek(Countable::Messages, &subject, now + after(4)).unwrap_err().wait, after(6));
        take(now + after(10)).unwrap();
        take(now + after(10)).unwrap_err();
        for _ in 0..3 {
            take(now + after(3600)).unwrap();
        }
        take(now + after(3600)).unwrap_err();
        rates.take(Countable::Recipients, &subject, now).unwrap();
        rates.take(Countable::Messages, &network("192.0.2.2"), now).unwrap();
    }

    #[test]
    fn what_one_subject_may_not_is_counted_for_none() {
        let (rates, now) = start();
        let both = [network("192.0.2.1"), network("192.0.2.2")].concat();
        for _ in 0..3 {
            rates.take(Countable::Messages, &both[1..], now).unwrap();
        }
        let exceeded = rates.take(Countable::Messages, &both, now).unwrap_err();
        assert_eq!(exceeded.subject, both[1].0);
        for _ in 0..3 {
            rates.take(Countable::Messages, &both[..1], now).unwrap();
        }
    }

    #[test]
    fn what_has_happened_is_charged_and_the_penalty_is_bounded() {
        let (rates, now) = start();
        let subject = network("192.0.2.1");
        rates.charge(Countable::Errors, &subject, 3, now).unwrap();
        rates.charge(Countable::Errors, &subject, 1_000_000, now).unwrap_err();
        rates.charge(Countable::Errors, &subject, 0, now + after(29)).unwrap_err();
        rates.charge(Countable::Errors, &subject, 0, now + after(30)).unwrap();
    }

    /// The table stays bounded under sources without number in one /48, and the /48 itself stays counted.
    #[test]
    fn a_flood_of_sources_grows_no_memory_and_does_not_hide_its_network() {
        let (rates, now) = start();
        let aggregate_rate = Rate::new(1000, Duration::from_hours(1));
        let mut refused = 0;
        for number in 0..150_000_u128 {
            let ip = IpAddr::V6(((0x2001_0db8_0000 << 80) | (number << 64) | 1).into());
            let [one, aggregate] = Network::around(ip);
            let subjects = [(Subject::Network(one), RATE), (Subject::Network(aggregate), aggregate_rate)];
            refused += usize::from(rates.charge(Countable::Connections, &subjects, 1, now).is_err());
        }
        let table = rates.table();
        assert!(table.young.len() <= GENERATION_MAX && table.old.len() <= GENERATION_MAX);
        assert!(refused > 140_000, "{refused}");
    }
}
