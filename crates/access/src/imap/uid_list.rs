//! The UIDs of a mailbox in ascending order, as runs: eight octets for each gap between them, whatever is in it.

use std::collections::BTreeSet;

use store::mailbox::UidRanges;

#[derive(Debug, Default)]
pub(super) struct UidList {
    runs: Vec<Run>,
    count: u32,
}

/// UIDs that follow each other, as many as there are before the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u32,
    /// How many UIDs there are in the runs before.
    before: u32,
}

impl UidList {
    /// `uids`: ascending; others are passed over.
    pub(super) fn new(uids: impl IntoIterator<Item = u32>) -> Self {
        let mut list = Self::default();
        uids.into_iter().for_each(|uid| list.push(uid));
        list.runs.shrink_to_fit();
        list
    }

    pub(super) fn of(ranges: &UidRanges) -> Self {
        let mut list = Self::default();
        list.runs.reserve_exact(ranges.runs().len());
        for (first, last) in ranges.runs() {
            list.runs.push(Run { first: *first, before: list.count });
            list.count = list.count.saturating_add(last.saturating_sub(*first)).saturating_add(1);
        }
        list
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Where a UID is, counted from zero.
    pub(super) fn place(&self, uid: u32) -> Option<u32> {
        let place = self.rank(uid);
        (self.uid(place) == Some(uid)).then_some(place)
    }

    pub(super) fn uid(&self, place: u32) -> Option<u32> {
        let run = self.runs.partition_point(|run| run.before <= place).checked_sub(1)?;
        let Run { first, before } = self.runs.get(run)?;
        (place < self.count).then(|| first + (place - before))
    }

    pub(super) fn last(&self) -> Option<u32> {
        self.uid(self.count.checked_sub(1)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.between(0, self.count)
    }

    /// Those from `first` to `last`.
    pub(super) fn within(&self, first: u32, last: u32) -> impl Iterator<Item = u32> + '_ {
        let end = last.checked_add(1).map_or(self.count, |end| self.rank(end));
        self.between(self.rank(first), end)
    }

    /// How many are less.
    fn rank(&self, uid: u32) -> u32 {
        let after = self.runs.partition_point(|run| run.first < uid);
        let end = self.runs.get(after).map_or(self.count, |run| run.before);
        let run = after.checked_sub(1).and_then(|run| self.runs.get(run));
        run.map_or(0, |run| end.min(run.before.saturating_add(uid - run.first)))
    }

    fn between(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        let run = self.runs.partition_point(|run| run.before <= from).saturating_sub(1);
        let ends = self.runs.iter().skip(run + 1).map(|run| run.before).chain([self.count]);
        let runs = self.runs.iter().skip(run).zip(ends);
        runs.take_while(move |(run, _)| run.before < to).flat_map(move |(run, end)| {
            let (first, before) = (run.first, run.before);
            (before.max(from)..end.min(to)).map(move |place| first + (place - before))
        })
    }

    /// Greater than those before; others are passed over.
    pub(super) fn push(&mut self, uid: u32) {
        let last = self.last();
        if last.is_some_and(|last| uid <= last) {
            return;
        }
        if last.and_then(|last| last.checked_add(1)) != Some(uid) {
            self.runs.push(Run { first: uid, before: self.count });
        }
        self.count += 1;
    }

    pub(super) fn remove(&mut self, uids: &BTreeSet<u32>) {
        *self = Self::new(self.iter().filter(|uid| !uids.contains(uid)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_that_follow_each_other_are_one_run() {
        let mut list = UidList::new(1..=100_000);
        assert_eq!((list.runs.len(), list.count(), list.last()), (1, 100_000, Some(100_000)));
        list.push(100_001);
        list.push(u32::MAX);
        assert_eq!(
            (list.runs.len(), list.place(u32::MAX), list.uid(100_001)),
            (2, Some(100_001), Some(u32::MAX))
        );
        assert_eq!(list.within(100_000, u32::MAX).collect::<Vec<_>>(), [100_000, 100_001, u32::MAX]);
        list.push(7);
        assert_eq!(list.count(), 100_002);
        let same = UidList::of(&UidRanges::of(list.iter().map(store::mailbox::Uid)));
        assert_eq!((same.runs, same.count), (list.runs, list.count));
    }

    /// The numbers whose bits are set.
    fn numbers(bits: u32) -> BTreeSet<u32> {
        (1..9).filter(|number| bits >> (number - 1) & 1 == 1).collect()
    }

    #[test]
    fn a_list_is_what_a_vector_would_be() {
        for bits in 0..256 {
            for gone in [0, 0b1, 0b1001_0110, 0xff] {
                let mut list = UidList::new(numbers(bits));
                list.remove(&numbers(gone));
                let left = Vec::from_iter(numbers(bits & !gone));
                assert_eq!(list.iter().collect::<Vec<_>>(), left);
                assert_eq!((list.count() as usize, list.last()), (left.len(), left.last().copied()));
                for number in 0..10 {
                    let place = left.binary_search(&number).ok();
                    assert_eq!(list.place(number).map(|place| place as usize), place);
                    assert_eq!(list.uid(number), left.get(number as usize).copied());
                    for end in 0..10 {
                        let within = left.iter().copied().filter(|uid| (number..=end).contains(uid));
                        assert!(list.within(number, end).eq(within), "{left:?} {number}:{end}");
                    }
                }
            }
        }
    }
}
