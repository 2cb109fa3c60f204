use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{limits::REPLY_LINE_BYTES_MAX, text};

/// RFC 3463: `class.subject.detail`. The class of a written reply is always the first digit of its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnhancedStatus {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

/// One SMTP reply of one or more lines. Texts never hold CR, LF or other controls: what a peer sent is cleaned on entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub enhanced: Option<EnhancedStatus>,
    pub lines: SmallVec<[Cow<'static, str>; 1]>,
}

impl Reply {
    /// `Reply::new(550, (5, 1, 1), "no such user here")`
    pub fn new(code: u16, enhanced: (u8, u16, u16), text: impl Into<Cow<'static, str>>) -> Self {
        let (class, subject, detail) = enhanced;
        Self {
            code,
            enhanced: Some(EnhancedStatus { class, subject, detail }),
            lines: SmallVec::from_buf([text.into()]),
        }
    }

    /// A reply without an enhanced code: greeting, HELO, EHLO, 3yz.
    pub fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, lines: SmallVec::from_buf([text.into()]) }
    }

    /// A peer's reply from the texts of its lines (what follows `nnn-` or `nnn `, without CRLF): cleaned, and the
    /// enhanced code taken off each line if it is well-formed and of the code's class (RFC 2034 §4).
    pub fn from_peer<'a>(code: u16, texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut enhanced = None;
        let lines = texts.into_iter().map(|octets| {
            let mut line = text::clean_within(octets, REPLY_LINE_BYTES_MAX);
            if let Some((status, rest)) = EnhancedStatus::parse_prefix(&line)
                && u16::from(status.class) == code / 100
                && *enhanced.get_or_insert(status) == status
            {
                line = rest.to_owned();
            }
            Cow::Owned(line)
        });
        let lines = lines.collect();
        Self { code, enhanced, lines }
    }

    pub fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Its lines as they stand on the wire, apart by LF: `550-5.1.1 no such\n550 5.1.1 user`.
    pub fn transcript(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8_lossy(&out).trim_end().replace("\r\n", "\n")
    }

    /// The enhanced code with the class that the code asks for; none in 3yz replies (RFC 2034 §4).
    fn written_status(&self) -> Option<EnhancedStatus> {
        let class = u8::try_from(self.code / 100).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        self.enhanced.map(|status| EnhancedStatus { class, ..status })
    }

    /// Appends the wire form; lines longer than 512 octets are wrapped (RFC 5321 §4.5.3.1.5), each line repeats the
    /// code and the enhanced code (RFC 2034 §4).
    pub fn write(&self, out: &mut Vec<u8>) {
        let code = self.code.to_string();
        let enhanced = self.written_status().map(|status| format!("{status} ")).unwrap_or_default();
        let text_bytes_max =
            REPLY_LINE_BYTES_MAX.saturating_sub(code.len() + 1 + enhanced.len() + b"\r\n".len());
        let mut pieces = self.lines.iter().flat_map(|line| wrap(line, text_bytes_max)).peekable();
        if pieces.peek().is_none() {
            write_line(out, &code, b' ', &enhanced, "");
        }
        while let Some(piece) = pieces.next() {
            let separator = if pieces.peek().is_some() { b'-' } else { b' ' };
            write_line(out, &code, separator, &enhanced, piece);
        }
    }
}

fn write_line(out: &mut Vec<u8>, code: &str, separator: u8, enhanced: &str, text: &str) {
    out.extend_from_slice(code.as_bytes());
    out.push(separator);
    out.extend_from_slice(enhanced.as_bytes());
    // No text, wherever it came from, may end the line early.
    out.extend(text.bytes().map(|octet| if octet.is_ascii_control() { b'?' } else { octet }));
    out.extend_from_slice(b"\r\n");
}

/// Cuts a text into pieces of at most so many octets, at spaces if there are any. An empty text is one piece.
fn wrap(text: &str, bytes_max: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        if text.len() <= bytes_max {
            rest = None;
            return Some(text);
        }
        let (head, tail) = text.split_at_checked(text.floor_char_boundary(bytes_max))?;
        let (head, tail) = match head.rfind(' ').filter(|&at| at > 0) {
            Some(at) => {
                let (head, tail) = text.split_at_checked(at)?;
                (head, tail.strip_prefix(' ').unwrap_or(tail))
            }
            None => (head, tail),
        };
        rest = Some(tail);
        Some(head)
    })
}

/// `550 5.1.1 no such user here`, lines joined by spaces: for logs, the ledger and people.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.written_status() {
            write!(f, " {status}")?;
        }
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

/// Not an enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code: expected one such as 5.1.1")]
pub struct EnhancedStatusError;

