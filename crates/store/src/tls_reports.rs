//! What sessions with other hosts came to under TLS, by day and domain, and how far the report on it has got (RFC 8460).

use std::sync::Arc;

use mail::{
    Timestamp,
    tls_report::{AppliedPolicy, FailureKind},
};
use serde::{Deserialize, Serialize};

use crate::{
    batch::{Batch, Expect},
    engine::{CommitError, Engine, Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, KeyReader, TLS_DAY},
    value::Value,
};

/// Policies kept of one domain and day; a domain that shows more changes them by the hour.
pub const POLICIES_MAX: usize = 10;
/// Failures of different kinds kept of one policy; further ones are counted in the sum only.
pub const FAILURE_KINDS_MAX: usize = 100;

/// A day of UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub u32);

/// One domain on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsDay {
    pub counts: TlsCounts,
    /// What was counted before is reported already.
    pub since: Option<Timestamp>,
    pub report: ReportState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsCounts(pub Vec<PolicyCounts>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyCounts {
    pub policy: AppliedPolicy,
    pub successes: u64,
    pub failures: u64,
    /// How often each kind was seen; together no more than `failures`.
    pub kinds: Vec<(FailureKind, u64)>,
}

/// How far the report has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportState {
    /// Nobody was asked yet whether they want it.
    #[default]
    Waiting,
    /// They do not.
    Unwanted,
    /// Some places could not be reached.
    Retrying {
        left: Vec<String>,
        sent: Vec<String>,
        since: Timestamp,
        next_at: Timestamp,
        reason: String,
    },
    Sent {
        at: Timestamp,
        to: Vec<String>,
    },
    /// It was tried for too long.
    Failed {
        at: Timestamp,
        reason: String,
    },
}

impl Value for TlsDay {
    const NAME: &'static str = "day of TLS sessions";
    const VERSION: u8 = 1;
}

const DAY_MS: i64 = 86_400_000;

impl Day {
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.millis().div_euclid(DAY_MS)).unwrap_or_default())
    }

    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.0).saturating_mul(DAY_MS))
    }

    /// The first moment that does not belong to it any more.
    pub fn end(self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.0).saturating_add(1).saturating_mul(DAY_MS))
    }

    #[must_use]
    pub fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

/// `2026-11-25`
impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.start().rfc3339_seconds().split('T').next().unwrap_or_default())
    }
}

impl std::str::FromStr for Day {
    type Err = mail::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        format!("{text}T00:00:00Z").parse().map(Self::of)
    }
}

impl TlsCounts {
    /// Counts one session: a success, or what it failed by.
    pub fn count(&mut self, policy: &AppliedPolicy, failure: Option<&FailureKind>) {
        match failure {
            None => self.add(policy, 1, 0, &[]),
            Some(kind) => self.add(policy, 0, 1, &[(kind.clone(), 1)]),
        }
    }

    pub fn merge(&mut self, others: &Self) {
        for other in &others.0 {
            self.add(&other.policy, other.successes, other.failures, &other.kinds);
        }
    }

    /// Sessions that were counted.
    pub fn sessions(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, policy| sum.saturating_add(policy.successes).saturating_add(policy.failures))
    }

    pub fn failures(&self) -> u64 {
        self.0.iter().fold(0, |sum, policy| sum.saturating_add(policy.failures))
    }

    fn add(&mut self, policy: &AppliedPolicy, successes: u64, failures: u64, kinds: &[(FailureKind, u64)]) {
        let known = self.0.iter().position(|counts| counts.policy == *policy);
        if known.is_none() && self.0.len() < POLICIES_MAX {
            let policy = policy.clone();
            self.0.push(PolicyCounts { policy, successes: 0, failures: 0, kinds: Vec::new() });
        }
        let counts = match known {
            Some(at) => self.0.get_mut(at),
            None => self.0.last_mut(),
        };
        let Some(counts) = counts else { return };
        counts.successes = counts.successes.saturating_add(successes);
        counts.failures = counts.failures.saturating_add(failures);
        for (kind, times) in kinds {
            if let Some((_, known)) = counts.kinds.iter_mut().find(|(known, _)| known == kind) {
                *known = known.saturating_add(*times);
            } else if counts.kinds.len() < FAILURE_KINDS_MAX {
                counts.kinds.push((kind.clone(), *times));
            }
        }
    }
}

/// The counts over an engine; cheap to clone. One task writes them.
#[derive(Clone, Debug)]
pub struct TlsReports {
    pub(crate) engine: Arc<dyn Engine>,
}

