//! Cuts the input into commands. Memory is taken after the limits have been looked at, and whatever is wrong with a
//! command, the next one is found: what cannot be kept is skipped as it comes.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::{
    COMMAND_LITERALS_MAX,
    command::{
        self, AppendMessage, AppendStart, Tagged,
        append::{self, Piece, Position},
    },
    cursor::LiteralHead,
    error::{CommandError, Fault},
};

/// As much of the end of a line as can be the head of a literal.
const TAIL_BYTES: usize = 128;

/// What is taken at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a command with its literals, those of messages apart.
    pub command_bytes: usize,
    /// Of a literal that does not wait (RFC 7888 §4).
    pub unsolicited_literal_bytes: u64,
    /// Of a command that is skipped; beyond it the session ends.
    pub skipped_bytes: u64,
    pub utf8: bool,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Command(Tagged),
    /// Without a tag if it has none that can be read.
    Bad {
        tag: Option<String>,
        error: CommandError,
    },
    /// The client waits for a continuation.
    Continue,
    Append(AppendItem),
    /// What follows the literal that was refused is gone.
    Refused,
    /// There is no end to it: close.
    Flood,
}

/// APPEND or REPLACE, piece by piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendItem {
    Start(AppendStart),
    Message(AppendMessage),
    Url(String),
    /// Answer with [`Reader::accept`] or [`Reader::refuse`].
    Literal {
        octets: u64,
    },
    Octets(Bytes),
    MessageEnd,
    End,
}

/// A line that is no command.
#[derive(Debug, PartialEq, Eq)]
pub enum RawLine {
    Complete(Vec<u8>),
    TooLong,
    Unwanted,
}

/// Commands as they come in; holds next to nothing between them.
#[derive(Debug)]
pub struct Reader {
    pending: BytesMut,
    /// Octets of `pending` that are known to have no line end.
    scanned: usize,
    /// The command so far.
    command: Vec<u8>,
    literals: usize,
    state: State,
    append: Option<Append>,
    items: VecDeque<Item>,
}

#[derive(Debug)]
enum State {
    Line,
    /// So many octets of the literal are to come.
    Literal(u64),
    Undecided(LiteralHead),
    Content(u64),
    Skipping(Box<Skipping>),
}

#[derive(Debug)]
struct Append {
    tag: String,
    position: Position,
}

/// A command that is lost.
#[derive(Debug)]
struct Skipping {
    /// What to say in the end.
    item: Item,
    literal: u64,
    tail: Vec<u8>,
    skipped: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    pub fn new() -> Self {
        Self {
            pending: BytesMut::new(),
            scanned: 0,
            command: Vec::new(),
            literals: 0,
            state: State::Line,
            append: None,
            items: VecDeque::new(),
        }
    }

    pub fn push(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
    }

    /// Whether nothing of a command has come yet.
    pub fn is_between_commands(&self) -> bool {
        matches!(self.state, State::Line) && self.append.is_none() && self.command.is_empty()
    }

