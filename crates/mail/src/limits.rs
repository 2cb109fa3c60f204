//! Sizes and times that the standards set; what an operator may choose stands in the configuration.

use std::time::Duration;

/// RFC 5321 §4.5.3.1.1
pub const LOCAL_PART_BYTES_MAX: usize = 64;
/// RFC 5321 §4.5.3.1.2
pub const DOMAIN_BYTES_MAX: usize = 255;
/// RFC 5321 §4.5.3.1.3, brackets included.
pub const PATH_BYTES_MAX: usize = 256;
/// RFC 5321 §4.5.3.1.4 says 512; the parameters of the extensions we announce add to it (RFC 5321 §4.1.1.5).
pub const COMMAND_LINE_BYTES_MAX: usize = 2048;
/// A line with a URL of a message, which may be long (RFC 4468).
pub const URL_LINE_BYTES_MAX: usize = 4200;
/// RFC 4954 §4: a base64 line of an authentication exchange.
pub const AUTH_LINE_BYTES_MAX: usize = 12_288;
/// RFC 5321 §4.5.3.1.5
pub const REPLY_LINE_BYTES_MAX: usize = 512;
/// RFC 5321 §4.5.3.2.7: what a server waits for the next command.
pub const SERVER_COMMAND_TIMEOUT: Duration = Duration::from_mins(5);
/// RFC 5321 §4.5.3.2.1 (initial 220), .2 (MAIL), .3 (RCPT)
pub const CLIENT_GREETING_TIMEOUT: Duration = Duration::from_mins(5);
pub const CLIENT_MAIL_TIMEOUT: Duration = Duration::from_mins(5);
pub const CLIENT_RCPT_TIMEOUT: Duration = Duration::from_mins(5);
/// RFC 5321 §4.5.3.2.4
pub const CLIENT_DATA_INITIATION_TIMEOUT: Duration = Duration::from_mins(2);
/// RFC 5321 §4.5.3.2.5
pub const CLIENT_DATA_BLOCK_TIMEOUT: Duration = Duration::from_mins(3);
/// RFC 5321 §4.5.3.2.6
pub const CLIENT_DATA_TERMINATION_TIMEOUT: Duration = Duration::from_mins(10);
/// RFC 5321 §6.3: this many Received lines are a loop.
pub const RECEIVED_HEADERS_MAX: usize = 100;