impl TlsReports {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Adds to what is stored, all in one batch. Domains are in lookup form.
    pub async fn add(&self, counted: &[(Day, String, TlsCounts)]) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        for (day, domain, counts) in counted {
            let key = key(*day, domain);
            let stored = self.engine.get(&key).await?;
            let mut record = stored.as_deref().map(TlsDay::decode).transpose()?.unwrap_or_default();
            record.counts.merge(counts);
            batch.check(key.clone(), stored.map_or(Expect::Absent, Expect::Equals));
            batch.put(key, record.encode());
        }
        self.engine.commit(batch).await.map(drop)
    }

    pub async fn get(&self, day: Day, domain: &str) -> Result<Option<TlsDay>, StoreError> {
        self.engine.get(&key(day, domain)).await?.map(|value| TlsDay::decode(&value)).transpose()
    }

    /// Up to `limit` days and domains in order, from `from` on and behind `after`.
    pub async fn list(
        &self,
        from: Day,
        after: Option<(Day, &str)>,
        limit: usize,
    ) -> Result<Vec<(Day, String, TlsDay)>, StoreError> {
        let mut range = KeyRange::prefix(&[TLS_DAY]);
        range.start = match after {
            Some((day, domain)) => key(day, domain).successor(),
            None => key(from, ""),
        };
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        let read = |(key, value): &(Key, bytes::Bytes)| {
            let mut reader = KeyReader::new(key)?;
            Ok((Day(reader.u32()?), reader.text()?.to_owned(), TlsDay::decode(value)?))
        };
        found.iter().map(read).collect()
    }

    /// Replaces a record; the batch conflicts if it is not `old` any more.
    pub fn stage(&self, batch: &mut Batch, day: Day, domain: &str, old: &TlsDay, new: &TlsDay) {
        let key = key(day, domain);
        batch.check(key.clone(), Expect::Equals(old.encode().into()));
        batch.put(key, new.encode());
    }

    pub async fn replace(
        &self,
        day: Day,
        domain: &str,
        old: &TlsDay,
        new: &TlsDay,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        self.stage(&mut batch, day, domain, old, new);
        self.engine.commit(batch).await.map(drop)
    }

    /// Forgets days before `first`, at most `limit` records. Returns how many they were.
    pub async fn prune(&self, first: Day, limit: usize) -> Result<usize, CommitError> {
        let range = KeyRange { start: key(Day(0), ""), end: key(first, "") };
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        if found.is_empty() {
            return Ok(0);
        }
        let mut batch = Batch::new();
        let count = found.len();
        for (key, _) in found {
            batch.delete(key);
        }
        self.engine.commit(batch).await.map(|_| count)
    }
}

fn key(day: Day, domain: &str) -> Key {
    KeyBuilder::new(TLS_DAY).u32(day.0).text(domain).key()
}

#[cfg(test)]
mod tests {
    use mail::tls_report::{PolicyType, ResultType};

    use super::*;
    use crate::memory::MemoryEngine;

    fn failure(host: &str) -> FailureKind {
        FailureKind {
            result: ResultType::StarttlsNotSupported,
            sending_mta_ip: None,
            receiving_mx_hostname: Some(host.to_owned()),
            receiving_ip: None,
            reason: None,
        }
    }

    fn counts(sessions: u64) -> TlsCounts {
        let mut counts = TlsCounts::default();
        (0..sessions).for_each(|_| counts.count(&AppliedPolicy::none(), None));
        counts
    }

    #[test]
    fn days_are_of_utc() {
        let day = Day::of("2026-11-25T23:59:59.999Z".parse().unwrap());
        assert_eq!(day.to_string(), "2026-11-25");
        assert_eq!((day.end(), Day::of(day.end()).minus(1)), ("2026-11-26T00:00:00Z".parse().unwrap(), day));
        assert_eq!("2026-11-25".parse::<Day>().unwrap(), day);
        assert!("yesterday".parse::<Day>().is_err());
    }

    #[test]
    fn sums_are_whole_and_kinds_are_bounded() {
        let mut counts = TlsCounts::default();
        for n in 0..300 {
            counts.count(&AppliedPolicy::none(), Some(&failure(&format!("mx{}.x", n % 150))));
            counts.count(&AppliedPolicy::none(), None);
            let mut policy = AppliedPolicy { kind: PolicyType::Sts, ..AppliedPolicy::none() };
            policy.strings.push(n.to_string());
            counts.count(&policy, None);
        }
        assert_eq!((counts.0[0].successes, counts.0[0].failures), (300, 300));
        assert_eq!((counts.0[0].kinds.len(), counts.0[0].kinds[0].1), (FAILURE_KINDS_MAX, 2));
        assert_eq!(counts.0.len(), POLICIES_MAX);
        let mut twice = counts.clone();
        twice.merge(&counts);
        assert_eq!((twice.failures(), twice.0[0].kinds[0].1), (600, 4));
    }

    #[tokio::test]
    async fn counts_add_up_and_are_forgotten() {
        let reports = TlsReports::new(Arc::new(MemoryEngine::new()));
        let [old, new] = [Day(7), Day(8)];
        for _ in 0..2 {
            let counted = [(old, "a.x".to_owned(), counts(2)), (new, "a.x".to_owned(), counts(1))];
            reports.add(&counted).await.unwrap();
        }
        assert_eq!(reports.get(old, "a.x").await.unwrap().unwrap().counts.sessions(), 4);
        let listed = reports.list(old, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|(day, ..)| *day).collect::<Vec<_>>(), [old, new]);
        assert_eq!(reports.list(old, Some((old, "a.x")), 10).await.unwrap().len(), 1);
        let (_, _, record) = &listed[0];
        let sent = TlsDay { report: ReportState::Unwanted, ..record.clone() };
        reports.replace(old, "a.x", record, &sent).await.unwrap();
        assert!(matches!(reports.replace(old, "a.x", record, &sent).await, Err(CommitError::Conflict(_))));
        assert_eq!(reports.prune(new, 10).await.unwrap(), 1);
        assert_eq!(reports.list(Day(0), None, 10).await.unwrap().len(), 1);
    }
}
