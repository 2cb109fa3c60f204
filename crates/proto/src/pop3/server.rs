//! The session as a whole: what it is doing, and how lines go in and replies go out.

use std::time::Instant;

use bytes::BytesMut;
use mail::limits::AUTH_LINE_BYTES_MAX;

use super::{
    BAD_COMMANDS_MAX, Config, Event, IDLE_TIMEOUT_MIN, OUTPUT_BYTES_MAX,
    command::{self, Command, CommandError},
    content::ContentWriter,
    line::{Line, LineBuffer},
    maildrop::{Column, Maildrop},
};
use crate::{
    machine::{Machine, Step},
    sasl::{Channel, Exchange},
};

/// One POP3 session, from the greeting to the end. Holds little while it waits.
#[derive(Debug)]
pub struct Server {
    pub(super) config: Config,
    pub(super) input: LineBuffer,
    pub(super) output: Vec<u8>,
    pub(super) activity: Activity,
    pub(super) login: Login,
    pub(super) channel: Channel,
    /// There once the client has logged in: the TRANSACTION state.
    pub(super) maildrop: Option<Maildrop>,
    bad_commands: u32,
    input_ended: bool,
    shutting_down: bool,
    /// There while we wait for the client.
    deadline: Option<Instant>,
}

/// What the session is doing. Those that answer an [`Event`] stay until the answer is given.
#[derive(Debug)]
pub(super) enum Activity {
    Greeting,
    AwaitingCommand,
    LoggingIn(Exchange),
    Listing { column: Column, next: u32 },
    Retrieving(Retrieval),
    Committing,
    StartingTls,
    Closing,
}

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Retrieval {
    pub(super) uid: u32,
    pub(super) octets: u64,
    pub(super) started: bool,
    pub(super) writer: ContentWriter,
}

/// How far the AUTHORIZATION state has come.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// From USER, until PASS follows.
    pub(super) user: Option<String>,
    /// RFC 6856 §2.1
    pub(super) utf8: bool,
    pub(super) failures: u32,
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
    Close,
}

