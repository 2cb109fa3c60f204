//! Lanes with nothing to do until something stored is due. Those that wake next are known; whatever else sleeps is found
//! again in the store, so that memory does not grow with the number of lanes.

use std::collections::{BTreeSet, HashMap};

use mail::Timestamp;
use store::spool::LaneId;

/// Lanes whose time is known.
pub const SLEEPERS_MAX: usize = 65_536;

#[derive(Debug)]
pub(super) struct Sleepers {
    by_time: BTreeSet<(Timestamp, LaneId)>,
    by_lane: HashMap<LaneId, Timestamp>,
    most: usize,
    /// When the first of those wakes that found no room here.
    beyond: Option<Timestamp>,
}

impl Default for Sleepers {
    fn default() -> Self {
        Self::with_room(SLEEPERS_MAX)
    }
}

impl Sleepers {
    pub(super) fn with_room(most: usize) -> Self {
        Self { by_time: BTreeSet::new(), by_lane: HashMap::new(), most, beyond: None }
    }

    /// The lane wakes at `until`, or earlier if that was said before.
    pub(super) fn sleep(&mut self, lane: &LaneId, until: Timestamp) {
        if let Some(before) = self.by_lane.get_mut(lane) {
            if *before <= until {
                return;
            }
            let before = std::mem::replace(before, until);
            self.by_time.remove(&(before, lane.clone()));
        } else {
            self.by_lane.insert(lane.clone(), until);
        }
        self.by_time.insert((until, lane.clone()));
        if self.by_time.len() > self.most
            && let Some((at, last)) = self.by_time.pop_last()
        {
            self.by_lane.remove(&last);
            self.beyond = Some(self.beyond.map_or(at, |beyond| beyond.min(at)));
        }
    }

    /// The next lane whose time has come; it sleeps no more.
    pub(super) fn wake(&mut self, now: Timestamp) -> Option<LaneId> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, lane) = self.by_time.pop_first()?;
        self.by_lane.remove(&lane);
        Some(lane)
    }

    /// When the next lane wakes that is known.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// When the store has to be looked through, because whoever wakes next is not known any more.
    pub(super) fn search_at(&self) -> Option<Timestamp> {
        self.beyond.filter(|beyond| self.first().is_none_or(|first| first > *beyond))
    }

    /// The store is looked through from here on, and every lane in it told again.
    pub(super) fn searching(&mut self) {
        self.beyond = None;
    }

    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(number: usize) -> LaneId {
        LaneId(format!("mx:{number}").into())
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_lane_wakes_once_at_the_earliest_time_told() {
        let mut sleepers = Sleepers::default();
        for until in [30, 10, 20] {
            sleepers.sleep(&lane(1), at(until));
        }
        assert_eq!((sleepers.first(), sleepers.wake(at(9))), (Some(at(10)), None));
        assert_eq!((sleepers.wake(at(99)), sleepers.wake(at(99))), (Some(lane(1)), None));
    }

    #[test]
    fn those_that_wake_last_have_no_room_and_are_looked_for_in_time() {
        let mut sleepers = Sleepers::with_room(3);
        for number in [5, 1, 4, 2, 3] {
            sleepers.sleep(&lane(number), at(i64::try_from(number).unwrap()));
        }
        assert_eq!((sleepers.len(), sleepers.search_at()), (3, None), "1, 2 and 3 wake first");
        for number in 1..=3 {
            assert_eq!(sleepers.wake(at(9)), Some(lane(number)));
        }
        assert_eq!(sleepers.search_at(), Some(at(4)));
        sleepers.searching();
        assert_eq!(sleepers.search_at(), None);
    }
}
