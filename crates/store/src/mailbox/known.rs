//! Lists of mailboxes that somebody asked for lately, so that who opens a mailbox again reads what changed since, and not
//! all that is in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Listing, MailboxChanges, MailboxId};

/// Messages of all lists together; each takes some forty octets and its keywords.
const MESSAGES_MAX: usize = 400_000;
const LISTS_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct KnownListings(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    by_mailbox: BTreeMap<MailboxId, Known>,
    /// Messages in all of them.
    messages: usize,
    uses: u64,
}

#[derive(Debug)]
struct Known {
    listing: Arc<Listing>,
    used: u64,
}

impl KnownListings {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, mailbox: MailboxId) -> Option<Arc<Listing>> {
        let mut lists = self.lists();
        lists.uses += 1;
        let used = lists.uses;
        let known = lists.by_mailbox.get_mut(&mailbox)?;
        known.used = used;
        Some(known.listing.clone())
    }

    /// Of two lists the later one stays.
    pub(super) fn put(&self, mailbox: MailboxId, listing: &Arc<Listing>) {
        let mut lists = self.lists();
        let is_older = |known: &Known| known.listing.highest_modseq <= listing.highest_modseq;
        if lists.by_mailbox.get(&mailbox).is_none_or(is_older) {
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
        let mut lists = self.lists();
        let mut listing = match lists.remove(mailbox) {
            // Another one was as quick.
            Some(known) if known.highest_modseq > since.highest_modseq => {
                lists.insert(mailbox, known);
                since
            }
            // If nobody else has it, it is changed where it is.
            Some(known) => {
                drop(since);
                known
            }
            None => since,
        };
        Arc::make_mut(&mut listing).apply(changes);
        let is_later = |known: &Known| known.listing.highest_modseq > listing.highest_modseq;
        if !lists.by_mailbox.get(&mailbox).is_some_and(is_later) {
            lists.insert(mailbox, listing.clone());
        }
        listing
    }

    pub(super) fn forget(&self, mailbox: MailboxId) {
        self.lists().remove(mailbox);
    }
}

impl Lists {
    fn insert(&mut self, mailbox: MailboxId, listing: Arc<Listing>) {
        self.remove(mailbox);
        if listing.messages.len() > MESSAGES_MAX {
            return;
        }
        self.uses += 1;
        self.messages += listing.messages.len();
        self.by_mailbox.insert(mailbox, Known { listing, used: self.uses });
        while self.messages > MESSAGES_MAX || self.by_mailbox.len() > LISTS_MAX {
            let oldest = self.by_mailbox.iter().min_by_key(|(_, known)| known.used);
            let Some(oldest) = oldest.map(|(mailbox, _)| *mailbox) else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, mailbox: MailboxId) -> Option<Arc<Listing>> {
        let known = self.by_mailbox.remove(&mailbox)?;
        self.messages = self.messages.saturating_sub(known.listing.messages.len());
        Some(known.listing)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Flags, ListedMessage, Uid, UidRanges},
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
        assert_eq!(known.lists().messages, 200_000);
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
        assert_eq!((before.messages.len(), after.messages.len(), known.lists().messages), (5, 4, 4));
        let expected = vec![listed(1, 1), listed(2, 6), listed(5, 5), listed(6, 7)];
        assert_eq!(*after, Listing::new(expected, Uid(7), 8));
        // Who comes late with the same has the same.
        assert_eq!(known.advance(MailboxId(1), before, changes()), after);
        assert_eq!(known.get(MailboxId(1)), Some(after));
    }
}
