//! Cuts what a server sends into responses: lines, with the literals in them.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use crate::imap::cursor::LiteralHead;

/// A response without its last CRLF; literals stand in it as they came, after their heads.
pub(super) type RawResponse = Bytes;

/// Why no further response can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

#[derive(Debug)]
pub(super) struct Reader {
    pending: BytesMut,
    /// Where the line that is looked for begins.
    line: usize,
    /// Octets that are known to have no line end.
    scanned: usize,
    response_bytes_max: usize,
}

impl Reader {
    pub(super) fn new(response_bytes_max: usize) -> Self {
        Self { pending: BytesMut::new(), line: 0, scanned: 0, response_bytes_max }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
    }

    /// What was sent before TLS began is nobody's (RFC 9051 §6.2.1).
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.response_bytes_max);
    }

    /// None: more has to come.
    pub(super) fn next(&mut self) -> Result<Option<RawResponse>, TooLong> {
        loop {
            let Some(rest) = self.pending.get(self.scanned.max(self.line)..) else {
                // The literal is still coming.
                return self.wait(self.line);
            };
            let from = self.scanned.max(self.line);
            let Some(at) = memchr(b'\n', rest).map(|at| from + at) else {
                self.scanned = self.pending.len();
                return self.wait(self.pending.len());
            };
            let line = self.pending.get(self.line..at).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let end = self.line + line.len();
            if let Some((head, _)) = LiteralHead::at_end_of(line) {
                let octets = usize::try_from(head.octets).unwrap_or(usize::MAX);
                self.line = (at + 1).saturating_add(octets);
                self.scanned = self.line;
                if self.line > self.response_bytes_max {
                    return Err(TooLong);
                }
                continue;
            }
            if at >= self.response_bytes_max {
                return Err(TooLong);
            }
            let response = self.pending.split_to(at + 1).freeze().slice(..end);
            (self.line, self.scanned) = (0, 0);
            return Ok(Some(response));
        }
    }

    fn wait(&self, length: usize) -> Result<Option<RawResponse>, TooLong> {
        if length > self.response_bytes_max { Err(TooLong) } else { Ok(None) }
    }
}
