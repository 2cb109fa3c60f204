//! How often something happens within a time: one address is answered, the postmaster is told, a message comes again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_hours(1);
/// Names remembered; while there are so many within a window, others are not counted.
const NAMES_MAX: usize = 10_000;

/// Counts by name within an hour, in bounded memory.
#[derive(Debug)]
pub struct Occurrences {
    /// So many within the window are let through.
    occurrences_max: u32,
    counts: Mutex<HashMap<String, Count>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Instant,
    occurrences: u32,
}

impl Occurrences {
    pub fn new(occurrences_max: u32) -> Self {
        Self { occurrences_max, counts: Mutex::default() }
    }

    /// RFC 3834 §2: false if there were enough of this name of late, or there are too many names to know.
    pub fn admit(&self, name: &str, now: Instant) -> bool {
        self.count(name, now).is_some_and(|occurrences| occurrences <= self.occurrences_max)
    }

    /// How often it has happened within the window, this time included; none if there are too many names to know.
    pub fn count(&self, name: &str, now: Instant) -> Option<u32> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |count: &Count| now.saturating_duration_since(count.since) < WINDOW;
        if counts.len() >= NAMES_MAX && !counts.contains_key(name) {
            counts.retain(|_, count| is_current(count));
            if counts.len() >= NAMES_MAX {
                return None;
            }
        }
        let fresh = Count { since: now, occurrences: 0 };
        let count = counts.entry(name.to_owned()).or_insert(fresh);
        if !is_current(count) {
            *count = fresh;
        }
        count.occurrences = count.occurrences.saturating_add(1);
        Some(count.occurrences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = 10;

    #[test]
    fn one_address_is_answered_so_often_an_hour() {
        let (answers, start) = (Occurrences::new(MAX), Instant::now());
        for _ in 0..MAX {
            assert!(answers.admit("a@b.example", start));
        }
        assert!(!answers.admit("a@b.example", start));
        assert!(answers.admit("c@b.example", start));
        assert!(answers.admit("a@b.example", start + WINDOW));
    }

    #[test]
    fn memory_is_bounded() {
        let (answers, start) = (Occurrences::new(MAX), Instant::now());
        for number in 0..NAMES_MAX {
            assert!(answers.admit(&number.to_string(), start));
        }
        assert!(!answers.admit("one more", start) && answers.admit("5", start));
        assert!(answers.admit("one more", start + WINDOW));
        assert_eq!(answers.counts.lock().unwrap().len(), 1);
    }
}
