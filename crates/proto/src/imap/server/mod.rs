//! One IMAP session as a machine: states, logins, what may be asked when, and the order of what is said. What is in
//! mailboxes the driver knows.
//!
//! Commands are carried out one after the other, in the order they came, however many a client sends at once: so the
//! ambiguities of RFC 9051 §5.5 cannot arise. A command that has been handed over is answered with data and, last,
//! [`Server::complete`]; in between the machine asks for more whenever what was written is on its way.

mod answers;
mod append;
mod capabilities;
mod config;
mod dispatch;
mod event;
mod login;
mod offers;
mod session;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use capabilities::{Enabled, Extension, Extensions};
pub use config::Config;
pub use event::{AppendEvent, Event};
pub use session::Server;

/// RFC 9051 §5.4: the autologout timer is at least this long.
pub const IDLE_TIMEOUT_MIN: Duration = Duration::from_mins(30);
/// Failed logins in one session before it is closed.
pub const LOGIN_FAILURES_MAX: u32 = 3;

/// Commands in a row that are unknown, malformed or out of place before the session is closed.
const BAD_COMMANDS_MAX: u32 = 20;
/// Output is handed over once it has this many octets.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// Of a command before the login; the longest is AUTHENTICATE with its initial response.
const COMMAND_BYTES_MAX_BEFORE_LOGIN: usize = 16 * 1024;
const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// RFC 7888 §5: LITERAL-, which is what we offer before the login.
const LITERAL_MINUS_BYTES_MAX: u64 = 4096;
/// What is skipped of a command before the session is closed; after the login a message more.
const SKIPPED_BYTES_MAX: u64 = 128 * 1024;
