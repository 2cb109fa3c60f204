//! One command line of a client, made typed (RFC 5321 §4.1.1 and the extensions' verbs).

use mail::{AddressError, Delivery, ForwardPath, ReversePath, limits};

use super::parameter;

/// A command whose arguments are well-formed. Whether it is in place, the session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    Ehlo(&'a str),
    Helo(&'a str),
    /// RFC 2033 §4.1
    Lhlo(&'a str),
    /// MAIL, SEND, SOML or SAML; `parameters` is what [`parameter`] reads.
    Mail {
        delivery: Delivery,
        reverse_path: ReversePath,
        parameters: &'a str,
    },
    Rcpt {
        forward_path: ForwardPath,
        parameters: &'a str,
    },
    Data,
    /// RFC 3030 §2
    Bdat {
        octets: u64,
        last: bool,
    },
    /// RFC 4468 §3.2
    Burl {
        url: &'a str,
        last: bool,
    },
    Rset,
    Noop,
    Vrfy(&'a str),
    Expn(&'a str),
    Help(&'a str),
    Quit,
    StartTls,
    /// RFC 4954 §4; the initial response is still base64.
    Auth {
        mechanism: &'a str,
        initial_response: Option<&'a str>,
    },
    /// The arguments are what [`Impersonation`](super::attributes::Impersonation) reads.
    Xclient(&'a str),
    /// The arguments are what [`ForwardedClient`](super::attributes::ForwardedClient) reads.
    Xforward(&'a str),
    /// RFC 1985 §5.1; [`turn::EtrnTarget`](super::turn::EtrnTarget) reads it.
    Etrn(&'a str),
    /// RFC 2645 §5.2.1; [`turn::atrn_domains`](super::turn::atrn_domains) reads it.
    Atrn(&'a str),
    /// RFC 821 §3.8
    Turn,
    /// A verb of a registered extension that we do not serve: VERB, ONEX.
    NotServed,
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No verb that anybody registered.
    Unknown,
    /// The client speaks HTTP.
    Http,
    /// The argument holds control characters, or is not UTF-8.
    NotText,
    /// The verb wants no argument, or other ones.
    Arguments,
    ReversePath(AddressError),
    ForwardPath(AddressError),
    /// BDAT whose octets, if their number can be told, follow all the same.
    Bdat {
        octets: Option<u64>,
    },
}

/// The longest line, CRLF included, that may begin like this.
pub fn line_bytes_max(line: &[u8]) -> usize {
    match line.first_chunk::<5>() {
        // RFC 4954 §4
        Some(verb) if verb.eq_ignore_ascii_case(b"AUTH ") => limits::AUTH_LINE_BYTES_MAX,
        Some(verb) if verb.eq_ignore_ascii_case(b"BURL ") => limits::URL_LINE_BYTES_MAX,
        _ => limits::COMMAND_LINE_BYTES_MAX,
    }
}

/// Parses a line without its CRLF. Verbs count in any case; white space at the end does not (RFC 5321 §4.1.1).
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    let line = line.trim_ascii_end();
    let (verb, argument) = match memchr::memchr(b' ', line).and_then(|at| line.split_at_checked(at)) {
        Some((verb, argument)) => (verb, argument.trim_ascii_start()),
        None => (line, &[][..]),
    };
    let mut upper = [0; 8];
    let name = upper.get_mut(..verb.len()).ok_or(CommandError::Unknown)?;
    name.copy_from_slice(verb);
    name.make_ascii_uppercase();
    parse_verb(name, argument)
}

fn parse_verb<'a>(verb: &[u8], argument: &'a [u8]) -> Result<Command<'a>, CommandError> {
    let text = || text(argument);
    let required = || text().and_then(non_empty);
    match verb {
        b"MAIL" => parse_mail(Delivery::Mail, text()?),
        b"SEND" => parse_mail(Delivery::Send, text()?),
        b"SOML" => parse_mail(Delivery::SendOrMail, text()?),
        b"SAML" => parse_mail(Delivery::SendAndMail, text()?),
        b"RCPT" => parse_rcpt(text()?),
        b"DATA" => none(text()?, Command::Data),
        b"BDAT" => parse_bdat(argument),
        b"EHLO" => client_name(argument).map(Command::Ehlo),
        b"HELO" => client_name(argument).map(Command::Helo),
        b"LHLO" => client_name(argument).map(Command::Lhlo),
        b"QUIT" => none(text()?, Command::Quit),
        b"RSET" => none(text()?, Command::Rset),
        // RFC 5321 §4.1.1.9: an argument is ignored.
        b"NOOP" => text().map(|_| Command::Noop),
        b"STARTTLS" => none(text()?, Command::StartTls),
        b"AUTH" => required().map(parse_auth),
        b"VRFY" => required().map(Command::Vrfy),
        b"EXPN" => required().map(Command::Expn),
        b"HELP" => text().map(Command::Help),
        b"XCLIENT" => required().map(Command::Xclient),
        b"XFORWARD" => required().map(Command::Xforward),
        b"ETRN" => text().map(Command::Etrn),
        b"ATRN" => text().map(Command::Atrn),
        b"TURN" => none(text()?, Command::Turn),
        b"BURL" => parse_burl(text()?),
        b"VERB" | b"ONEX" => Ok(Command::NotServed),
        b"GET" | b"POST" | b"PUT" | b"HEAD" | b"OPTIONS" | b"CONNECT" | b"DELETE" | b"PATCH" => {
            Err(CommandError::Http)
        }
        _ => Err(CommandError::Unknown),
    }
}

fn text(argument: &[u8]) -> Result<&str, CommandError> {
    match std::str::from_utf8(argument) {
        Ok(text) if !text.contains(char::is_control) => Ok(text),
        _ => Err(CommandError::NotText),
    }
}

fn non_empty(argument: &str) -> Result<&str, CommandError> {
    if argument.is_empty() { Err(CommandError::Arguments) } else { Ok(argument) }
}

fn none<'a>(argument: &str, command: Command<'a>) -> Result<Command<'a>, CommandError> {
    // RFC 5321 §4.3.2
    if argument.is_empty() { Ok(command) } else { Err(CommandError::Arguments) }
}

/// RFC 5321 §4.1.4 has us take names that are wrong; one that is no word we cannot write into a trace field.
fn client_name(argument: &[u8]) -> Result<&str, CommandError> {
    let name = non_empty(text(argument)?)?;
    let word = name.len() <= limits::DOMAIN_BYTES_MAX && name.bytes().all(|octet| octet.is_ascii_graphic());
    if word { Ok(name) } else { Err(CommandError::Arguments) }
}

fn parse_mail(delivery: Delivery, argument: &str) -> Result<Command<'_>, CommandError> {
    let path = after_keyword(argument, "FROM:")?;
    let (reverse_path, rest) = ReversePath::parse_prefix(path).map_err(CommandError::ReversePath)?;
    Ok(Command::Mail { delivery, reverse_path, parameters: parameters(rest)? })
}

fn parse_rcpt(argument: &str) -> Result<Command<'_>, CommandError> {
    let path = after_keyword(argument, "TO:")?;
    let (forward_path, rest) = ForwardPath::parse_prefix(path).map_err(CommandError::ForwardPath)?;
    Ok(Command::Rcpt { forward_path, parameters: parameters(rest)? })
}

/// RFC 5321 §3.3 has no space behind the colon; as so many clients put one, it passes.
fn after_keyword<'a>(argument: &'a str, keyword: &str) -> Result<&'a str, CommandError> {
    match argument.split_at_checked(keyword.len()) {
        Some((start, path)) if start.eq_ignore_ascii_case(keyword) => Ok(path.trim_start_matches(' ')),
        _ => Err(CommandError::Arguments),
    }
}

