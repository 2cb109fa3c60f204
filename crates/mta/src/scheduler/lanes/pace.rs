//! So many messages in a time, evenly spread.

use std::time::Duration;

use mail::Timestamp;

use crate::policy::limits::Rate;

/// What may go at once is what the rate gives in this time, and one at least.
const BURST: Duration = Duration::from_secs(1);

/// A bucket of permits, in milliseconds of the time that each costs.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate: Rate,
    /// Saved up, as time.
    saved: Duration,
    counted_at: Timestamp,
}

impl Pace {
    pub(super) fn new(rate: Rate, now: Timestamp) -> Self {
        let mut pace = Self { rate, saved: Duration::ZERO, counted_at: now };
        pace.saved = pace.saved_max();
        pace
    }

    /// Permits that can be used now.
    pub(super) fn permits(&mut self, now: Timestamp) -> usize {
        self.count(now);
        let permits = self.saved.as_nanos() / self.cost().as_nanos().max(1);
        usize::try_from(permits).unwrap_or(usize::MAX)
    }

    pub(super) fn use_one(&mut self, now: Timestamp) {
        self.count(now);
        self.saved = self.saved.saturating_sub(self.cost());
    }

    /// When there is a permit again, or when all are, if one is there.
    pub(super) fn next_change(&mut self, now: Timestamp) -> Option<Timestamp> {
        let wanted = if self.permits(now) == 0 { self.cost() } else { self.saved_max() };
        let missing = wanted.checked_sub(self.saved).filter(|missing| !missing.is_zero())?;
        // Rounded up: who wakes at that time finds it.
        Some(now.plus(missing + Duration::from_millis(1)))
    }

    /// As if nothing had been sent for long.
    pub(super) fn is_full(&mut self, now: Timestamp) -> bool {
        self.count(now);
        self.saved >= self.saved_max()
    }

    /// A clock that was set back gives nothing.
    fn count(&mut self, now: Timestamp) {
        self.saved = self.saved.saturating_add(now.since(self.counted_at)).min(self.saved_max());
        self.counted_at = now;
    }

    fn cost(&self) -> Duration {
        self.rate.per / self.rate.count.max(1)
    }

    fn saved_max(&self) -> Duration {
        self.cost().max(BURST.min(self.rate.per))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis.cast_signed())
    }

    #[test]
    fn a_slow_pace_lets_one_go_at_a_time() {
        let mut pace = Pace::new(Rate::new(100, Duration::from_hours(1)), at(0));
        assert_eq!(pace.permits(at(0)), 1);
        pace.use_one(at(0));
        assert_eq!(pace.next_change(at(0)), Some(at(36_001)));
        assert_eq!(pace.permits(at(35_999)), 0);
        assert_eq!(pace.permits(at(36_001)), 1);
        assert_eq!(pace.permits(at(900_000)), 1, "what was not used is not made up for");
    }

    #[test]
    fn a_fast_pace_is_one_of_seconds() {
        let mut pace = Pace::new(Rate::new(600, Duration::from_mins(1)), at(0));
        let mut sent = 0;
        for millis in 0..60_000 {
            while pace.permits(at(millis)) > 0 {
                pace.use_one(at(millis));
                sent += 1;
            }
        }
        assert!((600..=610).contains(&sent), "{sent}");
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut pace = Pace::new(Rate::new(1, Duration::from_mins(1)), at(90_000_000));
        pace.use_one(at(90_000_000));
        assert_eq!(pace.permits(at(0)), 0);
        assert_eq!(pace.permits(at(60_000)), 1);
    }
}
