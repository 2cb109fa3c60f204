//! SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182): the messages of the mailbox one after the other; of each no more is
//! read than is needed to decide. Of many whose text has to be read, the index rules most out before.

mod index;
#[cfg(test)]
mod index_tests;
pub(super) mod indexing;
mod parts;
mod sort;
mod subject;
mod test;
mod text;
mod thread;

use proto::imap::{
    command::{PartialRange, Search, SearchKey, SearchReturn},
    response::{Data, ESearch, Found, Status},
    sequence::NumberSet,
};

use super::{
    refusal::Refusal,
    session::{Next, Session},
};
use index::Undecided;
use store::{
    Mailboxes, StoreError,
    mailbox::{MailboxId, StoredMessage, Uid},
};
use test::Test;
use text::{Known, Needle};

/// Messages whose records are read in one go.
const PAGE_MESSAGES: usize = 200;
/// Of so large a share of a mailbox, flags are told by its list.
const LISTED_SHARE_MIN: usize = 8;

/// Messages that were found, by UID.
#[derive(Default)]
pub(super) struct Hits {
    pub(super) uids: Vec<u32>,
    /// The highest of theirs.
    pub(super) modseq: u64,
    /// Messages that were looked at.
    pub(super) seen: usize,
}

impl Hits {
    fn add(&mut self, uid: Uid, modseq: u64) {
        self.uids.push(uid.0);
        self.modseq = self.modseq.max(modseq);
    }
}

impl Session {
    pub(super) async fn search(
        &mut self,
        tag: String,
        by_uid: bool,
        search: Search,
    ) -> Result<Next, Refusal> {
        let hits = self.find_hits(&search.keys, by_uid).await;
        if hits.is_err() && search.returned.is_some_and(|returned| returned.save) {
            // RFC 5182 §2.1
            self.selected()?.saved = NumberSet::default();
        }
        self.answer_search(tag, by_uid, search.returned, &search.keys, &hits?)?;
        Ok(Next::Done(Status::ok("searched")))
    }

    pub(super) async fn find_hits(&mut self, keys: &[SearchKey], by_uid: bool) -> Result<Hits, Refusal> {
        let now = self.service.clock.wall();
        let selected = self.selected()?;
        selected.speaks_uid = by_uid;
        let mut needles = Vec::new();
        let test = Test::all(keys, &selected.view, &selected.saved, now, &mut needles)?;
        let uids = test.candidates(&selected.view);
        let mailbox = selected.mailbox;
        let hunt = Hunt { mailboxes: self.mailboxes(), mailbox, test: &test, needles: &needles };
        let queries = index::queries(&needles);
        let (mut hits, uids) = self.sift(&test, uids, mentions_modseq(keys)).await?;
        let (total, mut undecided) = (uids.len(), Vec::new());
        for page in uids.chunks(PAGE_MESSAGES) {
            if queries.is_empty() {
                self.show_progress(hits.seen, Some(total)).await?;
                hits.seen += page.len();
            }
            for message in self.load(page).await? {
                let outcome = test.outcome(&message, &Known::new(&needles, 0));
                if outcome.is_none() && !queries.is_empty() {
                    undecided.push(Undecided::new(&message));
                } else if hunt.is_hit(&message, 0).await? {
                    hits.add(message.uid, message.modseq);
                }
            }
            // Others want to go on too.
            tokio::task::yield_now().await;
        }
        let index = self.service.stores.search_index.clone();
        index::rule_out(&index, mailbox.account(), &queries, &mut undecided).await?;
        undecided.retain(|one| test.outcome_by_text(&Known::new(&needles, one.ruled_out)) != Some(false));
        hits.seen = total - undecided.len();
        for page in undecided.chunks(PAGE_MESSAGES) {
            self.show_progress(hits.seen, Some(total)).await?;
            hits.seen += page.len();
            let uids: Vec<u32> = page.iter().map(|one| one.uid).collect();
            for message in self.load(&uids).await? {
                let place = page.binary_search_by_key(&message.uid.0, |one| one.uid);
                let ruled_out = place.ok().and_then(|place| page.get(place)).map_or(0, |one| one.ruled_out);
                if hunt.is_hit(&message, ruled_out).await? {
                    hits.add(message.uid, message.modseq);
                }
            }
            tokio::task::yield_now().await;
        }
        hits.uids.sort_unstable();
        Ok(hits)
    }

    /// Finds what can be found without the messages' records; returns those that are left as well.
    async fn sift(
        &mut self,
        test: &Test,
        uids: Vec<u32>,
        wants_modseq: bool,
    ) -> Result<(Hits, Vec<u32>), Refusal> {
        match test.outcome_of_all() {
            Some(true) if !wants_modseq => return Ok((Hits { uids, ..Hits::default() }, Vec::new())),
            Some(false) => return Ok((Hits::default(), Vec::new())),
            _ => {}
        }
        let selected = self.selected()?;
        let (mailbox, count) = (selected.mailbox, selected.view.count());
        // To list a mailbox costs what is in it.
        let is_few =
            uids.len().saturating_mul(LISTED_SHARE_MIN) < usize::try_from(count).unwrap_or(usize::MAX);
        if is_few || !(test.asks_list() || wants_modseq) {
            return Ok((Hits::default(), uids));
        }
        let (mut hits, mut left) = (Hits::default(), Vec::new());
        let listing = self.mailboxes().listing(mailbox).await?;
        for message in listing.among(&uids) {
            match test.outcome_by_list(message) {
                Some(true) => hits.add(message.uid, message.modseq),
                Some(false) => {}
                None => left.push(message.uid.0),
            }
        }
        Ok((hits, left))
    }

