//! The content that follows DATA (RFC 5321 §4.1.1.4, §4.5.2).

use memchr::memchr3;

/// What text must not hold (RFC 5321 §2.3.8, §4.5.2; RFC 6152 §3 on NUL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// CR without LF or LF without CR.
    BareLineEnd,
    Nul,
}

/// Takes the transparency off and finds the end: CRLF, dot, CRLF, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct DataDecoder {
    at_line_start: bool,
}

/// How far a piece of input carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Octets of input that are done with. The rest, at most two octets, is wanted again with more behind it.
    pub consumed: usize,
    /// Octets of content, now at the front of the input. Without meaning after a violation.
    pub produced: usize,
    /// The first violation in this piece. Decoding goes on past it, so that the end is found all the same.
    pub violation: Option<Violation>,
    /// The end of content was found; what follows `consumed` are commands.
    pub ended: bool,
}

impl Default for DataDecoder {
    fn default() -> Self {
        // The CRLF of the DATA command is the one before a lone dot that comes first (RFC 5321 §4.1.1.4).
        Self { at_line_start: true }
    }
}

impl DataDecoder {
    /// Decodes in place, in one pass.
    pub fn decode(&mut self, buffer: &mut [u8]) -> Decoded {
        let mut decoded = Decoded { consumed: 0, produced: 0, violation: None, ended: false };
        loop {
            let rest = buffer.get(decoded.consumed..).unwrap_or_default();
            if self.at_line_start {
                match rest {
                    [b'.', b'\r', b'\n', ..] => {
                        decoded.consumed += 3;
                        decoded.ended = true;
                        return decoded;
                    }
                    [] | [b'.'] | [b'.', b'\r'] => return decoded,
                    // RFC 5321 §4.5.2: the dot that the client put there.
                    [b'.', ..] => decoded.consumed += 1,
                    _ => {}
                }
                self.at_line_start = false;
                continue;
            }
            let Some(run) = self.next_run(rest, &mut decoded.violation) else { return decoded };
            let from = decoded.consumed;
            if from != decoded.produced {
                buffer.copy_within(from..from + run, decoded.produced);
            }
            decoded.consumed += run;
            decoded.produced += run;
        }
    }

    /// The octets up to and with the next line end or violation.
    fn next_run(&mut self, rest: &[u8], violation: &mut Option<Violation>) -> Option<usize> {
        let Some(at) = memchr3(b'\r', b'\n', 0, rest) else {
            return (!rest.is_empty()).then_some(rest.len());
        };
        match rest.get(at..) {
            Some([b'\r', b'\n', ..]) => {
                self.at_line_start = true;
                return Some(at + 2);
            }
            // What this CR is shows with the next octet.
            Some([b'\r']) => return (at > 0).then_some(at),
            Some([0, ..]) => violation.get_or_insert(Violation::Nul),
            _ => violation.get_or_insert(Violation::BareLineEnd),
        };
        Some(at + 1)
    }
}

#[cfg(test)]
mod tests;
