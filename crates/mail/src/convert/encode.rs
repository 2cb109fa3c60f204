//! The two encodings of RFC 2045 §6, line by line. Text comes without CRLF; a CR or LF in it is content.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::memmem;

/// RFC 2045 §6.7 rule 5: 76 with the `=` of a soft line break.
const LITERALS_MAX: usize = 75;
/// Octets behind the 76 characters of a line (RFC 2045 §6.8).
const LINE_OCTETS: usize = 57;

#[derive(Debug, Default)]
pub(super) struct QuotedPrintable {
    column: usize,
    /// White space that may turn out to end its line.
    pending: Option<u8>,
}

/// Text whose lines end with CRLF, all of it encoded.
pub(crate) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let (mut encoder, mut out) = (QuotedPrintable::default(), Vec::with_capacity(text.len() * 9 / 8));
    let mut rest = text;
    while let Some((line, after)) =
        memmem::find(rest, b"\r\n").and_then(|at| Some((rest.get(..at)?, rest.get(at + 2..)?)))
    {
        encoder.text(line, &mut out);
        encoder.line_end(&mut out);
        rest = after;
    }
    encoder.text(rest, &mut out);
    encoder.finish(true, &mut out);
    out
}

impl QuotedPrintable {
    pub(super) fn text(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for &octet in octets {
            if let Some(space) = self.pending.take() {
                self.put(&[space], out);
            }
            match octet {
                b' ' | b'\t' => self.pending = Some(octet),
                b'!'..=b'<' | b'>'..=b'~' => self.put(&[octet], out),
                _ => self.put(&escape(octet), out),
            }
        }
    }

    pub(super) fn line_end(&mut self, out: &mut Vec<u8>) {
        self.end_text(out);
        out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    /// `last`: no delimiter follows, and whatever carries the message may add a line end, which must not count.
    pub(super) fn finish(&mut self, last: bool, out: &mut Vec<u8>) {
        self.end_text(out);
        if last && self.column > 0 {
            out.extend_from_slice(b"=\r\n");
        }
    }

    /// RFC 2045 §6.7 rule 3: white space does not end a line as it stands.
    fn end_text(&mut self, out: &mut Vec<u8>) {
        if let Some(space) = self.pending.take() {
            self.put(&escape(space), out);
        }
    }

    fn put(&mut self, characters: &[u8], out: &mut Vec<u8>) {
        if self.column + characters.len() > LITERALS_MAX {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        out.extend_from_slice(characters);
        self.column += characters.len();
    }
}

fn escape(octet: u8) -> [u8; 3] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    [b'=', digit(octet >> 4), digit(octet & 15)]
}

#[derive(Debug, Default)]
pub(super) struct Base64 {
    /// Less than a line.
    pending: Vec<u8>,
    begun: bool,
    line: String,
}

impl Base64 {
    pub(super) fn text(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let missing = LINE_OCTETS - self.pending.len();
        let Some((first, rest)) = octets.split_at_checked(missing) else {
            return self.pending.extend_from_slice(octets);
        };
        let mut line = std::mem::take(&mut self.pending);
        line.extend_from_slice(first);
        self.put(&line, out);
        let lines = rest.chunks_exact(LINE_OCTETS);
        line.clear();
        line.extend_from_slice(lines.remainder());
        self.pending = line;
        lines.for_each(|line| self.put(line, out));
    }

    pub(super) fn finish(&mut self, last: bool, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.pending);
        if !line.is_empty() {
            self.put(&line, out);
        }
        if last && self.begun {
            out.extend_from_slice(b"\r\n");
        }
    }

    fn put(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(b"\r\n");
        }
        self.line.clear();
        BASE64_STANDARD.encode_string(octets, &mut self.line);
        out.extend_from_slice(self.line.as_bytes());
    }
}
