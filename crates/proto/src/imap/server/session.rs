//! The session as a whole: what it is doing, and how octets go in and out.

use std::time::Instant;

use mail::limits::AUTH_LINE_BYTES_MAX;

use super::{
    super::{
        command::{Command, Tagged},
        error::CommandError,
        reader::{Item, Limits, RawLine, Reader},
        response::{Code, Condition, Encoder, Status},
    },
    BAD_COMMANDS_MAX, COMMAND_BYTES_MAX, COMMAND_BYTES_MAX_BEFORE_LOGIN, Config, Enabled, Event,
    IDLE_TIMEOUT_MIN, LITERAL_MINUS_BYTES_MAX, OUTPUT_BYTES_MAX, SKIPPED_BYTES_MAX,
    append::Append,
};
use crate::{
    machine::{Machine, Step},
    sasl::{Channel, Exchange},
};

/// One IMAP session, from the greeting to the end. Holds little while it waits.
#[derive(Debug)]
pub struct Server {
    pub(super) config: Config,
    pub(super) reader: Reader,
    pub(super) encoder: Encoder,
    pub(super) activity: Activity,
    pub(super) phase: Phase,
    pub(super) enabled: Enabled,
    pub(super) channel: Channel,
    pub(super) login_failures: u32,
    pub(super) compressed: bool,
    /// The client has asked to hear of expunges between commands (RFC 5465 §5.1).
    pub(super) expunges_any_time: bool,
    pub(super) bad_commands: u32,
    flush: bool,
    input_ended: bool,
    shutting_down: bool,
    /// There while we wait for the client.
    pub(super) deadline: Option<Instant>,
    /// By when it has to have logged in.
    pub(super) login_deadline: Option<Instant>,
}

/// RFC 9051 §3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    NotAuthenticated,
    Authenticated,
    Selected,
}

/// What the session is doing. Those that answer an [`Event`] stay until the answer is given.
#[derive(Debug)]
pub(super) enum Activity {
    Greeting,
    AwaitingCommand,
    /// Boxed, like others: a session that waits should be small.
    LoggingIn {
        tag: String,
        exchange: Exchange,
    },
    Starting(Box<Tagged>, Running),
    Running(Running),
    Idling(Running),
    IdleEnded(Running),
    Appending(Box<Append>),
    Unauthenticating {
        tag: String,
    },
    StartingTls,
    StartingCompression,
    Closing,
}

/// A command that the driver carries out.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) tag: String,
    pub(super) kind: Kind,
}

/// What its end does to the session, and what may be told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// If it succeeds, a mailbox is selected.
    Select,
    /// If it succeeds, none is any more.
    Deselect,
    /// Message numbers are being spoken of, so they must not change (RFC 9051 §7.5.1).
    Numbers,
    Other,
}

/// What a step of the session leads to.
pub(super) enum Progress {
    More,
    Event(Event),
    Pause(Pause),
}

/// What the session waits for once its output is written.
pub(super) enum Pause {
    Input,
    Tls,
    Compression,
    Close,
}

