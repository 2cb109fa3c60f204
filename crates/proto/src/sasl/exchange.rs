//! A login on its way, whichever protocol brought it: what the client is asked, and what the driver.

use mail::scram::ScramVerifier;

use super::{
    BearerToken, ChannelBinding, Credentials, Mechanism, Nonce, SaslServer, SaslStep, ScramOutcome,
    ScramUser, TokenHint,
};

/// Boxed, as a session that waits should be small.
#[derive(Debug)]
pub(crate) struct Exchange(Box<Awaits>);

#[derive(Debug)]
enum Awaits {
    Client(SaslServer),
    Password(Credentials),
    ScramVerifier(ScramUser, SaslServer),
    Token(BearerToken, SaslServer),
    ScramDone(ScramOutcome),
    External(String),
}

/// What the driver is asked.
#[derive(Debug)]
pub(crate) enum Question {
    Password(Credentials),
    ScramVerifier(ScramUser),
    Token(BearerToken),
    ScramDone(ScramOutcome),
    External(String),
}

/// Where a message has led.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Send this (not yet base64), and give the answer to [`Exchange::respond`].
    Challenge(Vec<u8>, Exchange),
    /// The exchange has a [`Question`].
    Ask(Exchange),
    /// The client has acknowledged that its token is not good.
    Refused,
    /// The message breaks the mechanism's grammar.
    Malformed,
}

impl Exchange {
    /// `initial_response`: decoded.
    pub(crate) fn start(
        mechanism: Mechanism,
        initial_response: Option<&[u8]>,
        binding: &ChannelBinding,
    ) -> Turn {
        let (server, step) = SaslServer::start(mechanism, initial_response, binding);
        Turn::after(server, step)
    }

    /// A password that came without SASL.
    pub(crate) fn password(credentials: Credentials) -> Self {
        Self(Box::new(Awaits::Password(credentials)))
    }

    /// `None`: the client has been challenged.
    pub(crate) fn question(&self) -> Option<Question> {
        Some(match &*self.0 {
            Awaits::Client(_) => return None,
            Awaits::Password(credentials) => Question::Password(credentials.clone()),
            Awaits::ScramVerifier(user, _) => Question::ScramVerifier(user.clone()),
            Awaits::Token(token, _) => Question::Token(token.clone()),
            Awaits::ScramDone(outcome) => Question::ScramDone(outcome.clone()),
            Awaits::External(name) => Question::External(name.clone()),
        })
    }

    pub(crate) fn awaits_client(&self) -> bool {
        matches!(*self.0, Awaits::Client(_))
    }

    /// Whether a driver that says that the client is in may be believed: with SCRAM it has to be proven.
    pub(crate) fn may_succeed(&self) -> bool {
        match &*self.0 {
            Awaits::Client(_) | Awaits::ScramVerifier(..) => false,
            Awaits::ScramDone(outcome) => outcome.proven,
            Awaits::Password(_) | Awaits::Token(..) | Awaits::External(_) => true,
        }
    }

    /// The decoded answer to the last challenge.
    pub(crate) fn respond(self, response: &[u8]) -> Turn {
        match *self.0 {
            Awaits::Client(mut server) => {
                let step = server.response(response);
                Turn::after(server, step)
            }
            _ => Turn::Malformed,
        }
    }

    /// Itself again if no verifier was asked for.
    pub(crate) fn verifier(self, verifier: ScramVerifier, nonce: &Nonce) -> Result<Turn, Self> {
        match *self.0 {
            Awaits::ScramVerifier(_, mut server) => {
                let step = server.verifier(verifier, nonce);
                Ok(Turn::after(server, step))
            }
            other => Err(Self(Box::new(other))),
        }
    }

    /// Itself again if there is no token.
    pub(crate) fn refuse_token(self, hint: &TokenHint) -> Result<Turn, Self> {
        match *self.0 {
            Awaits::Token(_, mut server) => {
                let step = server.refuse_token(hint);
                Ok(Turn::after(server, step))
            }
            other => Err(Self(Box::new(other))),
        }
    }
}

impl Turn {
    fn after(server: SaslServer, step: SaslStep) -> Self {
        let awaits = match step {
            SaslStep::Challenge(challenge) => {
                return Self::Challenge(challenge, Exchange(Box::new(Awaits::Client(server))));
            }
            SaslStep::Credentials(credentials) => Awaits::Password(credentials),
            SaslStep::ScramUser(user) => Awaits::ScramVerifier(user, server),
            SaslStep::Token(token) => Awaits::Token(token, server),
            SaslStep::ScramDone(outcome) => Awaits::ScramDone(outcome),
            SaslStep::External(name) => Awaits::External(name),
            SaslStep::TokenRefused => return Self::Refused,
            SaslStep::Malformed => return Self::Malformed,
        };
        Self::Ask(Exchange(Box::new(awaits)))
    }
}
