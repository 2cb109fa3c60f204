//! What is in a mailbox and what changed: all from the changes, without a look at the messages' records.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Flags, MailboxId, Mailboxes, Uid, UidRanges,
    expunge::decode_expunged,
    keyspace::{change_key, expunged_key, mailbox_counter, modseq_counter, presence_key, space, uid_counter},
    message,
};
use crate::{
    engine::{KeyRange, Order, StoreError, after_prefix},
    keys::{MAILBOX_CHANGE, MAILBOX_EXPUNGED, counter},
};

/// A message as a session knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMessage {
    pub uid: Uid,
    pub modseq: u64,
    pub flags: Flags,
    pub keywords: Vec<String>,
}

/// The messages of a mailbox at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// By UID.
    pub messages: Vec<ListedMessage>,
    /// No message that comes later has a lower one.
    pub uid_next: Uid,
    /// Ask for changes since this one next.
    pub highest_modseq: u64,
    /// Theirs.
    pub uids: UidRanges,
    /// Keywords that messages have, each once, and no more than [`LISTED_KEYWORDS_MAX`].
    pub keywords: Vec<String>,
    /// The place of the first message that was not read.
    pub first_unseen: Option<usize>,
}

pub const LISTED_KEYWORDS_MAX: usize = 1_000;
/// So many pairs are read without another thread.
const FEW_PAIRS: usize = 200;

/// What happened to a mailbox since a MODSEQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxChanges {
    /// New messages and changed ones as they are now, by UID.
    pub changed: Vec<ListedMessage>,
    /// May hold UIDs that the asker never saw.
    pub vanished: UidRanges,
    /// `vanished` is everything that is not there, as nobody knows any more what was there then.
    pub vanished_is_all: bool,
    pub uid_next: Uid,
    /// Ask for changes since this one next.
    pub highest_modseq: u64,
    /// There is no such mailbox any more.
    pub is_gone: bool,
}

impl MailboxChanges {
    fn none(uid_next: Uid, since: u64, is_gone: bool) -> Self {
        Self {
            changed: Vec::new(),
            vanished: UidRanges::default(),
            vanished_is_all: false,
            uid_next,
            highest_modseq: since,
            is_gone,
        }
    }

    fn is_none(&self) -> bool {
        self.changed.is_empty() && self.vanished.is_empty() && !self.is_gone
    }
}

impl Listing {
    /// `messages`: by UID.
    pub(super) fn new(messages: Vec<ListedMessage>, uid_next: Uid, highest_modseq: u64) -> Self {
        let (uids, keywords, first_unseen) = (UidRanges::default(), Vec::new(), None);
        let mut listing = Self { messages, uid_next, highest_modseq, uids, keywords, first_unseen };
        listing.sum_up();
        listing
    }

    /// Those of these messages that are there. `uids`: ascending.
    pub fn among<'a>(&'a self, uids: &'a [u32]) -> impl Iterator<Item = &'a ListedMessage> {
        let mut wanted = uids.iter().peekable();
        self.messages.iter().filter(move |message| {
            while wanted.next_if(|uid| **uid < message.uid.0).is_some() {}
            wanted.next_if(|uid| **uid == message.uid.0).is_some()
        })
    }

    /// What happened since.
    pub(super) fn apply(&mut self, changes: MailboxChanges) {
        let MailboxChanges { changed, vanished, uid_next, highest_modseq, .. } = changes;
        if !vanished.is_empty() {
            self.messages.retain(|message| !vanished.contains(message.uid));
        }
        for message in changed {
            match self.messages.binary_search_by_key(&message.uid, |known| known.uid) {
                Ok(place) => {
                    if let Some(known) = self.messages.get_mut(place) {
                        *known = message;
                    }
                }
                Err(place) => self.messages.insert(place, message),
            }
        }
        (self.uid_next, self.highest_modseq) = (uid_next, highest_modseq);
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.uids = UidRanges::of_ascending(self.messages.iter().map(|message| message.uid));
        let mut keywords = BTreeSet::new();
        for keyword in self.messages.iter().flat_map(|message| &message.keywords) {
            if keywords.len() < LISTED_KEYWORDS_MAX {
                keywords.insert(keyword);
            }
        }
        self.keywords = keywords.into_iter().cloned().collect();
        self.first_unseen = self.messages.iter().position(|message| !message.flags.has(Flags::SEEN));
    }
}

impl Mailboxes {
    /// Costs what is in the mailbox now; if it was asked for lately, what changed since.
    pub async fn listing(&self, mailbox: MailboxId) -> Result<Arc<Listing>, StoreError> {
        if let Some(known) = self.known.get(mailbox) {
            let changes = self.changes_since(mailbox, known.highest_modseq).await?;
            if changes.is_none() && changes.uid_next == known.uid_next {
                return Ok(known);
            }
            // After long it may be quicker to read all.
            if !changes.is_gone && !changes.vanished_is_all {
                return Ok(self.known.advance(mailbox, known, changes));
            }
            self.known.forget(mailbox);
        }
        let listing = Arc::new(self.read_listing(mailbox).await?);
        self.known.put(mailbox, &listing);
        Ok(listing)
    }

