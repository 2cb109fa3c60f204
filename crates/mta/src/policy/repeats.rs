//! How often the same message comes for the same recipient: one that goes in a circle is known by that, even if every
//! host on the way takes its Received lines away.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A message may come again so often within one to two windows: after lost replies, or by several ways.
pub const REPEATS_MAX: u32 = 100;
const WINDOW: Duration = Duration::from_mins(30);
/// Counts kept for each of two windows.
const COUNTS_MAX: usize = 50_000;

/// Counts by Message-ID and recipient. Two generations: each lasts a window, or until it is full.
#[derive(Debug)]
pub struct Repeats(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    young: HashMap<u64, u32>,
    old: HashMap<u64, u32>,
    since: Instant,
}

impl Repeats {
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(Generations { young: HashMap::new(), old: HashMap::new(), since: now }))
    }

    /// How often it came lately, this time included.
    pub fn count(&self, message_id: &str, recipient: &str, now: Instant) -> u32 {
        let mut hasher = DefaultHasher::new();
        (message_id, recipient).hash(&mut hasher);
        let key = hasher.finish();
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.age(now);
        let before = generations.old.get(&key).copied().unwrap_or_default();
        let count = generations.young.entry(key).or_default();
        *count = count.saturating_add(1);
        count.saturating_add(before)
    }
}

impl Generations {
    fn age(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age >= WINDOW || self.young.len() >= COUNTS_MAX {
            let young = std::mem::take(&mut self.young);
            self.old = if age >= 2 * WINDOW { HashMap::new() } else { young };
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_and_forgotten() {
        let start = Instant::now();
        let repeats = Repeats::new(start);
        for expected in 1..=5 {
            assert_eq!(repeats.count("a@b", "bob@x", start), expected);
        }
        assert_eq!(repeats.count("a@b", "carol@x", start), 1);
        assert_eq!(repeats.count("a@b", "bob@x", start + WINDOW), 6);
        assert_eq!(repeats.count("a@b", "bob@x", start + 4 * WINDOW), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let repeats = Repeats::new(start);
        for number in 0..3 * COUNTS_MAX {
            repeats.count(&number.to_string(), "bob@x", start);
        }
        let generations = repeats.0.lock().unwrap();
        assert!(generations.young.len() <= COUNTS_MAX && generations.old.len() <= COUNTS_MAX);
    }
}