    /// `None`: more input is wanted, or the answer to [`AppendItem::Literal`].
    pub fn next(&mut self, limits: &Limits) -> Option<Item> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Some(item);
            }
            self.give_back();
            let advanced = match &mut self.state {
                State::Line => self.read_line(limits),
                State::Literal(_) => self.read_literal(),
                State::Undecided(_) => false,
                State::Content(_) => self.read_content(),
                State::Skipping(_) => self.skip(limits),
            };
            if !advanced {
                return None;
            }
        }
    }

    /// A line that is no command, without its line end.
    pub fn next_line(&mut self, bytes_max: usize) -> Option<RawLine> {
        self.line_if(bytes_max, |_| true)
    }

    /// Takes the line if it is `wanted`; if it is not, it stays, and so does one that is too long.
    pub fn line_if(&mut self, bytes_max: usize, wanted: impl FnOnce(&[u8]) -> bool) -> Option<RawLine> {
        self.give_back();
        match self.find_line() {
            Some(found) if found.0 <= bytes_max => {
                let line = self.pending.get(..found.0).unwrap_or_default();
                if !wanted(line) {
                    return Some(RawLine::Unwanted);
                }
                Some(RawLine::Complete(self.take_line(found).to_vec()))
            }
            None if self.pending.len() <= bytes_max + 1 => None,
            _ => Some(RawLine::TooLong),
        }
    }

    /// The octets of the literal may come. Returns whether the client waits to hear so.
    pub fn accept(&mut self) -> bool {
        let State::Undecided(head) = self.state else { return false };
        self.state = State::Content(head.octets);
        head.synchronising
    }

    /// They may not; [`Item::Refused`] follows once the command is over.
    pub fn refuse(&mut self) {
        if let State::Undecided(head) = self.state {
            self.lose(Item::Refused, Some(head));
        }
    }

    /// No memory is held while nothing is there.
    fn give_back(&mut self) {
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
    }

    fn restart(&mut self) {
        self.command = Vec::new();
        self.literals = 0;
        self.append = None;
        self.state = State::Line;
    }

    /// Octets of the next line without its line end, and with it. CRLF ends a line; a bare LF does too, for people
    /// who type.
    fn find_line(&mut self) -> Option<(usize, usize)> {
        let unseen = self.pending.get(self.scanned..).unwrap_or_default();
        let Some(at) = memchr(b'\n', unseen) else {
            self.scanned = self.pending.len();
            return None;
        };
        let end = self.scanned + at;
        self.scanned = 0;
        let after_cr = end.checked_sub(1).and_then(|at| self.pending.get(at)) == Some(&b'\r');
        Some((end - usize::from(after_cr), end + 1))
    }

    fn take_line(&mut self, (length, whole): (usize, usize)) -> BytesMut {
        let mut line = self.pending.split_to(whole);
        line.truncate(length);
        self.scanned = 0;
        line
    }

    fn read_line(&mut self, limits: &Limits) -> bool {
        let room = limits.command_bytes.saturating_sub(self.command.len());
        match self.find_line() {
            Some(found) if found.0 <= room => {
                let line = self.take_line(found);
                self.handle_line(&line, limits);
            }
            // The line end may have two octets.
            None if self.pending.len() <= room + 1 => return false,
            _ => {
                self.command.extend_from_slice(self.pending.get(..TAIL_BYTES).unwrap_or(&self.pending));
                self.scanned = 0;
                let item = self.bad(CommandError::TooLong);
                self.start_skipping(item, 0);
            }
        }
        true
    }

    fn handle_line(&mut self, line: &[u8], limits: &Limits) {
        self.command.extend_from_slice(line);
        let head = LiteralHead::at_end_of(line).map(|(head, _)| head);
        if head.is_some() {
            self.command.extend_from_slice(b"\r\n");
        }
        if self.append.is_some() || command::is_append(&self.command) {
            return self.handle_segment(head, limits);
        }
        let Some(head) = head else {
            let item = match command::parse(&self.command, limits.utf8) {
                Ok(tagged) => Item::Command(tagged),
                Err(Fault::Error(error)) => self.bad(error),
                Err(Fault::Literal) => self.bad(CommandError::Expected("a literal")),
            };
            self.items.push_back(item);
            return self.restart();
        };
        // Whoever waits is told at once that it is no use.
        match head.synchronising.then(|| command::parse(&self.command, limits.utf8)) {
            Some(Err(Fault::Error(error))) => self.fail(error, Some(head)),
            None | Some(Ok(_) | Err(Fault::Literal)) => self.collect(head, limits),
        }
    }

    fn handle_segment(&mut self, head: Option<LiteralHead>, limits: &Limits) {
        let position = self.append.as_ref().map_or(Position::Command, |append| append.position);
        match (append::segment(position, &self.command, limits.utf8), head) {
            (Ok((pieces, Some(position))), Some(head)) => self.stream(pieces, position, head, limits),
            (Ok((pieces, _)), _) => {
                self.items.extend(pieces.into_iter().map(item_of));
                self.restart();
            }
            (Err(Fault::Literal), Some(head)) => self.collect(head, limits),
            (Err(Fault::Literal), None) => self.fail(CommandError::Expected("a literal"), None),
            (Err(Fault::Error(error)), head) => self.fail(error, head),
        }
    }

    fn stream(&mut self, pieces: Vec<Piece>, position: Position, head: LiteralHead, limits: &Limits) {
        if !head.synchronising && head.octets > limits.unsolicited_literal_bytes {
            return self.fail(CommandError::LiteralMustWait, Some(head));
        }
        // RFC 3502 §6.3.11
        if head.octets == 0 && matches!(position, Position::AfterMessage { .. }) {
            return self.fail(CommandError::Cancelled, Some(head));
        }
        let tag = self.append.take().map(|append| append.tag).or_else(|| command::tag_of(&self.command));
        self.append = Some(Append { tag: tag.unwrap_or_default(), position });
        self.items.extend(pieces.into_iter().map(item_of));
        self.command.clear();
        self.literals = 0;
        self.state = State::Undecided(head);
    }

    fn collect(&mut self, head: LiteralHead, limits: &Limits) {
        let room = limits.command_bytes.saturating_sub(self.command.len());
        let error = if !head.synchronising && head.octets > limits.unsolicited_literal_bytes {
            CommandError::LiteralMustWait
        } else if usize::try_from(head.octets).map_or(true, |octets| octets > room) {
            CommandError::LiteralTooLong
        } else if self.literals >= COMMAND_LITERALS_MAX {
            CommandError::TooMany { what: "literals", limit: COMMAND_LITERALS_MAX }
        } else {
            self.literals += 1;
            self.state = State::Literal(head.octets);
            if head.synchronising {
                self.items.push_back(Item::Continue);
            }
            return;
        };
        self.fail(error, Some(head));
    }

    fn bad(&self, error: CommandError) -> Item {
        let tag = match &self.append {
            Some(append) => Some(append.tag.clone()),
            None => command::tag_of(&self.command),
        };
        Item::Bad { tag, error }
    }

    fn fail(&mut self, error: CommandError, head: Option<LiteralHead>) {
        let item = self.bad(error);
        self.lose(item, head);
    }

    /// `head`: of the literal at the end of the line. One that waits never comes.
    fn lose(&mut self, item: Item, head: Option<LiteralHead>) {
        if let Some(head) = head.filter(|head| !head.synchronising) {
            self.start_skipping(item, head.octets);
        } else {
            self.items.push_back(item);
            self.restart();
        }
    }

    fn start_skipping(&mut self, item: Item, literal: u64) {
        self.restart();
        self.state = State::Skipping(Box::new(Skipping { item, literal, tail: Vec::new(), skipped: 0 }));
    }

    fn read_literal(&mut self) -> bool {
        let State::Literal(left) = &mut self.state else { return false };
        let taken = take_at_most(&mut self.pending, left);
        self.command.extend_from_slice(&taken);
        if *left == 0 {
            self.state = State::Line;
            return true;
        }
        false
    }

    fn read_content(&mut self) -> bool {
        let State::Content(left) = &mut self.state else { return false };
        let taken = take_at_most(&mut self.pending, left);
        if *left == 0 {
            self.state = State::Line;
        } else if taken.is_empty() {
            return false;
        }
        if !taken.is_empty() {
            self.items.push_back(Item::Append(AppendItem::Octets(taken.freeze())));
        }
        true
    }

    fn skip(&mut self, limits: &Limits) -> bool {
        let State::Skipping(skipping) = &mut self.state else { return false };
        let before = self.pending.len();
        let _ = take_at_most(&mut self.pending, &mut skipping.literal);
        let ended = skipping.literal == 0 && skipping.skip_line(&mut self.pending);
        let gone = before - self.pending.len();
        skipping.skipped = skipping.skipped.saturating_add(u64::try_from(gone).unwrap_or(u64::MAX));
        if skipping.skipped.saturating_add(skipping.literal) > limits.skipped_bytes {
            self.items.push_back(Item::Flood);
            self.restart();
            self.pending = BytesMut::new();
        } else if ended {
            let tail = std::mem::take(&mut skipping.tail);
            let head = LiteralHead::at_end_of(&tail).map(|(head, _)| head);
            if let Some(head) = head.filter(|head| !head.synchronising) {
                skipping.literal = head.octets;
            } else {
                self.items.push_back(skipping.item.clone());
                self.restart();
            }
        } else {
            return false;
        }
        true
    }
}

impl Skipping {
    /// Takes octets up to the line end; returns whether it has come. The end of the line is in `tail` then.
    fn skip_line(&mut self, pending: &mut BytesMut) -> bool {
        let end = memchr(b'\n', pending);
        let taken = pending.split_to(end.map_or(pending.len(), |at| at + 1));
        self.tail.extend_from_slice(taken.get(taken.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
        if end.is_some() {
            self.tail.pop();
            if self.tail.ends_with(b"\r") {
                self.tail.pop();
            }
        }
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        end.is_some()
    }
}

fn take_at_most(pending: &mut BytesMut, left: &mut u64) -> BytesMut {
    let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(pending.len());
    *left -= u64::try_from(wanted).unwrap_or(*left);
    pending.split_to(wanted)
}

fn item_of(piece: Piece) -> Item {
    Item::Append(match piece {
        Piece::Start(start) => AppendItem::Start(start),
        Piece::Message(message) => AppendItem::Message(message),
        Piece::Url(url) => AppendItem::Url(url),
        Piece::Literal(head) => AppendItem::Literal { octets: head.octets },
        Piece::MessageEnd => AppendItem::MessageEnd,
        Piece::End => AppendItem::End,
    })
}

#[cfg(test)]
mod tests;
