//! Cuts commands out of the input: CRLF ends a line, nothing else does, and no line is longer than its limit.

use bytes::BytesMut;
use memchr::{memchr2, memmem};

/// What is thrown away of one bad line before we stop looking for its end.
const DISCARD_BYTES_MAX: usize = 64 * 1024;

/// What came out of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Without its CRLF.
    Complete(BytesMut),
    /// CR or LF stands alone in it. Told at once; what follows up to CRLF is discarded.
    BareLineEnd,
    /// Told at once; what follows up to CRLF is discarded.
    TooLong,
    /// A bad line does not end: 64 KiB of it were discarded.
    Flood,
}

/// Where the reading of lines stands. The input itself is shared with the readers of content.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineReader {
    /// Octets thrown away of a bad line that goes on.
    discarded: Option<usize>,
}

impl LineReader {
    /// The next line, if it can be told. `bytes_max` gives the limit, CRLF included, from how the line begins.
    pub fn next(&mut self, input: &mut BytesMut, bytes_max: impl Fn(&[u8]) -> usize) -> Option<Line> {
        if self.discarded.is_some() && self.discard(input)? {
            return Some(Line::Flood);
        }
        let bytes_max = bytes_max(input);
        let within = input.get(..bytes_max).unwrap_or(input);
        let at = memchr2(b'\r', b'\n', within);
        let bad = match at.and_then(|at| within.get(at..)) {
            Some([b'\r', b'\n', ..]) => {
                let mut line = input.split_to(at.map_or(0, |at| at + 2));
                line.truncate(line.len().saturating_sub(2));
                return Some(Line::Complete(line));
            }
            None | Some([b'\r']) if within.len() < bytes_max => return None,
            None | Some([b'\r']) => Line::TooLong,
            Some(_) => Line::BareLineEnd,
        };
        self.discarded = Some(0);
        Some(bad)
    }

    /// Throws away input up to and with CRLF. `None`: there is more to come; `true`: it is too much.
    fn discard(&mut self, input: &mut BytesMut) -> Option<bool> {
        let end = memmem::find(input, b"\r\n");
        let length = match end {
            Some(at) => at + 2,
            // The CR may be half of the end.
            None => input.len() - usize::from(input.ends_with(b"\r")),
        };
        drop(input.split_to(length));
        let discarded = self.discarded.unwrap_or(0) + length;
        self.discarded = end.is_none().then_some(discarded);
        if discarded > DISCARD_BYTES_MAX {
            return Some(true);
        }
        end.map(|_| false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], piece: usize) -> Vec<Line> {
        let (mut reader, mut buffer, mut lines) = (LineReader::default(), BytesMut::new(), Vec::new());
        for piece in input.chunks(piece) {
            buffer.extend_from_slice(piece);
            lines.extend(std::iter::from_fn(|| reader.next(&mut buffer, |_| 16)));
        }
        lines
    }

    fn complete(text: &str) -> Line {
        Line::Complete(BytesMut::from(text))
    }

    #[test]
    fn lines_come_out_whole_however_they_came_in() {
        for piece in 1..20 {
            let found = lines(b"NOOP\r\n\r\nRSET x\r\nQUI", piece);
            assert_eq!(found, [complete("NOOP"), complete(""), complete("RSET x")], "{piece}");
        }
    }

    #[test]
    fn only_crlf_ends_a_line() {
        for bad in ["NOOP\nMAIL", "NOOP\n", "\rNOOP", "NOOP\r\r", "NOOP\r\nX\nY\rZ\n\r"] {
            let input = format!("{bad}\r\nQUIT\r\n");
            for piece in 1..20 {
                let found = lines(input.as_bytes(), piece);
                let good = found.iter().filter(|line| matches!(line, Line::Complete(_))).count();
                assert_eq!(found.last(), Some(&complete("QUIT")), "{bad:?} {piece}");
                assert_eq!(
                    found.iter().filter(|line| **line == Line::BareLineEnd).count(),
                    1,
                    "{bad:?} {piece}"
                );
                assert_eq!(good + 1, found.len(), "{bad:?} {piece}");
            }
        }
    }

    #[test]
    fn the_limit_counts_crlf_and_a_long_line_is_told_once() {
        for piece in 1..40 {
            let found = lines(b"12345678901234\r\n123456789012345\r\nQUIT\r\n", piece);
            assert_eq!(found, [complete("12345678901234"), Line::TooLong, complete("QUIT")], "{piece}");
            let found = lines(b"1234567890123456\n\n\r\n.\r\n", piece);
            assert_eq!(found, [Line::TooLong, complete(".")], "{piece}");
        }
    }

    #[test]
    fn an_endless_line_costs_no_memory_and_ends_as_a_flood() {
        let (mut reader, mut buffer) = (LineReader::default(), BytesMut::new());
        let mut found = Vec::new();
        while !found.contains(&Line::Flood) {
            buffer.extend_from_slice(&[b'x'; 500]);
            found.extend(reader.next(&mut buffer, |_| 2048));
            assert!(buffer.len() <= 2548);
        }
        assert_eq!(found, [Line::TooLong, Line::Flood]);
    }
}
