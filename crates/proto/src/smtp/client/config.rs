//! How we speak to a server.

use std::{sync::Arc, time::Duration};

use mail::limits;

use crate::sasl::{Credentials, Nonce};

#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in EHLO.
    pub helo: Arc<str>,
    pub tls: TlsPolicy,
    /// Authenticate, or do not send.
    pub credentials: Option<Credentials>,
    /// Random, for this connection alone; with it SCRAM-SHA-256 is used where it is announced, with TLS or without.
    pub scram_nonce: Option<Nonce>,
    /// Send the password without TLS too.
    pub plaintext_auth: bool,
    /// Send content with BDAT where CHUNKING is announced. Binary content always goes so.
    pub chunking: bool,
    /// RFC 2033: LHLO, and a reply for each recipient.
    pub lmtp: bool,
    pub timeouts: Timeouts,
}

impl Config {
    /// Opportunistic TLS, no authentication, DATA, the timeouts of RFC 5321.
    pub fn new(helo: impl Into<Arc<str>>) -> Self {
        Self {
            helo: helo.into(),
            tls: TlsPolicy::Opportunistic,
            credentials: None,
            scram_nonce: None,
            plaintext_auth: false,
            chunking: false,
            lmtp: false,
            timeouts: Timeouts::default(),
        }
    }
}

/// When to use STARTTLS. Whether a certificate is good enough is for the driver to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Not even if it is announced.
    None,
    /// If it is announced and not refused.
    Opportunistic,
    /// Or do not send.
    Required,
}

/// RFC 5321 §4.5.3.2: how long to wait for each reply.
#[derive(Clone, Debug)]
pub struct Timeouts {
    pub greeting: Duration,
    /// EHLO, STARTTLS, AUTH and RSET, of which the standard says nothing.
    pub command: Duration,
    pub mail: Duration,
    pub rcpt: Duration,
    pub data: Duration,
    /// For each write.
    pub data_block: Duration,
    pub data_end: Duration,
    /// Nothing depends on the reply to QUIT.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            greeting: limits::CLIENT_GREETING_TIMEOUT,
            command: limits::CLIENT_MAIL_TIMEOUT,
            mail: limits::CLIENT_MAIL_TIMEOUT,
            rcpt: limits::CLIENT_RCPT_TIMEOUT,
            data: limits::CLIENT_DATA_INITIATION_TIMEOUT,
            data_block: limits::CLIENT_DATA_BLOCK_TIMEOUT,
            data_end: limits::CLIENT_DATA_TERMINATION_TIMEOUT,
            quit: Duration::from_secs(5),
        }
    }
}
