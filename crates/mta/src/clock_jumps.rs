//! The wall clock may be set while mail waits. What it was set by is no time that passed: no message grows a day older by it,
//! and none waits a day longer.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mail::Timestamp;
use store::{
    Batch, CommitError, StoreError,
    spool::{Criterion, QueueEntry},
};

use crate::{Mta, route};

/// Less than this is drift, or the machine's own business.
const JUMP_MIN_MS: i64 = 60_000;
const JUMP_BACK_MIN_MS: i64 = -JUMP_MIN_MS;
/// Jumps remembered; a clock that is set more often than that has nobody's trust.
const JUMPS_MAX: usize = 64;
const PAGE_ENTRIES_MAX: usize = 200;

#[derive(Debug)]
pub(crate) struct ClockJumps(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    at: Instant,
    wall: Timestamp,
    forward: VecDeque<Forward>,
}

/// The clock was set forward.
#[derive(Clone, Copy, Debug)]
struct Forward {
    from: Timestamp,
    by_ms: i64,
}

impl ClockJumps {
    pub(crate) fn new(at: Instant, wall: Timestamp) -> Self {
        Self(Mutex::new(Seen { at, wall, forward: VecDeque::new() }))
    }

    /// Called often. Tells by how much the clock was set back since the last call, if it was.
    pub(crate) fn look(&self, at: Instant, wall: Timestamp) -> Option<Duration> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = seen.wall.plus(at.saturating_duration_since(seen.at));
        (seen.at, seen.wall) = (at, wall);
        let by_ms = wall.millis().saturating_sub(expected.millis());
        match by_ms {
            JUMP_MIN_MS.. => {
                seen.forward.push_back(Forward { from: expected, by_ms });
                if seen.forward.len() > JUMPS_MAX {
                    seen.forward.pop_front();
                }
                None
            }
            ..=JUMP_BACK_MIN_MS => {
                seen.take_back(by_ms.saturating_neg());
                Some(Duration::from_millis(by_ms.unsigned_abs()))
            }
            _ => None,
        }
    }

    /// How much time has passed since then.
    pub(crate) fn age(&self, since: Timestamp, now: Timestamp) -> Duration {
        now.since(since).saturating_sub(self.set_forward(since, now))
    }

    /// What of the time between was none.
    pub(crate) fn set_forward(&self, since: Timestamp, now: Timestamp) -> Duration {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let jumps = seen.forward.iter().filter(|jump| jump.from >= since && jump.from <= now);
        let jumped_ms: i64 = jumps.map(|jump| jump.by_ms).sum();
        Duration::from_millis(jumped_ms.unsigned_abs())
    }
}

impl Seen {
    /// Set forward by mistake, and back: the last jumps have not happened.
    fn take_back(&mut self, mut by_ms: i64) {
        while by_ms > 0
            && let Some(last) = self.forward.back_mut()
        {
            let taken = last.by_ms.min(by_ms);
            last.by_ms -= taken;
            by_ms -= taken;
            if last.by_ms == 0 {
                self.forward.pop_back();
            }
        }
    }
}

/// The clock was set back: what was to be tried again in an hour would wait for an hour and the rest of the day.
pub(crate) async fn pull_forward(mta: Arc<Mta>, by: Duration) {
    tracing::warn!(seconds = by.as_secs(), "the clock was set back; messages keep their turns");
    let mut place = None;
    let all = &[Criterion::Waiting];
    loop {
        let page = async {
            let path = mta.stores.spool.shortest_path(all, place.as_ref()).await?;
            mta.stores.spool.find(&path, place.as_ref(), PAGE_ENTRIES_MAX).await
        };
        let outcome = match page.await {
            Ok(page) => {
                place = page.next;
                pull_page(&mta, &page.entries, by).await
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = outcome {
            return tracing::error!(%error, "the rest of the queue waits for its old times");
        }
        if place.is_none() || mta.shutdown.is_given() {
            return;
        }
    }
}

async fn pull_page(mta: &Arc<Mta>, entries: &[QueueEntry], by: Duration) -> Result<(), CommitError> {
    let now = mta.world.clock.wall();
    for entry in entries {
        let Some(pulled) = pulled(entry, now, by) else { continue };
        let mut batch = Batch::new();
        mta.stores.spool.replace(&mut batch, entry, &pulled);
        match mta.stores.engine.commit(batch).await {
            Ok(_) => mta.dispatcher.deferred(mta, &entry.lane, pulled.due),
            // Somebody else has it in hand, and gives it a time of today.
            Err(CommitError::Conflict(_) | CommitError::Read(StoreError::NotFound)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The entry with its times by the clock as it is now; none if they are so already. A time that its sender chose stays.
fn pulled(entry: &QueueEntry, now: Timestamp, by: Duration) -> Option<QueueEntry> {
    let before = now.plus(by);
    let is_old = entry.release_at > now || entry.due > before;
    if !is_old || entry.release_at > before || route::is_pickup(&entry.lane) {
        return None;
    }
    let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    let back = |at: Timestamp| Timestamp::from_millis(at.millis().saturating_sub(by_ms));
    let due = if entry.due > now { back(entry.due).max(now) } else { entry.due };
    Some(QueueEntry { due, release_at: back(entry.release_at), ..entry.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const HOUR: Duration = Duration::from_hours(1);

    fn noon() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    #[test]
    fn what_the_clock_was_set_by_is_no_time_that_passed() {
        let (began, accepted) = (Instant::now(), noon());
        let jumps = ClockJumps::new(began, accepted);
        assert_eq!(jumps.look(began + HOUR, accepted.plus(HOUR)), None);
        assert_eq!(jumps.age(accepted, accepted.plus(HOUR)), HOUR);
        assert_eq!(jumps.look(began + 2 * HOUR, accepted.plus(2 * HOUR + DAY)), None);
        assert_eq!(jumps.age(accepted, accepted.plus(2 * HOUR + DAY)), 2 * HOUR);
        let later = accepted.plus(3 * HOUR + DAY);
        assert_eq!(jumps.age(later, later.plus(HOUR)), HOUR, "what came after the jump knows nothing of it");
        // Put right again.
        assert_eq!(jumps.look(began + 3 * HOUR, accepted.plus(3 * HOUR)), Some(DAY));
        assert_eq!(jumps.age(accepted, accepted.plus(4 * HOUR)), 4 * HOUR);
    }

    #[test]
    fn drift_is_no_jump_and_memory_is_bounded() {
        let (mut at, mut wall) = (Instant::now(), noon());
        let jumps = ClockJumps::new(at, wall);
        for _ in 0..1000 {
            at += HOUR;
            wall = wall.plus(HOUR + Duration::from_secs(59));
            assert_eq!(jumps.look(at, wall), None);
        }
        assert_eq!(jumps.0.lock().unwrap().forward.len(), 0);
        for _ in 0..1000 {
            wall = wall.plus(DAY);
            jumps.look(at, wall);
        }
        assert_eq!(jumps.0.lock().unwrap().forward.len(), JUMPS_MAX);
    }
}
