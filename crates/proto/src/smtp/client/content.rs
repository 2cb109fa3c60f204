//! Content on its way out: CRLF ends every line, whatever the source had (RFC 5321 §2.3.8), and dots at line starts are
//! doubled (§4.5.2).

use memchr::memchr2;

/// What surrounds the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Behind DATA: dots doubled, a line end at the end.
    Dots,
    /// In chunks: text as it stands.
    Chunks,
    /// In chunks with BODY=BINARYMIME: every octet as it stands.
    Binary,
}

/// Encodes content piece by piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder {
    framing: Framing,
    at_line_start: bool,
    /// The CR that ended the last piece is not written yet.
    after_cr: bool,
}

impl Encoder {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, at_line_start: true, after_cr: false }
    }

    pub(super) fn encode(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        if self.framing == Framing::Binary {
            return out.extend_from_slice(octets);
        }
        let mut rest = octets;
        if self.after_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.end_line(out);
        }
        while !rest.is_empty() {
            if self.at_line_start && self.framing == Framing::Dots && rest.starts_with(b".") {
                out.push(b'.');
            }
            self.at_line_start = false;
            let at = memchr2(b'\r', b'\n', rest);
            let (line, tail) = at.and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, &[]));
            out.extend_from_slice(line);
            rest = match tail {
                [] => tail,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [b'\r', b'\n', tail @ ..] | [_, tail @ ..] => {
                    self.end_line(out);
                    tail
                }
            };
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.after_cr = false;
        self.at_line_start = true;
    }

    /// Writes what is still owed; behind DATA the line with the dot too.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.after_cr || (self.framing == Framing::Dots && !self.at_line_start) {
            self.end_line(out);
        }
        if self.framing == Framing::Dots {
            out.extend_from_slice(b".\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(framing: Framing, content: &[u8], piece: usize) -> Vec<u8> {
        let (mut encoder, mut out) = (Encoder::new(framing), Vec::new());
        content.chunks(piece).for_each(|piece| encoder.encode(piece, &mut out));
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn dots_and_the_end() {
        for (content, wire) in [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".\r\n..\r\n.x.\r\n\r\n.", "..\r\n...\r\n..x.\r\n\r\n..\r\n.\r\n"),
            ("a\n.\n", "a\r\n..\r\n.\r\n"),
            ("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r\r\n.\r", "a\r\n\r\n..\r\n.\r\n"),
            ("\n\r\n\r", "\r\n\r\n\r\n.\r\n"),
        ] {
            for piece in 1..=content.len().max(1) {
                let out = encode(Framing::Dots, content.as_bytes(), piece);
                assert_eq!(String::from_utf8(out).unwrap(), wire, "{content:?} by {piece}");
            }
        }
    }

    #[test]
    fn chunks_have_no_dots_and_binary_is_untouched() {
        for piece in 1..8 {
            assert_eq!(encode(Framing::Chunks, b".a\n.\r", piece), b".a\r\n.\r\n");
            assert_eq!(encode(Framing::Chunks, b"a", piece), b"a");
            assert_eq!(encode(Framing::Binary, b"\n\0\r.", piece), b"\n\0\r.");
        }
    }

    proptest::proptest! {
        /// Whatever is stored, only CRLF leaves, and a decoder gets back what had CRLF in the first place.
        #[test]
        fn no_bare_line_end_ever_leaves(
            content in proptest::collection::vec(proptest::sample::select(b"\r\n..ab".to_vec()), 0..60),
            piece in 1..10_usize,
        ) {
            let out = encode(Framing::Dots, &content, piece);
            let mut wire = out.clone();
            let decoded = crate::smtp::data::DataDecoder::default().decode(&mut wire);
            proptest::prop_assert_eq!((decoded.ended, decoded.violation, decoded.consumed), (true, None, out.len()));
            if crate::smtp::bdat::TextScanner::default().scan(&content).is_ok() && content.ends_with(b"\r\n") {
                proptest::prop_assert_eq!(&wire[..decoded.produced], content.as_slice());
            }
        }
    }
}
