use std::{fmt, time::Duration};

use bytes::Bytes;
use mail::Timestamp;

use crate::sasl::{Credentials, Nonce};

/// How a session is to go.
#[derive(Clone, Debug)]
pub struct Config {
    pub credentials: Credentials,
    /// Random, for SCRAM.
    pub nonce: Nonce,
    pub tls: TlsUse,
    /// The password may be shown on a connection without TLS.
    pub plaintext_login: bool,
    /// Longer messages are a fault of the server: ask for the size first.
    pub message_bytes_max: usize,
    /// How long the server may say nothing.
    pub patience: Duration,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsUse {
    /// It is active.
    Active,
    /// With STARTTLS, or nothing is said.
    Starttls,
    Never,
}

/// What the driver hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Logged in: give a command.
    Ready,
    Listed(Listed),
    /// What is in the mailbox that was opened.
    Opened {
        messages: u32,
        uid_validity: u32,
    },
    Fetched(Fetched),
    /// The command is carried out.
    Done,
    /// The server says no, in its words.
    Refused(String),
    /// The session is over, and why.
    Failed(String),
}

/// A mailbox of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As the server writes it; to be given back to it.
    pub wire_name: Vec<u8>,
    /// For people, with `/` between its levels; cleaned.
    pub name: String,
    /// RFC 6154: `\Sent`, …
    pub special_use: Option<String>,
    pub subscribed: bool,
    /// There may be messages in it.
    pub selectable: bool,
}

/// What is known of a message; what the server did not say is absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    pub uid: u32,
    pub octets: Option<u64>,
    pub internal_date: Option<Timestamp>,
    /// `\Seen`, …, and keywords.
    pub flags: Vec<String>,
    pub body: Option<Bytes>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("uid", &self.uid)
            .field("octets", &self.octets)
            .field("internal_date", &self.internal_date)
            .field("flags", &self.flags)
            .field("body_octets", &self.body.as_ref().map(Bytes::len))
            .finish()
    }
}
