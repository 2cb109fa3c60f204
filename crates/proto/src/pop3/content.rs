//! How a message is sent: dot-stuffed, in CRLF lines, ended by a dot (RFC 1939 §3), and cut for TOP (§7).

use memchr::memchr;

/// Turns the chunks of one message into what goes on the wire.
#[derive(Debug)]
pub(super) struct ContentWriter {
    /// Octets of the current line so far, counted to two.
    line_octets: u8,
    after_cr: bool,
    bare_lf: BareLf,
    part: Part,
}

/// A client should take CRLF alone for a line end, but some take LF too. Content with bare LFs (BINARYMIME) goes out
/// octet for octet, except where such a client would see the end of the reply in it; so a bare LF waits for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BareLf {
    None,
    Waits,
    /// The bare LF and a dot wait.
    WaitsWithDot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// TOP: in the header, with so many lines of the body to follow it.
    Header {
        body_lines: u32,
    },
    Body {
        lines_left: u32,
    },
}

impl ContentWriter {
    /// `top_lines`: how many lines of the body to send; none sends the message as a whole.
    pub(super) fn new(top_lines: Option<u32>) -> Self {
        let part = top_lines.map_or(Part::Whole, |body_lines| Part::Header { body_lines });
        Self { line_octets: 0, after_cr: false, bare_lf: BareLf::None, part }
    }

    /// Appends a chunk to `output`.
    pub(super) fn write(&mut self, mut chunk: &[u8], output: &mut Vec<u8>) {
        output.reserve(chunk.len());
        while let (false, Some(end)) = (self.has_enough(), memchr(b'\n', chunk)) {
            let Some((line, rest)) = chunk.split_at_checked(end) else { return };
            self.write_piece(line, output);
            self.write_line_end(output);
            chunk = rest.split_first().map_or(rest, |(_, after)| after);
        }
        if !self.has_enough() {
            self.write_piece(chunk, output);
        }
    }

    /// Whether TOP needs no more of the message.
    pub(super) fn has_enough(&self) -> bool {
        self.part == Part::Body { lines_left: 0 }
    }

    /// The message is complete: ends its last line, and the reply.
    pub(super) fn finish(mut self, output: &mut Vec<u8>) {
        let bare = self.bare_lf != BareLf::None;
        self.release_bare_lf(b"\n", output);
        if self.line_octets > 0 || bare {
            output.extend_from_slice(if self.after_cr { b"\n" } else { b"\r\n" });
        }
        output.extend_from_slice(b".\r\n");
    }

    /// `piece` holds no LF.
    fn write_piece(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        let Some(last) = piece.last() else { return };
        self.after_cr = *last == b'\r';
        if self.bare_lf == BareLf::Waits && piece == b"." {
            self.bare_lf = BareLf::WaitsWithDot;
        } else if self.bare_lf == BareLf::None {
            if self.line_octets == 0 && piece.starts_with(b".") {
                output.push(b'.');
            }
            output.extend_from_slice(piece);
        } else {
            self.release_bare_lf(piece, output);
            output.extend_from_slice(piece);
        }
        self.line_octets = self.line_octets.saturating_add(u8::try_from(piece.len()).unwrap_or(2)).min(2);
    }

    /// Writes the bare LF that waits, now that `next` is known to follow: as a true line end with the dot behind it
    /// stuffed if a lenient client would take the line for the end of the reply.
    fn release_bare_lf(&mut self, next: &[u8], output: &mut Vec<u8>) {
        let ends_reply = match self.bare_lf {
            BareLf::None => return,
            BareLf::Waits => next.starts_with(b".\r"),
            BareLf::WaitsWithDot => matches!(next.first(), Some(b'\r' | b'\n')),
        };
        output.extend_from_slice(if ends_reply { b"\r\n." } else { b"\n" });
        if self.bare_lf == BareLf::WaitsWithDot {
            output.push(b'.');
        }
        self.bare_lf = BareLf::None;
    }

