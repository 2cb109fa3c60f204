//! Carrying entries out, a worker a connection: final delivery in [`local`] and [`live`], mailing lists in [`list`], the
//! next hop in [`remote`], what is fetched from here in [`pickup`], programs and folders in [`gateway`].

mod content;
mod discard;
mod gateway;
mod guard;
mod list;
mod live;
mod local;
mod pickup;
mod remote;
mod reroute;
mod waiting;

use std::{sync::Arc, time::Duration};

use mail::Delivery;
use store::spool::{LaneId, QueueEntry};

use crate::{Mta, outcome, route, scheduler::Item};
pub(crate) use remote::{Caller, to_caller};
pub(crate) use waiting::tell_waiting;

/// Until a read that failed is tried again, and until an entry is that is there and makes no sense.
const READ_RETRY_DELAY: Duration = Duration::from_mins(1);
const UNREADABLE_DELAY: Duration = Duration::from_hours(1);

/// Takes items of one lane until there are none.
pub(crate) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    match &*lane.0 {
        route::LOCAL_LANE => local::work(mta, lane).await,
        route::LIST_LANE => list::work(mta, lane).await,
        "discard" => discard::work(mta, lane).await,
        _ if route::is_pickup(lane) => pickup::work(mta, lane).await,
        _ if route::gateway::is_gateway(lane) => gateway::work(mta, lane).await,
        _ => match route::delivery_of(lane) {
            Delivery::Mail => remote::work(mta, lane).await,
            delivery => live::work(mta, lane, delivery).await,
        },
    }
}

/// The entry of an item; none if there is nothing to deliver now: it is gone, held, or past its deadline.
async fn entry_of(mta: &Arc<Mta>, lane: &LaneId, item: Item) -> Option<Arc<QueueEntry>> {
    let entry = stored(mta, lane, item).await?;
    // RFC 4865: the wall clock may have been set back since the entry was due.
    if entry.is_ahead_of_time(mta.world.clock.wall()) {
        mta.dispatcher.finished(mta, lane, entry.id(), Some(entry.release_at));
        return None;
    }
    outcome::deadline::meet(mta, entry).await
}

/// The entry; none if it is gone or held meanwhile, or cannot be read now.
async fn stored(mta: &Arc<Mta>, lane: &LaneId, item: Item) -> Option<Arc<QueueEntry>> {
    let read = match item.entry {
        Some(entry) => return Some(entry),
        None => mta.stores.spool.entry(item.id).await,
    };
    match read {
        Ok(Some(entry)) if entry.lane == *lane && entry.status == store::spool::EntryStatus::Waiting => {
            Some(Arc::new(entry))
        }
        Ok(_) => {
            mta.dispatcher.finished(mta, lane, item.id, None);
            None
        }
        Err(error) => {
            tracing::error!(id = %item.id.queue_id, %error, "a queue entry cannot be read; trying again");
            // What is damaged, or of a newer release, stays so for a while.
            let is_unreadable = matches!(error, store::StoreError::Value(_));
            let delay = if is_unreadable { UNREADABLE_DELAY } else { READ_RETRY_DELAY };
            let again_at = mta.world.clock.wall().plus(delay);
            mta.dispatcher.finished(mta, lane, item.id, Some(again_at));
            None
        }
    }
}

#[cfg(test)]
mod live_tests;
