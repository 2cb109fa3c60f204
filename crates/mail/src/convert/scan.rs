//! What a run of octets demands of whoever carries it.

use memchr::memchr;

use super::{LINE_BYTES_MAX, Target};

/// Looks at content piece by piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Octets beyond ASCII.
    pub eight_bit: bool,
    /// NUL, or CR and LF that are no line ends.
    pub binary: bool,
    /// A line of more than [`LINE_BYTES_MAX`] octets.
    pub long_line: bool,
    /// Nothing, or a line end, came last.
    pub ended: bool,
    column: usize,
    after_cr: bool,
}

impl Scan {
    pub fn new() -> Self {
        Self { ended: true, ..Self::default() }
    }

    pub fn push(&mut self, octets: &[u8]) {
        self.eight_bit |= !octets.is_ascii();
        self.binary |= memchr(0, octets).is_some();
        let mut rest = octets;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            match rest.strip_prefix(b"\n") {
                Some(after) => {
                    rest = after;
                    self.end_line();
                }
                None => self.bare(),
            }
        }
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            let (text, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.text(text.len());
            rest = match end {
                [b'\r', b'\n', after @ ..] => {
                    self.end_line();
                    after
                }
                [b'\r'] => {
                    self.after_cr = true;
                    self.ended = false;
                    &[]
                }
                [_, after @ ..] => {
                    self.bare();
                    after
                }
                [] => &[],
            };
        }
        self.text(rest.len());
    }

    /// After the last octet.
    pub fn finish(mut self) -> Self {
        if std::mem::take(&mut self.after_cr) {
            self.bare();
        }
        self
    }

    /// The target cannot carry it.
    pub fn exceeds(&self, target: Target) -> bool {
        self.binary || self.long_line || (self.eight_bit && target == Target::SevenBit)
    }

    fn text(&mut self, octets: usize) {
        self.column += octets;
        self.long_line |= self.column > LINE_BYTES_MAX;
        self.ended &= octets == 0;
    }

    fn bare(&mut self) {
        self.binary = true;
        self.text(1);
    }

    fn end_line(&mut self) {
        self.column = 0;
        self.ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(octets: &[u8], piece: usize) -> (bool, bool, bool, bool) {
        let mut scan = Scan::new();
        octets.chunks(piece).for_each(|piece| scan.push(piece));
        let scan = scan.finish();
        (scan.eight_bit, scan.binary, scan.long_line, scan.ended)
    }

    #[test]
    fn demands_in_any_pieces() {
        let line = |octets: usize| [&vec![b'x'; octets][..], b"\r\n"].concat();
        for (octets, expected) in [
            (b"".to_vec(), (false, false, false, true)),
            (b"a\r\n\r\nb\r\n".to_vec(), (false, false, false, true)),
            (b"a\r\nb".to_vec(), (false, false, false, false)),
            (b"a\xe4\r\n".to_vec(), (true, false, false, true)),
            (b"a\0\r\n".to_vec(), (false, true, false, true)),
            (b"a\nb\r\n".to_vec(), (false, true, false, true)),
            (b"a\r\r\n".to_vec(), (false, true, false, true)),
            (b"a\r".to_vec(), (false, true, false, false)),
            ([line(998), line(998)].concat(), (false, false, false, true)),
            ([line(1), line(999)].concat(), (false, false, true, true)),
        ] {
            for piece in [1, 2, 3, 500, 5000] {
                assert_eq!(
                    scan(&octets, piece),
                    expected,
                    "{:?} by {piece}",
                    octets.escape_ascii().to_string()
                );
            }
        }
    }
}
