use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use mail::Timestamp;

use super::Life;

/// 2026-01-01T00:00:00Z, when every run begins.
const EPOCH_MILLIS: i64 = 1_767_225_600_000;

/// A host's idea of the date, which may jump; it outlives its processes.
#[derive(Debug)]
pub struct WallClock {
    start: tokio::time::Instant,
    ahead_millis: AtomicI64,
}

impl WallClock {
    pub(super) fn new(start: tokio::time::Instant) -> Self {
        Self { start, ahead_millis: AtomicI64::new(0) }
    }

    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(EPOCH_MILLIS + elapsed + self.ahead_millis.load(Ordering::Relaxed))
    }

    /// Forward, or back.
    pub fn jump(&self, millis: i64) {
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

/// What of a run's time a wall clock that never jumped would have counted.
pub fn uptime(at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(at.millis().saturating_sub(EPOCH_MILLIS)).unwrap_or_default())
}

pub(super) struct HostClock {
    life: Arc<Life>,
    wall: Arc<WallClock>,
}

impl HostClock {
    pub(super) fn new(life: Arc<Life>, wall: Arc<WallClock>) -> Self {
        Self { life, wall }
    }
}

#[async_trait::async_trait]
impl world::Clock for HostClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> Timestamp {
        self.wall.now()
    }

    async fn sleep_until(&self, deadline: Instant) {
        self.life.guard(tokio::time::sleep_until(deadline.into())).await;
    }
}
