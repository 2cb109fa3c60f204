//! What a listener offers.

use std::{sync::Arc, time::Duration};

use super::Extensions;
use crate::machine::Tls;

/// What a listener offers to one client. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in the greeting.
    pub hostname: Arc<str>,
    pub tls: Tls,
    /// Whether passwords may come in clear; without it LOGIN, and AUTHENTICATE with PLAIN or LOGIN, want TLS first.
    pub allow_plaintext_auth: bool,
    /// How long we wait for a client that has logged in; never less than [`IDLE_TIMEOUT_MIN`](super::IDLE_TIMEOUT_MIN).
    pub idle_timeout: Duration,
    /// From the greeting until the client has logged in, all in all.
    pub login_timeout: Duration,
    /// The longest message that is taken, in octets (RFC 7889).
    pub append_bytes_max: u64,
    /// How many messages the driver handles with one command, if not all (RFC 9738).
    pub message_limit: Option<u32>,
    /// What the driver can do beyond IMAP4rev2.
    pub extensions: Extensions,
}
