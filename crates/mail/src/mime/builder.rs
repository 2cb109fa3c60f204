//! Finds the parts of a message as it comes in. Nesting is a list, not recursion; no more than a line's start and the
//! header fields of interest are in memory.

use std::ops::Range;

use memchr::memchr;

use super::{
    Content, DEPTH_MAX, Envelope, Kind, PARTS_MAX, Part, Structure, TEXT_BYTES_MAX, content, fields::Fields,
};

/// Of a line; what is beyond neither delimits nor is shown.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// RFC 2046 §5.1.1 has 70; others have written more.
const BOUNDARY_BYTES_MAX: usize = 200;

/// Takes a message in pieces of any size.
#[derive(Debug)]
pub struct Builder {
    parts: Vec<Part>,
    /// From the message itself to the innermost part that is open.
    open: Vec<Open>,
    state: State,
    /// The start of the line that has not ended.
    line: Vec<u8>,
    line_start: u64,
    /// Octets taken so far.
    offset: u64,
    after_cr: bool,
    line_ended: bool,
    /// The line before, without its line end.
    previous: Range<u64>,
    /// Lines that have ended.
    lines: u64,
    text_bytes: usize,
}

#[derive(Debug)]
struct Open {
    place: usize,
    /// Of a multipart that has not been closed.
    boundary: Option<Vec<u8>>,
    is_digest: bool,
    /// Lines that had ended before its body.
    lines_before: u64,
}

#[derive(Debug)]
enum State {
    Header(Fields),
    Body,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    pub fn new() -> Self {
        let mut builder = Self {
            parts: Vec::new(),
            open: Vec::new(),
            state: State::Body,
            line: Vec::new(),
            line_start: 0,
            offset: 0,
            after_cr: false,
            line_ended: false,
            previous: 0..0,
            lines: 0,
            text_bytes: 0,
        };
        builder.open_part(0);
        builder
    }

    pub fn push(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some((line, after)) = memchr(b'\n', rest).and_then(|at| rest.split_at_checked(at + 1)) {
            self.take(line);
            self.end_line();
            rest = after;
        }
        self.take(rest);
    }

    pub fn finish(mut self) -> Structure {
        let (start, end) = (self.line_start, self.offset);
        if end > start {
            self.end_line();
        }
        if matches!(self.state, State::Header(_)) {
            self.end_header(end);
        }
        // A message within a message whose header was the last line.
        if matches!(self.state, State::Header(_)) {
            self.end_header(end);
        }
        let lines = self.lines;
        self.close_to(0, end, lines);
        self.give_parts();
        Structure { parts: self.parts }
    }

    /// No more than a line.
    fn take(&mut self, octets: &[u8]) {
        let text = octets.strip_suffix(b"\n").unwrap_or(octets);
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(text.get(..room).unwrap_or(text));
        if let Some(last) = text.last() {
            self.after_cr = *last == b'\r';
        }
        self.line_ended = text.len() < octets.len();
        self.offset += u64::try_from(octets.len()).unwrap_or(0);
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let after_cr = self.line_ended && std::mem::take(&mut self.after_cr);
        if after_cr && line.ends_with(b"\r") {
            line.pop();
        }
        self.handle_line(&line);
        self.lines += 1;
        let ending = u64::from(self.line_ended) + u64::from(after_cr);
        self.previous = self.line_start..self.offset - ending;
        self.line_start = self.offset;
        line.clear();
        self.line = line;
    }

    fn handle_line(&mut self, text: &[u8]) {
        if let Some((level, closes)) = self.delimiter(text) {
            return self.delimit(level, closes);
        }
        match &mut self.state {
            State::Header(_) if text.is_empty() => {
                let body_start = self.offset;
                self.lines += 1;
                self.end_header(body_start);
                self.lines -= 1;
            }
            State::Header(fields) => fields.line(text),
            State::Body => {}
        }
    }

