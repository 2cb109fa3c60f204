use std::time::Instant;

use mail::Timestamp;

/// Time, in both of its senses, and waiting for it.
#[async_trait::async_trait]
pub trait Clock: Send + Sync {
    /// Monotonic; for deadlines and durations.
    fn now(&self) -> Instant;
    /// Wall time; for trace headers, due times and whatever must survive a restart.
    fn wall(&self) -> Timestamp;
    async fn sleep_until(&self, deadline: Instant);
}

/// The operating system's clock, on tokio's timer.
#[derive(Debug)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline.into()).await;
    }
}
