//! What all lanes of a kind share: so many workers at once, and whose turn it is when there are no more.

use std::collections::{HashSet, VecDeque};

use store::spool::LaneId;

/// Where lanes wait for a worker's place, one that has no more than its share gives it up after so many messages.
pub(super) const TURN_MESSAGES_MAX: usize = 50;

#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    in_use: usize,
    /// Lanes that have a worker.
    holders: usize,
    /// Lanes with less than their share that want one more, in order.
    wanting: VecDeque<LaneId>,
    is_wanting: HashSet<LaneId>,
}

impl Slots {
    pub(super) fn new(max: usize) -> Self {
        Self { max, in_use: 0, holders: 0, wanting: VecDeque::new(), is_wanting: HashSet::new() }
    }

    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// One more for a lane that has so many; if there is none, the lane is remembered.
    pub(super) fn claim(&mut self, lane: &LaneId, workers: usize) -> bool {
        if self.in_use >= self.max {
            if workers < self.share() && self.is_wanting.insert(lane.clone()) {
                self.wanting.push_back(lane.clone());
            }
            return false;
        }
        self.in_use += 1;
        self.holders += usize::from(workers == 0);
        true
    }

    /// One comes back from a lane that has so many left; whose turn it is.
    pub(super) fn release(&mut self, workers_left: usize) -> Option<LaneId> {
        self.in_use = self.in_use.saturating_sub(1);
        self.holders = self.holders.saturating_sub(usize::from(workers_left == 0));
        let next = self.wanting.pop_front()?;
        self.is_wanting.remove(&next);
        Some(next)
    }

    /// A second socket of a lane that races for the first to answer.
    pub(super) fn claim_spare(&mut self) -> bool {
        let has_room = self.in_use < self.max && self.wanting.is_empty();
        self.in_use += usize::from(has_room);
        has_room
    }

    pub(super) fn release_spare(&mut self) -> Option<LaneId> {
        self.release(1)
    }

    /// Others wait, and a lane with so many workers has had its part.
    pub(super) fn wants_back(&self, workers: usize, taken: usize) -> bool {
        let share = self.share();
        self.is_scarce() && (workers > share || (share == 1 && taken >= TURN_MESSAGES_MAX))
    }

    /// Lanes wait for a place.
    pub(super) fn is_scarce(&self) -> bool {
        !self.wanting.is_empty()
    }

    fn share(&self) -> usize {
        (self.max / (self.holders + self.wanting.len()).max(1)).max(1)
    }
}
