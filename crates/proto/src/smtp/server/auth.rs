//! AUTH (RFC 4954).

use mail::{Reply, scram::ScramVerifier};

use super::{
    Decision, Server, TokenAnswer,
    state::{Question, State},
    texts,
};
use crate::sasl::{self, DecodeError, Mechanism, Nonce, SaslServer, SaslStep};

impl Server {
    /// RFC 4954 §4: PLAIN and LOGIN show the password, so they belong under TLS.
    pub(super) fn passwords_allowed(&self) -> bool {
        self.session.tls || self.config.plaintext_auth
    }

    pub(super) fn handle_auth(&mut self, mechanism: &str, initial_response: Option<&str>) {
        if !self.config.auth {
            return self.reply_error(&texts::not_served());
        }
        if !self.session.esmtp {
            return self.reply_error(&texts::bad_sequence("say EHLO first"));
        }
        if self.session.identity.is_some() {
            return self.reply_error(&texts::bad_sequence("you are authenticated already"));
        }
        if self.transaction.is_some() {
            return self.reply_error(&texts::bad_sequence("AUTH has no place in a transaction"));
        }
        let known = Mechanism::parse(mechanism.as_bytes());
        let Some(mechanism) = known.filter(|mechanism| mechanism.fits(&self.channel)) else {
            return self.reply_error(&texts::unknown_mechanism());
        };
        if mechanism.shows_password() && !self.passwords_allowed() {
            return self.reply_error(&texts::needs_encryption());
        }
        match initial_response.map(|response| sasl::decode_initial_response(response.as_bytes())).transpose()
        {
            Ok(response) => {
                let (exchange, step) =
                    SaslServer::start(mechanism, response.as_deref(), &self.channel.binding);
                self.take_sasl_step(Box::new(exchange), step);
            }
            Err(error) => self.reply_decode_error(error),
        }
    }

    pub(super) fn handle_sasl_response(&mut self, mut exchange: Box<SaslServer>, line: &[u8]) {
        match sasl::decode_line(line) {
            Ok(Some(response)) => {
                let step = exchange.response(&response);
                self.take_sasl_step(exchange, step);
            }
            Ok(None) => self.reply_error(&texts::auth_cancelled()),
            Err(error) => self.reply_decode_error(error),
        }
    }

    fn take_sasl_step(&mut self, exchange: Box<SaslServer>, step: SaslStep) {
        match step {
            SaslStep::Challenge(challenge) => {
                self.reply(&Reply::plain(334, sasl::encode(&challenge)));
                self.state = State::SaslResponse(exchange);
            }
            SaslStep::Credentials(credentials) => {
                self.state = State::Deciding(Question::Authenticate(Box::new(credentials)));
            }
            SaslStep::ScramUser(user) => {
                self.state = State::Deciding(Question::ScramVerifier(Box::new(user), exchange));
            }
            SaslStep::Token(token) => {
                self.state = State::Deciding(Question::Token(Box::new(token), exchange));
            }
            SaslStep::TokenRefused => self.refuse_auth(&texts::wrong_token()),
            SaslStep::ScramDone(outcome) => {
                self.state = State::Deciding(Question::Scram(Box::new(outcome)));
            }
            SaslStep::External(authorization_id) => {
                self.state = State::Deciding(Question::External(authorization_id.into()));
            }
            SaslStep::Malformed => self.reply_error(&texts::bad_sasl_message()),
        }
    }

    fn reply_decode_error(&mut self, error: DecodeError) {
        let reply = match error {
            DecodeError::TooLong => texts::sasl_line_too_long(),
            DecodeError::NotBase64 => texts::not_base64(),
        };
        self.reply_error(&reply);
    }

    /// Answers `Event::ScramVerifier`: with the user's verifier, or one that stands in where there is no such user, and
    /// a nonce never used before; or with 454 4.7.0 if it could not be read.
    pub fn answer_scram_verifier(&mut self, answer: Result<(ScramVerifier, Nonce), Reply>) {
        if !matches!(self.state, State::Deciding(Question::ScramVerifier(..))) {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Command);
        let State::Deciding(Question::ScramVerifier(_, mut exchange)) = state else { return };
        match answer {
            Ok((verifier, nonce)) => {
                let step = exchange.verifier(verifier, &nonce);
                self.take_sasl_step(exchange, step);
            }
            Err(reply) => self.reply(&reply),
        }
    }

    /// Answers `Event::External`: with the name of the account that the certificate leads to, or a rejection as for
    /// `answer_auth`.
    pub fn answer_external(&mut self, answer: Result<String, Reply>) {
        if !matches!(self.state, State::Deciding(Question::External(_))) {
            return;
        }
        self.state = State::Command;
        match answer {
            Ok(identity) => {
                self.session.identity = Some(identity.into());
                self.reply(&texts::authenticated());
            }
            Err(reply) => self.refuse_auth(&reply),
        }
    }

    /// Answers `Event::Authenticate` and `Event::Scram`. Reject with 535 5.7.8 for wrong credentials whatever is wrong with them, with 454
    /// 4.7.0 if they could not be checked.
    pub fn answer_auth(&mut self, decision: Decision) {
        let (authorization_id, authentication_id, may_succeed) = match &self.state {
            State::Deciding(Question::Authenticate(credentials)) => {
                (&credentials.authorization_id, &credentials.authentication_id, true)
            }
            State::Deciding(Question::Scram(outcome)) => {
                (&outcome.user.authorization_id, &outcome.user.authentication_id, outcome.proven)
            }
            _ => return,
        };
        let identity = if authorization_id.is_empty() { authentication_id } else { authorization_id };
        let identity = identity.as_str().into();
        self.state = State::Command;
        match decision {
            Decision::Accept(reply) if may_succeed => {
                self.session.identity = Some(identity);
                self.reply(&reply.unwrap_or_else(texts::authenticated));
            }
            Decision::Accept(_) => self.refuse_auth(&texts::wrong_credentials()),
            Decision::Reject(reply) => self.refuse_auth(&reply),
        }
    }

    /// Answers `Event::Token`.
    pub fn answer_token(&mut self, answer: TokenAnswer) {
        if !matches!(self.state, State::Deciding(Question::Token(..))) {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Command);
        let State::Deciding(Question::Token(_, mut exchange)) = state else { return };
        match answer {
            TokenAnswer::Accepted(identity) => {
                self.session.identity = Some(identity.into());
                self.reply(&texts::authenticated());
            }
            TokenAnswer::Refused(hint) => {
                let step = exchange.refuse_token(&hint);
                self.take_sasl_step(exchange, step);
            }
            TokenAnswer::Deferred(reply) => self.refuse_auth(&reply),
        }
    }

    fn refuse_auth(&mut self, reply: &Reply) {
        let failures = self.counters.auth_failures.saturating_add(1);
        self.counters.auth_failures = failures;
        self.reply(reply);
        if failures >= self.config.limits.auth_failures_max {
            self.reply(&texts::too_many_errors());
        }
    }
}