impl EnhancedStatus {
    /// The code at the start of a reply's text, and the text behind it and one space. `None` if there is none.
    pub fn parse_prefix(text: &str) -> Option<(Self, &str)> {
        let (status, rest) = text.split_once(' ').unwrap_or((text, ""));
        status.parse().ok().map(|status| (status, rest))
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// RFC 3463 §2: `status-code = ("2"/"4"/"5") "." 1*3digit "." 1*3digit`
impl FromStr for EnhancedStatus {
    type Err = EnhancedStatusError;

    fn from_str(text: &str) -> Result<Self, EnhancedStatusError> {
        let mut parts = text.split('.');
        let (Some(class), Some(subject), Some(detail), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(EnhancedStatusError);
        };
        let class = match class {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return Err(EnhancedStatusError),
        };
        Ok(Self { class, subject: number(subject)?, detail: number(detail)? })
    }
}

/// Up to three digits, without leading zeros (RFC 3463 §2).
fn number(text: &str) -> Result<u16, EnhancedStatusError> {
    let is_number = matches!(text.len(), 1..=3)
        && text.bytes().all(|octet| octet.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_number).ok_or(EnhancedStatusError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line() {
        let reply = Reply::new(550, (5, 1, 1), "no such user here");
        assert_eq!(wire(&reply), "550 5.1.1 no such user here\r\n");
        assert_eq!(reply.to_string(), "550 5.1.1 no such user here");
        assert_eq!(wire(&Reply::plain(354, "end with a dot")), "354 end with a dot\r\n");
        assert_eq!(wire(&Reply::plain(250, "")), "250 \r\n");
    }

    #[test]
    fn several_lines() {
        let mut reply = Reply::plain(250, "mx.example at your service");
        reply.lines.push("PIPELINING".into());
        reply.lines.push("SIZE 1000".into());
        assert_eq!(wire(&reply), "250-mx.example at your service\r\n250-PIPELINING\r\n250 SIZE 1000\r\n");
        reply.lines.clear();
        assert_eq!(wire(&reply), "250 \r\n");
    }

    #[test]
    fn class_follows_the_code() {
        assert_eq!(wire(&Reply::new(451, (5, 3, 0), "later")), "451 4.3.0 later\r\n");
        assert_eq!(wire(&Reply::new(334, (2, 0, 0), "")), "334 \r\n");
    }

    #[test]
    fn long_lines_are_wrapped_at_spaces() {
        let text = "policy text ".repeat(100);
        let reply = Reply::new(550, (5, 7, 1), text.trim_end().to_owned());
        let wire = wire(&reply);
        let lines: Vec<&str> = wire.split_inclusive("\r\n").collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= 512));
        assert!(lines[..2].iter().all(|line| line.starts_with("550-5.7.1 ") && !line.contains(" \r")));
        assert!(lines[2].starts_with("550 5.7.1 ") && lines[2].ends_with("text\r\n"));
    }

    #[test]
    fn controls_cannot_end_a_line() {
        assert_eq!(wire(&Reply::plain(250, "a\r\n250 b\0")), "250 a??250 b?\r\n");
    }

    #[test]
    fn from_a_peer() {
        let reply = Reply::from_peer(550, [&b"5.1.1 no such"[..], b"5.1.1 user\x1b[0m"]);
        assert_eq!(reply.to_string(), "550 5.1.1 no such user\\u{1b}[0m");
        // A code of another class, or one that is malformed, is text.
        assert_eq!(Reply::from_peer(550, [&b"4.1.1 odd"[..]]).enhanced, None);
        assert_eq!(Reply::from_peer(550, [&b"5.1 odd"[..]]).to_string(), "550 5.1 odd");
        assert_eq!(Reply::from_peer(250, [&b""[..]]).to_string(), "250");
        let mixed = Reply::from_peer(550, [&b"5.1.1 a"[..], b"5.1.2 b"]);
        assert_eq!(mixed.to_string(), "550 5.1.1 a 5.1.2 b");
    }

    #[test]
    fn enhanced_status_texts() {
        let status = EnhancedStatus { class: 5, subject: 7, detail: 26 };
        assert_eq!("5.7.26".parse(), Ok(status));
        for bad in
            ["", "5", "5.1", "5.1.1.1", "3.1.1", "5.01.1", "5.1.1000", "5.+1.1", "5.1.", "55.1.1", " 5.1.1"]
        {
            assert_eq!(bad.parse::<EnhancedStatus>(), Err(EnhancedStatusError), "{bad}");
        }
        assert_eq!(EnhancedStatus::parse_prefix("5.7.26 no"), Some((status, "no")));
        assert_eq!(EnhancedStatus::parse_prefix("5.7.26"), Some((status, "")));
    }

    proptest! {
        #[test]
        fn the_wire_form_is_always_lawful(code in 200u16..600, texts in prop::collection::vec(".{0,1500}", 0..4)) {
            let mut reply = Reply::new(code, (2, 0, 0), "");
            reply.lines = texts.into_iter().map(Cow::Owned).collect();
            let wire = wire(&reply);
            let lines: Vec<&str> = wire.strip_suffix("\r\n").unwrap().split("\r\n").collect();
            for (number, line) in lines.iter().enumerate() {
                let separator = if number + 1 == lines.len() { " " } else { "-" };
                let start = format!("{code}{separator}");
                prop_assert!(line.starts_with(&start));
                prop_assert!(line.len() <= 510 && !line.chars().any(|c| c.is_ascii_control()));
            }
        }
    }
}
