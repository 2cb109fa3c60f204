//! The client's side of IMAP, as far as mail is fetched from another server: log in, list mailboxes, open one read-only,
//! fetch what is in it. Works with IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051), and believes nothing: whatever a server
//! sends, memory and time are bounded.

mod event;
mod handshake;
mod reader;
mod response;
mod session;
#[cfg(test)]
mod tests;
mod value;

pub use event::{Config, Event, Fetched, Listed, TlsUse};
pub use session::Client;
