//! LOGIN and AUTHENTICATE (RFC 9051 §6.2.2, §6.2.3).

use mail::scram::ScramVerifier;

use super::{
    super::{
        command::InitialResponse,
        reader::RawLine,
        response::{Code, Status},
    },
    Event, LOGIN_FAILURES_MAX,
    session::{Activity, Phase, Progress, Server},
};
use crate::{
    machine::Tls,
    sasl::{
        self, BearerToken, Channel, Credentials, Mechanism, Nonce, SaslServer, SaslStep, ScramOutcome,
        ScramUser, TokenHint,
    },
};

/// How far a login has come.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The client has been challenged.
    AwaitingResponse(SaslServer),
    Password(Credentials),
    ScramVerifier(ScramUser, SaslServer),
    Token(BearerToken, SaslServer),
    ScramDone(ScramOutcome),
    External(String),
}

impl Exchange {
    /// What the driver is asked; `None`: the client is.
    pub(super) fn event(&self) -> Option<Event> {
        Some(match self {
            Self::AwaitingResponse(_) => return None,
            Self::Password(credentials) => Event::Authenticate(credentials.clone()),
            Self::ScramVerifier(user, _) => Event::ScramVerifier(user.clone()),
            Self::Token(token, _) => Event::Token(token.clone()),
            Self::ScramDone(outcome) => Event::Scram(outcome.clone()),
            Self::External(name) => Event::External(name.clone()),
        })
    }
}

impl Server {
    /// What the TLS connection gives to SASL: the mechanisms with `-PLUS` and EXTERNAL. To be set as soon as TLS is
    /// there; without it they are not offered.
    pub fn set_channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// The client is who it says.
    pub fn answer_authenticated(&mut self) {
        let Activity::LoggingIn { exchange, .. } = &self.activity else { return };
        let unproven = match &**exchange {
            Exchange::AwaitingResponse(_) => return,
            Exchange::ScramVerifier(..) => true,
            Exchange::ScramDone(outcome) => !outcome.proven,
            Exchange::Password(_) | Exchange::Token(..) | Exchange::External(_) => false,
        };
        if unproven {
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
        self.resume(|exchange| match exchange {
            Exchange::ScramVerifier(_, mut server) => {
                let step = server.verifier(verifier, nonce);
                Ok((server, step))
            }
            other => Err(other),
        });
    }

    /// The token is not good; the client is told how to get a better one before it is told so.
    pub fn answer_token_refused(&mut self, hint: &TokenHint) {
        self.resume(|exchange| match exchange {
            Exchange::Token(_, mut server) => {
                let step = server.refuse_token(hint);
                Ok((server, step))
            }
            other => Err(other),
        });
    }

    fn resume(&mut self, next: impl FnOnce(Exchange) -> Result<(SaslServer, SaslStep), Exchange>) {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::LoggingIn { tag, exchange } => match next(*exchange) {
                Ok((server, step)) => self.take_sasl_step(tag, server, step),
                Err(exchange) => self.activity = Activity::LoggingIn { tag, exchange: Box::new(exchange) },
            },
            other => self.activity = other,
        }
    }

    /// The tag, if a login is under way; it is over then.
    fn end_login(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::LoggingIn { tag, .. } => Some(tag),
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
            Some(credentials) => self.activity = logging_in(tag, Exchange::Password(credentials)),
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
                let (server, step) =
                    SaslServer::start(mechanism, initial_response.as_deref(), &self.channel.binding);
                self.take_sasl_step(tag, server, step);
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
            Activity::LoggingIn { tag, exchange } => match (sasl::decode_line(&line), *exchange) {
                (Ok(Some(response)), Exchange::AwaitingResponse(mut server)) => {
                    let step = server.response(&response);
                    self.take_sasl_step(tag, server, step);
                }
                (Ok(_), _) => self.answer(&tag, &Status::bad("the authentication is cancelled")),
                (Err(error), _) => self.answer(&tag, &Status::bad(&error.to_string())),
            },
            other => self.activity = other,
        }
        Progress::More
    }

    fn take_sasl_step(&mut self, tag: String, server: SaslServer, step: SaslStep) {
        let exchange = match step {
            SaslStep::Challenge(challenge) => {
                self.encoder.continuation(&sasl::encode(&challenge));
                Exchange::AwaitingResponse(server)
            }
            SaslStep::Credentials(credentials) => Exchange::Password(credentials),
            SaslStep::ScramUser(user) => Exchange::ScramVerifier(user, server),
            SaslStep::External(name) => Exchange::External(name),
            SaslStep::Token(token) => Exchange::Token(token, server),
            SaslStep::ScramDone(outcome) => Exchange::ScramDone(outcome),
            SaslStep::TokenRefused => return self.refuse_login(&tag),
            SaslStep::Malformed => {
                return self.answer(&tag, &Status::bad("that is no message of this mechanism"));
            }
        };
        self.activity = logging_in(tag, exchange);
    }
}

fn logging_in(tag: String, exchange: Exchange) -> Activity {
    Activity::LoggingIn { tag, exchange: Box::new(exchange) }
}
