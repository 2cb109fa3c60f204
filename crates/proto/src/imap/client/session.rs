use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use super::{
    event::{Config, Event, Listed},
    handshake::{Handshake, Next},
    reader::Reader,
    response::{self, Response, Status, Word},
};
use crate::machine::{Machine, Step};

/// Octets of a response beside those of a message.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// Mailboxes that are remembered while they are listed.
const MAILBOXES_MAX: usize = 10_000;
/// Responses nobody asked for, between two that somebody did.
const UNWANTED_MAX: usize = 100_000;

/// One session. Give one command at a time, after [`Event::Ready`], [`Event::Done`] or [`Event::Refused`].
#[derive(Debug)]
pub struct Client {
    reader: Reader,
    state: State,
    handshake: Handshake,
    patience: std::time::Duration,
    deadline: Option<Instant>,
    tag: u32,
    /// The rest of a command, each part after a continuation.
    parts: VecDeque<Vec<u8>>,
    output: Vec<u8>,
    events: VecDeque<Event>,
    /// Mailboxes, until it is known which are subscribed.
    listed: Vec<Listed>,
    subscribed: BTreeSet<Vec<u8>>,
    opened: (u32, Option<u32>),
    unwanted: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    StartingTls,
    Idle,
    Listing,
    Subscriptions,
    Opening,
    Fetching,
    LoggingOut,
    Over,
}

impl Client {
    pub fn new(config: Config) -> Self {
        let response_bytes_max = config.message_bytes_max.saturating_add(RESPONSE_BYTES_MAX);
        Self {
            reader: Reader::new(response_bytes_max),
            state: State::Handshake,
            patience: config.patience,
            handshake: Handshake::new(config),
            deadline: None,
            tag: 0,
            parts: VecDeque::new(),
            output: Vec::new(),
            events: VecDeque::new(),
            listed: Vec::new(),
            subscribed: BTreeSet::new(),
            opened: (0, None),
            unwanted: 0,
        }
    }

    /// Every mailbox: [`Event::Listed`] for each.
    pub fn list(&mut self) {
        let extended = self.handshake.has("LIST-EXTENDED") || self.handshake.has("IMAP4REV2");
        let special = self.handshake.has("SPECIAL-USE") || self.handshake.has("IMAP4REV2");
        let command = match (extended, special) {
            (true, true) => "LIST \"\" \"*\" RETURN (SUBSCRIBED SPECIAL-USE)",
            (true, false) => "LIST \"\" \"*\" RETURN (SUBSCRIBED)",
            (false, _) => "LIST \"\" \"*\"",
        };
        self.command(State::Listing, vec![command.as_bytes().to_vec()]);
    }

    /// Opens a mailbox without changing anything in it: [`Event::Opened`].
    pub fn open(&mut self, wire_name: &[u8]) {
        self.opened = (0, None);
        let plain = |octet: &u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\');
        let parts = if wire_name.iter().all(plain) {
            vec![[b"EXAMINE \"", wire_name, b"\""].concat()]
        } else {
            vec![format!("EXAMINE {{{}}}", wire_name.len()).into_bytes(), wire_name.to_vec()]
        };
        self.command(State::Opening, parts);
    }

    /// UID, size, date and flags of messages by number: [`Event::Fetched`] for each.
    pub fn fetch_summaries(&mut self, first: u32, last: u32) {
        let command = format!("FETCH {first}:{last} (UID RFC822.SIZE INTERNALDATE FLAGS)");
        self.command(State::Fetching, vec![command.into_bytes()]);
    }

    /// The messages themselves, by UID.
    pub fn fetch_bodies(&mut self, uids: &[u32]) {
        let uids: Vec<String> = uids.iter().map(u32::to_string).collect();
        let command = format!("UID FETCH {} (UID BODY.PEEK[])", uids.join(","));
        self.command(State::Fetching, vec![command.into_bytes()]);
    }

    /// Says goodbye; then the machine closes.
    pub fn log_out(&mut self) {
        self.command(State::LoggingOut, vec![b"LOGOUT".to_vec()]);
    }

    pub fn handle_tls_established(&mut self) {
        if self.state == State::StartingTls {
            self.state = State::Handshake;
            let next = self.handshake.tls_established();
            self.carry_out(next);
        }
    }

    pub fn handle_tls_failed(&mut self, why: &str) {
        self.fail(format!("TLS failed: {why}"));
    }

    fn command(&mut self, state: State, parts: Vec<Vec<u8>>) {
        if self.state == State::Over {
            return;
        }
        self.state = state;
        self.send(parts);
    }

    fn send(&mut self, parts: Vec<Vec<u8>>) {
        self.tag += 1;
        self.output.extend_from_slice(format!("a{} ", self.tag).as_bytes());
        self.parts = parts.into();
        self.next_part();
    }

