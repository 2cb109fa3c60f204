//! Counts that are not written down yet.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use mail::tls_report::{AppliedPolicy, FailureKind};

use super::{Day, TlsCounts};

/// Domains between two writes; sessions with further ones are not counted.
const DOMAINS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Counter {
    counts: Mutex<HashMap<(Day, String), TlsCounts>>,
    /// Said once, not for each session.
    overflow_told: AtomicBool,
}

impl Counter {
    /// One session: a success, or what it failed by.
    pub(super) fn count(
        &self,
        day: Day,
        domain: &str,
        policy: &AppliedPolicy,
        failure: Option<&FailureKind>,
    ) {
        self.change(day, domain, |counts| counts.count(policy, failure));
    }

    /// In order, so that batches do not depend on chance.
    pub(super) fn take(&self) -> Vec<(Day, String, TlsCounts)> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all: Vec<_> =
            counts.into_iter().map(|((day, domain), counts)| (day, domain, counts)).collect();
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        all
    }

    pub(super) fn put_back(&self, counted: &[(Day, String, TlsCounts)]) {
        for (day, domain, more) in counted {
            self.change(*day, domain, |counts| counts.merge(more));
        }
    }

    fn change(&self, day: Day, domain: &str, change: impl FnOnce(&mut TlsCounts)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (day, domain.to_owned());
        if counts.len() >= DOMAINS_MAX && !counts.contains_key(&key) {
            if !self.overflow_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "TLS sessions with more than {DOMAINS_MAX} domains a minute: some are not counted"
                );
            }
            return;
        }
        change(counts.entry(key).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let (counter, policy) = (Counter::default(), AppliedPolicy::none());
        for n in 0..DOMAINS_MAX + 10 {
            counter.count(Day(1), &format!("{n}.x"), &policy, None);
        }
        counter.count(Day(1), "5.x", &policy, None);
        let taken = counter.take();
        assert_eq!(taken.len(), DOMAINS_MAX);
        assert_eq!(taken.iter().map(|(_, _, counts)| counts.sessions()).sum::<u64>(), DOMAINS_MAX as u64 + 1);
        assert!(counter.take().is_empty());
        counter.put_back(&taken);
        counter.put_back(&taken);
        assert_eq!(counter.take()[0].2.sessions(), 2);
    }
}
