//! Histories are kept for a bounded time.

use std::{sync::Arc, time::Duration};

use crate::Mta;

const PRUNE_INTERVAL: Duration = Duration::from_mins(10);
/// Events removed in one batch.
const PRUNE_EVENTS_MAX: usize = 1000;

/// Forgets histories that are older than the configuration asks for, until shutdown.
pub(crate) async fn prune(mta: Arc<Mta>) {
    let mut shutdown = mta.shutdown.clone();
    loop {
        let clock = &mta.world.clock;
        tokio::select! {
            biased;
            () = clock.sleep_until(clock.now() + PRUNE_INTERVAL) => {}
            () = shutdown.given() => return,
        }
        let kept_for = mta.config().history_kept_for;
        let before =
            clock.wall().millis().saturating_sub(i64::try_from(kept_for.as_millis()).unwrap_or(i64::MAX));
        loop {
            match mta.stores.ledger.prune(mail::Timestamp::from_millis(before), PRUNE_EVENTS_MAX).await {
                Ok(PRUNE_EVENTS_MAX..) => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(%error, "old histories cannot be removed");
                    break;
                }
            }
        }
    }
}
