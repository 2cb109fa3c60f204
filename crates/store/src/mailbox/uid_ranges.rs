use serde::{Deserialize, Serialize};

use super::Uid;

/// A set of UIDs, as runs in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UidRanges(Vec<(u32, u32)>);

impl UidRanges {
    /// Of UIDs in any order.
    pub fn of(uids: impl IntoIterator<Item = Uid>) -> Self {
        let mut uids: Vec<u32> = uids.into_iter().map(|uid| uid.0).collect();
        uids.sort_unstable();
        Self::of_ascending(uids.into_iter().map(Uid))
    }

    pub(super) fn of_ascending(uids: impl IntoIterator<Item = Uid>) -> Self {
        let mut ranges = Self::default();
        for Uid(uid) in uids {
            ranges.add(uid, uid);
        }
        ranges
    }

    /// The UIDs of a mailbox that none of `there` (ascending) has, below `end`.
    pub fn missing(there: impl IntoIterator<Item = Uid>, end: Uid) -> Self {
        let (mut ranges, mut next) = (Self::default(), 1);
        for Uid(uid) in there {
            if uid > next {
                ranges.add(next, uid - 1);
            }
            next = uid.saturating_add(1);
        }
        if end.0 > next {
            ranges.add(next, end.0 - 1);
        }
        ranges
    }

    /// First and last UID of each run.
    pub fn runs(&self) -> &[(u32, u32)] {
        &self.0
    }

    pub fn uids(&self) -> impl Iterator<Item = Uid> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last).map(Uid)
    }

    pub fn contains(&self, uid: Uid) -> bool {
        let run = self.0.partition_point(|(_, last)| *last < uid.0);
        self.0.get(run).is_some_and(|(first, _)| *first <= uid.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of these sets together.
    pub fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        let mut runs: Vec<(u32, u32)> = sets.into_iter().flat_map(|set| set.0).collect();
        runs.sort_unstable();
        let mut all = Self::default();
        for (first, last) in runs {
            all.add(first, last);
        }
        all
    }

    /// `first` is not below that of any run.
    fn add(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => self.0.push((first, last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uids: &[u32]) -> UidRanges {
        UidRanges::of(uids.iter().copied().map(Uid))
    }

    #[test]
    fn uids_become_runs() {
        assert_eq!(of(&[5, 1, 2, 2, 3, 9]).runs(), [(1, 3), (5, 5), (9, 9)]);
        assert!(of(&[]).is_empty());
        let set = of(&[1, 2, 3, 7]);
        assert_eq!((0..9).filter(|uid| set.contains(Uid(*uid))).collect::<Vec<_>>(), [1, 2, 3, 7]);
        assert_eq!(set.uids().map(|uid| uid.0).collect::<Vec<_>>(), [1, 2, 3, 7]);
        assert_eq!(UidRanges::union([of(&[4, 9]), of(&[1, 5]), of(&[2])]).runs(), [(1, 2), (4, 5), (9, 9)]);
    }

    #[test]
    fn what_is_not_there_is_missing() {
        let missing =
            |there: &[u32], end| UidRanges::missing(there.iter().copied().map(Uid), Uid(end)).runs().to_vec();
        assert_eq!(missing(&[2, 3, 6], 9), [(1, 1), (4, 5), (7, 8)]);
        assert_eq!(missing(&[1, 2], 3), []);
        assert_eq!(missing(&[], 4), [(1, 3)]);
        assert_eq!(missing(&[], 1), []);
        assert_eq!(missing(&[u32::MAX], u32::MAX), [(1, u32::MAX - 1)]);
    }
}
