//! Lanes that their customers fetch: nothing is tried from here. An entry is looked at when its sender is to be told
//! that it is late, or gets it back.

use std::{sync::Arc, time::Duration};

use store::{
    StoreError,
    directory::TurnDomain,
    spool::{EntryId, LaneId, QueueEntry},
};

use super::reroute;
use crate::{
    Mta,
    outcome::{self, Fate, Trouble},
    route,
};

/// While a customer has the lane in hand.
const BUSY_DELAY: Duration = Duration::from_mins(1);

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    while let Some(item) = mta.dispatcher.take(mta, lane) {
        let Ok(_claim) = mta.pickups.claim(lane) else {
            put_off(mta, lane, item.id);
            continue;
        };
        if let Some(entry) = super::entry_of(mta, lane, item).await {
            look_at(mta, lane, &entry).await;
        }
    }
}

async fn look_at(mta: &Arc<Mta>, lane: &LaneId, entry: &Arc<QueueEntry>) {
    match fetched_by(mta, lane).await {
        Ok(Some(domain)) => {
            let reason = format!("it waits to be picked up by ATRN from {}", domain.address);
            let fate = Fate::Deferred(Trouble::new((4, 4, 1), reason));
            let fates = entry.recipients.iter().map(|_| fate.clone()).collect();
            outcome::settle(mta, entry, fates, None).await;
        }
        Ok(None) => reroute::reroute(mta, &mta.config(), entry).await,
        Err(error) => {
            tracing::error!(id = %entry.queue_id, %error, "the directory cannot be read; trying again");
            put_off(mta, lane, entry.id());
        }
    }
}

async fn fetched_by(mta: &Mta, lane: &LaneId) -> Result<Option<TurnDomain>, StoreError> {
    match route::pickup_domain(lane).and_then(|name| name.parse().ok()) {
        Some(domain) => mta.stores.directory.turn_domain(&domain).await,
        None => Ok(None),
    }
}

fn put_off(mta: &Arc<Mta>, lane: &LaneId, id: EntryId) {
    let again_at = mta.world.clock.wall().plus(BUSY_DELAY);
    mta.dispatcher.finished(mta, lane, id, Some(again_at));
}