    fn write_line_end(&mut self, output: &mut Vec<u8>) {
        self.release_bare_lf(b"\n", output);
        if self.after_cr {
            output.push(b'\n');
        } else {
            self.bare_lf = BareLf::Waits;
        }
        let blank = self.line_octets == 0 || (self.line_octets == 1 && self.after_cr);
        self.part = match self.part {
            Part::Header { body_lines } if blank => Part::Body { lines_left: body_lines },
            Part::Body { lines_left } => Part::Body { lines_left: lines_left.saturating_sub(1) },
            part @ (Part::Whole | Part::Header { .. }) => part,
        };
        self.line_octets = 0;
        self.after_cr = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes out, which must be the same at every chunk size.
    fn sent(message: &[u8], top_lines: Option<u32>) -> String {
        let at_size = |size: usize| {
            let mut output = Vec::new();
            let mut writer = ContentWriter::new(top_lines);
            for chunk in message.chunks(size) {
                writer.write(chunk, &mut output);
            }
            writer.finish(&mut output);
            String::from_utf8(output).unwrap()
        };
        let whole = at_size(message.len().max(1));
        for size in 1..message.len() {
            assert_eq!(at_size(size), whole, "in chunks of {size}");
        }
        whole
    }

    #[test]
    fn dots_at_line_starts_are_stuffed() {
        assert_eq!(sent(b"a: b\r\n\r\n.\r\n..x\r\ny.\r\n", None), "a: b\r\n\r\n..\r\n...x\r\ny.\r\n.\r\n");
        assert_eq!(sent(b".", None), "..\r\n.\r\n");
    }

    #[test]
    fn the_last_line_is_ended() {
        assert_eq!(sent(b"a: b\r\n\r\nx", None), "a: b\r\n\r\nx\r\n.\r\n");
        assert_eq!(sent(b"a: b\r\n\r\nx\r", None), "a: b\r\n\r\nx\r\n.\r\n");
        assert_eq!(sent(b"", None), ".\r\n");
    }

    #[test]
    fn a_bare_lf_goes_out_as_it_is() {
        assert_eq!(sent(b"x\ny\r\n", None), "x\ny\r\n.\r\n");
        assert_eq!(sent(b"x\n.y\n\nz\rq\r\n", None), "x\n.y\n\nz\rq\r\n.\r\n");
        assert_eq!(sent(b"x\n", None), "x\n\r\n.\r\n");
    }

    #[test]
    fn a_bare_lf_cannot_end_the_reply_early() {
        assert_eq!(sent(b"x\n.\r\n+OK\r\n", None), "x\r\n..\r\n+OK\r\n.\r\n");
        assert_eq!(sent(b"x\n.\ny", None), "x\r\n..\ny\r\n.\r\n");
        assert_eq!(sent(b"x\n.", None), "x\r\n..\r\n.\r\n");
    }

    #[test]
    fn top_counts_the_lines_of_the_body() {
        let message = b"a: b\r\nc: d\r\n\r\n1\r\n\r\n.3\r\n4";
        assert_eq!(sent(message, Some(0)), "a: b\r\nc: d\r\n\r\n.\r\n");
        assert_eq!(sent(message, Some(1)), "a: b\r\nc: d\r\n\r\n1\r\n.\r\n");
        assert_eq!(sent(message, Some(3)), "a: b\r\nc: d\r\n\r\n1\r\n\r\n..3\r\n.\r\n");
        assert_eq!(sent(message, Some(u32::MAX)), "a: b\r\nc: d\r\n\r\n1\r\n\r\n..3\r\n4\r\n.\r\n");
        assert_eq!(sent(b"a: b\r\n", Some(0)), "a: b\r\n.\r\n");
        assert_eq!(sent(b"\r\nx\r\n", Some(0)), "\r\n.\r\n");
    }
}