    fn next_part(&mut self) {
        if let Some(part) = self.parts.pop_front() {
            self.output.extend_from_slice(&part);
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn fail(&mut self, why: String) {
        if self.state != State::Over {
            self.state = State::Over;
            self.events.push_back(Event::Failed(why));
        }
    }

    fn carry_out(&mut self, next: Next) {
        match next {
            Next::Send(parts) => self.send(parts),
            Next::Write(octets) => self.output.extend_from_slice(&octets),
            Next::StartTls => self.state = State::StartingTls,
            Next::Ready => {
                self.state = State::Idle;
                self.events.push_back(Event::Ready);
            }
            Next::Wait => {}
            Next::Fail(why) => self.fail(why),
        }
    }

    fn take(&mut self, response: Response) {
        if let Response::Tagged { tag, .. } = &response
            && *tag != format!("a{}", self.tag).into_bytes()
        {
            return self.fail("the server answers what nobody asked".to_owned());
        }
        if matches!(response, Response::Continue(_)) && !self.parts.is_empty() {
            return self.next_part();
        }
        if self.state == State::Handshake {
            let next = self.handshake.take(response);
            return self.carry_out(next);
        }
        match response {
            Response::Untagged(Word::Bye, status) if self.state != State::LoggingOut => {
                self.fail(format!("the server says {}", status.text));
            }
            Response::List(listed) if self.state == State::Listing => {
                if self.listed.len() < MAILBOXES_MAX {
                    self.listed.push(listed);
                } else {
                    self.fail("the server has too many mailboxes".to_owned());
                }
            }
            Response::Subscribed(name) if self.state == State::Subscriptions => {
                if self.subscribed.len() < MAILBOXES_MAX {
                    self.subscribed.insert(name);
                }
            }
            Response::Exists(messages) if self.state == State::Opening => self.opened.0 = messages,
            Response::Untagged(_, Status { uid_validity: Some(validity), .. })
                if self.state == State::Opening =>
            {
                self.opened.1 = Some(validity);
            }
            Response::Fetch(fetched) if self.state == State::Fetching => {
                self.events.push_back(Event::Fetched(fetched));
            }
            Response::Tagged { word, status, .. } => self.completed(word, status),
            _ => {
                self.unwanted += 1;
                if self.unwanted > UNWANTED_MAX {
                    self.fail("the server talks without end".to_owned());
                }
                return;
            }
        }
        self.unwanted = 0;
    }

    fn completed(&mut self, word: Word, status: Status) {
        let ended = std::mem::replace(&mut self.state, State::Idle);
        self.parts.clear();
        match (ended, word) {
            (State::LoggingOut, _) => self.state = State::Over,
            (State::Listing, Word::Ok)
                if !self.handshake.has("LIST-EXTENDED") && !self.handshake.has("IMAP4REV2") =>
            {
                self.command(State::Subscriptions, vec![b"LSUB \"\" \"*\"".to_vec()]);
            }
            // A server without LSUB has told enough.
            (State::Listing, Word::Ok) | (State::Subscriptions, _) => self.tell_listed(),
            (_, Word::Ok) => {
                if ended == State::Opening {
                    let (messages, uid_validity) = (self.opened.0, self.opened.1.unwrap_or(0));
                    self.events.push_back(Event::Opened { messages, uid_validity });
                }
                self.events.push_back(Event::Done);
            }
            _ => self.events.push_back(Event::Refused(status.text)),
        }
    }

    fn tell_listed(&mut self) {
        let subscribed = std::mem::take(&mut self.subscribed);
        for listed in std::mem::take(&mut self.listed) {
            let subscribed = listed.subscribed || subscribed.contains(&listed.wire_name);
            self.events.push_back(Event::Listed(Listed { subscribed, ..listed }));
        }
        self.events.push_back(Event::Done);
    }
}

impl Machine for Client {
    type Event = Event;

    fn push(&mut self, bytes: &[u8]) {
        self.deadline = None;
        if self.state != State::Over {
            self.reader.push(bytes);
        }
    }

    fn push_end(&mut self) {
        if self.state == State::LoggingOut {
            self.state = State::Over;
        }
        self.fail("the server closed the connection".to_owned());
    }

    fn poll(&mut self, now: Instant) -> Step<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            if self.state == State::Over {
                return Step::Close;
            }
            if !self.output.is_empty() {
                self.deadline = None;
                return Step::Write(std::mem::take(&mut self.output));
            }
            if self.state == State::StartingTls {
                self.reader.clear();
                return Step::StartTls;
            }
            match self.reader.next() {
                Ok(Some(raw)) => self.take(response::parse(&raw)),
                Ok(None) if self.deadline.is_some_and(|deadline| deadline <= now) => {
                    self.fail("the server says nothing".to_owned());
                }
                Ok(None) => {
                    self.deadline.get_or_insert(now + self.patience);
                    return Step::NeedInput;
                }
                Err(_) => self.fail("the server sends more than it announced or we asked for".to_owned()),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