    /// One scan.
    async fn read_listing(&self, mailbox: MailboxId) -> Result<Listing, StoreError> {
        // Read before the scan: what comes between is in it, or later.
        let uid_next = self.uid_next(mailbox).await?;
        let highest_modseq = self.counter(&modseq_counter(mailbox)).await?;
        let messages = self.scan_changes(mailbox, 0).await?;
        let last = messages.last().map_or(0, |last| last.uid.0);
        let changed_last = messages.iter().map(|message| message.modseq).max().unwrap_or(0);
        let uid_next = Uid(uid_next.0.max(last.saturating_add(1)));
        Ok(Listing::new(messages, uid_next, highest_modseq.max(changed_last)))
    }

    /// Costs what changed after `since`, unless that is so long ago that it is not known any more what was expunged.
    pub async fn changes_since(&self, mailbox: MailboxId, since: u64) -> Result<MailboxChanges, StoreError> {
        let uid_next = self.uid_next(mailbox).await?;
        let highest_modseq = self.counter(&modseq_counter(mailbox)).await?;
        // Its counters went with it; those of a mailbox that never had a message are not there either.
        let is_gone = highest_modseq == 0 && self.engine.get(&presence_key(mailbox)).await?.is_none();
        if highest_modseq <= since {
            return Ok(MailboxChanges::none(uid_next, since, is_gone));
        }
        let changed = self.scan_changes(mailbox, since).await?;
        let last = changed.last().map_or(0, |last| last.uid.0);
        let uid_next = Uid(uid_next.0.max(last.saturating_add(1)));
        // Everything up to the last change that the scan saw was committed when it began, so is seen by the next scan too.
        let highest_modseq = changed.iter().map(|message| message.modseq).fold(highest_modseq, u64::max);
        let vanished = self.scan_expunged(mailbox, since, highest_modseq).await?;
        // Read last: whoever forgets raises it in the batch that does.
        let floor = self.counter(&mailbox_counter(counter::EXPUNGED_FLOOR, mailbox)).await?;
        let vanished_is_all = since < floor;
        let vanished = if vanished_is_all {
            let there = self.scan_changes(mailbox, 0).await?;
            UidRanges::missing(there.iter().map(|message| message.uid), uid_next)
        } else {
            vanished
        };
        Ok(MailboxChanges { changed, vanished, vanished_is_all, uid_next, highest_modseq, is_gone })
    }

    pub(super) async fn uid_next(&self, mailbox: MailboxId) -> Result<Uid, StoreError> {
        let last = self.counter(&uid_counter(mailbox)).await?;
        Ok(Uid(u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1)))
    }

    /// Messages whose last change is later, by UID.
    async fn scan_changes(&self, mailbox: MailboxId, since: u64) -> Result<Vec<ListedMessage>, StoreError> {
        let end = after_prefix(&space(MAILBOX_CHANGE, mailbox));
        let range = KeyRange { start: change_key(mailbox, since.saturating_add(1)), end };
        let found = self.scan_all(range).await?;
        let mut messages = Vec::with_capacity(found.len());
        for (key, value) in &found {
            messages.extend(message::decode_change(key, value)?);
        }
        messages.sort_unstable_by_key(|message| message.uid);
        Ok(messages)
    }

    /// Of few pairs, which is what there mostly is, at little cost.
    async fn scan_all(&self, range: KeyRange) -> Result<Vec<(crate::Key, bytes::Bytes)>, StoreError> {
        let found = self.engine.scan(range.clone(), Order::Ascending, FEW_PAIRS).await?;
        if found.len() < FEW_PAIRS {
            return Ok(found);
        }
        self.engine.scan(range, Order::Ascending, usize::MAX).await
    }

    /// The keys of changes that are of no message that is there.
    pub(super) async fn old_changes(&self, mailbox: MailboxId) -> Result<Vec<crate::Key>, StoreError> {
        let range = KeyRange::prefix(&space(MAILBOX_CHANGE, mailbox));
        let mut old = Vec::new();
        for (key, value) in self.engine.scan(range, Order::Ascending, usize::MAX).await? {
            if message::decode_change(&key, &value)?.is_none() {
                old.push(key);
            }
        }
        Ok(old)
    }

    async fn scan_expunged(
        &self,
        mailbox: MailboxId,
        since: u64,
        up_to: u64,
    ) -> Result<UidRanges, StoreError> {
        let range = KeyRange {
            start: expunged_key(mailbox, since.saturating_add(1)),
            end: expunged_key(mailbox, up_to).successor(),
        };
        let found = self.scan_all(range).await?;
        let sets = found.iter().map(|(_, value)| decode_expunged(value)).collect::<Result<Vec<_>, _>>()?;
        Ok(UidRanges::union(sets))
    }

    /// The keys of what is known of expunged messages, oldest first.
    pub(super) async fn oldest_expunged(
        &self,
        mailbox: MailboxId,
        limit: usize,
    ) -> Result<Vec<(crate::Key, bytes::Bytes)>, StoreError> {
        self.engine.scan(KeyRange::prefix(&space(MAILBOX_EXPUNGED, mailbox)), Order::Ascending, limit).await
    }
}
