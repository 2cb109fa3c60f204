//! Commands that ask for waiting mail: ETRN (RFC 1985), ATRN (RFC 2645) and TURN (RFC 821 §3.8).

use mail::{Domain, Reply};

use super::{
    Decision, Flavour, Server,
    state::{Question, State},
    texts,
};
use crate::smtp::{command::CommandError, turn};

impl Server {
    pub(super) fn handle_etrn(&mut self, argument: &str) {
        if !self.config.extensions.etrn {
            return self.reply_error(&texts::not_served());
        }
        if !self.session.esmtp {
            return self.reply_error(&texts::bad_sequence("say EHLO first"));
        }
        // RFC 1985 §5.2
        if self.transaction.is_some() {
            return self.reply_error(&texts::bad_sequence("ETRN has no place in a transaction"));
        }
        match argument.parse() {
            Ok(target) => self.state = State::Deciding(Question::Etrn(Box::new(target))),
            Err(turn::NotANode) => self.reply_error(&texts::not_a_command(&CommandError::Arguments)),
        }
    }

    /// Answers `Event::Etrn`, with a code of RFC 1985 §5.1: 250 to 253, 458 or 459.
    pub fn answer_etrn(&mut self, reply: &Reply) {
        if matches!(self.state, State::Deciding(Question::Etrn(_))) {
            self.state = State::Command;
            self.reply(reply);
        }
    }

    pub(super) fn handle_atrn(&mut self, argument: &str) {
        if self.config.flavour != Flavour::Odmr {
            return self.reply_error(&texts::not_served());
        }
        // RFC 2645 §5.2
        if self.session.identity.is_none() {
            return self.reply_error(&texts::needs_auth());
        }
        match turn::atrn_domains(argument) {
            Ok(domains) => self.ask_for_turn(domains),
            Err(turn::NotANode) => self.reply_error(&texts::not_a_command(&CommandError::Arguments)),
        }
    }

    pub(super) fn handle_turn(&mut self) {
        if !self.config.extensions.turn {
            return self.reply_error(&texts::not_served());
        }
        // RFC 5321 app. F.1: only where the client is known for sure.
        if !self.may_turn() {
            return self.reply_error(&texts::bad_sequence("TURN wants STARTTLS and AUTH first"));
        }
        if self.transaction.is_some() {
            return self.reply_error(&texts::bad_sequence("TURN has no place in a transaction"));
        }
        self.ask_for_turn(Vec::new());
    }

    pub(super) fn may_turn(&self) -> bool {
        self.session.tls && self.session.identity.is_some()
    }

    /// What stands behind the command already was said before the roles could change, so it is no server's greeting.
    fn ask_for_turn(&mut self, domains: Vec<Domain>) {
        if self.input.is_empty() {
            self.state = State::Deciding(Question::Turn(domains));
        } else {
            self.reply_error(&texts::bad_sequence("wait for the reply before the roles change"));
        }
    }

    /// Answers `Event::Turn`. Once accepted, and with the reply written, `Event::Turned` follows.
    pub fn answer_turn(&mut self, decision: Decision) {
        if !matches!(self.state, State::Deciding(Question::Turn(_))) {
            return;
        }
        self.state = State::Command;
        match decision {
            Decision::Accept(reply) => {
                self.reply(&reply.unwrap_or_else(texts::turning));
                self.state = State::Turned;
            }
            Decision::Reject(reply) => self.reply(&reply),
        }
    }
}
