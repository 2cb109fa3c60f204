//! The structure of a message, found piece by piece: header sections, bodies of leaf parts, and what stands between.
//!
//! CRLF alone ends a line.

use memchr::memmem;

use super::{
    DEPTH_MAX, HEADER_BYTES_MAX, Unconvertible,
    part::{Kind, Part},
};

/// A line whose start is longer than this is no delimiter.
const DELIMITER_LINE_BYTES_MAX: usize = 1024;

/// Where octets stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The body of a part that has no parts.
    Leaf,
    /// A preamble or an epilogue.
    Outside,
}

/// What a walk tells, in the order of the octets; together they are all octets of the message.
pub(super) trait Visitor {
    /// A header section with its empty line. `signed`: within a multipart/signed.
    fn header(&mut self, section: &[u8], part: &Part, signed: bool) -> Result<(), Unconvertible>;
    /// Octets of a line, without its CRLF.
    fn text(&mut self, place: Place, octets: &[u8]);
    fn line_end(&mut self, place: Place);
    /// A leaf part has ended; `last`: and the message with it.
    fn end_leaf(&mut self, last: bool) -> Result<(), Unconvertible>;
    /// Delimiters, with the CRLFs that belong to them.
    fn delimiter(&mut self, octets: &[u8]);
}

#[derive(Debug)]
enum State {
    Header { section: Vec<u8>, is_message: bool, in_digest: bool },
    Body(Place),
}

#[derive(Debug)]
struct Level {
    boundary: Vec<u8>,
    digest: bool,
    signed: bool,
}

#[derive(Debug)]
pub(super) struct Walk {
    state: State,
    /// The multiparts that are open, the outermost first.
    levels: Vec<Level>,
    /// A line's start, not handled yet.
    pending: Vec<u8>,
    in_line: bool,
    /// The CRLF of the last line of a body: a delimiter that follows owns it (RFC 2046 §5.1.1).
    line_ended: bool,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header { section: Vec::new(), is_message: true, in_digest: false },
            levels: Vec::new(),
            pending: Vec::new(),
            in_line: false,
            line_ended: false,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8], visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(octets);
        let mut rest = pending.as_slice();
        while let Some((line, after)) =
            memmem::find(rest, b"\r\n").and_then(|at| Some((rest.get(..at)?, rest.get(at + 2..)?)))
        {
            self.line(line, true, visitor)?;
            rest = after;
        }
        if rest.len() > DELIMITER_LINE_BYTES_MAX {
            let text = rest.strip_suffix(b"\r").unwrap_or(rest);
            self.text(text, false, visitor)?;
            self.in_line = true;
            rest = rest.get(text.len()..).unwrap_or_default();
        }
        let handled = pending.len() - rest.len();
        pending.drain(..handled);
        self.pending = pending;
        Ok(())
    }

    pub(super) fn finish(mut self, visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.line(&rest, false, visitor)?;
        }
        if matches!(self.state, State::Header { .. }) {
            self.end_header(visitor)?;
        }
        match self.state {
            State::Body(place) => {
                if self.line_ended {
                    visitor.line_end(place);
                }
                if place == Place::Leaf { visitor.end_leaf(true) } else { Ok(()) }
            }
            // A message that was announced and did not come.
            State::Header { .. } => Ok(()),
        }
    }

    /// A line, or what is left of one; `ended`: by CRLF.
    fn line(&mut self, line: &[u8], ended: bool, visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        let starts = !std::mem::take(&mut self.in_line);
        if starts && let Some((level, closes)) = self.delimiter_of(line) {
            return self.delimit(level, closes, line, ended, visitor);
        }
        self.text(line, ended, visitor)?;
        let is_header = matches!(self.state, State::Header { .. });
        if is_header && starts && ended && line.is_empty() { self.end_header(visitor) } else { Ok(()) }
    }

    fn text(&mut self, text: &[u8], ended: bool, visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        match &mut self.state {
            State::Header { section, .. } => {
                section.extend_from_slice(text);
                section.extend_from_slice(if ended { b"\r\n" } else { b"" });
                if section.len() > HEADER_BYTES_MAX {
                    return Err(Unconvertible::TooComplex);
                }
            }
            State::Body(place) => {
                if std::mem::replace(&mut self.line_ended, ended) {
                    visitor.line_end(*place);
                }
                visitor.text(*place, text);
            }
        }
        Ok(())
    }

    /// Which open multipart the line delimits, and whether it closes it (RFC 2046 §5.1.1).
    fn delimiter_of(&self, line: &[u8]) -> Option<(usize, bool)> {
        let name = line.strip_prefix(b"--")?;
        let is_padding = |rest: &[u8]| rest.iter().all(|octet| matches!(octet, b' ' | b'\t'));
        self.levels.iter().enumerate().rev().find_map(|(index, level)| {
            let rest = name.strip_prefix(level.boundary.as_slice())?;
            match rest.strip_prefix(b"--") {
                Some(rest) if is_padding(rest) => Some((index, true)),
                _ => is_padding(rest).then_some((index, false)),
            }
        })
    }

    fn delimit(
        &mut self,
        level: usize,
        closes: bool,
        line: &[u8],
        ended: bool,
        visitor: &mut impl Visitor,
    ) -> Result<(), Unconvertible> {
        if matches!(self.state, State::Header { .. }) {
            self.end_header(visitor)?;
        }
        if matches!(self.state, State::Body(Place::Leaf)) {
            visitor.end_leaf(false)?;
        }
        if std::mem::take(&mut self.line_ended) {
            visitor.delimiter(b"\r\n");
        }
        visitor.delimiter(line);
        if closes {
            self.levels.truncate(level);
            self.state = State::Body(Place::Outside);
            // The epilogue, if there is any, begins with the CRLF.
            self.line_ended = ended;
        } else {
            if ended {
                visitor.delimiter(b"\r\n");
            }
            self.levels.truncate(level + 1);
            let in_digest = self.levels.last().is_some_and(|level| level.digest);
            self.state = State::Header { section: Vec::new(), is_message: false, in_digest };
        }
        Ok(())
    }

    fn end_header(&mut self, visitor: &mut impl Visitor) -> Result<(), Unconvertible> {
        let State::Header { section, is_message, in_digest } =
            std::mem::replace(&mut self.state, State::Body(Place::Leaf))
        else {
            return Ok(());
        };
        let part = Part::of(&section, is_message, in_digest);
        visitor.header(&section, &part, self.levels.iter().any(|level| level.signed))?;
        match part.kind {
            Kind::Multipart { boundary, digest, signed } => {
                if self.levels.len() >= DEPTH_MAX {
                    return Err(Unconvertible::TooComplex);
                }
                self.levels.push(Level { boundary, digest, signed });
                self.state = State::Body(Place::Outside);
            }
            Kind::Message => {
                self.state = State::Header { section: Vec::new(), is_message: true, in_digest: false };
            }
            Kind::Text | Kind::Other | Kind::Rigid => {}
        }
        Ok(())
    }
}
