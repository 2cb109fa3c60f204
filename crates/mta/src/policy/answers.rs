//! How often one address is answered, so that nobody is flooded by answers to mail that only says it is theirs.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_hours(1);
/// Answers to one address within the window.
const ANSWERS_MAX: u32 = 10;
/// Addresses remembered; while there are so many within a window, others get no answer.
const ADDRESSES_MAX: usize = 10_000;

/// Counts answers by address.
#[derive(Debug, Default)]
pub struct Answers(Mutex<HashMap<String, Count>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Instant,
    answers: u32,
}

impl Answers {
    /// RFC 3834 §2: false if this address (in lookup form) had enough of late.
    pub fn admit(&self, address: &str, now: Instant) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |count: &Count| now.saturating_duration_since(count.since) < WINDOW;
        if counts.len() >= ADDRESSES_MAX {
            counts.retain(|_, count| is_current(count));
        }
        if counts.len() >= ADDRESSES_MAX && !counts.contains_key(address) {
            return false;
        }
        let fresh = Count { since: now, answers: 0 };
        let count = counts.entry(address.to_owned()).or_insert(fresh);
        if !is_current(count) {
            *count = fresh;
        }
        count.answers = count.answers.saturating_add(1);
        count.answers <= ANSWERS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_answered_so_often_an_hour() {
        let (answers, start) = (Answers::default(), Instant::now());
        for _ in 0..ANSWERS_MAX {
            assert!(answers.admit("a@b.example", start));
        }
        assert!(!answers.admit("a@b.example", start));
        assert!(answers.admit("c@b.example", start));
        assert!(answers.admit("a@b.example", start + WINDOW));
    }

    #[test]
    fn memory_is_bounded() {
        let (answers, start) = (Answers::default(), Instant::now());
        for number in 0..ADDRESSES_MAX {
            assert!(answers.admit(&number.to_string(), start));
        }
        assert!(!answers.admit("one more", start) && answers.admit("5", start));
        assert!(answers.admit("one more", start + WINDOW));
        assert_eq!(answers.0.lock().unwrap().len(), 1);
    }
}
