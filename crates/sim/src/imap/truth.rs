//! What all clients of one account were told, and what must hold of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use mail::QueueId;
use tokio::time::Instant;

use crate::{
    letter::{self, Read},
    reader::{Fate, Fetched, Seen},
};

/// A UID with the UIDVALIDITY it is of.
pub(super) type Place = (u32, u32);

/// The octets of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content(u64);

/// Mailboxes that come and go; what is in them may go with them.
const PASSING: &str = "Tmp";

impl Content {
    pub(super) fn of(octets: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        octets.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// Nobody deletes it: it is moved and copied only. The others may go at any moment, as a copy of one that is to be
    /// deleted is to be deleted too.
    pub(super) fn is_kept(self) -> bool {
        self.0.is_multiple_of(2)
    }
}

pub(super) fn is_passing(mailbox: &str) -> bool {
    mailbox.starts_with(PASSING)
}

/// What is known of the messages of one content.
#[derive(Debug)]
struct Known {
    read: Read,
    queue_id: Option<QueueId>,
    /// Copies that were asked for, whatever came of it, and those that were acknowledged.
    asked: usize,
    copied: usize,
}

/// What became of a place or a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    There,
    /// Somebody was to take it away, or may at any moment, with whatever outcome.
    Perhaps,
    /// Told to be gone then.
    Gone(Instant),
}

#[derive(Debug)]
struct Mailbox {
    /// As it was last seen.
    name: String,
    state: State,
    /// When somebody first heard of it.
    known: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) account: String,
    pub(super) wrong: Vec<String>,
    contents: BTreeMap<Place, Content>,
    places: BTreeMap<Place, State>,
    known: BTreeMap<Content, Known>,
    mailboxes: BTreeMap<u32, Mailbox>,
    /// Messages of one APPEND.
    together: Vec<Vec<Content>>,
}

impl Truth {
    pub(super) fn of(account: &str) -> Self {
        Self { account: account.to_owned(), ..Self::default() }
    }

    pub(super) fn complain(&mut self, what: &str) {
        let complaint = format!("IMAP {}: {what}", self.account);
        self.wrong.push(complaint);
    }

    /// Somebody is to append these, all of them or none.
    pub(super) fn appending(&mut self, letters: &[String]) {
        for letter in letters {
            self.meet(Content::of(letter.as_bytes()), letter.as_bytes(), None);
        }
        self.together.push(letters.iter().map(|letter| Content::of(letter.as_bytes())).collect());
    }

    fn meet(&mut self, content: Content, octets: &[u8], queue_id: Option<QueueId>) {
        let known = self.known.entry(content).or_insert_with(|| Known {
            read: letter::read(&String::from_utf8_lossy(octets)),
            queue_id: None,
            asked: 0,
            copied: 0,
        });
        known.queue_id = known.queue_id.or(queue_id);
    }

    pub(super) fn content(&self, place: Place) -> Option<Content> {
        self.contents.get(&place).copied()
    }

    /// The message was fetched by a command of that time.
    pub(super) fn fetched(&mut self, place: Place, octets: &[u8], queue_id: Option<QueueId>, since: Instant) {
        let content = Content::of(octets);
        self.meet(content, octets, queue_id);
        self.is_at(content, place);
        self.saw(place, since);
    }

    /// The place has a message of that content.
    pub(super) fn is_at(&mut self, content: Content, place: Place) {
        if let Some(before) = self.contents.insert(place, content)
            && before != content
        {
            let [before, now] = [before, content].map(|it| self.name(it));
            self.complain(&format!("UID {} of {} was {before}, and is {now}", place.1, place.0));
        }
        let state = if content.is_kept() { State::There } else { State::Perhaps };
        self.places.entry(place).or_insert(state);
    }

    fn name(&self, content: Content) -> String {
        self.known.get(&content).map_or_else(|| format!("{content:?}"), |known| known.read.to_string())
    }

    /// A command of that time was told of this message.
    pub(super) fn saw(&mut self, place: Place, since: Instant) {
        let state = self.places.get(&place).copied();
        let mailbox = self.mailboxes.get(&place.0).map(|it| it.state);
        for state in [state, mailbox].into_iter().flatten() {
            if matches!(state, State::Gone(at) if at < since) {
                self.complain(&format!("UID {} of {} is back: {}", place.1, place.0, self.at(place)));
            }
        }
    }

    fn at(&self, place: Place) -> String {
        self.content(place).map_or_else(|| "never fetched".to_owned(), |content| self.name(content))
    }

    /// Somebody may take these messages away from now on.
    pub(super) fn leaving(&mut self, places: &[Place]) {
        for place in places {
            let state = self.places.entry(*place).or_insert(State::There);
            if *state == State::There {
                *state = State::Perhaps;
            }
        }
    }

    /// Told to be gone.
    pub(super) fn gone(&mut self, place: Place) {
        let is_passing = self.mailboxes.get(&place.0).is_some_and(|it| it.state != State::There);
        let state = self.places.entry(place).or_insert(State::Perhaps);
        let is_lost = *state == State::There && !is_passing;
        if !matches!(state, State::Gone(_)) {
            *state = State::Gone(Instant::now());
        }
        if is_lost {
            self.complain(&format!("UID {} of {} went by itself: {}", place.1, place.0, self.at(place)));
        }
    }

