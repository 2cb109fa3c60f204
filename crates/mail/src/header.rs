//! Reading and editing a header section without touching any octet that is not meant.
//!
//! Lines end with CRLF only; a bare CR or LF is an octet like others.

use std::ops::Range;

use memchr::memmem;

use crate::text;

/// What [`message_id`] keeps at most, in octets.
pub const MESSAGE_ID_BYTES_MAX: usize = 512;

/// Where a field stands in the message: name, value (folded, without the final CRLF), whole field with CRLF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: Range<usize>,
    pub value: Range<usize>,
    pub whole: Range<usize>,
}

/// The fields of the header section at the start of `message`; ends at the empty line or at the first line that is no
/// field. Costs time linear in what it reads; never fails.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Field> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let field = field_at(message, start)?;
        start = field.whole.end;
        Some(field)
    })
}

/// Where the body starts (after the empty line); the length of `message` if there is no empty line.
pub fn body_start(message: &[u8]) -> usize {
    if message.starts_with(b"\r\n") {
        return 2;
    }
    memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 4)
}

/// The unfolded value of the first field of that name, any case, without white space around it.
pub fn value(message: &[u8], name: &str) -> Option<Vec<u8>> {
    values(message, name).next()
}

/// The unfolded values of all fields of that name, in order.
pub fn values<'a>(message: &'a [u8], name: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    named(message, name).filter_map(|field| message.get(field.value).map(unfold))
}

/// The unfolded values of all fields, in order.
pub fn all_values(message: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    fields(message).filter_map(|field| message.get(field.value).map(unfold))
}

/// How many fields of that name there are.
pub fn count(message: &[u8], name: &str) -> usize {
    named(message, name).count()
}

/// A message without the fields of these names (Bcc on submission), every other octet as it was.
pub fn without_fields(message: &[u8], names: &[&str]) -> Vec<u8> {
    without(message, |field| names.iter().any(|name| has_name(message, field, name)))
}

/// A message without some of its fields, every other octet as it was.
pub fn without(message: &[u8], is_unwanted: impl Fn(&Field) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    let mut kept_from = 0;
    for field in fields(message).filter(|field| is_unwanted(field)) {
        out.extend_from_slice(message.get(kept_from..field.whole.start).unwrap_or_default());
        kept_from = field.whole.end;
    }
    out.extend_from_slice(message.get(kept_from..).unwrap_or_default());
    out
}

/// The value of Message-ID without its angle brackets, cleaned, to know the message by. `None` if there is none, or if
/// it is longer than [`MESSAGE_ID_BYTES_MAX`] octets.
pub fn message_id(message: &[u8]) -> Option<String> {
    let value = value(message, "Message-ID")?;
    let inside = value.iter().position(|&octet| octet == b'<').and_then(|at| value.get(at + 1..));
    let id = inside
        .map_or(value.as_slice(), |inside| inside.split(|&octet| octet == b'>').next().unwrap_or_default());
    let id = text::clean_within(id.trim_ascii(), MESSAGE_ID_BYTES_MAX + 1);
    (1..=MESSAGE_ID_BYTES_MAX).contains(&id.len()).then_some(id)
}

fn named<'a>(message: &'a [u8], name: &'a str) -> impl Iterator<Item = Field> + 'a {
    fields(message).filter(move |field| has_name(message, field, name))
}

