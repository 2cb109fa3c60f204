//! LOGIN and AUTHENTICATE (RFC 9051 §6.2.2, §6.2.3).

use mail::scram::ScramVerifier;

use super::{
    super::{
        command::InitialResponse,
        reader::RawLine,
        response::{Code, Status},
    },
    LOGIN_FAILURES_MAX,
    session::{Activity, Phase, Progress, Server},
};
use crate::{
    machine::Tls,
    sasl::{self, Channel, Credentials, Exchange, Mechanism, Nonce, TokenHint, Turn},
};

impl Server {
    /// What the TLS connection gives to SASL: the mechanisms with `-PLUS` and EXTERNAL. To be set as soon as TLS is
    /// there; without it they are not offered.
    pub fn set_channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// The client is who it says.
    pub fn answer_authenticated(&mut self) {
        if matches!(&self.activity, Activity::LoggingIn { exchange, .. } if !exchange.may_succeed()) {
            return self.answer_authentication_failed();
        }
        if let Some(tag) = self.end_login() {
            self.phase = Phase::Authenticated;
            let status = Status::ok("logged in").with(Code::Capability(self.capabilities()));
            self.answer(&tag, &status);
        }
    }

    /// Unknown user or wrong password: one answer for both.
    pub fn answer_authentication_failed(&mut self) {
        if let Some(tag) = self.end_login() {
            self.refuse_login(&tag);
        }
    }

    /// It could not be found out, or there is nothing to open; trying later helps.
    pub fn answer_unavailable(&mut self) {
        if let Some(tag) = self.end_login() {
            self.answer(&tag, &Status::no(Code::Unavailable, "nobody can log in now"));
        }
    }

    /// Too many logins failed before, so that this one was not looked at; trying later helps.
    pub fn answer_held(&mut self) {
        if let Some(tag) = self.end_login() {
            self.count_failure(&tag, Code::Unavailable, "too many logins failed; try again later");
        }
    }

    /// The user's verifier, or one that stands in where there is no such user, and a nonce never used before.
    pub fn answer_scram_verifier(&mut self, verifier: ScramVerifier, nonce: &Nonce) {
        self.resume(|exchange| exchange.verifier(verifier, nonce));
    }

    /// The token is not good; the client is told how to get a better one before it is told so.
    pub fn answer_token_refused(&mut self, hint: &TokenHint) {
        self.resume(|exchange| exchange.refuse_token(hint));
    }

    fn resume(&mut self, next: impl FnOnce(Exchange) -> Result<Turn, Exchange>) {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::LoggingIn { tag, exchange } => match next(exchange) {
                Ok(turn) => self.take_turn(tag, turn),
                Err(exchange) => self.activity = Activity::LoggingIn { tag, exchange },
            },
            other => self.activity = other,
        }
    }

    /// The tag, if the driver was asked about a login; it is over then.
    fn end_login(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::LoggingIn { tag, exchange } if !exchange.awaits_client() => Some(tag),
            other => {
                self.activity = other;
                None
            }
        }
    }

    fn refuse_login(&mut self, tag: &str) {
        self.count_failure(tag, Code::AuthenticationFailed, "the user name or the password is wrong");
    }

    fn count_failure(&mut self, tag: &str, code: Code, text: &str) {
        self.answer(tag, &Status::no(code, text));
        self.login_failures = self.login_failures.saturating_add(1);
        if self.login_failures >= LOGIN_FAILURES_MAX {
            self.say_bye(Code::AuthenticationFailed, "too many logins failed");
        }
    }

    pub(super) fn passwords_allowed(&self) -> bool {
        self.config.allow_plaintext_auth || self.config.tls == Tls::Active
    }

    fn want_privacy(&mut self, tag: &str) {
        self.answer(tag, &Status::no(Code::PrivacyRequired, "no passwords without TLS"));
    }

    pub(super) fn handle_login(&mut self, tag: String, credentials: Option<Credentials>) {
        if !self.passwords_allowed() {
            return self.want_privacy(&tag);
        }
        match credentials {
            Some(credentials) => {
                self.activity = Activity::LoggingIn { tag, exchange: Exchange::password(credentials) };
            }
            // No account can have such a name or password.
            None => self.refuse_login(&tag),
        }
    }

    pub(super) fn handle_authenticate(
        &mut self,
        tag: String,
        mechanism: &str,
        initial_response: Option<InitialResponse>,
    ) {
        let known = Mechanism::parse(mechanism.as_bytes());
        let Some(mechanism) = known.filter(|mechanism| mechanism.fits(&self.channel)) else {
            return self.answer(&tag, &Status::bad("there is no such mechanism"));
        };
        if mechanism.shows_password() && !self.passwords_allowed() {
            return self.want_privacy(&tag);
        }
        let decoded = initial_response.map(|argument| sasl::decode_initial_response(argument.0.as_bytes()));
        match decoded.transpose() {
            Ok(initial_response) => {
                let turn = Exchange::start(mechanism, initial_response.as_deref(), &self.channel.binding);
                self.take_turn(tag, turn);
            }
            Err(error) => self.answer(&tag, &Status::bad(&error.to_string())),
        }
    }

    pub(super) fn read_sasl_line(&mut self) -> Progress {
        let line = match self.sasl_line() {
            None => return self.await_input(),
            Some(RawLine::TooLong | RawLine::Unwanted) => {
                self.say_bye(Code::TooBig, "the line is too long");
                return Progress::More;
            }
            Some(RawLine::Complete(line)) => line,
        };
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::LoggingIn { tag, exchange } => match sasl::decode_line(&line) {
                Ok(Some(response)) => self.take_turn(tag, exchange.respond(&response)),
                Ok(None) => self.answer(&tag, &Status::bad("the authentication is cancelled")),
                Err(error) => self.answer(&tag, &Status::bad(&error.to_string())),
            },
            other => self.activity = other,
        }
        Progress::More
    }

    fn take_turn(&mut self, tag: String, turn: Turn) {
        match turn {
            Turn::Challenge(challenge, exchange) => {
                self.encoder.continuation(&sasl::encode(&challenge));
                self.activity = Activity::LoggingIn { tag, exchange };
            }
            Turn::Ask(exchange) => self.activity = Activity::LoggingIn { tag, exchange },
            Turn::Refused => self.refuse_login(&tag),
            Turn::Malformed => self.answer(&tag, &Status::bad("that is no message of this mechanism")),
        }
    }
}
