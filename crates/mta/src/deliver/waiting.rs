//! Entries that wait for a site that cannot be reached: they are not tried, and their senders hear of it in time.

use std::sync::Arc;

use mail::Timestamp;
use store::{
    StoreError,
    spool::{EntryStatus, LaneId, QueueEntry},
};

use crate::{
    Mta,
    etrn::FOREVER,
    outcome::{self, waiting::Turn},
};

/// Entries looked at before others get the processor.
const PAGE_ENTRIES_MAX: usize = 100;

/// Looks through the lane for senders who are to be told something, and says when there are more.
pub(crate) async fn tell_waiting(mta: Arc<Mta>, lane: LaneId) {
    let next = match look_through(&mta, &lane).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(lane = %lane.0, %error, "the queue cannot be read; trying again");
            Some(mta.world.clock.wall().plus(std::time::Duration::from_mins(1)))
        }
    };
    mta.dispatcher.told(&mta, &lane, next);
}

async fn look_through(mta: &Arc<Mta>, lane: &LaneId) -> Result<Option<Timestamp>, StoreError> {
    let (mut after, mut next) = (None, None::<Timestamp>);
    loop {
        let page = mta.stores.spool.due(lane, after, FOREVER, PAGE_ENTRIES_MAX).await?;
        let Some(last) = page.last() else { return Ok(next) };
        after = Some((last.at, last.id));
        for due in page {
            let is_over =
                mta.shutdown.is_given() || mta.dispatcher.site(lane).is_none_or(|site| site.is_open());
            if is_over {
                // Whoever delivers them tells their senders too.
                return Ok(None);
            }
            let Some(entry) = mta.stores.spool.entry(due.id).await? else { continue };
            let at = look_at(mta, lane, entry).await;
            next = at.map(|at| next.map_or(at, |next| next.min(at))).or(next);
        }
        tokio::task::yield_now().await;
    }
}

/// Does what is due; returns when the next is.
async fn look_at(mta: &Arc<Mta>, lane: &LaneId, entry: QueueEntry) -> Option<Timestamp> {
    let now = mta.world.clock.wall();
    if entry.lane != *lane || entry.status != EntryStatus::Waiting {
        return None;
    }
    let config = mta.config();
    match Turn::of(mta, &entry, &config, now) {
        Turn::At(at) => at,
        // Somebody delivers it just now, as a probe.
        Turn::Now if !mta.dispatcher.claim(mta, lane, entry.id()) => None,
        Turn::Now => {
            let reason =
                mta.dispatcher.site(lane).and_then(|site| site.trouble).map(|trouble| trouble.reason);
            let told = outcome::waiting::tell(mta, Arc::new(entry), reason).await?;
            match Turn::of(mta, &told, &config, now) {
                Turn::At(at) => at,
                Turn::Now => Some(now),
            }
        }
    }
}
