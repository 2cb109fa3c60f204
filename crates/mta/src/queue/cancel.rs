//! What a message's own sender does: to call it off, as far as nobody has it yet.

use std::{collections::BTreeSet, sync::Arc};

use mail::QueueId;
use store::{
    Batch, CommitError,
    ledger::Event,
    spool::{Cancelled, LaneId, QueueEntry},
};

use super::InHand;
use crate::{
    Mta,
    pickup::Claim,
    route::{self, LIST_LANE},
};

/// As histories name it.
pub const CANCEL: &str = "cancel";

impl Mta {
    /// Removes what can be removed of a message, without telling anybody, in one batch with `also`. `whole`: all that is left
    /// of it or nothing. `also` is committed only with the whole of it. A conflict may come from it, or of a delivery that
    /// ended meanwhile.
    pub async fn cancel(
        self: &Arc<Self>,
        id: QueueId,
        whole: bool,
        also: Batch,
    ) -> Result<Cancelled, CommitError> {
        let entries = self.stores.spool.entries_of(id).await?;
        if entries.is_empty() {
            return Ok(Cancelled::Gone);
        }
        // Given back after the entries.
        let claims = self.claim_pickups(&entries);
        let is_claimed = |lane: &LaneId| claims.iter().any(|claim| claim.lanes.contains(lane));
        let may_take = |entry: &&QueueEntry| !route::is_pickup(&entry.lane) || is_claimed(&entry.lane);
        let free = entries.iter().filter(may_take);
        let hands: Vec<(InHand, &QueueEntry)> =
            free.filter_map(|entry| Some((self.take_of_lane(entry, None)?, entry))).collect();
        let is_busy = hands.len() < entries.len();
        if hands.is_empty() || (is_busy && whole) {
            return Ok(Cancelled::Busy);
        }
        let mut batch = if is_busy { Batch::new() } else { also };
        for (_, entry) in &hands {
            self.stage_cancel(&mut batch, entry);
        }
        let committed = self.stores.engine.commit(batch).await?;
        Ok(if is_busy { Cancelled::Busy } else { Cancelled::Whole(committed) })
    }

    /// Each lane that is fetched from, unless somebody fetches from it now.
    fn claim_pickups(&self, entries: &[QueueEntry]) -> Vec<Claim> {
        let lanes: BTreeSet<&LaneId> =
            entries.iter().map(|entry| &entry.lane).filter(|lane| route::is_pickup(lane)).collect();
        lanes.into_iter().filter_map(|lane| self.pickups.claim(lane).ok()).collect()
    }

    fn stage_cancel(&self, batch: &mut Batch, entry: &QueueEntry) {
        let recipients = entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        let event = Event::Operator { action: CANCEL.to_owned(), recipients, reason: None };
        self.stores.ledger.append(batch, entry.queue_id, self.world.clock.wall(), &event);
        self.stores.spool.remove(batch, entry);
        if *entry.lane.0 == *LIST_LANE {
            self.stores.directory.forget_distribution(batch, entry.queue_id);
        }
    }
}
