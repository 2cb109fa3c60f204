//! The client's side of RFC 5321, and of LMTP (RFC 2033): greeting, EHLO, STARTTLS, AUTH, then transactions on one
//! connection, with PIPELINING (RFC 2920) and CHUNKING (RFC 3030) where the server has them.
//!
//! Replies count by their first digit, except where the standard names a code. A server that breaks the protocol gets
//! nothing more from us, and what it has not answered is to be tried again.

mod capabilities;
mod commands;
mod config;
mod content;
mod delivery;
mod event;
mod handshake;
mod limits;

use std::{collections::VecDeque, time::Duration, time::Instant};

use bytes::BytesMut;
pub use capabilities::Capabilities;
pub use config::{Config, Timeouts, TlsPolicy};
use delivery::Delivery;
pub use event::{Cause, Event, Failure, Missing, Outcome, RecipientOutcome, Stage, Transaction};
pub use limits::Limits;
use limits::Usage;
use mail::Reply;

use super::reply::ReplyReader;
use crate::{
    machine::{Machine, Step},
    sasl::SaslClient,
};

/// One connection to a server, from its greeting to our QUIT.
#[derive(Debug)]
pub struct Client {
    config: Config,
    tls: bool,
    capabilities: Capabilities,
    phase: Phase,
    /// What the commands on their way will be answered to, in order.
    expected: VecDeque<Expected>,
    delivery: Option<Box<Delivery>>,
    usage: Usage,
    /// A transaction ended in a way that may leave something behind.
    needs_rset: bool,
    input: BytesMut,
    replies: ReplyReader,
    output: Vec<u8>,
    events: VecDeque<Event>,
    /// Since when we wait for the next reply.
    waiting_since: Option<Instant>,
    deadline: Option<Instant>,
    input_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    StartingTls,
    Ready {
        told: bool,
    },
    /// RSET, MAIL, RCPT and DATA.
    Envelope,
    /// The driver gives content.
    Content,
    Quitting,
    Closing,
}

#[derive(Debug)]
enum Expected {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth(Box<SaslClient>),
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    /// The dot behind a DATA that nobody will get.
    LoneDot,
    Chunk,
    ContentEnd,
    /// LMTP's reply for one recipient.
    ContentEndFor(usize),
    Quit,
}

impl Client {
    /// `tls`: TLS is active already (implicit TLS, RFC 8314 §3.3).
    pub fn new(config: Config, tls: bool) -> Self {
        Self {
            config,
            tls,
            capabilities: Capabilities::default(),
            phase: Phase::Handshake,
            expected: VecDeque::from([Expected::Greeting]),
            delivery: None,
            usage: Usage::default(),
            needs_rset: false,
            input: BytesMut::new(),
            replies: ReplyReader::default(),
            output: Vec::new(),
            events: VecDeque::new(),
            waiting_since: None,
            deadline: None,
            input_ended: false,
        }
    }

    /// What the server announced last.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The server takes no further transaction on this connection (RFC 9422 §4.1).
    pub fn is_spent(&self) -> bool {
        self.usage.is_spent(&self.capabilities.limits)
    }

    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Says QUIT (RFC 5321 §4.1.1.10). Meant for `Ready`; in a transaction it gives that up.
    pub fn quit(&mut self) {
        if !matches!(self.phase, Phase::Quitting | Phase::Closing | Phase::StartingTls) {
            self.delivery = None;
            self.command("QUIT", Expected::Quit);
            self.phase = Phase::Quitting;
        }
    }

    fn command(&mut self, line: &str, expected: Expected) {
        commands::write_line(line, &mut self.output);
        self.expected.push_back(expected);
    }

    fn handle_reply(&mut self, reply: Reply) {
        let Some(expected) = self.expected.pop_front() else {
            let cause = if reply.code == 421 { Cause::Reply(reply) } else { Cause::Unsolicited };
            return self.fail(Stage::Ready, cause);
        };
        let (stage, all_answered) = (expected.stage(), self.expected.is_empty());
        match expected {
            Expected::Quit => self.phase = Phase::Closing,
            _ if self.phase == Phase::Quitting => {}
            // RFC 5321 §3.8
            _ if reply.code == 421 => self.fail(stage, Cause::Reply(reply)),
            Expected::Greeting => self.handle_greeting(reply),
            Expected::Ehlo => self.handle_ehlo_reply(reply),
            Expected::Helo => self.handle_helo_reply(reply),
            Expected::StartTls => self.handle_starttls_reply(reply),
            Expected::Auth(exchange) => self.handle_auth_reply(exchange, reply),
            expected => self.handle_delivery_reply(&expected, reply),
        }
        // Where all commands are answered there is nothing left to say, but that the server goes down.
        let spoke_unasked = all_answered && !self.input.is_empty() && !self.input.starts_with(b"421");
        if spoke_unasked && !matches!(self.phase, Phase::Quitting | Phase::Closing) {
            self.fail(stage, Cause::Unsolicited);
        }
    }

