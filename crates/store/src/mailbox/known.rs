//! What is known of mailboxes that somebody asked for lately: their lists, so that who opens a mailbox again reads what
//! changed since, and not all that is in it; and when their messages were written, so that who sorts a mailbox again reads
//! the new ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Listing, MailboxChanges, MailboxId, Uid};

/// Messages of all lists together, and of all dates; each takes some forty octets and its keywords, or twenty.
const MESSAGES_MAX: usize = 400_000;
const MAILBOXES_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct KnownListings(Mutex<Lately<Arc<Listing>>>);

/// A message never changes, so what is known of it stays true.
#[derive(Debug, Default)]
pub(super) struct KnownDates(Mutex<Lately<BTreeMap<Uid, i64>>>);

/// Something of each mailbox; what was used last stays longest.
#[derive(Debug)]
struct Lately<T> {
    by_mailbox: BTreeMap<MailboxId, (T, u64)>,
    /// Messages in all of them.
    messages: usize,
    uses: u64,
}

trait Messages {
    fn messages(&self) -> usize;
}

impl Messages for Arc<Listing> {
    fn messages(&self) -> usize {
        self.messages.len()
    }
}

impl Messages for BTreeMap<Uid, i64> {
    fn messages(&self) -> usize {
        self.len()
    }
}

fn locked<T>(lately: &Mutex<T>) -> MutexGuard<'_, T> {
    lately.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KnownListings {
    pub(super) fn get(&self, mailbox: MailboxId) -> Option<Arc<Listing>> {
        locked(&self.0).get(mailbox).cloned()
    }

    /// Of two lists the later one stays.
    pub(super) fn put(&self, mailbox: MailboxId, listing: &Arc<Listing>) {
        let mut lists = locked(&self.0);
        let is_older = |known: &Arc<Listing>| known.highest_modseq <= listing.highest_modseq;
        if lists.get(mailbox).is_none_or(is_older) {
            lists.insert(mailbox, listing.clone());
        }
    }

    /// The list that was `since` with what changed after it.
    pub(super) fn advance(
        &self,
        mailbox: MailboxId,
        since: Arc<Listing>,
        changes: MailboxChanges,
    ) -> Arc<Listing> {
        let mut lists = locked(&self.0);
        let (mut listing, later) = match lists.remove(mailbox) {
            // Another one was as quick.
            Some(known) if known.highest_modseq > since.highest_modseq => (since, Some(known)),
            // If nobody else has it, it is changed where it is.
            Some(known) => {
                drop(since);
                (known, None)
            }
            None => (since, None),
        };
        Arc::make_mut(&mut listing).apply(changes);
        let later = later.filter(|known| known.highest_modseq > listing.highest_modseq);
        lists.insert(mailbox, later.unwrap_or_else(|| listing.clone()));
        listing
    }

    pub(super) fn forget(&self, mailbox: MailboxId) {
        locked(&self.0).remove(mailbox);
    }
}

impl KnownDates {
    /// The dates of these messages, and those of which none is known. `uids`: ascending.
    pub(super) fn find(&self, mailbox: MailboxId, uids: &[Uid]) -> (Vec<(Uid, i64)>, Vec<Uid>) {
        let mut dates = locked(&self.0);
        let (Some(known), Some(first)) = (dates.get(mailbox), uids.first()) else {
            return (Vec::new(), uids.to_vec());
        };
        let (mut found, mut missing) = (Vec::with_capacity(uids.len()), Vec::new());
        let mut known = known.range(*first..).peekable();
        for uid in uids {
            while known.next_if(|(other, _)| *other < uid).is_some() {}
            match known.next_if(|(other, _)| *other == uid) {
                Some((uid, date)) => found.push((*uid, *date)),
                None => missing.push(*uid),
            }
        }
        (found, missing)
    }

    pub(super) fn add(&self, mailbox: MailboxId, new: &[(Uid, i64)]) {
        let mut dates = locked(&self.0);
        let mut known = dates.remove(mailbox).unwrap_or_default();
        known.extend(new.iter().copied());
        dates.insert(mailbox, known);
    }
}

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self { by_mailbox: BTreeMap::new(), messages: 0, uses: 0 }
    }
}

