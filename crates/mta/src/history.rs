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
        prune_suppressions(&mta).await;
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

/// What is known against addresses has its own time.
async fn prune_suppressions(mta: &Mta) {
    let (list, now) = (&mta.stores.suppressions, mta.world.clock.wall());
    let mut after = None;
    loop {
        match list.prune(now, after.as_deref(), PRUNE_EVENTS_MAX).await {
            Ok(Some(next)) => after = Some(next),
            Ok(None) => return,
            Err(error) => return tracing::error!(%error, "expired suppressions cannot be removed"),
        }
    }
}
