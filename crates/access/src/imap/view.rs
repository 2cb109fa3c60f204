//! What a client knows of the mailbox it has selected: which message has which number.
//!
//! Numbers change only when the client is told of an expunge, so messages that are gone keep theirs until it may be.
//! Only UIDs are kept, as runs; all else is read from the store when somebody asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::imap::sequence::{NumberSet, SequenceSet};
use store::mailbox::{ListedMessage, MailboxChanges, UidRanges};

use super::uid_list::UidList;

#[derive(Debug, Default)]
pub(super) struct View {
    /// A message's number is its place, counted from one.
    uids: UidList,
    /// Gone, and the client has not heard of it.
    gone: BTreeSet<u32>,
    /// The client has to hear of their flags.
    changed: BTreeMap<u32, Marks>,
    /// The mod-sequence that a message has by what this client did, which it knows.
    own: HashMap<u32, u64>,
    /// How many messages the client has heard of.
    told: u32,
}

/// What the client is to hear of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) message: ListedMessage,
    /// The mod-sequence alone.
    pub(super) silent: bool,
}

/// A message number that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoSuchNumber;

impl View {
    /// Of a mailbox with these messages, that the client hears of at once.
    pub(super) fn new(uids: &UidRanges) -> Self {
        let uids = UidList::of(uids);
        Self { told: uids.count(), uids, ..Self::default() }
    }

    pub(super) fn count(&self) -> u32 {
        self.uids.count()
    }

    pub(super) fn number(&self, uid: u32) -> Option<u32> {
        Some(self.uids.place(uid)? + 1)
    }

    pub(super) fn uid(&self, number: u32) -> Option<u32> {
        self.uids.uid(number.checked_sub(1)?)
    }

    pub(super) fn last_uid(&self) -> u32 {
        self.uids.last().unwrap_or(0)
    }

    pub(super) fn uids(&self) -> Vec<u32> {
        self.uids.iter().collect()
    }

    /// The UIDs of the messages that a set means, ascending. UIDs that are not there are passed over (RFC 9051 §6.4.9);
    /// numbers that are not are an error. `saved`: what `$` stands for, in UIDs.
    pub(super) fn resolve(
        &self,
        set: &SequenceSet,
        by_uid: bool,
        saved: &NumberSet,
    ) -> Result<Vec<u32>, NoSuchNumber> {
        let largest = if by_uid { self.last_uid() } else { self.count() };
        let Some(numbers) = set.resolve(largest) else { return Ok(self.among(saved)) };
        if by_uid {
            return Ok(self.among(&numbers));
        }
        if numbers.ranges().last().is_some_and(|range| *range.end() > self.count()) {
            return Err(NoSuchNumber);
        }
        let uids = numbers
            .ranges()
            .iter()
            .filter_map(|range| Some(self.uids.within(self.uid(*range.start())?, self.uid(*range.end())?)));
        Ok(uids.flatten().collect())
    }

    /// Those of a set of UIDs that are there.
    pub(super) fn among(&self, uids: &NumberSet) -> Vec<u32> {
        uids.ranges().iter().flat_map(|range| self.uids.within(*range.start(), *range.end())).collect()
    }

    /// What happened in the mailbox. `own` is over with it.
    pub(super) fn apply(&mut self, changes: MailboxChanges) {
        let runs = changes.vanished.runs().iter();
        let vanished = runs.flat_map(|(first, last)| self.uids.within(*first, *last)).collect();
        self.lose(vanished);
        for message in changes.changed {
            self.meet(message);
        }
        self.own = HashMap::new();
    }

    fn lose(&mut self, uids: Vec<u32>) {
        let mut untold = BTreeSet::new();
        for uid in uids {
            self.changed.remove(&uid);
            match self.uids.place(uid) {
                // Came and went without being told of.
                Some(place) if place >= self.told => {
                    untold.insert(uid);
                }
                Some(_) => {
                    self.gone.insert(uid);
                }
                None => {}
            }
        }
        if !untold.is_empty() {
            self.uids.remove(&untold);
        }
    }

    fn meet(&mut self, message: ListedMessage) {
        let uid = message.uid.0;
        if uid > self.last_uid() {
            self.uids.push(uid);
        } else if self.uids.place(uid).is_some() && self.own.get(&uid) != Some(&message.modseq) {
            self.changed.insert(uid, Marks { message, silent: false });
        }
    }

    /// The client knows what it did itself.
    pub(super) fn knows(&mut self, uid: u32, modseq: u64) {
        self.own.insert(uid, modseq);
    }

    /// The client is to hear of this message.
    pub(super) fn tell(&mut self, message: ListedMessage, silent: bool) {
        self.changed.insert(message.uid.0, Marks { message, silent });
    }

    pub(super) fn has_news(&self) -> bool {
        !self.gone.is_empty() || self.told != self.count() || !self.changed.is_empty()
    }