fn has_name(message: &[u8], field: &Field, name: &str) -> bool {
    message.get(field.name.clone()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
}

fn field_at(message: &[u8], start: usize) -> Option<Field> {
    let rest = message.get(start..)?;
    // RFC 5322 §3.6.8: ftext
    let name_len = rest.iter().position(|octet| !matches!(octet, b'!'..=b'9' | b';'..=b'~'))?;
    // RFC 5322 §4.5: white space before the colon is obsolete, and read.
    let gap = rest.get(name_len..)?.iter().take_while(|octet| is_wsp(**octet)).count();
    if name_len == 0 || rest.get(name_len + gap) != Some(&b':') {
        return None;
    }
    let value_start = start + name_len + gap + 1;
    let mut end = line_end(message, value_start);
    // RFC 5322 §2.2.3: lines that start with white space continue the field.
    while message.get(end.end).copied().is_some_and(is_wsp) {
        end = line_end(message, end.end);
    }
    Some(Field { name: start..start + name_len, value: value_start..end.start, whole: start..end.end })
}

/// The CRLF that ends the line; empty, at the end of the message, if there is none.
fn line_end(message: &[u8], from: usize) -> Range<usize> {
    let found = message.get(from..).and_then(|rest| memmem::find(rest, b"\r\n"));
    found.map_or(message.len()..message.len(), |at| from + at..from + at + 2)
}

/// RFC 5322 §2.2.3: unfolding takes out the CRLFs, and nothing else.
pub(crate) fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((line, after)) =
        memmem::find(rest, b"\r\n").and_then(|at| Some((rest.get(..at)?, rest.get(at + 2..)?)))
    {
        out.extend_from_slice(line);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.trim_ascii().to_vec()
}

fn is_wsp(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &[u8] = b"Received: from a\r\n\tby b\r\nSubject : one\r\n two\r\nBCC: x@y,\r\n z@y\r\n\
        X:\r\nreceived: from c\r\nBcc:last@y\r\n\r\nBcc: body\r\n";

    fn names(message: &[u8]) -> Vec<String> {
        let text = |range: Range<usize>| String::from_utf8_lossy(&message[range]).into_owned();
        fields(message).map(|field| text(field.name)).collect()
    }

    #[test]
    fn fields_are_found_where_they_stand() {
        assert_eq!(names(MESSAGE), ["Received", "Subject", "BCC", "X", "received", "Bcc"]);
        let second = fields(MESSAGE).nth(1).unwrap();
        assert_eq!(&MESSAGE[second.whole], b"Subject : one\r\n two\r\n");
        assert_eq!(&MESSAGE[second.value], b" one\r\n two");
    }

    #[test]
    fn values_are_unfolded() {
        assert_eq!(value(MESSAGE, "SUBJECT").as_deref(), Some(&b"one two"[..]));
        assert_eq!(value(MESSAGE, "X").as_deref(), Some(&b""[..]));
        assert_eq!(value(MESSAGE, "Body"), None);
        assert_eq!(all_values(MESSAGE).nth(1), value(MESSAGE, "Subject"));
        assert_eq!(count(MESSAGE, "Received"), 2);
        assert_eq!(count(MESSAGE, "Date"), 0);
    }

    #[test]
    fn only_the_named_fields_go() {
        let expected = b"Received: from a\r\n\tby b\r\nSubject : one\r\n two\r\nX:\r\nreceived: from c\r\n\r\nBcc: body\r\n";
        assert_eq!(without_fields(MESSAGE, &["Bcc"]), expected);
        assert_eq!(without_fields(MESSAGE, &["None"]), MESSAGE);
        assert_eq!(without_fields(b"Bcc: a\r\n\r\n", &["bcc"]), b"\r\n");
        assert_eq!(without_fields(b"Bcc: a", &["bcc"]), b"");
    }

    #[test]
    fn the_section_ends_at_what_is_no_field() {
        assert!(names(b"").is_empty());
        assert!(names(b"\r\nA: b\r\n").is_empty());
        assert!(names(b" A: b\r\n").is_empty());
        assert!(names(b": b\r\n").is_empty());
        assert!(names(b"From here on: no\r\n").is_empty());
        assert_eq!(names(b"A: b\r\nno field\r\nC: d\r\n"), ["A"]);
        assert_eq!(names(b"A: b\nB: c\r\nC: d"), ["A", "C"]);
        assert_eq!(names("Ä: b\r\n".as_bytes()), Vec::<String>::new());
    }

    #[test]
    fn the_body_starts_after_the_empty_line() {
        assert_eq!(body_start(b"A: b\r\n\r\nbody"), 8);
        assert_eq!(body_start(b"\r\nbody"), 2);
        assert_eq!(body_start(b"A: b\r\n"), 6);
        assert_eq!(body_start(b"A: b\n\nbody"), 10);
        assert_eq!(body_start(b""), 0);
    }

    #[test]
    fn message_ids() {
        let id = |message: &[u8]| message_id(message);
        assert_eq!(id(b"Message-ID: <a.b@c>\r\n\r\n").as_deref(), Some("a.b@c"));
        assert_eq!(id(b"message-id:\r\n <a@b> (x)\r\n").as_deref(), Some("a@b"));
        assert_eq!(id(b"Message-Id: bare@id\r\n").as_deref(), Some("bare@id"));
        assert_eq!(id(b"Message-ID: <a\x1b[2J@b\r\n").as_deref(), Some("a\\u{1b}[2J@b"));
        assert_eq!(id(b"Message-ID: <>\r\n"), None);
        assert_eq!(id(b"Subject: x\r\n"), None);
        let long = |len: usize| format!("Message-ID: <{}>\r\n", "x".repeat(len));
        assert_eq!(id(long(MESSAGE_ID_BYTES_MAX).as_bytes()).map(|id| id.len()), Some(MESSAGE_ID_BYTES_MAX));
        assert_eq!(id(long(MESSAGE_ID_BYTES_MAX + 1).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn fields_tile_the_section(pieces in prop::collection::vec("(A|Bcc|:| |\t|\r\n|\r|\n|x|ü){1,4}", 0..30)) {
            let message = pieces.concat().into_bytes();
            let mut end = 0;
            for field in fields(&message) {
                prop_assert_eq!(field.whole.start, end);
                prop_assert!(field.name.end < field.value.start && field.value.end <= field.whole.end);
                end = field.whole.end;
            }
            prop_assert!(end <= message.len());
            let edited = without_fields(&message, &["bcc"]);
            prop_assert!(edited.len() == message.len() || count(&message, "bcc") > 0);
            prop_assert!(edited.ends_with(&message[end..]));
            let _ = (value(&message, "a"), message_id(&message));
            prop_assert!(body_start(&message) <= message.len());
        }
    }
}
