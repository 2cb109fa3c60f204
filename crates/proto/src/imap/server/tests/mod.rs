//! Dialogs as they are on the wire, and the promise that it does not matter how the octets arrive.

mod appends;
mod dialogs;
mod limits;
mod logins;
mod splits;

use std::time::{Duration, Instant};

use mail::scram::ScramVerifier;

use super::{
    super::{
        command::{Command, Section},
        response::{Code, Condition, ContentName, Data, FetchData, Status},
    },
    *,
};
use crate::{
    machine::{Machine, Step, Tls},
    sasl::{NONCE_BYTES, TokenHint},
};

fn config() -> Config {
    Config {
        hostname: "mx.example.org".into(),
        tls: Tls::Unavailable,
        allow_plaintext_auth: true,
        idle_timeout: IDLE_TIMEOUT_MIN,
        login_timeout: Duration::from_mins(3),
        append_bytes_max: 1000,
        message_limit: None,
        extensions: Extensions::all(),
    }
}

/// A driver with one account, alice with the password "sesame", a mailbox that answers little, and what happened.
struct Driver {
    server: Server,
    now: Instant,
    output: Vec<u8>,
    writes: usize,
    /// Commands and messages that came through, in order.
    heard: Vec<String>,
    content: Vec<u8>,
    /// What an expunge during the next commands met.
    expunges: Vec<bool>,
    body: Vec<u8>,
    ended: Option<Ended>,
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    WantsTls,
}

impl Driver {
    fn new(config: Config) -> Self {
        Self {
            server: Server::new(config),
            now: Instant::now(),
            output: Vec::new(),
            writes: 0,
            heard: Vec::new(),
            content: Vec::new(),
            expunges: Vec::new(),
            body: b"From: a\r\n\r\nbody".to_vec(),
            ended: None,
        }
    }

    fn logged_in() -> Self {
        let mut driver = Self::new(config());
        driver.push(b"l LOGIN alice sesame\r\n");
        driver.output.clear();
        driver
    }

    fn selected() -> Self {
        let mut driver = Self::logged_in();
        driver.push(b"s SELECT INBOX\r\n");
        driver.output.clear();
        driver.heard.clear();
        driver
    }

    /// What is said to this.
    fn say(&mut self, wire: &str) -> String {
        self.output.clear();
        self.push(wire.as_bytes());
        self.said()
    }

    fn said(&self) -> String {
        String::from_utf8(self.output.clone()).unwrap()
    }

    fn push(&mut self, octets: &[u8]) {
        self.run();
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
                    self.writes += 1;
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
                match (credentials.authentication_id.as_str(), credentials.password.as_str()) {
                    ("alice", "sesame") => self.server.answer_authenticated(),
                    ("down", _) => self.server.answer_unavailable(),
                    ("held", _) => self.server.answer_held(),
                    _ => self.server.answer_authentication_failed(),
                }
            }
            Event::ScramVerifier(user) => {
                let verifier = match user.authentication_id.as_str() {
                    "alice" => ScramVerifier::derive(user.hash, "sesame", b"salt", 4096),
                    name => ScramVerifier::of_nobody(user.hash, name, b"server secret"),
                };
                self.server.answer_scram_verifier(verifier, &[0; NONCE_BYTES]);
            }
            Event::Scram(_) | Event::External(_) => self.server.answer_authenticated(),
            Event::Token(token) if token.token == "good" => self.server.answer_authenticated(),
            Event::Token(_) => self.server.answer_token_refused(&TokenHint::default()),
            Event::Command(tagged) => self.carry_out(&tagged.command),
            Event::More => self.go_on(),
            Event::IdleEnded => {
                self.heard.push("idle ended".to_owned());
                self.server.complete(&Status::ok("idled"));
            }
            Event::Append(event) => self.append(event),
            Event::Unauthenticate => self.server.answer_unauthenticated(),
            Event::StartCompression => {
                self.heard.push("compress".to_owned());
                self.server.handle_compression_started();
            }
        }
    }

    fn carry_out(&mut self, command: &Command) {
        let name = format!("{command:?}");
        self.heard.push(name.split([' ', '(', '{']).next().unwrap().to_owned());
        let done = match command {
            Command::Idle => return,
            // Its answer is written piece by piece.
            Command::Fetch { .. } => {
                self.server.start_fetch(1);
                self.server.fetch_item(&FetchData::Uid(7));
                let name = ContentName::Body { section: &Section::default(), origin: None };
                let octets = u64::try_from(self.body.len()).unwrap();
                self.server.start_content(&name, octets, false);
                return;
            }
            Command::Select(select) if select.mailbox.as_str() == "none" => {
                Status::no(Code::NonExistent, "no such mailbox")
            }
            Command::Search { .. } => {
                let told = self.server.data(&Data::Expunge(1));
                self.expunges.push(told);
                self.server.data(&Data::Search { numbers: vec![2], modseq: None });
                Status::ok("searched")
            }
            _ => {
                let told = self.server.data(&Data::Expunge(1));
                self.expunges.push(told);
                Status::ok("done")
            }
        };
        self.server.complete(&done);
    }

    fn go_on(&mut self) {
        let done = self.body.len() - usize::try_from(self.server.content_left()).unwrap();
        let piece = &self.body[done..(done + 5000).min(self.body.len())];
        self.server.content(piece);
        if self.server.content_left() == 0 {
            self.server.end_fetch();
            self.server.complete(&Status::ok("fetched"));
        }
    }

    fn append(&mut self, event: AppendEvent) {
        let heard = match event {
            AppendEvent::Octets(octets) => return self.content.extend_from_slice(&octets),
            AppendEvent::Literal { octets } => {
                self.server.go_ahead();
                format!("literal {octets}")
            }
            AppendEvent::End => {
                self.server.complete(&Status::ok("appended"));
                "end".to_owned()
            }
            AppendEvent::Start(start) if start.mailbox.as_str() == "none" => {
                self.server.refuse_append(Status::no(Code::TryCreate, "no such mailbox"));
                "refused".to_owned()
            }
            AppendEvent::Start(start) => format!("append to {}", start.mailbox),
            AppendEvent::Message(message) => format!("message with {} flags", message.flags.len()),
            AppendEvent::Url(url) => format!("url {url}"),
            AppendEvent::MessageEnd => {
                let content = String::from_utf8_lossy(&std::mem::take(&mut self.content)).into_owned();
                format!("message {content:?}")
            }
            AppendEvent::Aborted => "aborted".to_owned(),
        };
        self.heard.push(heard);
    }
}
