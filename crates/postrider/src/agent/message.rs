//! Builds a MIME message whose attachments stay on disk: they are encoded while they are sent.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use mail_builder::{
    MessageBuilder,
    headers::{address::Address as HeaderAddress, content_type::ContentType},
    mime::MimePart,
};
use world::World;

use super::mailbox::Mailbox;
use crate::Failure;

/// Octets of a file that become one base64 line (RFC 2045 §6.8: 76 characters at most).
const LINE_INPUT_BYTES: usize = 57;
/// Octets of a file read at once; whole lines.
const READ_BYTES: usize = LINE_INPUT_BYTES * 1024;

/// What the writer of a message decides. Blind copies are no part of it: they belong to the envelope.
#[derive(Clone, Debug)]
pub struct Draft {
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
    pub attachments: Vec<PathBuf>,
}

/// A message ready to be sent, piece by piece.
#[derive(Debug)]
pub struct Message {
    pieces: VecDeque<Piece>,
    bytes: u64,
}

#[derive(Debug)]
enum Piece {
    Octets(Bytes),
    Attachment { file: File, path: PathBuf, remaining: u64 },
}

impl Message {
    /// Opens the attachments and writes everything around them.
    pub fn build(draft: &Draft, world: &World) -> Result<Self, Failure> {
        let boundary = format!("=_{:016x}{:016x}", world.entropy.u64(), world.entropy.u64());
        let mut message = Self { pieces: VecDeque::new(), bytes: 0 };
        let mut head = written(draft, &boundary, world)?;
        if draft.attachments.is_empty() {
            message.push_octets(head);
            return Ok(message);
        }
        let end = format!("\r\n--{boundary}--\r\n").into_bytes();
        head.truncate(head.strip_suffix(&*end).map_or(head.len(), <[u8]>::len));
        for path in &draft.attachments {
            head.extend_from_slice(attachment_head(path, &boundary).as_bytes());
            message.push_octets(std::mem::take(&mut head));
            message.push_file(path)?;
        }
        message.push_octets(end);
        Ok(message)
    }

    /// Octets of the whole message as it will be read from [`next_chunk`](Self::next_chunk).
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next octets, none at the end. An attachment that shrank meanwhile is an error.
    pub fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        match self.pieces.pop_front() {
            None => Ok(None),
            Some(Piece::Octets(octets)) => Ok(Some(octets)),
            Some(Piece::Attachment { mut file, path, remaining }) => {
                let want = remaining.min(READ_BYTES as u64);
                let mut octets = Vec::new();
                (&mut file).take(want).read_to_end(&mut octets)?;
                if octets.len() as u64 != want {
                    let message = format!("{} became shorter while it was sent", path.display());
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                if remaining > want {
                    self.pieces.push_front(Piece::Attachment { file, path, remaining: remaining - want });
                }
                Ok(Some(encoded(&octets)))
            }
        }
    }

    fn push_octets(&mut self, octets: Vec<u8>) {
        self.bytes += octets.len() as u64;
        self.pieces.push_back(Piece::Octets(octets.into()));
    }

    fn push_file(&mut self, path: &Path) -> Result<(), Failure> {
        let unreadable = |error| Failure::new(format!("{} cannot be attached: {error}", path.display()));
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(Failure::new(format!("{} cannot be attached: it is not a file", path.display())));
        }
        if about.len() > 0 {
            self.bytes += encoded_len(about.len());
            self.pieces.push_back(Piece::Attachment { file, path: path.to_owned(), remaining: about.len() });
        }
        Ok(())
    }
}

/// Header section and text parts; with attachments also the end of the multipart, which they go before.
fn written(draft: &Draft, boundary: &str, world: &World) -> Result<Vec<u8>, Failure> {
    let wall = world.clock.wall();
    let domain = draft.from.address.domain().map_or("localhost", |domain| domain.as_str());
    let mut builder = MessageBuilder::new()
        .from(header_address(&draft.from))
        .subject(one_line(&draft.subject))
        .date(wall.millis().div_euclid(1000))
        .message_id(format!("{:016x}.{:x}@{domain}", world.entropy.u64(), wall.millis()));
    if !draft.to.is_empty() {
        builder = builder.to(header_list(&draft.to));
    }
    if !draft.cc.is_empty() {
        builder = builder.cc(header_list(&draft.cc));
    }
    let body = body(draft);
    let body = if draft.attachments.is_empty() {
        body
    } else {
        MimePart::new(ContentType::new("multipart/mixed").attribute("boundary", boundary), vec![body])
    };
    builder.body(body).write_to_vec().map_err(Failure::from)
}

fn body(draft: &Draft) -> MimePart<'static> {
    let text = MimePart::new("text/plain", with_crlf(&draft.text));
    match &draft.html {
        Some(html) if draft.text.is_empty() => MimePart::new("text/html", with_crlf(html)),
        Some(html) => {
            MimePart::new("multipart/alternative", vec![text, MimePart::new("text/html", with_crlf(html))])
        }
        None => text,
    }
}

fn header_address(mailbox: &Mailbox) -> HeaderAddress<'static> {
    HeaderAddress::new_address(mailbox.name.clone(), mailbox.address.to_string())
}

fn header_list(mailboxes: &[Mailbox]) -> HeaderAddress<'static> {
    HeaderAddress::new_list(mailboxes.iter().map(header_address).collect())
}

