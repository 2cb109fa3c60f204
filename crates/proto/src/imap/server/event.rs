//! What the machine tells and asks.

use bytes::Bytes;

use super::super::command::{AppendMessage, AppendStart, Tagged};
use crate::sasl::{BearerToken, Credentials, Question, ScramOutcome, ScramUser};

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Answer with `answer_authenticated`, `answer_authentication_failed`, `answer_held` or `answer_unavailable`. A
    /// delay after failures is the driver's, which has a clock.
    Authenticate(Credentials),
    /// Answer with `answer_scram_verifier` or `answer_unavailable`. That there is no such user must not show: neither
    /// in what is answered nor in the time it takes.
    ScramVerifier(ScramUser),
    /// Answer like `Authenticate`, but for a refusal with `answer_token_refused`.
    Token(BearerToken),
    /// Answer like `Authenticate`; to be refused unless proven.
    Scram(ScramOutcome),
    /// Whom a client wants to act as that shows a certificate; empty means whom the certificate names. Answer like
    /// `Authenticate`.
    External(String),
    /// Carry it out: write data, then `complete`. Nothing comes of an extension that the configuration does not offer. With IDLE nothing is completed until [`Event::IdleEnded`].
    Command(Tagged),
    /// What was written of the answer has been taken: go on with it.
    More,
    /// DONE: `complete` the IDLE.
    IdleEnded,
    /// A message that comes in.
    Append(AppendEvent),
    /// Forget who the client is, and answer with `answer_unauthenticated` (RFC 8437).
    Unauthenticate,
    /// From here on both sides compress with DEFLATE, without a header (RFC 4978). Answer with
    /// `handle_compression_started`.
    StartCompression,
}

/// APPEND and REPLACE, in this order. Whatever happens, `refuse_append` may be called at each; then nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendEvent {
    Start(AppendStart),
    Message(AppendMessage),
    /// A part of a message that is here already (RFC 4469).
    Url(String),
    /// So many octets are to follow. Answer with `go_ahead` or `refuse_append`.
    Literal {
        octets: u64,
    },
    Octets(Bytes),
    MessageEnd,
    /// All is there: store it as a whole, then `complete`.
    End,
    /// The client broke off, or broke the rules: nothing is to be kept.
    Aborted,
}

impl From<Question> for Event {
    fn from(question: Question) -> Self {
        match question {
            Question::Password(credentials) => Self::Authenticate(credentials),
            Question::ScramVerifier(user) => Self::ScramVerifier(user),
            Question::Token(token) => Self::Token(token),
            Question::ScramDone(outcome) => Self::Scram(outcome),
            Question::External(name) => Self::External(name),
        }
    }
}