impl Server {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            input: LineBuffer::default(),
            output: Vec::new(),
            activity: Activity::Greeting,
            login: Login::default(),
            channel: Channel::default(),
            maildrop: None,
            bad_commands: 0,
            input_ended: false,
            shutting_down: false,
            deadline: None,
        }
    }

    /// The server stops: what was begun is finished, then the client is told and the session closed. Deletions
    /// without QUIT are not carried out.
    pub fn handle_shutdown(&mut self) {
        self.shutting_down = true;
    }

    fn advance(&mut self) -> Progress {
        match &self.activity {
            Activity::Greeting => self.greet(),
            Activity::AwaitingCommand => return self.read_line(),
            Activity::LoggingIn(exchange) => match exchange.question() {
                Some(question) => return Progress::Event(question.into()),
                None => return self.read_line(),
            },
            Activity::Listing { column, next } => self.write_listing(*column, *next),
            Activity::Retrieving(retrieval) => return Progress::Event(retrieval.event()),
            Activity::Committing => {
                let deleted = self.maildrop.as_ref().map(Maildrop::deleted).unwrap_or_default();
                return Progress::Event(Event::Commit { deleted });
            }
            Activity::StartingTls => return Progress::Pause(Pause::Tls),
            Activity::Closing => return Progress::Pause(Pause::Close),
        }
        Progress::More
    }

    fn greet(&mut self) {
        // RFC 1939 §7: a greeting without a timestamp in angle brackets says that there is no APOP.
        let hostname = self.config.hostname.clone();
        self.reply_ok(&format!("{hostname} POP3 server ready"));
        self.activity = Activity::AwaitingCommand;
    }

    fn read_line(&mut self) -> Progress {
        let in_sasl = matches!(self.activity, Activity::LoggingIn(_));
        let bytes_max =
            |line: &[u8]| if in_sasl { AUTH_LINE_BYTES_MAX } else { command::line_bytes_max(line) };
        let Some(line) = self.input.next(bytes_max) else { return self.await_input() };
        self.deadline = None;
        match line {
            Line::Complete(line) => self.handle_line(&line),
            Line::TooLong => {
                self.activity = Activity::AwaitingCommand;
                self.reply_bad_command("the line is too long");
            }
            Line::Flood => self.reply_and_close("the line is too long"),
        }
        Progress::More
    }

    fn await_input(&mut self) -> Progress {
        if self.input_ended {
            self.activity = Activity::Closing;
        } else if self.shutting_down {
            self.reply_and_close("[SYS/TEMP] the server is shutting down");
        } else {
            return Progress::Pause(Pause::Input);
        }
        Progress::More
    }

    fn handle_line(&mut self, line: &BytesMut) {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::LoggingIn(exchange) => self.handle_sasl_line(exchange, line),
            _ => match command::parse(line) {
                Ok(command) => self.handle_command(&command),
                Err(error @ CommandError::Http) => self.reply_and_close(&error.to_string()),
                Err(error) => self.reply_bad_command(&error.to_string()),
            },
        }
    }

    fn handle_command(&mut self, command: &Command<'_>) {
        // RFC 1939 §4: PASS follows USER at once.
        let user = self.login.user.take();
        match *command {
            Command::Quit => self.handle_quit(),
            Command::Capa => self.write_capabilities(),
            Command::Lang(range) => self.handle_lang(range),
            Command::User(name) if self.maildrop.is_none() => self.handle_user(name),
            Command::Pass(password) if self.maildrop.is_none() => self.handle_pass(user, password),
            Command::Auth { mechanism, initial_response } if self.maildrop.is_none() => {
                self.handle_auth(mechanism, initial_response);
            }
            Command::Stls if self.maildrop.is_none() => self.handle_stls(),
            Command::Utf8 if self.maildrop.is_none() => self.handle_utf8(),
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } | Command::Stls | Command::Utf8 => {
                self.reply_bad_command("you are logged in already");
            }
            _ => self.handle_transaction_command(command),
        }
    }

    pub(super) fn reply_ok(&mut self, text: &str) {
        self.write_line(&format!("+OK {text}"));
    }

    pub(super) fn reply_error(&mut self, text: &str) {
        self.write_line(&format!("-ERR {text}"));
    }

    /// Counts, so that a client that talks nonsense is cut off.
    pub(super) fn reply_bad_command(&mut self, text: &str) {
        self.bad_commands = self.bad_commands.saturating_add(1);
        if self.bad_commands >= BAD_COMMANDS_MAX {
            return self.reply_and_close("too many bad commands");
        }
        self.reply_error(text);
    }

    pub(super) fn reply_and_close(&mut self, text: &str) {
        self.reply_error(text);
        self.activity = Activity::Closing;
    }

    pub(super) fn write_line(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn pause(&mut self, pause: &Pause, now: Instant) -> Step<Event> {
        match pause {
            Pause::Input => {
                let timeout = self.config.idle_timeout.max(IDLE_TIMEOUT_MIN);
                let deadline = *self.deadline.get_or_insert_with(|| now.checked_add(timeout).unwrap_or(now));
                if now < deadline {
                    return Step::NeedInput;
                }
                // RFC 1939 §3: no reply, and nothing is removed.
                self.activity = Activity::Closing;
                Step::Close
            }
            Pause::Tls => Step::StartTls,
            Pause::Close => Step::Close,
        }
    }
}

impl Machine for Server {
    type Event = Event;

    fn push(&mut self, bytes: &[u8]) {
        // RFC 2595 §4: what came in clear with or after STLS is not part of the session.
        if !matches!(self.activity, Activity::StartingTls | Activity::Closing) {
            self.input.push(bytes);
        }
    }

    fn push_end(&mut self) {
        self.input_ended = true;
    }

    fn poll(&mut self, now: Instant) -> Step<Event> {
        loop {
            if self.output.len() >= OUTPUT_BYTES_MAX {
                return Step::Write(std::mem::take(&mut self.output));
            }
            match self.advance() {
                Progress::More => {}
                Progress::Event(event) => {
                    self.deadline = None;
                    return Step::Event(event);
                }
                Progress::Pause(_) if !self.output.is_empty() => {
                    return Step::Write(std::mem::take(&mut self.output));
                }
                Progress::Pause(pause) => return self.pause(&pause, now),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}
