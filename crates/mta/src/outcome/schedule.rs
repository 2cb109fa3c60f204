//! When what was not delivered is looked at again.

use std::time::Duration;

use mail::{ReversePath, Timestamp};
use store::spool::{Deadline, QueueEntry, QueuedRecipient};

use super::{COMMIT_RETRY_DELAY, Trouble};
use crate::{Mta, route};

/// When the entry is looked at again.
pub(super) fn next_due(
    mta: &Mta,
    config: &crate::Config,
    entry: &QueueEntry,
    kept: &[(&QueuedRecipient, &Trouble)],
    now: Timestamp,
) -> Timestamp {
    if route::is_pickup(&entry.lane) {
        return pickup_due(config, &entry.reverse_path, entry.release_at, entry.deadline, now);
    }
    let attempts = entry.attempts.saturating_add(1);
    let site_wait = kept.iter().map(|(_, trouble)| trouble.site_wait).max().flatten();
    let delay =
        site_wait.unwrap_or_else(|| retry_delay(&config.retry_delays, attempts, mta.world.entropy.u64()));
    // RFC 9110 §10.2.3: not before we were told to come again.
    let asked = kept.iter().filter_map(|(_, trouble)| trouble.retry_after).max().unwrap_or_default();
    let again_at = now.plus(delay.max(asked));
    // RFC 2852 §4.1: whatever the next try, its deadline wakes it.
    let deadline = entry.deadline.filter(|deadline| deadline.at > now);
    deadline.map_or(again_at, |deadline| deadline.at.min(again_at))
}

/// When the sender of a message that waits to be fetched is told something next.
pub(crate) fn pickup_due(
    config: &crate::Config,
    reverse_path: &ReversePath,
    since: Timestamp,
    deadline: Option<Deadline>,
    now: Timestamp,
) -> Timestamp {
    let deadline = deadline.map(|deadline| deadline.at);
    let told_at = [config.delay_notice_after, config.lifetime(reverse_path)].map(|after| since.plus(after));
    let next = told_at.into_iter().chain(deadline).filter(|at| *at > now).min();
    next.unwrap_or_else(|| now.plus(COMMIT_RETRY_DELAY))
}

/// The delay before attempt `attempts + 1`, up to an eighth longer, so that what failed together is not retried together.
pub(crate) fn retry_delay(delays: &[Duration], attempts: u32, random: u64) -> Duration {
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let delay = delays.get(step).or(delays.last()).copied().unwrap_or(Duration::from_mins(15));
    let jitter_max_ms = u64::try_from(delay.as_millis() / 8).unwrap_or(0);
    delay + Duration::from_millis(random % (jitter_max_ms + 1))
}

#[cfg(test)]
mod tests {
    use super::retry_delay;
    use std::time::Duration;

    #[test]
    fn the_last_retry_delay_repeats_and_jitter_stays_below_an_eighth() {
        let delays = [Duration::from_mins(1), Duration::from_mins(5)];
        assert_eq!(retry_delay(&delays, 1, 0), Duration::from_mins(1));
        assert_eq!(retry_delay(&delays, 2, 0), Duration::from_mins(5));
        assert_eq!(retry_delay(&delays, 99, 0), Duration::from_mins(5));
        for random in 0..10_000 {
            let delay = retry_delay(&delays, 1, random * 7919);
            assert!(delay >= Duration::from_mins(1) && delay <= Duration::from_millis(67_500), "{delay:?}");
        }
    }
}