impl Server {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            reader: Reader::new(),
            encoder: Encoder::default(),
            activity: Activity::Greeting,
            phase: Phase::NotAuthenticated,
            enabled: Enabled::default(),
            channel: Channel::default(),
            login_failures: 0,
            compressed: false,
            expunges_any_time: false,
            bad_commands: 0,
            flush: false,
            input_ended: false,
            shutting_down: false,
            deadline: None,
            login_deadline: None,
        }
    }

    /// The server stops: what was begun is finished, then the client is told and the session closed.
    pub fn handle_shutdown(&mut self) {
        self.shutting_down = true;
    }

    /// What is written so far goes out at the next poll.
    pub fn flush(&mut self) {
        self.flush = true;
    }

    fn advance(&mut self) -> Progress {
        match &mut self.activity {
            Activity::Greeting => self.greet(),
            Activity::AwaitingCommand => return self.read_command(),
            Activity::LoggingIn { exchange, .. } => match exchange.question() {
                Some(question) => return Progress::Event(question.into()),
                None => return self.read_sasl_line(),
            },
            Activity::Starting(..) => return self.start(),
            Activity::Running(_) => return Progress::Event(Event::More),
            Activity::Idling(_) => return self.read_done(),
            Activity::IdleEnded(running) => {
                self.activity = Activity::Running(running.clone());
                return Progress::Event(Event::IdleEnded);
            }
            Activity::Appending(_) => return self.advance_append(),
            Activity::Unauthenticating { .. } => return Progress::Event(Event::Unauthenticate),
            Activity::StartingTls => return Progress::Pause(Pause::Tls),
            Activity::StartingCompression => return Progress::Pause(Pause::Compression),
            Activity::Closing => return Progress::Pause(Pause::Close),
        }
        Progress::More
    }

    fn greet(&mut self) {
        let text = format!("{} IMAP server ready", self.config.hostname);
        let status = Status::ok(&text).with(Code::Capability(self.capabilities()));
        self.encoder.status("*", &status);
        self.activity = Activity::AwaitingCommand;
    }

    fn start(&mut self) -> Progress {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::Starting(tagged, running) => {
                let is_idle = tagged.command == Command::Idle;
                self.activity = if is_idle { Activity::Idling(running) } else { Activity::Running(running) };
                Progress::Event(Event::Command(*tagged))
            }
            other => {
                self.activity = other;
                Progress::More
            }
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let before_login = self.phase == Phase::NotAuthenticated;
        let message = if before_login { 0 } else { self.config.append_bytes_max };
        Limits {
            command_bytes: if before_login { COMMAND_BYTES_MAX_BEFORE_LOGIN } else { COMMAND_BYTES_MAX },
            unsolicited_literal_bytes: if before_login { LITERAL_MINUS_BYTES_MAX } else { u64::MAX },
            skipped_bytes: SKIPPED_BYTES_MAX.saturating_add(message.saturating_mul(2)),
            utf8: self.enabled.utf8(),
        }
    }

    fn read_command(&mut self) -> Progress {
        let Some(item) = self.reader.next(&self.limits()) else { return self.await_input() };
        match item {
            Item::Command(tagged) => self.handle_command(tagged),
            Item::Bad { tag, error } => self.handle_bad(tag.as_deref(), error),
            Item::Continue => self.encoder.continuation("go ahead"),
            Item::Append(item) => self.begin_append(item),
            // There is none without an APPEND.
            Item::Refused => {}
            Item::Flood => self.say_bye(Code::Limit, "that is too long"),
        }
        Progress::More
    }

    fn read_done(&mut self) -> Progress {
        let is_done = |line: &[u8]| line.trim_ascii_end().eq_ignore_ascii_case(b"DONE");
        if self.reader.line_if(DONE_BYTES_MAX, is_done).is_none() {
            return self.await_input();
        }
        // RFC 2177 §3 allows DONE alone. Some clients go on with the next command; it ends IDLE as well.
        self.deadline = None;
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::Idling(running) => self.activity = Activity::IdleEnded(running),
            other => self.activity = other,
        }
        Progress::More
    }

    pub(super) fn await_input(&mut self) -> Progress {
        if self.input_ended {
            self.activity = Activity::Closing;
        } else if self.shutting_down && self.reader.is_between_commands() {
            self.say_bye(Code::Unavailable, "the server is shutting down");
        } else {
            return Progress::Pause(Pause::Input);
        }
        Progress::More
    }

    pub(super) fn sasl_line(&mut self) -> Option<RawLine> {
        self.reader.next_line(AUTH_LINE_BYTES_MAX)
    }

    pub(super) fn handle_bad(&mut self, tag: Option<&str>, error: CommandError) {
        let text = error.to_string();
        let status = match error {
            CommandError::MailboxName => Status::no(Code::Cannot, &text),
            CommandError::Charset => Status::no(Code::BadCharset, &text),
            CommandError::SpecialUse => Status::no(Code::UseAttr, &text),
            CommandError::Event => Status::no(Code::BadEvent(known_events()), &text),
            CommandError::Cancelled => Status { condition: Condition::No, ..Status::bad(&text) },
            CommandError::TooLong | CommandError::LiteralTooLong => Status::bad(&text).with(Code::TooBig),
            _ => Status::bad(&text),
        };
        self.answer(tag.unwrap_or("*"), &status);
    }

    /// The tagged answer that ends a command; BAD counts, so that a client that talks nonsense is cut off.
    pub(super) fn answer(&mut self, tag: &str, status: &Status) {
        self.encoder.status(tag, status);
        self.deadline = None;
        if status.condition != Condition::Bad {
            self.bad_commands = 0;
            return;
        }
        self.bad_commands += 1;
        if self.bad_commands >= BAD_COMMANDS_MAX {
            self.say_bye(Code::ClientBug, "too many bad commands");
        }
    }

    pub(super) fn say_bye(&mut self, code: Code, text: &str) {
        self.encoder.status("*", &Status::new(Condition::Bye, Some(code), text));
        self.activity = Activity::Closing;
    }

    fn pause(&mut self, pause: &Pause, now: Instant) -> Step<Event> {
        match pause {
            Pause::Input => {
                let after = |timeout| now.checked_add(timeout).unwrap_or(now);
                let deadline = match self.phase {
                    Phase::NotAuthenticated => {
                        *self.login_deadline.get_or_insert_with(|| after(self.config.login_timeout))
                    }
                    Phase::Authenticated | Phase::Selected => {
                        let timeout = self.config.idle_timeout.max(IDLE_TIMEOUT_MIN);
                        *self.deadline.get_or_insert_with(|| after(timeout))
                    }
                };
                self.deadline = Some(deadline);
                if now < deadline {
                    self.encoder.rest();
                    return Step::NeedInput;
                }
                self.say_bye(Code::Unavailable, "autologout: nothing has come for too long");
                Step::Write(self.encoder.take())
            }
            Pause::Tls => Step::StartTls,
            Pause::Compression => Step::Event(Event::StartCompression),
            Pause::Close => Step::Close,
        }
    }
}

/// `DONE`, and some room for white space.
const DONE_BYTES_MAX: usize = 64;

fn known_events() -> Vec<String> {
    let names = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange \
                 ServerMetadataChange";
    names.split(' ').map(str::to_owned).collect()
}

impl Machine for Server {
    type Event = Event;

    fn push(&mut self, bytes: &[u8]) {
        // RFC 9051 §6.2.1: what came in clear with or after STARTTLS is not part of the session; nor is what came
        // uncompressed with COMPRESS.
        let switching = matches!(
            self.activity,
            Activity::StartingTls | Activity::StartingCompression | Activity::Closing
        );
        if !switching {
            self.reader.push(bytes);
        }
    }

    fn push_end(&mut self) {
        self.input_ended = true;
    }

    fn poll(&mut self, now: Instant) -> Step<Event> {
        loop {
            if self.encoder.len() >= OUTPUT_BYTES_MAX || (self.flush && !self.encoder.is_empty()) {
                self.flush = false;
                return Step::Write(self.encoder.take());
            }
            match self.advance() {
                Progress::More => {}
                Progress::Event(event) => {
                    self.deadline = None;
                    return Step::Event(event);
                }
                Progress::Pause(_) if !self.encoder.is_empty() => return Step::Write(self.encoder.take()),
                Progress::Pause(pause) => return self.pause(&pause, now),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