    fn answer_search(
        &mut self,
        tag: String,
        by_uid: bool,
        returned: Option<SearchReturn>,
        keys: &[SearchKey],
        hits: &Hits,
    ) -> Result<(), Refusal> {
        let selected = self.selected()?;
        let view = &selected.view;
        let numbers: Vec<u32> = if by_uid {
            hits.uids.clone()
        } else {
            hits.uids.iter().filter_map(|uid| view.number(*uid)).collect()
        };
        // RFC 7162 §3.1.5
        let modseq = mentions_modseq(keys).then_some(hits.modseq).filter(|_| !numbers.is_empty());
        let rev2 = self.machine.enabled().rev2;
        let returned = match returned {
            None if !rev2 => {
                self.machine.data(&Data::Search { numbers, modseq });
                return Ok(());
            }
            // RFC 9051 §6.4.4
            None => SearchReturn { all: true, ..SearchReturn::default() },
            Some(returned) => returned,
        };
        if returned.save {
            self.selected()?.saved = saved(returned, &hits.uids);
        }
        // RFC 5182 §2.4: who only saves is told nothing.
        let tells =
            returned.min || returned.max || returned.all || returned.count || returned.partial.is_some();
        if tells {
            let all = returned.all.then(|| Found::Ascending(numbers.iter().copied().collect()));
            let partial = returned.partial.map(|range| {
                let numbers = part(range, &numbers);
                (range, Found::Ascending(numbers.iter().copied().collect()))
            });
            self.machine.data(&Data::ESearch(Box::new(ESearch {
                tag,
                uid: by_uid,
                min: numbers.first().copied().filter(|_| returned.min),
                max: numbers.last().copied().filter(|_| returned.max),
                count: returned.count.then_some(numbers.len() as u64),
                all,
                partial,
                modseq,
            })));
        }
        Ok(())
    }
}

/// What is looked for, and where.
struct Hunt<'a> {
    mailboxes: Mailboxes,
    mailbox: MailboxId,
    test: &'a Test,
    needles: &'a [Needle],
}

impl Hunt<'_> {
    async fn is_hit(&self, message: &StoredMessage, ruled_out: u64) -> Result<bool, StoreError> {
        let mut known = Known::new(self.needles, ruled_out);
        for step in text::steps(self.needles, self.test.asks_date()) {
            if let Some(outcome) = self.test.outcome(message, &known) {
                return Ok(outcome);
            }
            let (mailboxes, mailbox) = (&self.mailboxes, self.mailbox);
            match text::read_text(mailboxes, mailbox, message, self.needles, *step, &mut known).await {
                // It went while we were looking.
                Err(StoreError::NotFound) => return Ok(false),
                outcome => outcome?,
            }
        }
        Ok(self.test.outcome(message, &known).unwrap_or(false))
    }
}

/// RFC 5182 §2.1: with MIN or MAX and nothing else to be returned, only those.
fn saved(returned: SearchReturn, uids: &[u32]) -> NumberSet {
    if returned.all || returned.count || returned.partial.is_some() || !(returned.min || returned.max) {
        return uids.iter().copied().collect();
    }
    let ends = [uids.first().filter(|_| returned.min), uids.last().filter(|_| returned.max)];
    ends.into_iter().flatten().copied().collect()
}

/// RFC 9394 §3.1
pub(super) fn part(range: PartialRange, numbers: &[u32]) -> &[u32] {
    let place = |number: std::num::NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
    let (first, last) = (place(range.first) - 1, place(range.last).min(numbers.len()));
    let (from, to) = if range.from_end {
        (numbers.len() - last, numbers.len().saturating_sub(first))
    } else {
        (first, last)
    };
    numbers.get(from..to).unwrap_or_default()
}

fn mentions_modseq(keys: &[SearchKey]) -> bool {
    keys.iter().any(|key| match key {
        SearchKey::ModSeq(_) => true,
        SearchKey::Not(key) => mentions_modseq(std::slice::from_ref(key)),
        SearchKey::Or(either) => {
            mentions_modseq(std::slice::from_ref(&either.0))
                || mentions_modseq(std::slice::from_ref(&either.1))
        }
        SearchKey::And(keys) => mentions_modseq(keys),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_many_results() {
        let range = |first: u32, last: u32, from_end| PartialRange {
            first: first.try_into().unwrap(),
            last: last.try_into().unwrap(),
            from_end,
        };
        let numbers = [2, 4, 6, 8];
        assert_eq!(part(range(1, 2, false), &numbers), [2, 4]);
        assert_eq!(part(range(3, 9, false), &numbers), [6, 8]);
        assert!(part(range(5, 9, false), &numbers).is_empty());
        assert_eq!(part(range(1, 2, true), &numbers), [6, 8]);
        assert_eq!(part(range(4, 9, true), &numbers), [2]);
        assert!(part(range(5, 9, true), &numbers).is_empty());
    }

    #[test]
    fn what_a_search_saves() {
        let returned =
            |min, max, count| SearchReturn { min, max, count, save: true, ..SearchReturn::default() };
        assert_eq!(saved(returned(true, true, false), &[3, 4, 5]).to_string(), "3,5");
        assert_eq!(saved(returned(true, false, true), &[3, 4, 5]).to_string(), "3:5");
        assert_eq!(saved(returned(false, false, false), &[3, 4]).to_string(), "3:4");
    }
}