    /// The number and UID of some messages that are gone, last first; the client is told of each before anything else.
    pub(super) fn take_gone(&mut self, limit: usize) -> Vec<(u32, u32)> {
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some(uid) = self.gone.pop_last()
        {
            taken.extend(self.number(uid).map(|number| (number, uid)));
        }
        if !taken.is_empty() {
            let before = self.count();
            self.uids.remove(&taken.iter().map(|(_, uid)| *uid).collect());
            self.told = self.told.saturating_sub(before - self.count());
        }
        taken
    }

    /// The messages that the client has not heard of.
    pub(super) fn untold(&self) -> Vec<u32> {
        let first = self.uids.uid(self.told);
        first.map(|first| self.uids.within(first, u32::MAX).collect()).unwrap_or_default()
    }

    /// How many messages there are, if the client has not heard of it; it has then.
    pub(super) fn take_new_count(&mut self) -> Option<u32> {
        let is_new = self.told != self.count();
        self.told = self.count();
        is_new.then(|| self.count())
    }

    /// A message that the client has to hear of.
    pub(super) fn take_changed(&mut self) -> Option<Marks> {
        self.changed.pop_first().map(|(_, marks)| marks)
    }
}

#[cfg(test)]
mod tests {
    use store::mailbox::{Flags, Uid};

    use super::*;

    fn resolved(view: &View, set: &str, by_uid: bool) -> Result<Vec<u32>, NoSuchNumber> {
        let saved = [4, 9].into_iter().collect();
        view.resolve(&SequenceSet::parse(set).unwrap(), by_uid, &saved)
    }

    fn of(uids: &[u32]) -> View {
        View::new(&UidRanges::of(uids.iter().copied().map(Uid)))
    }

    fn listed(uid: u32, modseq: u64) -> ListedMessage {
        ListedMessage { uid: Uid(uid), modseq, flags: Flags::SEEN, keywords: Vec::new() }
    }

    fn changes(changed: &[(u32, u64)], vanished: &[u32]) -> MailboxChanges {
        MailboxChanges {
            changed: changed.iter().map(|(uid, modseq)| listed(*uid, *modseq)).collect(),
            vanished: UidRanges::of(vanished.iter().copied().map(Uid)),
            vanished_is_all: false,
            uid_next: Uid(100),
            highest_modseq: 9,
            is_gone: false,
        }
    }

    #[test]
    fn sets_of_numbers_and_uids() {
        let view = of(&[2, 4, 7]);
        assert_eq!(
            (view.number(4), view.number(5), view.uid(3), view.uid(4)),
            (Some(2), None, Some(7), None)
        );
        assert_eq!(resolved(&view, "3:2", false), Ok(vec![4, 7]));
        assert_eq!(resolved(&view, "*", false), Ok(vec![7]));
        assert_eq!(resolved(&view, "2:4", false), Err(NoSuchNumber));
        assert_eq!(resolved(&view, "1:5,100", true), Ok(vec![2, 4]));
        assert_eq!(resolved(&view, "9:*", true), Ok(vec![7]));
        assert_eq!(resolved(&view, "$", true), Ok(vec![4]));
        assert_eq!(resolved(&view, "$", false), Ok(vec![4]));
        assert_eq!(resolved(&View::default(), "1:*", false), Ok(vec![]));
        assert_eq!(resolved(&View::default(), "1", false), Err(NoSuchNumber));
    }

    #[test]
    fn numbers_stay_until_the_client_hears_of_an_expunge() {
        let mut view = of(&[1, 2, 3, 4]);
        view.apply(changes(&[(3, 6), (5, 7)], &[2, 4]));
        assert_eq!((view.number(5), view.take_new_count(), view.take_new_count()), (Some(5), Some(5), None));
        assert_eq!(view.take_gone(1), [(4, 4)]);
        assert_eq!(view.take_gone(9), [(2, 2)]);
        assert_eq!((view.take_new_count(), view.uids()), (None, vec![1, 3, 5]));
        assert_eq!(view.take_changed().unwrap().message.uid, Uid(3));
        assert!(!view.has_news());
    }

    #[test]
    fn what_came_and_went_unseen_is_not_told_of() {
        let mut view = of(&[1]);
        view.apply(changes(&[(2, 5), (3, 6)], &[]));
        view.apply(changes(&[(1, 7)], &[2]));
        assert_eq!((view.take_gone(9), view.take_new_count()), (vec![], Some(2)));
        view.apply(changes(&[], &[1, 2, 50]));
        assert_eq!((view.take_gone(9), view.take_changed()), (vec![(1, 1)], None));
    }

    #[test]
    fn what_the_client_did_itself_it_knows() {
        let mut view = of(&[1, 2]);
        view.knows(1, 5);
        view.knows(2, 6);
        view.apply(changes(&[(1, 5), (2, 7)], &[]));
        assert_eq!(view.take_changed().unwrap().message, listed(2, 7));
        assert_eq!(view.take_changed(), None);
        view.apply(changes(&[(1, 8)], &[]));
        assert!(view.has_news());
    }
}
