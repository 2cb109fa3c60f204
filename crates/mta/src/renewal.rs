//! A store of an earlier release is brought up to date while mail goes on.

use std::{sync::Arc, time::Duration};

use store::spool::Renewal;

use crate::Mta;

/// After a page that failed.
const RETRY_DELAY: Duration = Duration::from_secs(30);
/// Entries from one word of it in the log to the next.
const REPORT_ENTRIES: u64 = 50_000;

/// Indexes the queue's entries, if that is not done yet.
pub(crate) async fn run(mta: Arc<Mta>) {
    let mut renewal = Renewal::default();
    let mut told = 0;
    while !renewal.is_over() && !mta.shutdown.is_given() {
        match mta.stores.spool.renew(renewal).await {
            Ok(next) => renewal = next,
            Err(error) => {
                tracing::error!(%error, "the queue of an earlier release cannot be indexed now; trying again");
                mta.world.clock.sleep_until(mta.world.clock.now() + RETRY_DELAY).await;
            }
        }
        if renewal.entries >= told + REPORT_ENTRIES {
            told = renewal.entries;
            tracing::info!(entries = told, "indexing the queue of an earlier release");
        }
    }
    if renewal.entries > 0 {
        tracing::info!(entries = renewal.entries, "the queue of an earlier release is indexed");
    }
}