fn parameters(rest: &str) -> Result<&str, CommandError> {
    if rest.is_empty() || rest.starts_with(' ') { Ok(rest) } else { Err(CommandError::Arguments) }
}

fn parse_bdat(argument: &[u8]) -> Result<Command<'_>, CommandError> {
    let mut words = argument.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let octets = words.next().and_then(|word| std::str::from_utf8(word).ok()).and_then(parameter::number);
    let octets = octets.ok_or(CommandError::Bdat { octets: None })?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return Err(CommandError::Bdat { octets: Some(octets) }),
    };
    match words.next() {
        None => Ok(Command::Bdat { octets, last }),
        Some(_) => Err(CommandError::Bdat { octets: Some(octets) }),
    }
}

fn parse_burl(argument: &str) -> Result<Command<'_>, CommandError> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let url = words.next().filter(|url| url.is_ascii()).ok_or(CommandError::Arguments)?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(CommandError::Arguments),
    };
    if words.next().is_none() { Ok(Command::Burl { url, last }) } else { Err(CommandError::Arguments) }
}

fn parse_auth(argument: &str) -> Command<'_> {
    match argument.split_once(' ') {
        None => Command::Auth { mechanism: argument, initial_response: None },
        Some((mechanism, response)) => {
            Command::Auth { mechanism, initial_response: Some(response.trim_start()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_count_in_any_case_and_trailing_space_does_not() {
        assert_eq!(parse(b"eHlO c.example"), Ok(Command::Ehlo("c.example")));
        assert_eq!(parse(b"quit \t "), Ok(Command::Quit));
        assert_eq!(parse(b"NoOp any text"), Ok(Command::Noop));
        assert_eq!(parse(b"starttls"), Ok(Command::StartTls));
        assert_eq!(parse(b"help  rcpt"), Ok(Command::Help("rcpt")));
        assert_eq!(parse(b"EHLO [IPv6:2001:db8::7]"), Ok(Command::Ehlo("[IPv6:2001:db8::7]")));
    }

    #[test]
    fn what_nobody_registered_is_unknown() {
        for line in
            ["", ".", "   ", "XYZZY", "WIZ", "XEXCH50 1 2", "MAILFROM:<a@b.example>", "NOOP\u{a0}", "\u{1}"]
        {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Unknown), "{line:?}");
        }
        assert_eq!(parse(b"NO\xffP"), Err(CommandError::Unknown));
        assert_eq!(parse(b"GET / HTTP/1.1"), Err(CommandError::Http));
    }

    #[test]
    fn known_verbs_without_service() {
        for line in ["VERB ON", "ONEX"] {
            assert_eq!(parse(line.as_bytes()), Ok(Command::NotServed), "{line:?}");
        }
    }

    #[test]
    fn burl_takes_a_url_and_whether_it_is_the_last() {
        assert_eq!(parse(b"burl imap://x/y"), Ok(Command::Burl { url: "imap://x/y", last: false }));
        assert_eq!(parse(b"BURL imap://x/y  last"), Ok(Command::Burl { url: "imap://x/y", last: true }));
        for line in ["BURL", "BURL x y", "BURL x LAST more", "BURL \u{e4}"] {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Arguments), "{line}");
        }
        assert_eq!(line_bytes_max(b"burl imap://"), limits::URL_LINE_BYTES_MAX);
    }

    #[test]
    fn verbs_to_terminals_are_like_mail() {
        for (line, expected) in [
            ("MAIL FROM:<a@b.example>", Delivery::Mail),
            ("SEND FROM:<a@b.example>", Delivery::Send),
            ("soml from: <a@b.example>", Delivery::SendOrMail),
            ("Saml From:<a@b.example> SIZE=5", Delivery::SendAndMail),
        ] {
            let Ok(Command::Mail { delivery, reverse_path, .. }) = parse(line.as_bytes()) else {
                panic!("{line}")
            };
            assert_eq!((delivery, reverse_path.to_string().as_str()), (expected, "a@b.example"), "{line}");
        }
        assert_eq!(parse(b"SEND TO:<a@b.example>"), Err(CommandError::Arguments));
        assert_eq!(parse(b"SOML"), Err(CommandError::Arguments));
    }

    #[test]
    fn arguments_where_there_must_be_some_or_none() {
        for line in [
            "EHLO",
            "HELO ",
            "EHLO a b",
            "EHLO bücher.example",
            "RSET x",
            "QUIT x",
            "DATA now",
            "STARTTLS x",
            "TURN x",
            "VRFY",
            "EXPN",
            "AUTH",
            "MAIL",
            "MAIL FROM",
            "MAIL TO:<a@b.example>",
            "RCPT FROM:<a@b.example>",
            "MAIL F\u{e9}OM:",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Arguments), "{line:?}");
        }
        assert_eq!(parse(b"NOOP a\0b"), Err(CommandError::NotText));
        assert_eq!(parse(b"VRFY \xff"), Err(CommandError::NotText));
        assert_eq!(parse(b"MAIL FROM:<a\0@b.example>"), Err(CommandError::NotText));
    }

    #[test]
    fn bdat_tells_how_much_follows_even_when_it_is_wrong() {
        assert_eq!(parse(b"BDAT 5"), Ok(Command::Bdat { octets: 5, last: false }));
        assert_eq!(parse(b"bdat 0 last"), Ok(Command::Bdat { octets: 0, last: true }));
        for line in ["BDAT 5 FIRST", "BDAT 5 LAST x"] {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Bdat { octets: Some(5) }), "{line:?}");
        }
        for line in
            ["BDAT", "BDAT x", "BDAT -1", "BDAT +1", "BDAT LAST", "BDAT 18446744073709551616", "BDAT \u{fc}"]
        {
            assert_eq!(parse(line.as_bytes()), Err(CommandError::Bdat { octets: None }), "{line:?}");
        }
    }

    #[test]
    fn auth_lines_may_be_longer() {
        assert_eq!(line_bytes_max(b"auth PLAIN AGEA"), limits::AUTH_LINE_BYTES_MAX);
        assert_eq!(line_bytes_max(b"AUTHOR"), limits::COMMAND_LINE_BYTES_MAX);
        assert_eq!(
            parse(b"AUTH PLAIN AGEAYg=="),
            Ok(Command::Auth { mechanism: "PLAIN", initial_response: Some("AGEAYg==") })
        );
        assert_eq!(parse(b"AUTH login"), Ok(Command::Auth { mechanism: "login", initial_response: None }));
    }
}
