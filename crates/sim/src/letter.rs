//! Test messages: each has a tag, and a body that follows from the tag, so that whoever gets one can tell whether it is
//! whole and whose it is.

use std::fmt;

use store::memory::Chance;

/// The name of a message: `m17.0` is the first try of the 18th.
pub type Tag = String;

const TAG_FIELD: &str = "X-Tag: ";
const LINES_FIELD: &str = "X-Lines: ";

/// A message as a client sends it, CRLF at the end of each line, not yet dot-stuffed.
pub fn write(tag: &str, from: &str, to: &str, lines: usize) -> String {
    let mut letter = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {tag}\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n\
         Message-ID: {}\r\n{TAG_FIELD}{tag}\r\n{LINES_FIELD}{lines}\r\n\r\n",
        message_id(tag)
    );
    letter.push_str(&body(tag, lines));
    letter
}

pub fn message_id(tag: &str) -> String {
    format!("<{tag}@sim.example>")
}

/// The tag in a Message-ID, with or without angle brackets.
pub fn tag_of(message_id: &str) -> Option<Tag> {
    let bare = message_id.trim_start_matches('<').trim_end_matches('>');
    bare.strip_suffix("@sim.example").map(str::to_owned)
}

fn body(tag: &str, lines: usize) -> String {
    let seed = tag.bytes().fold(0, |seed: u64, octet| seed.wrapping_mul(131).wrapping_add(octet.into()));
    let mut chance = Chance::new(seed);
    let mut body = String::new();
    for number in 0..lines {
        // Dots at the start, empty lines, and lines of every length are where content gets damaged.
        let start =
            [".", "..", "", "From ", "-"].into_iter().nth(chance.below(12) as usize).unwrap_or("line");
        let length = chance.below(60) as usize;
        body.extend([start, " ", &number.to_string(), " ", &"x".repeat(length), "\r\n"]);
    }
    body
}

/// What came of a message, read from its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Letter {
        tag: Tag,
        /// The body is what was written.
        whole: bool,
    },
    Report {
        /// Of the message it tells of; none if that is no letter of ours.
        about: Option<Tag>,
        /// Recipients, and what became of them: `failed`, `delayed`, …
        fates: Vec<(String, String)>,
        /// The reverse-path was null, as far as final delivery tells.
        null_path: bool,
    },
    Other,
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter { tag, whole: true } => f.write_str(tag),
            Self::Letter { tag, whole: false } => write!(f, "{tag}, damaged"),
            Self::Report { about, .. } => write!(f, "a report on {}", about.as_deref().unwrap_or("nothing")),
            Self::Other => f.write_str("something else"),
        }
    }
}

pub fn read(content: &str) -> Read {
    let (header, rest) = content.split_once("\r\n\r\n").unwrap_or((content, ""));
    if header.contains("multipart/report") {
        let null_path = !header.contains("Return-Path:") || header.contains("Return-Path: <>");
        // Some reports return nothing of the letter but what names it.
        let named = || field(rest, "Message-ID: ").and_then(|id| tag_of(&id));
        return Read::Report { about: field(rest, TAG_FIELD).or_else(named), fates: fates(rest), null_path };
    }
    match (field(header, TAG_FIELD), field(header, LINES_FIELD).and_then(|lines| lines.parse().ok())) {
        (Some(tag), Some(lines)) => {
            let whole = rest == body(&tag, lines);
            Read::Letter { tag, whole }
        }
        _ => Read::Other,
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}

fn fates(report: &str) -> Vec<(String, String)> {
    let (mut fates, mut recipient) = (Vec::new(), None);
    for line in report.lines() {
        if let Some(address) = line.strip_prefix("Final-Recipient: rfc822;") {
            recipient = Some(address.trim().to_owned());
        } else if let (Some(action), Some(_)) = (line.strip_prefix("Action: "), &recipient) {
            fates.extend(recipient.take().map(|recipient| (recipient, action.trim().to_owned())));
        }
    }
    fates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_known_again_and_damage_shows() {
        let letter = write("m3.0", "a@s1.example", "b@s2.example", 20);
        assert_eq!(read(&letter), Read::Letter { tag: "m3.0".to_owned(), whole: true });
        let damaged = letter.replace("line", "lime");
        assert_eq!(read(&damaged), Read::Letter { tag: "m3.0".to_owned(), whole: false });
        let cut = &letter[..letter.len() - 2];
        assert_eq!(read(cut), Read::Letter { tag: "m3.0".to_owned(), whole: false });
        assert_eq!(tag_of(&message_id("m3.0")), Some("m3.0".to_owned()));
    }
}