    /// Which of the open parts the line is a delimiter of, and whether the last.
    fn delimiter(&self, text: &[u8]) -> Option<(usize, bool)> {
        let text = text.strip_prefix(b"--")?.trim_ascii_end();
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            match text.strip_prefix(open.boundary.as_deref()?)? {
                b"" => Some((level, false)),
                b"--" => Some((level, true)),
                _ => None,
            }
        })
    }

    fn delimit(&mut self, level: usize, closes: bool) {
        if matches!(self.state, State::Header(_)) {
            self.end_header(self.line_start);
            // A message that has no header either.
            if matches!(self.state, State::Header(_)) {
                self.end_header(self.line_start);
            }
        }
        // The line end before a delimiter is part of it (RFC 2046 §5.1.1).
        let lines = self.lines - u64::from(self.previous.is_empty() && self.lines > 0);
        self.close_to(level + 1, self.previous.end, lines);
        let full = self.parts.len() >= PARTS_MAX;
        match self.open.get_mut(level) {
            Some(open) if closes || full => {
                open.boundary = None;
                self.state = State::Body;
            }
            _ => self.open_part(self.offset),
        }
    }

    fn open_part(&mut self, header_start: u64) {
        let part = Part {
            header_start,
            body_start: header_start,
            body_end: header_start,
            lines: 0,
            descendants: 0,
            kind: Kind::Leaf,
            content: Content::default(),
            envelope: None,
        };
        let lines_before = self.lines;
        self.open.push(Open { place: self.parts.len(), boundary: None, is_digest: false, lines_before });
        self.parts.push(part);
        self.state = State::Header(Fields::default());
    }

    fn end_header(&mut self, body_start: u64) {
        let State::Header(fields) = std::mem::replace(&mut self.state, State::Body) else { return };
        let parent = self.open.iter().rev().nth(1);
        let in_digest = parent.is_some_and(|parent| parent.is_digest);
        let is_message = parent
            .is_none_or(|parent| self.parts.get(parent.place).is_some_and(|part| part.kind == Kind::Message));
        self.text_bytes += fields.octets();
        let fits = self.text_bytes <= TEXT_BYTES_MAX;
        let mut content = if fits { content::content(&fields, in_digest) } else { Content::default() };
        let deep = self.open.len() >= DEPTH_MAX || self.parts.len() >= PARTS_MAX;
        let boundary = boundary(&content).filter(|_| !deep);
        let kind = kind(&content, boundary.is_some(), deep);
        disguise(&mut content, kind);
        let lines_before = self.lines;
        if let Some(open) = self.open.last_mut() {
            open.is_digest = kind == Kind::Multipart && content.subtype.eq_ignore_ascii_case("digest");
            open.boundary = boundary.filter(|_| kind == Kind::Multipart);
            open.lines_before = lines_before;
            if let Some(part) = self.parts.get_mut(open.place) {
                part.body_start = body_start;
                part.kind = kind;
                part.content = content;
                let envelope = || if fits { content::envelope(&fields) } else { Envelope::default() };
                part.envelope = is_message.then(envelope).map(Box::new);
            }
        }
        if kind == Kind::Message {
            self.open_part(body_start);
        }
    }

    /// Ends all open parts but the first so many.
    fn close_to(&mut self, level: usize, end: u64, lines: u64) {
        while self.open.len() > level {
            let Some(open) = self.open.pop() else { return };
            let descendants = self.parts.len() - open.place - 1;
            let Some(part) = self.parts.get_mut(open.place) else { return };
            part.descendants = u32::try_from(descendants).unwrap_or(u32::MAX);
            part.body_end = end.max(part.body_start);
            part.lines =
                if part.body_end > part.body_start { lines.saturating_sub(open.lines_before) } else { 0 };
        }
    }

    /// RFC 9051 §9 knows no multipart without parts: it gets an empty one.
    fn give_parts(&mut self) {
        let empty = |part: &Part| part.kind == Kind::Multipart && part.descendants == 0;
        if !self.parts.iter().any(empty) {
            return;
        }
        let parts = std::mem::take(&mut self.parts);
        let added: Vec<usize> =
            parts.iter().enumerate().filter(|(_, part)| empty(part)).map(|(place, _)| place).collect();
        for (place, mut part) in parts.into_iter().enumerate() {
            let within = place..=place + part.descendants();
            let new = added.partition_point(|at| at <= within.end())
                - added.partition_point(|at| at < within.start());
            let child = empty(&part).then(|| Part {
                header_start: part.body_end,
                body_start: part.body_end,
                body_end: part.body_end,
                lines: 0,
                descendants: 0,
                kind: Kind::Leaf,
                content: Content::default(),
                envelope: None,
            });
            part.descendants += u32::try_from(new).unwrap_or(0);
            self.parts.push(part);
            self.parts.extend(child);
        }
    }
}

fn boundary(content: &Content) -> Option<Vec<u8>> {
    let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("boundary");
    let boundary = content.parameters.iter().find(named)?.1.trim_end();
    let is_multipart = content.media_type.eq_ignore_ascii_case("multipart");
    (is_multipart && (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())).then(|| boundary.as_bytes().to_vec())
}

fn kind(content: &Content, has_boundary: bool, deep: bool) -> Kind {
    let encoding = content.encoding.as_deref().unwrap_or("7bit");
    let plain = ["7bit", "8bit", "binary"].iter().any(|own| own.eq_ignore_ascii_case(encoding));
    if has_boundary {
        Kind::Multipart
    } else if (content.is("message", "rfc822") || content.is("message", "global")) && plain && !deep {
        Kind::Message
    } else {
        Kind::Leaf
    }
}

/// To IMAP the media type says which form the structure has, so a part that is not taken apart cannot have that of
/// one that is.
fn disguise(content: &mut Content, kind: Kind) {
    if kind != Kind::Leaf {
        return;
    }
    let is_multipart = content.media_type.eq_ignore_ascii_case("multipart");
    if is_multipart || content.is("message", "rfc822") || content.is("message", "global") {
        let (media_type, subtype) = if is_multipart && content.encoding.is_none() {
            ("text", "plain")
        } else {
            ("application", "octet-stream")
        };
        media_type.clone_into(&mut content.media_type);
        subtype.clone_into(&mut content.subtype);
        content.parameters.clear();
    }
}
