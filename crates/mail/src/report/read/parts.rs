//! The parts of a message that are no multiparts, without recursion (RFC 2046 §5.1).

use std::borrow::Cow;

use mail_parser::decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode};

use crate::{convert, header};

/// Multiparts within each other.
const DEPTH_MAX: usize = 4;
/// Parts in all that are looked at.
const PARTS_MAX: usize = 64;

/// A part that holds no others, or too deep down.
pub(super) struct Leaf<'a> {
    /// `text/plain`, in lower case.
    kind: String,
    encoding: String,
    body: &'a [u8],
}

/// In the order they stand.
pub(super) fn leaves(message: &[u8]) -> Vec<Leaf<'_>> {
    let (mut leaves, mut seen) = (Vec::new(), 0);
    let mut waiting = vec![(message, 0)];
    while let Some((part, depth)) = waiting.pop() {
        let body_start = header::body_start(part);
        let (Some(section), Some(body)) = (part.get(..body_start), part.get(body_start..)) else { continue };
        match convert::boundary_of(section).filter(|_| depth < DEPTH_MAX) {
            Some(boundary) => {
                let inner = split(body, &boundary, PARTS_MAX.saturating_sub(seen));
                seen += inner.len();
                waiting.extend(inner.into_iter().rev().map(|part| (part, depth + 1)));
            }
            None => leaves.push(Leaf {
                kind: word(section, "Content-Type").unwrap_or_else(|| "text/plain".to_owned()),
                encoding: word(section, "Content-Transfer-Encoding").unwrap_or_default(),
                body,
            }),
        }
    }
    leaves
}

impl Leaf<'_> {
    pub(super) fn is_status(&self) -> bool {
        // RFC 6533 §4
        matches!(self.kind.as_str(), "message/delivery-status" | "message/global-delivery-status")
    }

    pub(super) fn is_returned(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "message/rfc822" | "text/rfc822-headers" | "message/global" | "message/global-headers"
        )
    }

    pub(super) fn is_text(&self) -> bool {
        self.kind == "text/plain"
    }

    /// Decoded; lines end with CRLF.
    pub(super) fn content(&self) -> Cow<'_, [u8]> {
        let decoded = match self.encoding.as_str() {
            "base64" => base64_decode(self.body),
            "quoted-printable" => quoted_printable_decode(self.body),
            _ => return Cow::Borrowed(self.body),
        };
        Cow::Owned(decoded.map(|decoded| with_crlf(&decoded)).unwrap_or_default())
    }
}

/// The first word of a field, in lower case.
fn word(section: &[u8], name: &str) -> Option<String> {
    let value = header::value(section, name)?;
    let word = value.split(|octet| matches!(octet, b';' | b' ' | b'\t' | b'(')).next()?;
    Some(String::from_utf8_lossy(word).to_ascii_lowercase()).filter(|word| !word.is_empty())
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// What stands between the lines of a boundary (RFC 2046 §5.1.1), so many at most.
fn split<'a>(body: &'a [u8], boundary: &[u8], parts_max: usize) -> Vec<&'a [u8]> {
    let (mut parts, mut start, mut at) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        let end = at + line.len();
        if let Some(behind) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary)) {
            parts.extend(start.and_then(|start: usize| body.get(start..at)));
            start = (!behind.starts_with(b"--")).then_some(end);
            if parts.len() >= parts_max || start.is_none() {
                break;
            }
        }
        at = end;
    }
    parts.extend(start.and_then(|start| body.get(start..)));
    parts.truncate(parts_max);
    parts
}
