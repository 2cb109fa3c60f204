//! A message as a terminal shows it: its text, of bounded length, with nothing in it that a terminal would obey.

mod plain;

use std::fmt::Write as _;

use mail_parser::{Address as Addresses, MessageParser, MimeHeaders};
use serde::{Deserialize, Serialize};

use crate::{ReversePath, text};

/// A longer message is not for a terminal; octets.
pub const MESSAGE_BYTES_MAX: u64 = 64 * 1024;
/// Octets of From and Subject that are shown.
const FIELD_BYTES_MAX: usize = 256;
/// Names of parts that are not shown, at most so many.
const PARTS_NAMED_MAX: usize = 10;

/// What is shown of a message. Every text in it is clean: no control or invisible characters, no escape sequences; only
/// `text` has line ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub from: String,
    pub date: Option<String>,
    pub subject: String,
    pub text: String,
    /// Parts that a terminal cannot show, by name or type.
    pub left_out: Vec<String>,
    /// The message goes on behind what is shown.
    pub cut: bool,
}

impl Notice {
    /// Of the first octets of a message of `bytes` octets; at most [`MESSAGE_BYTES_MAX`] of them count. `sender` stands in
    /// where From is missing.
    pub fn of(start: &[u8], bytes: u64, sender: &ReversePath) -> Self {
        let octets_max = usize::try_from(MESSAGE_BYTES_MAX).unwrap_or(usize::MAX);
        let shown = start.get(..octets_max).unwrap_or(start);
        let cut = bytes > shown.len() as u64;
        let Some(message) = MessageParser::default().parse(shown) else {
            let text = plain::lines(&String::from_utf8_lossy(shown));
            return Self { text, cut, ..Self::from_nobody_but(sender) };
        };
        let mut text = String::new();
        for number in 0..message.text_body.len() {
            text.push_str(&plain::lines(&message.body_text(number).unwrap_or_default()));
        }
        let parts = message.attachments().filter(|part| !is_signature(part));
        Self {
            from: message.from().and_then(author).unwrap_or_else(|| sender_words(sender)),
            date: message.date().filter(|date| date.is_valid()).map(|date| field(&date.to_rfc822())),
            subject: field(message.subject().unwrap_or_default()),
            text,
            left_out: parts.map(part_name).take(PARTS_NAMED_MAX).collect(),
            cut,
        }
    }

    /// The message is all there.
    pub fn is_whole(&self) -> bool {
        self.left_out.is_empty() && !self.cut
    }

    /// Lines of at most `columns` characters, each ended by LF. Those of the message begin with `| `, so that they cannot
    /// pass for anything else.
    pub fn render(&self, columns: usize) -> String {
        let mut out = String::with_capacity(self.text.len() + 512);
        let mut line = |start: &str, text: &str| {
            for piece in plain::wrap(text, columns.saturating_sub(start.len()).max(1)) {
                // Writing into a string cannot fail.
                let _ = writeln!(out, "{start}{piece}");
            }
        };
        line("", &format!("Message from {}", self.from));
        self.date.iter().for_each(|date| line("", &format!("Date: {date}")));
        if !self.subject.is_empty() {
            line("", &format!("Subject: {}", self.subject));
        }
        self.text.lines().for_each(|text| line("| ", text));
        self.left_out.iter().for_each(|part| line("", &format!("(not shown: {part})")));
        if self.cut {
            line("", "(the message goes on)");
        }
        line("", "(end of message)");
        out
    }

    fn from_nobody_but(sender: &ReversePath) -> Self {
        Self {
            from: sender_words(sender),
            date: None,
            subject: String::new(),
            text: String::new(),
            left_out: Vec::new(),
            cut: false,
        }
    }
}

fn author(from: &Addresses<'_>) -> Option<String> {
    let first = from.first()?;
    match (first.name(), first.address()) {
        (Some(name), Some(address)) => Some(field(&format!("{name} <{address}>"))),
        (None, Some(text)) | (Some(text), None) => Some(field(text)),
        (None, None) => None,
    }
}

fn sender_words(sender: &ReversePath) -> String {
    match sender {
        ReversePath::Null => "the mail system".to_owned(),
        ReversePath::Address(address) => field(&address.to_string()),
    }
}

fn part_name<'a>(part: &'a mail_parser::MessagePart<'a>) -> String {
    let of_type = || {
        part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        })
    };
    field(&part.attachment_name().map(str::to_owned).or_else(of_type).unwrap_or_else(|| "a part".to_owned()))
}

/// Nobody misses it on a terminal.
fn is_signature<'a>(part: &'a mail_parser::MessagePart<'a>) -> bool {
    part.is_content_type("application", "pgp-signature")
        || part.is_content_type("application", "pkcs7-signature")
}

fn field(value: &str) -> String {
    let one_line = plain::lines(value).split_whitespace().collect::<Vec<_>>().join(" ");
    text::clean_within(one_line.as_bytes(), FIELD_BYTES_MAX)
}

#[cfg(test)]
mod tests;
