//! The commands and their arguments: RFC 1939 §9, RFC 2449 §4.

use bytes::BytesMut;
use mail::limits::AUTH_LINE_BYTES_MAX;

/// RFC 2449 §4 asks for 255 octets; a password may have that many by itself.
pub(super) const COMMAND_LINE_BYTES_MAX: usize = 512;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    User(&'a str),
    /// All that follows the first space, as a password may have spaces in it (RFC 1939 §7).
    Pass(&'a str),
    Auth {
        mechanism: &'a str,
        initial_response: Option<&'a str>,
    },
    Stls,
    Utf8,
    Lang(Option<&'a str>),
    Capa,
    Stat,
    List(Option<u32>),
    Uidl(Option<u32>),
    Retr(u32),
    Top {
        number: u32,
        lines: u32,
    },
    Dele(u32),
    Noop,
    Rset,
    Quit,
}

/// Why a line is no command; the words go to the client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    #[error("unknown command")]
    Unknown,
    #[error("that command takes no argument")]
    ArgumentUnwanted,
    #[error("an argument is missing")]
    ArgumentMissing,
    #[error("too many arguments")]
    ArgumentsTooMany,
    #[error("a number was expected")]
    NotANumber,
    #[error("control characters and octets that are not UTF-8 are not allowed here")]
    Octets,
    /// A browser that was lured here (ALPACA); what follows is not POP3 either.
    #[error("this is POP3, not HTTP")]
    Http,
}

/// The limit for a line that begins like this, its CRLF included.
pub(super) fn line_bytes_max(line: &[u8]) -> usize {
    let is_auth = line.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
    if is_auth { AUTH_LINE_BYTES_MAX } else { COMMAND_LINE_BYTES_MAX }
}

pub(super) fn parse(line: &BytesMut) -> Result<Command<'_>, CommandError> {
    let text = std::str::from_utf8(line).map_err(|_| CommandError::Octets)?;
    if text.chars().any(|c| c.is_ascii_control()) {
        return Err(CommandError::Octets);
    }
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    match verb.to_ascii_uppercase().as_str() {
        "PASS" if rest.is_empty() => Err(CommandError::ArgumentMissing),
        "PASS" => Ok(Command::Pass(rest)),
        "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" => Err(CommandError::Http),
        verb => parse_words(verb, rest.split(' ').filter(|word| !word.is_empty())),
    }
}

fn parse_words<'a>(
    verb: &str,
    mut words: impl Iterator<Item = &'a str>,
) -> Result<Command<'a>, CommandError> {
    let bare = |command| (command, CommandError::ArgumentUnwanted);
    let argued = |command| (command, CommandError::ArgumentsTooMany);
    let (command, if_more_follows) = match verb {
        "STLS" => bare(Command::Stls),
        "UTF8" => bare(Command::Utf8),
        "CAPA" => bare(Command::Capa),
        "STAT" => bare(Command::Stat),
        "NOOP" => bare(Command::Noop),
        "RSET" => bare(Command::Rset),
        "QUIT" => bare(Command::Quit),
        "LANG" => argued(Command::Lang(words.next())),
        "USER" => argued(Command::User(required(words.next())?)),
        "AUTH" => {
            argued(Command::Auth { mechanism: required(words.next())?, initial_response: words.next() })
        }
        "LIST" => argued(Command::List(words.next().map(number).transpose()?)),
        "UIDL" => argued(Command::Uidl(words.next().map(number).transpose()?)),
        "RETR" => argued(Command::Retr(number(required(words.next())?)?)),
        "DELE" => argued(Command::Dele(number(required(words.next())?)?)),
        "TOP" => argued(Command::Top {
            number: number(required(words.next())?)?,
            lines: number(required(words.next())?)?,
        }),
        _ => return Err(CommandError::Unknown),
    };
    words.next().map_or(Ok(command), |_| Err(if_more_follows))
}

fn required(word: Option<&str>) -> Result<&str, CommandError> {
    word.ok_or(CommandError::ArgumentMissing)
}

/// Digits only. What is too great for us is greater than any message number or line count, and so is the maximum.
fn number(word: &str) -> Result<u32, CommandError> {
    if !word.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(CommandError::NotANumber);
    }
    Ok(word.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &Result<Command<'_>, CommandError>) {
        assert_eq!(&parse(&BytesMut::from(line)), expected, "{line:?}");
    }

    #[test]
    fn commands_are_read_in_any_case() {
        check("stat", &Ok(Command::Stat));
        check("Retr 2", &Ok(Command::Retr(2)));
        check("TOP 1 10", &Ok(Command::Top { number: 1, lines: 10 }));
        check("UIDL", &Ok(Command::Uidl(None)));
        check("LIST 007 ", &Ok(Command::List(Some(7))));
        check("auth plain =", &Ok(Command::Auth { mechanism: "plain", initial_response: Some("=") }));
        check("QUIT ", &Ok(Command::Quit));
    }

    #[test]
    fn a_password_may_have_spaces() {
        check("PASS correct  horse ", &Ok(Command::Pass("correct  horse ")));
        check("pass  leading", &Ok(Command::Pass(" leading")));
        check("PASS", &Err(CommandError::ArgumentMissing));
    }

    #[test]
    fn bad_lines_get_a_reason() {
        check("", &Err(CommandError::Unknown));
        check("XTND XMIT", &Err(CommandError::Unknown));
        check("APOP alice c4c9334bac560ecc979e58001b3e22fb", &Err(CommandError::Unknown));
        check("NOOP now", &Err(CommandError::ArgumentUnwanted));
        check("RETR", &Err(CommandError::ArgumentMissing));
        check("TOP 1", &Err(CommandError::ArgumentMissing));
        check("DELE 1 2", &Err(CommandError::ArgumentsTooMany));
        check("RETR -1", &Err(CommandError::NotANumber));
        check("RETR +1", &Err(CommandError::NotANumber));
        check("RETR one", &Err(CommandError::NotANumber));
        check("RETR\t1", &Err(CommandError::Octets));
        check("USER a\0b", &Err(CommandError::Octets));
        check("GET / HTTP/1.1", &Err(CommandError::Http));
        assert_eq!(parse(&BytesMut::from(b"USER \xff".as_slice())), Err(CommandError::Octets));
    }

    #[test]
    fn numbers_beyond_reach_stay_beyond_reach() {
        check("TOP 1 99999999999999999999", &Ok(Command::Top { number: 1, lines: u32::MAX }));
        check("RETR 4294967296", &Ok(Command::Retr(u32::MAX)));
    }

    #[test]
    fn only_auth_lines_may_be_long() {
        assert_eq!(line_bytes_max(b"auth plain "), AUTH_LINE_BYTES_MAX);
        assert_eq!(line_bytes_max(b"AUTHENTICATE"), COMMAND_LINE_BYTES_MAX);
        assert_eq!(line_bytes_max(b"AU"), COMMAND_LINE_BYTES_MAX);
    }
}
