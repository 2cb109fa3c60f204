//! The server's side of IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501) on the wire, and what of the client's side it takes to
//! fetch mail.
//!
//! Commands are read into [`command::Command`]; the octets of messages that APPEND and REPLACE bring are handed on as
//! they come.

pub mod client;
pub mod command;
mod cursor;
pub mod date;
mod error;
pub mod mutf7;
pub mod reader;
pub mod response;
pub mod sequence;
pub mod server;
pub mod url;

pub use error::CommandError;

/// Literals of one command, those of messages apart.
const COMMAND_LITERALS_MAX: usize = 128;
/// Members of any list.
const LIST_ITEMS_MAX: usize = 2048;
/// Lists, NOT and OR within each other.
const NESTING_MAX: usize = 32;
const SEARCH_KEYS_MAX: usize = 1024;
const LIST_PATTERNS_MAX: usize = 64;
/// `1.2.3` in a section; as deep as a message may be.
const PART_NUMBERS_MAX: usize = 128;
const HEADER_NAMES_MAX: usize = 256;
const FLAGS_MAX: usize = 128;
/// RFC 2971 §3.3
const ID_FIELDS_MAX: usize = 30;
const ID_VALUE_BYTES_MAX: usize = 1024;
