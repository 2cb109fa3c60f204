//! APPEND and REPLACE (RFC 9051 §6.3.12, RFC 3502, RFC 4469, RFC 8508, RFC 9755): their literals stream, so they are
//! read in segments that end with the head of such a literal.

use mail::Timestamp;

use super::{
    super::{
        cursor::{Cursor, LiteralHead},
        date,
        error::{Parsed, expected},
        sequence::Bound,
    },
    Flag, MailboxName,
};

/// Where messages are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendStart {
    pub tag: String,
    pub mailbox: MailboxName,
    /// REPLACE: the message of the selected mailbox that goes as the new one comes (RFC 8508).
    pub replaced: Option<Replaced>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    pub uid: bool,
    pub message: Bound,
}

/// A message that follows in one literal, or in the pieces of CATENATE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendMessage {
    pub flags: Vec<Flag>,
    pub date: Option<Timestamp>,
    /// RFC 9755 §4: its header may have UTF-8.
    pub utf8: bool,
    /// RFC 4469
    pub catenate: bool,
}

/// What a segment holds, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Piece {
    Start(AppendStart),
    Message(AppendMessage),
    /// A part of CATENATE that is somewhere here already.
    Url(String),
    /// The octets of this literal are a message, or a part of one.
    Literal(LiteralHead),
    MessageEnd,
    End,
}

/// Where the next segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Position {
    Command,
    /// `utf8`: a bracket is to be closed first. `only`: no other message may follow.
    AfterMessage {
        utf8: bool,
        only: bool,
    },
    AfterPart {
        only: bool,
    },
}

/// Takes a segment apart. The position is of what follows the literal, if the segment ends with one.
pub(in super::super) fn segment(
    position: Position,
    octets: &[u8],
    utf8: bool,
) -> Parsed<(Vec<Piece>, Option<Position>)> {
    let mut reading = Reading { cursor: Cursor::new(octets, utf8), pieces: Vec::new(), only: false };
    let next = match position {
        Position::Command => {
            reading.start()?;
            reading.message()?
        }
        Position::AfterMessage { utf8, only } => {
            reading.only = only;
            if utf8 {
                reading.cursor.expect(b')', "a closing bracket")?;
            }
            reading.pieces.push(Piece::MessageEnd);
            None
        }
        Position::AfterPart { only } => {
            reading.only = only;
            reading.after_part()?
        }
    };
    let next = match next {
        Some(next) => Some(next),
        None => reading.more_messages()?,
    };
    Ok((reading.pieces, next))
}

struct Reading<'a> {
    cursor: Cursor<'a>,
    pieces: Vec<Piece>,
    only: bool,
}

impl Reading<'_> {
    fn start(&mut self) -> Parsed<()> {
        let cursor = &mut self.cursor;
        let tag = cursor.tag().unwrap_or_default().to_owned();
        cursor.space()?;
        let uid = cursor.literally("UID ");
        let replaced = if cursor.literally("REPLACE ") {
            let message = if cursor.eat(b'*') { Bound::Largest } else { Bound::Number(cursor.nz_number()?) };
            cursor.space()?;
            Some(Replaced { uid, message })
        } else if cursor.literally("APPEND ") {
            None
        } else {
            return expected("APPEND or REPLACE");
        };
        let mailbox = MailboxName::parse(cursor)?;
        cursor.space()?;
        self.only = replaced.is_some();
        self.pieces.push(Piece::Start(AppendStart { tag, mailbox, replaced }));
        Ok(())
    }

    /// After a message: the end, or others.
    fn more_messages(&mut self) -> Parsed<Option<Position>> {
        while !self.only && self.cursor.eat(b' ') {
            // IMAPClient writes two.
            self.cursor.eat(b' ');
            if let Some(position) = self.message()? {
                return Ok(Some(position));
            }
        }
        self.cursor.end()?;
        self.pieces.push(Piece::End);
        Ok(None)
    }

    fn message(&mut self) -> Parsed<Option<Position>> {
        let mut message = AppendMessage::default();
        let cursor = &mut self.cursor;
        if cursor.peek() == Some(b'(') {
            message.flags = Flag::parse_list(cursor)?;
            cursor.space()?;
        }
        if cursor.peek() == Some(b'"') {
            let text = cursor.text("a date")?;
            message.date =
                Some(date::parse_date_time(&text).map_or_else(|| expected("a date and time"), Ok)?);
            cursor.space()?;
        }
        message.catenate = cursor.literally("CATENATE (");
        message.utf8 = !message.catenate && cursor.literally("UTF8 (");
        let (catenate, utf8, only) = (message.catenate, message.utf8, self.only);
        self.pieces.push(Piece::Message(message));
        if catenate {
            return self.part();
        }
        self.literal()?;
        Ok(Some(Position::AfterMessage { utf8, only }))
    }

    fn part(&mut self) -> Parsed<Option<Position>> {
        if self.cursor.word_and_space("URL")? {
            let url = self.cursor.text("a URL")?;
            self.pieces.push(Piece::Url(url));
            return self.after_part();
        }
        if !self.cursor.word_and_space("TEXT")? {
            return expected("URL or TEXT");
        }
        self.literal()?;
        Ok(Some(Position::AfterPart { only: self.only }))
    }

    fn after_part(&mut self) -> Parsed<Option<Position>> {
        loop {
            if self.cursor.eat(b')') {
                self.pieces.push(Piece::MessageEnd);
                return Ok(None);
            }
            self.cursor.space()?;
            if !self.cursor.word_and_space("URL")? {
                return self.part();
            }
            let url = self.cursor.text("a URL")?;
            self.pieces.push(Piece::Url(url));
        }
    }

    fn literal(&mut self) -> Parsed<()> {
        let head = self.cursor.literal_head()?;
        self.cursor.end()?;
        self.pieces.push(Piece::Literal(head));
        Ok(())
    }
}