    /// Somebody asks for copies of these.
    pub(super) fn copying(&mut self, contents: &[Content]) {
        for content in contents {
            if let Some(known) = self.known.get_mut(content) {
                known.asked += 1;
            }
        }
    }

    /// A COPY (or MOVE) was acknowledged with this pair.
    pub(super) fn transferred(&mut self, from: Place, to: Place, moved: bool) {
        let Some(content) = self.content(from) else {
            return self
                .complain(&format!("COPYUID names UID {} of {}, which was not meant", from.1, from.0));
        };
        self.is_at(content, to);
        if moved {
            self.gone(from);
        } else if let Some(known) = self.known.get_mut(&content) {
            known.copied += 1;
        }
    }

    /// All mailboxes with their names, as a command of that time was told.
    pub(super) fn listed(&mut self, names: &BTreeMap<String, u32>, since: Instant) {
        let validities: BTreeSet<u32> = names.values().copied().collect();
        if validities.len() < names.len() {
            self.complain(&format!("two mailboxes have one UIDVALIDITY: {names:?}"));
        }
        let mut wrong = Vec::new();
        // Who asked before it was known may have asked before it was there.
        for (validity, known) in self.mailboxes.iter_mut().filter(|(_, it)| it.known <= since) {
            let (is_listed, name) = (validities.contains(validity), &known.name);
            match known.state {
                State::There if !is_listed => wrong.push(format!("mailbox {name} of {validity} is lost")),
                State::Perhaps if !is_listed => known.state = State::Gone(Instant::now()),
                State::Gone(at) if is_listed && at < since => {
                    wrong.push(format!("the deleted mailbox {name} of {validity} is back"));
                }
                _ => {}
            }
        }
        for wrong in &wrong {
            self.complain(wrong);
        }
        for (name, validity) in names {
            self.opened(name, *validity);
        }
    }

    /// There is a mailbox of that name.
    pub(super) fn opened(&mut self, name: &str, validity: u32) {
        let state = if is_passing(name) { State::Perhaps } else { State::There };
        let known = Instant::now();
        let mailbox = self.mailboxes.entry(validity).or_insert(Mailbox { name: String::new(), state, known });
        name.clone_into(&mut mailbox.name);
    }

    /// At the end, with everything that a new client sees.
    pub(super) fn audit(&mut self, there: &BTreeMap<Place, Content>) {
        let mut wrong = Vec::new();
        for (place, state) in &self.places {
            let stays = self.mailboxes.get(&place.0).is_some_and(|it| it.state == State::There);
            if *state == State::There && stays && !there.contains_key(place) {
                wrong.push(format!("UID {} of {} is lost: {}", place.1, place.0, self.at(*place)));
            }
        }
        let mut counts: BTreeMap<Content, usize> = BTreeMap::new();
        for content in there.values() {
            *counts.entry(*content).or_default() += 1;
        }
        let known_places: BTreeSet<Content> = self.contents.values().copied().collect();
        for (content, known) in &self.known {
            let count = counts.get(content).copied().unwrap_or_default();
            let least =
                if content.is_kept() && known_places.contains(content) { 1 + known.copied } else { 0 };
            if !(least..=1 + known.asked).contains(&count) {
                let [asked, copied] = [known.asked, known.copied];
                wrong.push(format!(
                    "{} is there {count} times; {asked} copies were asked for, {copied} acknowledged",
                    known.read
                ));
            }
        }
        for letters in &self.together {
            let kept: Vec<_> = letters.iter().filter(|content| content.is_kept()).collect();
            let present = kept.iter().filter(|content| counts.contains_key(content)).count();
            if present != 0 && present != kept.len() {
                wrong.push(format!("of {} messages of one APPEND there are {present}", kept.len()));
            }
        }
        for wrong in &wrong {
            self.complain(wrong);
        }
    }

    /// What the clients saw of INBOX, for those who ask where delivered mail ended.
    pub(super) fn inbox(&mut self) -> Seen {
        let is_inbox = |validity: &u32| self.mailboxes.get(validity).is_some_and(|it| it.name == "INBOX");
        let mut messages = BTreeMap::new();
        for (place, state) in self.places.iter().filter(|(place, _)| is_inbox(&place.0)) {
            let known = self.contents.get(place).and_then(|content| self.known.get(content));
            let Some(known) = known.filter(|known| known.queue_id.is_some()) else { continue };
            let fate = match state {
                State::There => Fate::Kept,
                State::Perhaps => Fate::Perhaps,
                State::Gone(_) => Fate::Deleted,
            };
            let fetched = Fetched { queue_id: known.queue_id, read: known.read.clone(), fate };
            messages.insert(place.1, fetched);
        }
        Seen { account: self.account.clone(), messages, wrong: std::mem::take(&mut self.wrong) }
    }
}