impl<T: Messages> Lately<T> {
    fn get(&mut self, mailbox: MailboxId) -> Option<&T> {
        self.uses += 1;
        let (known, used) = self.by_mailbox.get_mut(&mailbox)?;
        *used = self.uses;
        Some(known)
    }

    fn insert(&mut self, mailbox: MailboxId, known: T) {
        self.remove(mailbox);
        if known.messages() > MESSAGES_MAX {
            return;
        }
        self.uses += 1;
        self.messages += known.messages();
        self.by_mailbox.insert(mailbox, (known, self.uses));
        while self.messages > MESSAGES_MAX || self.by_mailbox.len() > MAILBOXES_MAX {
            let oldest = self.by_mailbox.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(mailbox, _)| *mailbox) else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, mailbox: MailboxId) -> Option<T> {
        let (known, _) = self.by_mailbox.remove(&mailbox)?;
        self.messages = self.messages.saturating_sub(known.messages());
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Flags, ListedMessage, UidRanges},
        *,
    };

    fn listed(uid: u32, modseq: u64) -> ListedMessage {
        ListedMessage { uid: Uid(uid), modseq, flags: Flags::SEEN, keywords: Vec::new() }
    }

    fn listing(count: u32) -> Arc<Listing> {
        let messages = (1..=count).map(|uid| listed(uid, u64::from(uid))).collect();
        Arc::new(Listing::new(messages, Uid(count + 1), u64::from(count)))
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many_messages() {
        let known = KnownListings::default();
        (1..=3).for_each(|number| known.put(MailboxId(number), &listing(100_000)));
        assert!(known.get(MailboxId(1)).is_some());
        known.put(MailboxId(4), &listing(200_000));
        assert!(known.get(MailboxId(2)).is_none() && known.get(MailboxId(1)).is_some());
        known.put(MailboxId(5), &listing(400_001));
        assert!(known.get(MailboxId(5)).is_none() && known.get(MailboxId(4)).is_some());
        known.forget(MailboxId(4));
        assert_eq!(locked(&known.0).messages, 200_000);
    }

    #[test]
    fn changes_are_put_into_the_list_and_whoever_has_the_old_one_keeps_it() {
        let known = KnownListings::default();
        known.put(MailboxId(1), &listing(5));
        let before = known.get(MailboxId(1)).unwrap();
        let changes = || MailboxChanges {
            changed: vec![listed(2, 6), listed(6, 7)],
            vanished: UidRanges::of([Uid(3), Uid(4)]),
            vanished_is_all: false,
            uid_next: Uid(7),
            highest_modseq: 8,
            is_gone: false,
        };
        let after = known.advance(MailboxId(1), before.clone(), changes());
        assert_eq!((before.messages.len(), after.messages.len(), locked(&known.0).messages), (5, 4, 4));
        let expected = vec![listed(1, 1), listed(2, 6), listed(5, 5), listed(6, 7)];
        assert_eq!(*after, Listing::new(expected, Uid(7), 8));
        // Who comes late with the same has the same.
        assert_eq!(known.advance(MailboxId(1), before, changes()), after);
        assert_eq!(known.get(MailboxId(1)), Some(after));
    }

    #[test]
    fn dates_are_found_as_far_as_they_are_known() {
        let (known, mailbox) = (KnownDates::default(), MailboxId(1));
        let uids = |uids: &[u32]| uids.iter().copied().map(Uid).collect::<Vec<_>>();
        assert_eq!(known.find(mailbox, &uids(&[1, 2])), (vec![], uids(&[1, 2])));
        known.add(mailbox, &[(Uid(2), 20), (Uid(5), 50)]);
        known.add(mailbox, &[(Uid(3), 30)]);
        let found = vec![(Uid(2), 20), (Uid(5), 50)];
        assert_eq!(known.find(mailbox, &uids(&[1, 2, 4, 5, 9])), (found, uids(&[1, 4, 9])));
        assert_eq!(known.find(MailboxId(2), &uids(&[2])), (vec![], uids(&[2])));
        assert_eq!(locked(&known.0).messages, 3);
    }
}
