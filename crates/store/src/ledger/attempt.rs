//! A try at one lane, as the history keeps it.

use serde::{Deserialize, Serialize};

/// Of those that gave no connection, as many are kept for one attempt.
pub const UNREACHED_MAX: usize = 20;

/// One try at one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub lane: String,
    /// Who had the last word, if anybody was found.
    pub host: Option<String>,
    pub address: Option<String>,
    /// Version and cipher suite.
    pub tls: Option<String>,
    pub duration_ms: u64,
    pub outcome: String,
    /// The host's certificate proves it to be the one that is meant, whether it had to or not.
    pub verified: bool,
    /// Which policy of transport security held, and what came of it.
    pub policy: Option<String>,
    pub timing: Timing,
    /// Who gave no connection before that, in this order; [`UNREACHED_MAX`] at most.
    pub unreached: Vec<Unreached>,
}

/// A host, or one of its addresses, that let us not come as far as MAIL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreached {
    pub host: String,
    pub address: Option<String>,
    pub reason: String,
    pub duration_ms: u32,
}

/// How long each stage took, in milliseconds, summed up where it came more than once. None: there was no such stage, as
/// the connection was open already, or nothing came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Finding hosts and their addresses.
    pub dns_ms: Option<u32>,
    /// Until one of them took the connection.
    pub connect_ms: Option<u32>,
    /// Greeting, EHLO and login.
    pub greeting_ms: Option<u32>,
    /// The handshake.
    pub tls_ms: Option<u32>,
    /// From MAIL until the content was wanted.
    pub envelope_ms: Option<u32>,
    /// Sending it.
    pub content_ms: Option<u32>,
    /// From its end until the reply to it.
    pub reply_ms: Option<u32>,
}

/// As versions 1 and 2 of an event have it.
#[derive(Deserialize)]
pub(super) struct OldAttempt {
    lane: String,
    host: Option<String>,
    address: Option<String>,
    tls: Option<String>,
    duration_ms: u64,
    outcome: String,
}

impl From<OldAttempt> for Attempt {
    fn from(old: OldAttempt) -> Self {
        let OldAttempt { lane, host, address, tls, duration_ms, outcome } = old;
        Self { lane, host, address, tls, duration_ms, outcome, ..Self::default() }
    }
}
