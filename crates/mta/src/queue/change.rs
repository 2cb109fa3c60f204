//! What an operation makes of an entry.

use mail::Timestamp;
use store::spool::{EntryStatus, LaneId, QueueEntry};

use super::Operation;
use crate::route;

pub(super) enum Change {
    Replace(Box<QueueEntry>),
    Remove,
    /// Remove, and tell the sender.
    GiveBack,
}

/// None if the operation does not apply.
pub(super) fn of(entry: &QueueEntry, now: Timestamp, operation: &Operation) -> Option<Change> {
    let replace = |changed| Some(Change::Replace(Box::new(changed)));
    let with = |status| replace(QueueEntry { status, due: now, ..entry.clone() });
    let is_early = entry.is_ahead_of_time(now);
    match (operation, entry.status) {
        (Operation::Delete, _) => Some(Change::Remove),
        (Operation::Bounce, _) => Some(Change::GiveBack),
        // RFC 4865: what its sender wanted held is let go by a release alone; its time counts from here.
        (Operation::Release, _) if is_early => {
            replace(QueueEntry { status: EntryStatus::Waiting, due: now, release_at: now, ..entry.clone() })
        }
        // It is due already; whoever goes on from page to page would meet it again and again.
        (Operation::Retry | Operation::Etrn, _) if entry.due <= now => None,
        (Operation::Retry | Operation::Etrn, EntryStatus::Waiting) if !is_early => with(EntryStatus::Waiting),
        (Operation::Release, EntryStatus::Held) => with(EntryStatus::Waiting),
        (Operation::Hold, EntryStatus::Waiting) => with(EntryStatus::Held),
        (Operation::Reroute(lane), _) => reroute(entry, now, lane.as_ref()).and_then(replace),
        (Operation::Retry | Operation::Etrn, _)
        | (Operation::Hold, EntryStatus::Held)
        | (Operation::Release, EntryStatus::Waiting) => None,
    }
}

/// To a lane, or back to where the routes lead; tried at once, but not before its sender lets it go.
fn reroute(entry: &QueueEntry, now: Timestamp, lane: Option<&LaneId>) -> Option<QueueEntry> {
    let due = now.max(entry.release_at);
    match lane {
        Some(lane) if entry.rerouted && entry.lane == *lane => None,
        // A list's messages and what is shown on terminals are delivered here or nowhere.
        Some(_) if !may_leave(&entry.lane) => None,
        Some(lane) => Some(QueueEntry { lane: lane.clone(), rerouted: true, due, ..entry.clone() }),
        None if !entry.rerouted => None,
        None => Some(QueueEntry { rerouted: false, due, ..entry.clone() }),
    }
}

fn may_leave(lane: &LaneId) -> bool {
    *lane.0 != *route::LIST_LANE && route::delivery_of(lane) == mail::Delivery::Mail
}
