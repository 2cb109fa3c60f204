//! Messages that are hard to carry, and the comparison of what arrived with what was sent.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::random::Random;

/// One message in CRLF lines.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: &'static str,
    pub message: Vec<u8>,
}

const HEADER: &str = "From: Ann <alice@example.test>\r\nTo: alice@example.test\r\n\
    Date: Tue, 03 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n";

fn sample(name: &'static str, fields: &str, body: &[u8]) -> Sample {
    let header = format!("{HEADER}Message-ID: <{name}@client.test>\r\nSubject: {name}\r\n{fields}\r\n");
    Sample { name, message: [header.as_bytes(), body].concat() }
}

/// Whatever any program can carry.
pub fn plain() -> Vec<Sample> {
    vec![one_byte(), dots(), eight_bit(), attachment()]
}

pub fn one_byte() -> Sample {
    sample("one-byte", "", b"x\r\n")
}

pub fn dots() -> Sample {
    sample("dots", "", b".\r\n..\r\n...\r\n.start\r\n..start\r\nmid.dle\r\n\r\n.\r\n\r\nend.\r\n.\r\n")
}

/// Every octet from 0x80 on, and UTF-8.
pub fn eight_bit() -> Sample {
    let mut body = Vec::new();
    for line in (0x80..=0xff_u8).collect::<Vec<_>>().chunks(16) {
        body.extend_from_slice(line);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice("Grüße, 你好, привет\r\n".as_bytes());
    sample(
        "eight-bit",
        "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n",
        &body,
    )
}

/// 25 MiB of random octets in base64.
pub fn attachment() -> Sample {
    attachment_of(25)
}

pub fn attachment_of(mebibytes: usize) -> Sample {
    let encoded = BASE64_STANDARD.encode(Random(25).bytes(mebibytes << 20));
    let mut body = Vec::with_capacity(encoded.len() * 78 / 76 + 1024);
    body.extend_from_slice(b"--part\r\nContent-Type: text/plain\r\n\r\nSee the attachment.\r\n--part\r\n");
    body.extend_from_slice(b"Content-Type: application/octet-stream\r\n");
    body.extend_from_slice(b"Content-Disposition: attachment; filename=\"random\"\r\n");
    body.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    for line in encoded.as_bytes().chunks(76) {
        body.extend_from_slice(line);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--part--\r\n");
    sample("attachment", "Content-Type: multipart/mixed; boundary=part\r\n", &body)
}

/// Names and addresses beyond ASCII in the header section, for SMTPUTF8 (RFC 6532).
pub fn utf8() -> Sample {
    let message = "From: Jörg <jörg@client.test>\r\nTo: δοκιμή <δοκιμή@example.test>\r\n\
        Date: Tue, 03 Nov 2026 10:00:00 +0000\r\nMessage-ID: <utf8@client.test>\r\nSubject: Grüße\r\n\
        MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n你好, .\r\n";
    Sample { name: "utf8", message: message.as_bytes().to_vec() }
}

/// Every octet but NUL, bare CR and LF among them, for BODY=BINARYMIME (RFC 3030).
pub fn binary() -> Sample {
    let mut body: Vec<u8> = Random(30).bytes(300_000);
    body.retain(|octet| *octet != 0);
    body.splice(0..0, 1..=255);
    body.extend_from_slice(b"\rbare CR\r\r\r\n.\r\n..dots\r\n\nbare LF\n\n\r\n\n..\n\r\nlast line\r\n");
    sample("binary", "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n", &body)
}

/// Fields a server may put in front of what it got, on the way from submission to the mailbox.
const ADDED: [&str; 3] = ["Return-Path", "Delivered-To", "Received"];

/// Asserts that `stored` is `sent` with nothing but trace fields in front.
pub fn assert_same(stored: &[u8], sent: &[u8], what: &str) {
    let added = stored.len().checked_sub(sent.len()).filter(|added| stored[*added..] == *sent);
    let Some(added) = added else { panic!("{what}: {}", difference(stored, sent)) };
    for field in field_names(&stored[..added]) {
        assert!(ADDED.contains(&field.as_str()), "{what}: the field {field} was added");
    }
}

/// The message with CRLF where it has LF.
pub fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() * 51 / 50);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        out.extend_from_slice(if text.len() < line.len() { b"\r\n" } else { b"" });
    }
    out
}

/// Where the ends of both begin to differ, seen from the last octet.
fn difference(stored: &[u8], sent: &[u8]) -> String {
    let same = stored.iter().rev().zip(sent.iter().rev()).take_while(|(a, b)| a == b).count();
    let around = |octets: &[u8]| {
        let at = octets.len() - same;
        octets[at.saturating_sub(60)..(at + 20).min(octets.len())].escape_ascii().to_string()
    };
    format!(
        "{} octets arrived of {}; the last {same} are the same.\narrived: …{}…\nsent:    …{}…",
        stored.len(),
        sent.len(),
        around(stored),
        around(sent)
    )
}

/// The names of the fields of a header section, which has to be nothing but fields.
fn field_names(section: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(section);
    let starts = text.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with([' ', '\t']));
    starts.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// The value of the first field of this name, unfolded.
pub fn field(message: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let section = text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
    let is_wanted =
        |line: &&str| line.split(':').next().is_some_and(|field| field.eq_ignore_ascii_case(name));
    let line = section.split("\r\n").find(is_wanted)?.to_owned();
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

pub fn body(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").expect("a header section has an end");
    &message[end + 4..]
}
