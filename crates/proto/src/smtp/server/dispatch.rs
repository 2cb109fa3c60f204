//! From input to commands, and from commands to those who carry them out.

use std::time::Instant;

use mail::Reply;

use super::{
    Abort, Flavour, Server, StartTls,
    state::{Pause, Progress, State},
    texts,
};
use crate::smtp::{
    command::{self, Command, CommandError},
    line::Line,
};

impl Server {
    pub(super) fn advance(&mut self, now: Instant) -> Progress {
        match &mut self.state {
            State::Greeting | State::RefusingGreeting(_) => self.greet(),
            State::Command | State::Refusing(_) => return self.read_line(now, command::line_bytes_max),
            State::SaslResponse(_) => return self.read_line(now, |_| mail::limits::AUTH_LINE_BYTES_MAX),
            State::Data(_) => return self.read_data(now),
            State::Chunk(chunk) => {
                let chunk = *chunk;
                return self.read_chunk(chunk, now);
            }
            State::Url(_) => return self.read_url(),
            State::RefusedChunk { .. } => return self.discard_chunk(now),
            State::Deciding(question) => {
                self.deadline = None;
                return Progress::Event(question.event());
            }
            State::StartingTls => return Progress::Pause(Pause::Tls),
            State::Turned => {
                self.deadline = None;
                return Progress::Pause(Pause::Turned);
            }
            State::Closing => {
                self.deadline = None;
                return Progress::Pause(Pause::Close);
            }
        }
        Progress::More
    }

    fn read_line(&mut self, now: Instant, bytes_max: impl Fn(&[u8]) -> usize) -> Progress {
        let Some(line) = self.lines.next(&mut self.input, bytes_max) else { return self.await_command(now) };
        self.deadline = None;
        match line {
            Line::Complete(line) => self.handle_line(&line),
            Line::BareLineEnd => self.handle_bad_line(&texts::bare_line_end_in_command()),
            Line::TooLong => self.handle_long_line(),
            Line::Flood => self.reply(&texts::flood()),
        }
        Progress::More
    }

    fn handle_line(&mut self, line: &[u8]) {
        match std::mem::replace(&mut self.state, State::Command) {
            State::SaslResponse(exchange) => self.handle_sasl_response(exchange, line),
            State::Refusing(greeting) => self.handle_refused_command(line, greeting),
            _ => self.handle_command(line),
        }
    }

    fn handle_bad_line(&mut self, reply: &mail::Reply) {
        // RFC 4954 §4: a bad answer ends the exchange.
        if matches!(self.state, State::SaslResponse(_)) {
            self.state = State::Command;
        }
        self.reply_error(reply);
    }

    fn handle_long_line(&mut self) {
        let reply = match self.state {
            State::SaslResponse(_) => texts::sasl_line_too_long(),
            _ => texts::line_too_long(),
        };
        self.handle_bad_line(&reply);
    }

    fn handle_command(&mut self, line: &[u8]) {
        self.tally.commands = self.tally.commands.saturating_add(1);
        self.counters.commands = self.counters.commands.saturating_add(1);
        if self.counters.commands > self.config.limits.commands_max {
            return self.reply(&texts::too_many_commands());
        }
        match command::parse(line) {
            Ok(command) if self.needs_tls_for(&command) => self.reply_error(&texts::needs_tls()),
            Ok(command) if self.is_for_other_services(&command) => self.reply_error(&texts::not_served()),
            Ok(command) => self.handle(command),
            Err(CommandError::Bdat { octets }) => self.handle_bad_bdat(octets),
            Err(error) => self.reply_error(&texts::not_a_command(&error)),
        }
    }

