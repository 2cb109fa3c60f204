//! An operator's hand in the queue: each operation is one batch with its history, with or without a running server.
//!
//! An entry in the middle of a delivery belongs to that delivery. What only changes its state is noted at once, and the
//! delivery's outcome keeps to it; what would deliver it twice, or return what was delivered, has to wait ([`Done::Busy`]).

mod cancel;
mod change;

use std::sync::Arc;

use mail::Timestamp;
use store::{
    Batch, CommitError, StoreError, Stores,
    ledger::Event,
    spool::{EntryId, EntryStatus, LaneId, QueueEntry},
};

use crate::{
    Mta, accept, outcome,
    pickup::Claim,
    route::{self, LIST_LANE},
};
pub use cancel::CANCEL;
use change::Change;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Try now; held entries stay held.
    Retry,
    /// The same, because a client asked for it; what is due already, or is not to leave yet, is left
    /// alone.
    Etrn,
    /// Keep until released.
    Hold,
    /// Let a held entry go on, now.
    Release,
    /// To another host (see [`route::host_of`]) until it is settled; without one back to where the routes lead.
    Reroute(Option<LaneId>),
    /// Remove, and tell the sender.
    Bounce,
    /// Remove without telling the sender.
    Delete,
}

/// An operation, and why it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub operation: Operation,
    /// For the history, and with [`Operation::Bounce`] for the sender; cleaned.
    pub reason: Option<String>,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The entry as it is now, or last was; `told` if a report to its sender is on its way.
    Changed { entry: Box<QueueEntry>, told: bool },
    /// It is gone, or the operation does not apply to it.
    Unchanged,
    /// It is being delivered.
    Busy,
}

#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    #[error(transparent)]
    Read(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] CommitError),
}

const CONFLICT_RETRIES_MAX: usize = 5;
const NO_REASON: &str = "an operator of this mail system returned the message";

impl From<Operation> for Order {
    fn from(operation: Operation) -> Self {
        Self { operation, reason: None }
    }
}

impl Operation {
    /// Must not meet a delivery: what is delivered would also be returned, or go to two hosts.
    fn is_alone(&self) -> bool {
        matches!(self, Self::Bounce | Self::Reroute(_))
    }

    /// For the history.
    fn words(&self) -> String {
        match self {
            Self::Retry => "retry".to_owned(),
            Self::Etrn => "etrn".to_owned(),
            Self::Hold => "hold".to_owned(),
            Self::Release => "release".to_owned(),
            Self::Reroute(Some(lane)) => format!("reroute to {}", lane.0),
            Self::Reroute(None) => "reroute back to its routes".to_owned(),
            Self::Bounce => "bounce".to_owned(),
            Self::Delete => "delete".to_owned(),
        }
    }
}

/// Whether the operation would change the entry.
pub fn applies(entry: &QueueEntry, now: Timestamp, operation: &Operation) -> bool {
    change::of(entry, now, operation).is_some()
}

impl Mta {
    /// Carries out an operation; in a running server what becomes due is looked at at once.
    pub async fn operate(self: &Arc<Self>, id: EntryId, order: &Order) -> Result<Done, OperationError> {
        for _ in 0..CONFLICT_RETRIES_MAX {
            let now = self.world.clock.wall();
            let Some(entry) = self.stores.spool.entry(id).await? else { return Ok(Done::Unchanged) };
            let Some(change) = change::of(&entry, now, &order.operation) else {
                self.probe_for(&entry, &order.operation);
                return Ok(Done::Unchanged);
            };
            let hand = self.take_in_hand(&entry);
            if hand.is_none() && order.operation.is_alone() {
                return Ok(Done::Busy);
            }
            match self.commit_order(&entry, &change, order, now).await {
                Ok(reports) => {
                    drop(hand);
                    let told = !reports.is_empty();
                    let entry = if let Change::Replace(changed) = change { changed } else { Box::new(entry) };
                    self.take_note(&entry, reports);
                    return Ok(Done::Changed { entry, told });
                }
                Err(OperationError::Write(CommitError::Conflict(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Done::Unchanged)
    }

    /// None if a delivery has it.
    fn take_in_hand(self: &Arc<Self>, entry: &QueueEntry) -> Option<InHand> {
        let is_pickup = route::is_pickup(&entry.lane);
        let pickup = if is_pickup { Some(self.pickups.claim(&entry.lane).ok()?) } else { None };
        self.take_of_lane(entry, pickup)
    }

    /// The same by whoever has the claim that its lane wants.
    fn take_of_lane(self: &Arc<Self>, entry: &QueueEntry, pickup: Option<Claim>) -> Option<InHand> {
        let id = entry.id();
        let is_free = self.dispatcher.tell(self, |lanes| lanes.handle_claim(&entry.lane, id));
        is_free.then(|| InHand { mta: self.clone(), lane: entry.lane.clone(), id, _pickup: pickup })
    }

    async fn commit_order(
        self: &Arc<Self>,
        entry: &QueueEntry,
        change: &Change,
        order: &Order,
        now: Timestamp,
    ) -> Result<Vec<QueueEntry>, OperationError> {
        let mut batch = Batch::new();
        let mut reports = Vec::new();
        record(&self.stores, &mut batch, entry, order, now);
        match change {
            Change::Replace(changed) => self.stores.spool.replace(&mut batch, entry, changed),
            Change::Remove => self.stores.spool.remove(&mut batch, entry),
            Change::GiveBack => {
                let reason = order.reason.as_deref().unwrap_or(NO_REASON);
                reports = outcome::give_back(self, &mut batch, entry, reason, now).await?;
            }
        }
        if !matches!(change, Change::Replace(_)) && *entry.lane.0 == *LIST_LANE {
            self.stores.directory.forget_distribution(&mut batch, entry.queue_id);
        }
        self.stores.engine.commit(batch).await?;
        Ok(reports)
    }

    fn take_note(self: &Arc<Self>, entry: &QueueEntry, reports: Vec<QueueEntry>) {
        accept::hand_over(self, reports);
        if entry.status != EntryStatus::Waiting {
            return;
        }
        if entry.due <= self.world.clock.wall() {
            self.dispatcher.tell(self, |lanes| lanes.handle_kick(&entry.lane));
        } else {
            self.dispatcher.deferred(self, &entry.lane, entry.due);
        }
    }

    /// An entry that is due already may wait for its site: that is tried now.
    fn probe_for(self: &Arc<Self>, entry: &QueueEntry, operation: &Operation) {
        let is_try = matches!(operation, Operation::Retry | Operation::Etrn);
        if is_try && self.site(&entry.lane).is_some_and(|site| site.is_closed()) {
            self.dispatcher.tell(self, |lanes| lanes.handle_kick(&entry.lane));
        }
    }
}

fn record(stores: &Stores, batch: &mut Batch, entry: &QueueEntry, order: &Order, now: Timestamp) {
    let recipients = entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let (action, reason) = (order.operation.words(), order.reason.clone());
    let event = Event::Operator { action, recipients, reason };
    stores.ledger.append(batch, entry.queue_id, now, &event);
}

/// An entry that no worker gets before this is dropped.
struct InHand {
    mta: Arc<Mta>,
    lane: LaneId,
    id: EntryId,
    _pickup: Option<Claim>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.mta.dispatcher.tell(&self.mta, |lanes| lanes.handle_put_back(&self.lane, self.id));
    }
}

#[cfg(test)]
mod cancel_tests;
#[cfg(test)]
mod tests;