/// A header value cannot hold line ends: they would begin a new field.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Every line ended by CRLF (RFC 5322 §2.1).
fn with_crlf(text: &str) -> String {
    let mut lines: String = text.lines().flat_map(|line| [line.trim_end_matches('\r'), "\r\n"]).collect();
    if lines.is_empty() {
        lines.push_str("\r\n");
    }
    lines
}

fn attachment_head(path: &Path, boundary: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Disposition: attachment;\r\n {}\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        media_type(&name),
        parameter("filename", &name),
    )
}

/// A MIME parameter; RFC 2231 §4 where it cannot be a quoted string.
fn parameter(name: &str, value: &str) -> String {
    if value.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let mut text = format!("{name}*=UTF-8''");
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            text.push(octet.into());
        } else {
            let _ = write!(text, "%{octet:02X}");
        }
    }
    text
}

/// The media type that the name's ending tells.
fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let known = [
        ("pdf", "application/pdf"),
        ("zip", "application/zip"),
        ("gz", "application/gzip"),
        ("json", "application/json"),
        ("xml", "application/xml"),
        ("ics", "text/calendar"),
        ("txt", "text/plain"),
        ("log", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("htm", "text/html"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("svg", "image/svg+xml"),
        ("webp", "image/webp"),
        ("mp3", "audio/mpeg"),
        ("mp4", "video/mp4"),
    ];
    known.iter().find(|(known, _)| *known == ending).map_or("application/octet-stream", |(_, kind)| kind)
}

fn encoded(octets: &[u8]) -> Bytes {
    let mut text = String::with_capacity(octets.len() / LINE_INPUT_BYTES * 78 + 80);
    for line in octets.chunks(LINE_INPUT_BYTES) {
        STANDARD.encode_string(line, &mut text);
        text.push_str("\r\n");
    }
    text.into()
}

/// What [`encoded`] makes of so many octets.
fn encoded_len(bytes: u64) -> u64 {
    let line = LINE_INPUT_BYTES as u64;
    let rest = bytes % line;
    bytes / line * 78 + if rest == 0 { 0 } else { rest.div_ceil(3) * 4 + 2 }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn draft() -> Draft {
        Draft {
            from: "Ännchen <anna@example.org>".parse().unwrap(),
            to: vec!["bob@example.org".parse().unwrap()],
            cc: Vec::new(),
            subject: "Grüße\r\nBcc: evil@example.org".to_owned(),
            text: "one\ntwo\r\n.three".to_owned(),
            html: None,
            attachments: Vec::new(),
        }
    }

    fn whole(draft: &Draft) -> String {
        let mut message = Message::build(draft, &World::system()).unwrap();
        let bytes = message.bytes();
        let mut octets = Vec::new();
        while let Some(chunk) = message.next_chunk().unwrap() {
            octets.extend_from_slice(&chunk);
        }
        assert_eq!(octets.len() as u64, bytes);
        String::from_utf8(octets).unwrap()
    }

    fn assert_lines_are_sound(text: &str) {
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert_eq!(text.matches('\r').count(), text.matches("\r\n").count());
        assert!(text.lines().all(|line| line.len() <= 998));
        assert!(text.is_ascii());
    }

    #[test]
    fn a_plain_message() {
        let text = whole(&draft());
        assert_lines_are_sound(&text);
        assert!(text.contains("To: <bob@example.org>\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\none\r\ntwo\r\n.three\r\n"), "{text}");
        assert!(!text.contains("\nBcc:"), "{text}");
    }

    #[test]
    fn text_that_is_not_ascii_is_encoded() {
        let text =
            whole(&Draft { text: "Grüße\nö".repeat(300), html: Some("<p>ß</p>".to_owned()), ..draft() });
        assert_lines_are_sound(&text);
        assert!(text.contains("multipart/alternative"), "{text}");
    }

    #[test]
    fn attachments_are_streamed_from_disk() {
        let dir = tempfile::tempdir().unwrap();
        for (name, length) in [("a.pdf", 0), ("é \"x\".bin", 1), ("b.txt", 57), ("c.bin", READ_BYTES + 58)] {
            let path = dir.path().join(name);
            let octets: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
            File::create(&path).unwrap().write_all(&octets).unwrap();
            let text = whole(&Draft { attachments: vec![path], ..draft() });
            assert_lines_are_sound(&text);
            let (_, part) = text.split_once("base64\r\n\r\n").unwrap();
            let (part, end) = part.split_once("\r\n--").unwrap_or(("", part.trim_start_matches("\r\n--")));
            assert!(end.ends_with("--\r\n"), "{name} {end}");
            assert_eq!(STANDARD.decode(part.replace("\r\n", "")).unwrap(), octets, "{name}");
        }
    }

    #[test]
    fn names_of_files_are_written_as_mime_asks() {
        assert_eq!(parameter("filename", "a \"b\".txt"), "filename=\"a \\\"b\\\".txt\"");
        assert_eq!(parameter("filename", "é.txt"), "filename*=UTF-8''%C3%A9.txt");
        assert_eq!(parameter("filename", "a\r\nb"), "filename*=UTF-8''a%0D%0Ab");
    }

    #[test]
    fn what_cannot_be_attached_is_named() {
        let failure =
            Message::build(&Draft { attachments: vec!["/no/such".into()], ..draft() }, &World::system());
        assert!(failure.unwrap_err().to_string().contains("/no/such"));
    }
}
