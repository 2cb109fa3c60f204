//! What the server says, apart from what its driver decides. No reply repeats what the client sent.

use mail::{AddressError, Reply};

use crate::smtp::{command::CommandError, parameter::ParameterError};

pub(super) fn ok() -> Reply {
    Reply::new(250, (2, 0, 0), "OK")
}

pub(super) fn sender_ok() -> Reply {
    Reply::new(250, (2, 1, 0), "sender OK")
}

pub(super) fn recipient_ok() -> Reply {
    Reply::new(250, (2, 1, 5), "recipient OK")
}

pub(super) fn start_content() -> Reply {
    Reply::plain(354, "end data with <CR><LF>.<CR><LF>")
}

pub(super) fn chunk_received() -> Reply {
    Reply::new(250, (2, 0, 0), "chunk received")
}

pub(super) fn message_accepted() -> Reply {
    Reply::new(250, (2, 0, 0), "message accepted")
}

pub(super) fn authenticated() -> Reply {
    Reply::new(235, (2, 7, 0), "authentication successful")
}

pub(super) fn start_tls() -> Reply {
    Reply::new(220, (2, 0, 0), "ready to start TLS")
}

pub(super) fn closing() -> Reply {
    Reply::new(221, (2, 0, 0), "closing the connection")
}

/// Answers a line that is no command.
pub(super) fn not_a_command(error: &CommandError) -> Reply {
    match error {
        CommandError::Unknown => Reply::new(500, (5, 5, 1), "command unrecognized"),
        CommandError::Http => Reply::new(421, (4, 7, 0), "this is a mail server"),
        CommandError::NotText => Reply::new(501, (5, 5, 2), "control characters, or not UTF-8"),
        CommandError::Arguments => Reply::new(501, (5, 5, 4), "syntax error in the arguments"),
        CommandError::ReversePath(error) => bad_path((5, 1, 7), error),
        CommandError::ForwardPath(error) => bad_path((5, 1, 3), error),
        CommandError::Bdat { .. } => {
            Reply::new(501, (5, 5, 4), "BDAT takes a number of octets, then LAST or nothing")
        }
    }
}

fn bad_path(enhanced: (u8, u16, u16), error: &AddressError) -> Reply {
    Reply::new(501, enhanced, error.to_string())
}

/// RFC 5321 §4.1.1.11
pub(super) fn bad_parameter(error: ParameterError) -> Reply {
    match error {
        ParameterError::Unknown => Reply::new(555, (5, 5, 4), "unknown parameter"),
        ParameterError::Value(name) => Reply::new(501, (5, 5, 4), format!("bad value of {name}")),
    }
}

pub(super) fn bare_line_end_in_command() -> Reply {
    Reply::new(500, (5, 5, 2), "lines end with <CR><LF>, and neither stands alone")
}

pub(super) fn line_too_long() -> Reply {
    Reply::new(500, (5, 5, 2), "line too long")
}

pub(super) fn flood() -> Reply {
    Reply::new(421, (4, 7, 0), "a line without an end")
}

pub(super) fn not_served() -> Reply {
    Reply::new(502, (5, 5, 1), "command not implemented")
}

/// The command is known and fine, but its time is not now.
pub(super) fn bad_sequence(text: &'static str) -> Reply {
    Reply::new(503, (5, 5, 1), text)
}

pub(super) fn no_service() -> Reply {
    bad_sequence("no service here; QUIT is all that is left")
}

pub(super) fn not_authorized() -> Reply {
    Reply::new(550, (5, 7, 0), "you may not speak for others")
}

pub(super) fn bad_attribute() -> Reply {
    Reply::new(501, (5, 5, 4), "bad attributes")
}

pub(super) fn needs_tls() -> Reply {
    Reply::new(530, (5, 7, 0), "must issue a STARTTLS command first")
}

/// RFC 4954 §6
pub(super) fn needs_auth() -> Reply {
    Reply::new(530, (5, 7, 0), "authentication required")
}

/// RFC 4468 §3.2
pub(super) fn url_needs_auth() -> Reply {
    Reply::new(554, (5, 7, 0), "log in before BURL")
}

pub(super) fn url_broke_off() -> Reply {
    Reply::new(451, (4, 3, 0), "what the URL names could not be read; try again later")
}

/// RFC 2645 §5.2.1
pub(super) fn turning() -> Reply {
    Reply::new(250, (2, 0, 0), "OK, now reversing the connection")
}

/// RFC 6531 §3.5
pub(super) fn needs_smtputf8() -> Reply {
    Reply::new(553, (5, 6, 7), "an address beyond ASCII needs SMTPUTF8")
}

/// RFC 1870 §6
pub(super) fn too_large() -> Reply {
    Reply::new(552, (5, 3, 4), "the message is larger than this server takes")
}

/// RFC 2852 §4
pub(super) fn too_little_time(seconds_min: u32) -> Reply {
    Reply::new(555, (5, 4, 7), format!("a message is returned after {seconds_min} seconds at the earliest"))
}

/// RFC 3865 §2
pub(super) fn no_soliciting() -> Reply {
    Reply::new(550, (5, 7, 1), "solicitation of this class is not wanted here")
}

/// RFC 5321 §4.5.3.1.10
pub(super) fn too_many_recipients() -> Reply {
    Reply::new(452, (4, 5, 3), "too many recipients; send the rest in another transaction")
}

pub(super) fn bare_line_end_in_content() -> Reply {
    Reply::new(550, (5, 6, 11), "a line of the message ends with a bare <CR> or <LF>")
}

pub(super) fn nul_in_content() -> Reply {
    Reply::new(554, (5, 6, 0), "the message holds NUL and is not sent as binary")
}

pub(super) fn too_many_chunks() -> Reply {
    Reply::new(554, (5, 5, 0), "the message comes in too many chunks")
}

pub(super) fn early_talk() -> Reply {
    Reply::new(554, (5, 5, 0), "improper pipelining: wait for the reply")
}

pub(super) fn too_many_errors() -> Reply {
    Reply::new(421, (4, 7, 0), "too many errors")
}

pub(super) fn too_many_commands() -> Reply {
    Reply::new(421, (4, 7, 0), "too many commands without a message")
}

pub(super) fn too_many_transactions() -> Reply {
    Reply::new(421, (4, 7, 0), "enough transactions for one connection; connect again")
}

pub(super) fn timed_out() -> Reply {
    Reply::new(421, (4, 4, 2), "timed out")
}

pub(super) fn shutting_down() -> Reply {
    Reply::new(421, (4, 3, 2), "the service shuts down; try again later")
}

pub(super) fn unknown_mechanism() -> Reply {
    Reply::new(504, (5, 5, 4), "unknown authentication mechanism")
}

pub(super) fn needs_encryption() -> Reply {
    Reply::new(538, (5, 7, 11), "encryption required for this authentication mechanism")
}

pub(super) fn wrong_credentials() -> Reply {
    Reply::new(535, (5, 7, 8), "the user name or the password is wrong")
}

pub(super) fn wrong_token() -> Reply {
    Reply::new(535, (5, 7, 8), "the token is not good here")
}

pub(super) fn auth_cancelled() -> Reply {
    Reply::new(501, (5, 7, 0), "authentication cancelled")
}

pub(super) fn not_base64() -> Reply {
    Reply::new(501, (5, 5, 2), "that is not base64")
}

pub(super) fn bad_sasl_message() -> Reply {
    Reply::new(501, (5, 5, 2), "that is no message of this mechanism")
}

pub(super) fn sasl_line_too_long() -> Reply {
    Reply::new(500, (5, 5, 6), "authentication exchange line is too long")
}
