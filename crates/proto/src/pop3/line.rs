//! Cuts the input into lines of bounded length.

use bytes::BytesMut;
use memchr::memchr;

/// A line of this length is no mistake any more, and the session ends.
const FLOOD_BYTES: usize = 64 * 1024;

/// Octets that are not processed yet. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    pending: BytesMut,
    /// Octets of the current line that were thrown away because it is too long.
    dropped: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its line end.
    Complete(BytesMut),
    /// A line beyond the limit has ended; it is gone.
    TooLong,
    /// The line goes on and on.
    Flood,
}

impl LineBuffer {
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next line, if its end has come. `bytes_max` gives the limit for a line, its end included, from how it
    /// begins. CRLF ends a line; a bare LF does too, for people who type.
    pub(super) fn next(&mut self, bytes_max: impl Fn(&[u8]) -> usize) -> Option<Line> {
        let end = memchr(b'\n', &self.pending);
        let length = end.map_or(self.pending.len(), |at| at.saturating_add(1));
        let total = self.dropped.saturating_add(length);
        let fits = self.dropped == 0 && total <= bytes_max(&self.pending);
        if total > FLOOD_BYTES {
            self.clear();
            return Some(Line::Flood);
        }
        if end.is_none() {
            if !fits {
                self.pending = BytesMut::new();
                self.dropped = total;
            }
            return None;
        }
        let mut line = self.pending.split_to(length);
        self.dropped = 0;
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
        let ending = if line.ends_with(b"\r\n") { 2 } else { 1 };
        line.truncate(length.saturating_sub(ending));
        Some(if fits { Line::Complete(line) } else { Line::TooLong })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &[u8]) -> Line {
        Line::Complete(BytesMut::from(text))
    }

    #[test]
    fn lines_come_out_whole_however_they_came_in() {
        let mut buffer = LineBuffer::default();
        buffer.push(b"NOO");
        assert_eq!(buffer.next(|_| 512), None);
        buffer.push(b"P\r\nSTAT\n\r\nQU");
        assert_eq!(buffer.next(|_| 512), Some(complete(b"NOOP")));
        assert_eq!(buffer.next(|_| 512), Some(complete(b"STAT")));
        assert_eq!(buffer.next(|_| 512), Some(complete(b"")));
        assert_eq!(buffer.next(|_| 512), None);
        buffer.clear();
        buffer.push(b"IT\r\n");
        assert_eq!(buffer.next(|_| 512), Some(complete(b"IT")));
        assert_eq!(buffer.pending.capacity(), 0);
    }

    #[test]
    fn a_line_too_long_is_dropped_as_it_comes() {
        let mut buffer = LineBuffer::default();
        for _ in 0..100 {
            buffer.push(&[b'x'; 100]);
            assert_eq!(buffer.next(|_| 255), None);
            assert!(buffer.pending.len() <= 255);
        }
        buffer.push(b"AUTH \r\nNOOP\r\n");
        let limit = |line: &[u8]| if line.starts_with(b"AUTH ") { 12_288 } else { 255 };
        assert_eq!(buffer.next(limit), Some(Line::TooLong));
        assert_eq!(buffer.next(|_| 255), Some(complete(b"NOOP")));
    }

    #[test]
    fn the_limit_counts_the_line_end() {
        let mut buffer = LineBuffer::default();
        buffer.push(b"1234567\r\n12345678\r\n");
        assert_eq!(buffer.next(|_| 9), Some(complete(b"1234567")));
        assert_eq!(buffer.next(|_| 9), Some(Line::TooLong));
    }

    #[test]
    fn an_endless_line_is_a_flood_at_the_same_octet_whole_or_split() {
        let mut whole = LineBuffer::default();
        whole.push(&vec![b'x'; FLOOD_BYTES + 1]);
        assert_eq!(whole.next(|_| 255), Some(Line::Flood));
        let mut split = LineBuffer::default();
        for _ in 0..FLOOD_BYTES {
            split.push(b"x");
            assert_eq!(split.next(|_| 255), None);
        }
        split.push(b"x");
        assert_eq!(split.next(|_| 255), Some(Line::Flood));
    }
}
