//! The server's side: RFC 5321, with PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), CHUNKING and BINARYMIME
//! (3030), ENHANCEDSTATUSCODES (2034), STARTTLS (3207), AUTH (4954), SMTPUTF8 (6531), DSN (3461), LIMITS (9422), REQUIRETLS
//! (8689), RRVS (7293), NO-SOLICITING (3865), MTRK (3885) and ETRN (1985); as LMTP RFC 2033, as ODMR RFC 2645.
//!
//! Choices where the standards leave some: a space behind the colon of MAIL and RCPT passes; AUTH outlives EHLO but
//! not STARTTLS; STARTTLS and AUTH are refused within a transaction; 8-bit content passes without BODY=8BITMIME;
//! lines of text may have any length; NUL in text is refused.

mod auth;
mod burl;
mod config;
mod content;
mod dispatch;
mod event;
mod greeting;
mod help;
mod proxied;
mod session;
mod state;
mod texts;
mod transaction;
mod turn;

use std::{sync::Arc, time::Instant};

use bytes::BytesMut;
pub use config::{Config, Extensions, Flavour, HoldMax, Limits, StartTls};
pub use event::{Abort, Decision, Event, Inquiry, MailRequest, TokenAnswer};
use mail::{Envelope, Reply};
use session::{Counters, Transaction};
pub use session::{Session, Tally};
use state::{Pause, Progress, State};

use super::line::LineReader;
use crate::{
    machine::{Machine, Step},
    sasl::Channel,
};

/// Replies are handed over once there are this many octets of them, even in the middle of a pipelined group.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// One session, from the greeting to the end. Holds little while it waits for a command.
#[derive(Debug)]
pub struct Server {
    config: Arc<Config>,
    extensions: Extensions,
    session: Session,
    transaction: Option<Box<Transaction>>,
    state: State,
    input: BytesMut,
    lines: LineReader,
    output: Vec<u8>,
    counters: Counters,
    tally: Tally,
    channel: Channel,
    /// To be told before anything else.
    aborted: Option<Abort>,
    /// There while we wait for the client.
    deadline: Option<Instant>,
    input_ended: bool,
    shutting_down: bool,
}

impl Server {
    /// `tls`: TLS is active already (implicit TLS, RFC 8314 §3.3).
    pub fn new(config: Arc<Config>, tls: bool) -> Self {
        Self {
            extensions: config.extensions,
            config,
            session: Session { tls, ..Session::default() },
            transaction: None,
            state: State::Greeting,
            input: BytesMut::new(),
            lines: LineReader::default(),
            output: Vec::new(),
            counters: Counters::default(),
            tally: Tally::default(),
            channel: Channel::default(),
            aborted: None,
            deadline: None,
            input_ended: false,
            shutting_down: false,
        }
    }

    /// A session that takes no mail: it greets with this 5yz reply and then answers 503 until QUIT (RFC 5321 §3.1), or
    /// with the greeting if that is 521 (RFC 7504 §3).
    pub fn refusing(config: Arc<Config>, tls: bool, greeting: Reply) -> Self {
        Self { state: State::RefusingGreeting(Box::new(greeting)), ..Self::new(config, tls) }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The transaction so far; `None` outside of one. In `Event::Mail` it is not there yet.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.transaction.as_ref().map(|transaction| &transaction.envelope)
    }

    /// What this session announces; at first what the configuration says. Best changed during `Event::Hello`.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// Octets of content of the present message so far.
    pub fn content_octets(&self) -> u64 {
        self.transaction
            .as_ref()
            .and_then(|transaction| transaction.content.as_ref())
            .map_or(0, |content| content.octets)
    }

    /// The server stops: content that has begun is finished, then the client is told with 421 and the session closed
    /// (RFC 5321 §3.8).
    pub fn shutdown(&mut self) {
        self.shutting_down = true;
    }

    /// What the client did so far, for those who count over many sessions.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Ends the session with this 421 reply if the client may speak now; in the middle of something it does nothing.
    pub fn dismiss(&mut self, reply: &Reply) {
        if matches!(self.state, State::Command | State::Refusing(_)) {
            self.reply(reply);
            self.close();
        }
    }

    /// TLS is there, and the session starts over without a greeting (RFC 3207 §4.2).
    pub fn handle_tls_established(&mut self) {
        if matches!(self.state, State::StartingTls) {
            self.session = Session { tls: true, ..Session::default() };
            self.state = State::Command;
        }
    }

    /// What the TLS connection gives to SASL: the mechanisms with `-PLUS` and EXTERNAL. To be set as soon as TLS is
    /// there; without it they are not offered.
    pub fn set_channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// The handshake failed; nothing can be said on this connection any more.
    pub fn handle_tls_failed(&mut self) {
        self.state = State::Closing;
    }

    fn reply(&mut self, reply: &Reply) {
        reply.write(&mut self.output);
        if reply.code == 421 {
            self.close();
        }
    }

    /// A reply to a command that should not have come; too many of them end the session.
    fn reply_error(&mut self, reply: &Reply) {
        self.tally.faults = self.tally.faults.saturating_add(1);
        self.counters.errors = self.counters.errors.saturating_add(1);
        if self.counters.errors >= self.config.limits.errors_max {
            return self.reply(&texts::too_many_errors());
        }
        self.reply(reply);
    }

    fn close(&mut self) {
        self.drop_transaction(Abort::Reset);
        self.input = BytesMut::new();
        self.state = State::Closing;
    }

    fn drop_transaction(&mut self, reason: Abort) {
        if let Some(content) = self.transaction.take().and_then(|transaction| transaction.content)
            && content.aborted.is_none()
        {
            self.aborted = Some(reason);
        }
    }
}

impl Machine for Server {
    type Event = Event;

    fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    fn push_end(&mut self) {
        self.input_ended = true;
    }

    fn poll(&mut self, now: Instant) -> Step<Event> {
        loop {
            if let Some(reason) = self.aborted.take() {
                return Step::Event(Event::ContentAborted(reason));
            }
            if self.output.len() >= OUTPUT_BYTES_MAX {
                return Step::Write(std::mem::take(&mut self.output));
            }
            match self.advance(now) {
                Progress::More => {}
                Progress::Event(event) => return Step::Event(event),
                Progress::Pause(_) if self.aborted.is_some() => {}
                Progress::Pause(_) if !self.output.is_empty() => {
                    return Step::Write(std::mem::take(&mut self.output));
                }
                Progress::Pause(Pause::Input) => return Step::NeedInput,
                Progress::Pause(Pause::Tls) => return Step::StartTls,
                Progress::Pause(Pause::Turned) => {
                    self.close();
                    return Step::Event(Event::Turned);
                }
                Progress::Pause(Pause::Close) => return Step::Close,
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

#[cfg(test)]
pub(crate) mod tests;