    fn handle(&mut self, command: Command<'_>) {
        match command {
            Command::Ehlo(name) => self.handle_hello(name, true, self.config.flavour != Flavour::Lmtp),
            Command::Helo(name) => self.handle_hello(name, false, self.config.flavour != Flavour::Lmtp),
            Command::Lhlo(name) => self.handle_hello(name, true, self.config.flavour == Flavour::Lmtp),
            Command::Mail { delivery, reverse_path, parameters } => {
                self.handle_mail(delivery, reverse_path, parameters);
            }
            Command::Rcpt { forward_path, parameters } => self.handle_rcpt(forward_path, parameters),
            Command::Data => self.handle_data(),
            Command::Bdat { octets, last } => self.handle_bdat(octets, last),
            Command::Burl { url, last } => self.handle_burl(url, last),
            Command::Rset => self.handle_rset(),
            Command::Noop => self.reply(&texts::ok()),
            Command::Vrfy(argument) => self.handle_vrfy(argument),
            Command::Expn(argument) => self.handle_expn(argument),
            Command::Help(topic) => self.handle_help(topic),
            Command::Quit => self.handle_quit(),
            Command::StartTls => self.handle_starttls(),
            Command::Auth { mechanism, initial_response } => self.handle_auth(mechanism, initial_response),
            Command::Xclient(argument) => self.handle_xclient(argument),
            Command::Xforward(argument) => self.handle_xforward(argument),
            Command::Etrn(argument) => self.handle_etrn(argument),
            Command::Atrn(argument) => self.handle_atrn(argument),
            Command::Turn => self.handle_turn(),
            Command::NotServed => self.reply_error(&texts::not_served()),
        }
    }

    /// RFC 3207 §4
    fn needs_tls_for(&self, command: &Command<'_>) -> bool {
        let free = matches!(
            command,
            Command::Noop | Command::Ehlo(_) | Command::Lhlo(_) | Command::StartTls | Command::Quit
        );
        self.config.starttls == StartTls::Required && !self.session.tls && !free
    }

    /// RFC 2645 §5.4: where mail is fetched none is taken.
    fn is_for_other_services(&self, command: &Command<'_>) -> bool {
        let is_served = matches!(
            command,
            Command::Ehlo(_)
                | Command::Helo(_)
                | Command::Lhlo(_)
                | Command::StartTls
                | Command::Auth { .. }
                | Command::Atrn(_)
                | Command::Rset
                | Command::Noop
                | Command::Help(_)
                | Command::Quit
        );
        self.config.flavour == Flavour::Odmr && !is_served
    }

    /// RFC 5321 §3.1: after a refusing greeting the server waits for QUIT.
    fn handle_refused_command(&mut self, line: &[u8], greeting: Box<Reply>) {
        if command::parse(line) == Ok(Command::Quit) {
            return self.handle_quit();
        }
        // RFC 7504 §3: a host that never takes mail says so each time.
        let never = greeting.code == 521;
        let reply = if never { Reply::clone(&greeting) } else { texts::no_service() };
        self.state = State::Refusing(greeting);
        self.reply_error(&reply);
    }

    fn handle_quit(&mut self) {
        self.reply(&texts::closing());
        self.close();
    }

    fn await_command(&mut self, now: Instant) -> Progress {
        let between_chunks =
            self.transaction.as_ref().is_some_and(|transaction| transaction.content.is_some());
        if self.shutting_down && !between_chunks {
            self.reply(&texts::shutting_down());
            return Progress::More;
        }
        let limits = &self.config.limits;
        let command_by = now + limits.command_timeout;
        let deadline = *self.deadline.get_or_insert(command_by);
        let content = self.transaction.as_mut().and_then(|transaction| transaction.content.as_mut());
        let deadline = content.map_or(deadline, |content| content.deadline(limits, now).min(deadline));
        self.await_input(deadline, now)
    }

    /// Waits for the client until `deadline`.
    pub(super) fn await_input(&mut self, deadline: Instant, now: Instant) -> Progress {
        if self.input_ended {
            self.drop_transaction(Abort::Closed);
            self.close();
            return Progress::More;
        }
        if now >= deadline {
            self.drop_transaction(Abort::TimedOut);
            self.reply(&texts::timed_out());
            return Progress::More;
        }
        if self.input.is_empty() {
            self.input = bytes::BytesMut::new();
        }
        self.deadline = Some(deadline);
        Progress::Pause(Pause::Input)
    }
}
