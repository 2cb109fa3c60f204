//! The server's side of POP3: RFC 1939, with CAPA, PIPELINING and response codes (RFC 2449, RFC 3206), STLS
//! (RFC 2595), AUTH (RFC 5034), UTF8 and LANG (RFC 6856).
//!
//! Left out: APOP, which needs passwords stored so that they can be read back.
//! Messages go out as they are stored, UTF-8 included, whether the client gave UTF8 or not: a client without it
//! gets the octets that arrived, not a downgraded copy.

mod authorization;
mod command;
mod content;
mod lang;
mod line;
mod maildrop;
mod server;
mod transaction;

use std::{sync::Arc, time::Duration};

pub use maildrop::{MaildropEntry, MaildropListing};
pub use server::Server;

pub use crate::machine::Tls;
use crate::sasl::{BearerToken, Credentials, Question, ScramOutcome, ScramUser};

/// RFC 1939 §3: the autologout timer is at least this long.
pub const IDLE_TIMEOUT_MIN: Duration = Duration::from_mins(10);
/// Messages a session can show; those beyond show once earlier ones are gone. Bounds the memory of a session.
pub const MAILDROP_MESSAGES_MAX: usize = 250_000;

/// Failed logins in one session before it is closed.
pub const LOGIN_FAILURES_MAX: u32 = 3;
/// Commands that are unknown, malformed or out of place in one session before it is closed.
const BAD_COMMANDS_MAX: u32 = 20;
/// Output is handed over once it has this many octets; one message chunk or line may go beyond.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// What a listener offers to one client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in the greeting.
    pub hostname: Arc<str>,
    pub tls: Tls,
    /// Whether passwords may come in clear; without it USER, PASS, and AUTH with PLAIN or LOGIN want TLS first.
    pub allow_plaintext_auth: bool,
    /// How long we wait for the next command; never less than [`IDLE_TIMEOUT_MIN`].
    pub idle_timeout: Duration,
}

/// What the machine wants to know; it does nothing else until the answer is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Answer with `answer_authenticated`, `answer_authentication_failed`, `answer_locked` or `answer_unavailable`.
    /// A delay after failures is the driver's, which has a clock.
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
    /// Read this message from its start. Answer with `answer_content` or `answer_content_end`, or with
    /// `answer_content_gone` or `answer_content_failed`.
    Retrieve { uid: u32 },
    /// The next chunk of that message; answered like `Retrieve`. It may never come: TOP stops where it has enough.
    MoreContent,
    /// QUIT: remove these messages in one batch and release the maildrop. Comes with an empty list too. Answer with
    /// `answer_committed` or `answer_commit_failed`.
    Commit { deleted: Vec<u32> },
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

#[cfg(test)]
mod tests;