    /// The connection is of no use any more.
    fn fail(&mut self, stage: Stage, cause: Cause) {
        let permanent = matches!(&cause, Cause::Reply(reply) if reply.is_permanent());
        let temporary = !(permanent && matches!(stage, Stage::Greeting | Stage::Hello));
        if self.phase != Phase::Quitting {
            self.events.push_back(Event::Failed(Failure { stage, cause, temporary }));
        }
        self.delivery = None;
        self.output = Vec::new();
        self.phase = Phase::Closing;
    }

    /// As [`fail`](Self::fail), where the server behaves and we leave as we should.
    fn fail_and_quit(&mut self, stage: Stage, cause: Cause) {
        self.fail(stage, cause);
        self.expected.clear();
        self.phase = Phase::Quitting;
        self.command("QUIT", Expected::Quit);
    }

    fn stage(&self) -> Stage {
        match self.phase {
            Phase::Content => Stage::Content,
            Phase::StartingTls => Stage::StartTls,
            _ => self.expected.front().map_or(Stage::Ready, Expected::stage),
        }
    }

    fn await_reply(&mut self, now: Instant) -> Option<Step<Event>> {
        let since = *self.waiting_since.get_or_insert(now);
        self.deadline = self.expected.front().map(|expected| since + expected.timeout(&self.config.timeouts));
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.fail(self.stage(), Cause::TimedOut);
            return None;
        }
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Some(Step::NeedInput)
    }

    /// One step; `None` if there is another to take first.
    fn advance(&mut self, now: Instant) -> Option<Step<Event>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Step::Event(event));
        }
        if matches!(self.phase, Phase::Closing | Phase::StartingTls) {
            self.deadline = None;
            return Some(if self.phase == Phase::Closing { Step::Close } else { Step::StartTls });
        }
        match self.replies.next(&mut self.input) {
            Ok(Some(reply)) => {
                self.waiting_since = None;
                self.handle_reply(reply);
                return None;
            }
            Ok(None) if self.input_ended => {
                self.fail(self.stage(), Cause::Closed);
                return None;
            }
            Ok(None) => {}
            Err(error) => {
                self.fail(self.stage(), Cause::Protocol(error));
                return None;
            }
        }
        self.fill_pipeline();
        if !self.output.is_empty() {
            self.waiting_since = None;
            self.deadline = Some(now + self.config.timeouts.data_block);
            return Some(Step::Write(std::mem::take(&mut self.output)));
        }
        match self.phase {
            Phase::Ready { told: false } if self.events.is_empty() => {
                self.phase = Phase::Ready { told: true };
                Some(Step::Event(Event::Ready))
            }
            Phase::Content if self.wants_content() => {
                self.deadline = None;
                Some(Step::Event(Event::WantContent))
            }
            _ if !self.events.is_empty() || self.phase == Phase::Closing => None,
            _ => self.await_reply(now),
        }
    }
}

impl Expected {
    fn stage(&self) -> Stage {
        match self {
            Self::Greeting => Stage::Greeting,
            Self::Ehlo | Self::Helo => Stage::Hello,
            Self::StartTls => Stage::StartTls,
            Self::Auth(_) => Stage::Auth,
            Self::Rset => Stage::Rset,
            Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data | Self::LoneDot => Stage::Data,
            Self::Chunk | Self::ContentEnd | Self::ContentEndFor(_) => Stage::Content,
            Self::Quit => Stage::Quit,
        }
    }

    fn timeout(&self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::Greeting => timeouts.greeting,
            Self::Ehlo | Self::Helo | Self::StartTls | Self::Auth(_) | Self::Rset => timeouts.command,
            Self::Mail => timeouts.mail,
            Self::Rcpt(_) => timeouts.rcpt,
            Self::Data => timeouts.data,
            Self::Chunk => timeouts.data_block,
            Self::LoneDot | Self::ContentEnd | Self::ContentEndFor(_) => timeouts.data_end,
            Self::Quit => timeouts.quit,
        }
    }
}

impl Machine for Client {
    type Event = Event;

    fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    fn push_end(&mut self) {
        self.input_ended = true;
    }

    fn poll(&mut self, now: Instant) -> Step<Event> {
        loop {
            if let Some(step) = self.advance(now) {
                return step;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

#[cfg(test)]
mod tests;
