//! When which lane is looked at next.

use std::collections::{BTreeMap, HashMap, HashSet};

use mail::Timestamp;
use store::spool::LaneId;

/// One time for each lane at most.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_lane: HashMap<LaneId, Timestamp>,
    by_time: BTreeMap<Timestamp, HashSet<LaneId>>,
}

impl Timers {
    pub(super) fn set(&mut self, lane: &LaneId, at: Option<Timestamp>) {
        let before = self.by_lane.get(lane).copied();
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_lane.remove(lane);
            if let Some(lanes) = self.by_time.get_mut(&before) {
                lanes.remove(lane);
                if lanes.is_empty() {
                    self.by_time.remove(&before);
                }
            }
        }
        if let Some(at) = at {
            self.by_lane.insert(lane.clone(), at);
            self.by_time.entry(at).or_default().insert(lane.clone());
        }
    }

    pub(super) fn first(&self) -> Option<Timestamp> {
        self.by_time.keys().next().copied()
    }

    /// Takes out the lanes whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<LaneId> {
        let mut due = Vec::new();
        while let Some(entry) = self.by_time.first_entry().filter(|entry| *entry.key() <= now) {
            due.extend(entry.remove());
        }
        for lane in &due {
            self.by_lane.remove(lane);
        }
        due
    }
}
