//! Dialogs as they are on the wire, and the promise that it does not matter how the octets arrive.

mod dialogs;
mod limits;
mod scram;
mod splits;

use std::{collections::VecDeque, time::Instant};

use mail::scram::ScramVerifier;

use super::{Config, Event, IDLE_TIMEOUT_MIN, MaildropEntry, MaildropListing, Server, Tls};
use crate::{
    machine::{Machine, Step},
    sasl::{NONCE_BYTES, TokenHint},
};

/// A driver with one account, alice with the password "open sesame", and what happened to it.
struct Driver {
    server: Server,
    now: Instant,
    messages: Vec<(u32, Vec<u8>)>,
    reading: Option<(Vec<u8>, usize)>,
    chunk_bytes: usize,
    locked: bool,
    output: Vec<u8>,
    writes: Vec<usize>,
    committed: Option<Vec<u32>>,
    ended: Option<Ended>,
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    WantsTls,
}

fn config() -> Config {
    Config {
        hostname: "mx.example.org".into(),
        tls: Tls::Unavailable,
        allow_plaintext_auth: true,
        idle_timeout: IDLE_TIMEOUT_MIN,
    }
}

impl Driver {
    fn new(config: Config) -> Self {
        let messages = vec![
            (3, b"Subject: one\r\n\r\n.hidden\r\nbody\r\n".to_vec()),
            (7, b"Subject: two\r\n\r\n1\r\n2\r\n3\r\n".to_vec()),
        ];
        Self {
            server: Server::new(config),
            now: Instant::now(),
            messages,
            reading: None,
            chunk_bytes: 5,
            locked: false,
            output: Vec::new(),
            writes: Vec::new(),
            committed: None,
            ended: None,
        }
    }

    fn push(&mut self, octets: &[u8]) {
        if self.ended.is_none() {
            self.server.push(octets);
            self.run();
        }
    }

    /// Polls until the machine wants input or ends.
    fn run(&mut self) {
        while self.ended.is_none() {
            match self.server.poll(self.now) {
                Step::Event(event) => self.answer(event),
                Step::Write(octets) => {
                    self.writes.push(octets.len());
                    self.output.extend(octets);
                }
                Step::NeedInput => return,
                Step::StartTls => self.ended = Some(Ended::WantsTls),
                Step::Close => self.ended = Some(Ended::Closed),
            }
        }
    }

    fn answer(&mut self, event: Event) {
        match event {
            Event::Authenticate(credentials) => {
                let right = credentials.authentication_id == "alice" && credentials.password == "open sesame";
                match right {
                    true if self.locked => self.server.answer_locked(),
                    true => self.server.answer_authenticated(&self.listing()),
                    false => self.server.answer_authentication_failed(),
                }
            }
            Event::ScramVerifier(user) if user.authentication_id == "down" => {
                self.server.answer_unavailable();
            }
            Event::ScramVerifier(user) => {
                let verifier = match user.authentication_id.as_str() {
                    "alice" => ScramVerifier::derive(user.hash, "open sesame", b"salt", 4096),
                    name => ScramVerifier::of_nobody(user.hash, name, b"server secret"),
                };
                self.server.answer_scram_verifier(verifier, &[0; NONCE_BYTES]);
            }
            Event::Scram(outcome) if outcome.proven => self.server.answer_authenticated(&self.listing()),
            // The certificate is alice's.
            Event::External(name) if ["", "alice"].contains(&name.as_str()) => {
                self.server.answer_authenticated(&self.listing());
            }
            Event::Token(token) if token.token == "good" => self.server.answer_authenticated(&self.listing()),
            Event::Token(_) => self.server.answer_token_refused(&TokenHint::default()),
            Event::Scram(_) | Event::External(_) => self.server.answer_authentication_failed(),
            Event::Retrieve { uid } => match self.messages.iter().find(|(candidate, _)| *candidate == uid) {
                Some((_, content)) => {
                    self.reading = Some((content.clone(), 0));
                    self.answer_chunk();
                }
                None => self.server.answer_content_gone(),
            },
            Event::MoreContent => self.answer_chunk(),
            Event::Commit { deleted } => {
                self.committed = Some(deleted);
                self.server.answer_committed();
            }
        }
    }

    fn answer_chunk(&mut self) {
        let (content, offset) = self.reading.as_mut().unwrap();
        let rest = &content[*offset..];
        if rest.is_empty() {
            return self.server.answer_content_end();
        }
        let chunk = rest[..rest.len().min(self.chunk_bytes)].to_vec();
        *offset += chunk.len();
        self.server.answer_content(&chunk);
    }

    fn listing(&self) -> MaildropListing {
        let entry =
            |(uid, content): &(u32, Vec<u8>)| MaildropEntry { octets: content.len() as u64, uid: *uid };
        MaildropListing { uid_validity: 77, entries: self.messages.iter().map(entry).collect() }
    }

    /// Plays `C:` lines and compares `S:` lines; before each `C:` everything the server said was expected.
    fn converse(&mut self, dialog: &str) {
        self.run();
        let mut said = self.take_lines();
        for line in dialog.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            if let Some(text) = line.strip_prefix("C:") {
                assert_eq!(said, VecDeque::<String>::new(), "said before {line:?}");
                self.push(format!("{}\r\n", text.strip_prefix(' ').unwrap_or(text)).as_bytes());
                said = self.take_lines();
            } else {
                let text =
                    line.strip_prefix("S:").unwrap_or_else(|| panic!("{line:?} is no line of a dialog"));
                let expected = text.strip_prefix(' ').unwrap_or(text);
                assert_eq!(said.pop_front().as_deref(), Some(expected), "at {line:?}");
            }
        }
        assert_eq!(said, VecDeque::<String>::new(), "said at the end");
    }

    fn take_lines(&mut self) -> VecDeque<String> {
        let text = String::from_utf8(std::mem::take(&mut self.output)).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"));
        text.split_terminator("\r\n").map(str::to_owned).collect()
    }
}

/// The driver after this dialog.
fn dialog(config: Config, text: &str) -> Driver {
    let mut driver = Driver::new(config);
    driver.converse(text);
    driver
}
