//! FETCH: which parts of which messages (RFC 9051 §6.4.5, RFC 3501, RFC 7162, RFC 8474, RFC 8514, RFC 8970, RFC 9394).

use super::{
    super::{
        HEADER_NAMES_MAX, PART_NUMBERS_MAX,
        cursor::{Cursor, utf8},
        error::{CommandError, Parsed, expected},
        sequence::SequenceSet,
    },
    PartialRange,
    select::modseq_or_zero,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub messages: SequenceSet,
    /// One or more, the macros taken apart.
    pub items: Vec<FetchItem>,
    pub modifiers: FetchModifiers,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchModifiers {
    /// Only messages that have changed since this mod-sequence (RFC 7162 §3.1.4.1).
    pub changed_since: Option<u64>,
    /// And which are gone since; for UID FETCH with QRESYNC alone.
    pub vanished: bool,
    /// RFC 9394 §3.3
    pub partial: Option<PartialRange>,
}

/// One thing to tell of a message. The names are those of the standard; each is answered under its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    Envelope,
    Flags,
    InternalDate,
    Uid,
    Body {
        section: Section,
        peek: bool,
        partial: Option<Partial>,
    },
    /// BODY without brackets: BODYSTRUCTURE without the extension data.
    BodyShort,
    BodyStructure,
    Rfc822,
    Rfc822Header,
    Rfc822Size,
    Rfc822Text,
    /// RFC 3516: decoded. `part`: empty for the whole message.
    Binary {
        part: Vec<u32>,
        peek: bool,
        partial: Option<Partial>,
    },
    BinarySize(Vec<u32>),
    ModSeq,
    EmailId,
    ThreadId,
    SaveDate,
    /// `lazy`: only if it is at hand.
    Preview {
        lazy: bool,
    },
}

/// `<offset.octets>`; `octets` is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    pub offset: u64,
    pub octets: u64,
}

/// What stands in the brackets of `BODY[…]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// `1.2.3`; empty for the message itself. No zeros.
    pub part: Vec<u32>,
    pub text: SectionText,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SectionText {
    /// The part as a whole.
    #[default]
    All,
    Header,
    /// One or more names, as they were written.
    HeaderFields(Vec<String>),
    HeaderFieldsNot(Vec<String>),
    Text,
    /// The header of the part itself; `part` is not empty.
    Mime,
}

impl Fetch {
    pub(super) fn parse(messages: SequenceSet, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let items = items(cursor)?;
        let mut modifiers = FetchModifiers::default();
        if cursor.eat(b' ') {
            cursor.list("modifiers", |cursor| modifiers.one(cursor))?;
        }
        // RFC 7162 §3.2.6
        if modifiers.vanished && modifiers.changed_since.is_none() {
            return expected("CHANGEDSINCE beside VANISHED");
        }
        Ok(Self { messages, items, modifiers })
    }
}

impl FetchModifiers {
    fn one(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.word_and_space("CHANGEDSINCE")? {
            self.changed_since = Some(modseq_or_zero(cursor)?);
        } else if cursor.word("VANISHED") {
            self.vanished = true;
        } else if cursor.word_and_space("PARTIAL")? {
            self.partial = Some(PartialRange::parse(cursor)?);
        } else {
            return expected("a modifier that is known");
        }
        Ok(())
    }
}

fn items(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchItem>> {
    use FetchItem::{BodyShort, Envelope, Flags, InternalDate, Rfc822Size};
    if cursor.word("ALL") {
        Ok(vec![Flags, InternalDate, Rfc822Size, Envelope])
    } else if cursor.word("FAST") {
        Ok(vec![Flags, InternalDate, Rfc822Size])
    } else if cursor.word("FULL") {
        Ok(vec![Flags, InternalDate, Rfc822Size, Envelope, BodyShort])
    } else if cursor.peek() == Some(b'(') {
        cursor.list("items", FetchItem::parse)
    } else {
        Ok(vec![FetchItem::parse(cursor)?])
    }
}

impl FetchItem {
    /// Those that are a name and nothing else.
    const PLAIN: [(&'static str, Self); 14] = [
        ("ENVELOPE", Self::Envelope),
        ("FLAGS", Self::Flags),
        ("INTERNALDATE", Self::InternalDate),
        ("UID", Self::Uid),
        ("BODYSTRUCTURE", Self::BodyStructure),
        ("RFC822", Self::Rfc822),
        ("RFC822.HEADER", Self::Rfc822Header),
        ("RFC822.SIZE", Self::Rfc822Size),
        ("RFC822.TEXT", Self::Rfc822Text),
        ("MODSEQ", Self::ModSeq),
        ("EMAILID", Self::EmailId),
        ("THREADID", Self::ThreadId),
        ("SAVEDATE", Self::SaveDate),
        ("BODY", Self::BodyShort),
    ];

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        if cursor.word("PREVIEW") {
            return Ok(Self::Preview { lazy: cursor.literally(" (LAZY)") });
        }
        for (name, peek) in [("BODY[", false), ("BODY.PEEK[", true)] {
            if cursor.literally(name) {
                let section = Section::parse(cursor)?;
                return Ok(Self::Body { section, peek, partial: Partial::parse(cursor)? });
            }
        }
        for (name, peek) in [("BINARY[", false), ("BINARY.PEEK[", true)] {
            if cursor.literally(name) {
                let part = binary_part(cursor)?;
                return Ok(Self::Binary { part, peek, partial: Partial::parse(cursor)? });
            }
        }
        if cursor.literally("BINARY.SIZE[") {
            return Ok(Self::BinarySize(binary_part(cursor)?));
        }
        let name = cursor.atom("an item to fetch")?;
        let found = Self::PLAIN.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map_or_else(|| expected("an item to fetch that is known"), |(_, item)| Ok(item))
    }
}

fn binary_part(cursor: &mut Cursor<'_>) -> Parsed<Vec<u32>> {
    let part = part_numbers(cursor)?.0;
    cursor.expect(b']', "a closing bracket")?;
    Ok(part)
}

/// Numbers with dots between them; whether a dot follows that no number does.
fn part_numbers(cursor: &mut Cursor<'_>) -> Parsed<(Vec<u32>, bool)> {
    let (mut part, mut dot) = (Vec::new(), false);
    while cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        if part.len() >= PART_NUMBERS_MAX {
            return Err(CommandError::TooDeep.into());
        }
        part.push(cursor.nz_number()?.get());
        dot = cursor.eat(b'.');
        if !dot {
            break;
        }
    }
    Ok((part, dot))
}

impl Section {
    /// Up to and with the closing bracket.
    pub(in super::super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let (part, dot) = part_numbers(cursor)?;
        let text = if !part.is_empty() && !dot {
            SectionText::All
        } else if cursor.word_and_space("HEADER.FIELDS")? {
            SectionText::HeaderFields(header_names(cursor)?)
        } else if cursor.word_and_space("HEADER.FIELDS.NOT")? {
            SectionText::HeaderFieldsNot(header_names(cursor)?)
        } else if cursor.literally("HEADER") {
            SectionText::Header
        } else if cursor.literally("TEXT") {
            SectionText::Text
        } else if dot && cursor.literally("MIME") {
            SectionText::Mime
        } else if dot {
            return expected("HEADER, TEXT, MIME or a number");
        } else {
            SectionText::All
        };
        cursor.expect(b']', "a closing bracket")?;
        Ok(Self { part, text })
    }
}

fn header_names(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    let names =
        cursor.list("header fields", |cursor| utf8(&cursor.astring("the name of a header field")?))?;
    if names.len() > HEADER_NAMES_MAX {
        return Err(CommandError::TooMany { what: "header fields", limit: HEADER_NAMES_MAX }.into());
    }
    Ok(names)
}

impl Partial {
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        if !cursor.eat(b'<') {
            return Ok(None);
        }
        let offset = cursor.number64()?;
        cursor.expect(b'.', "a dot")?;
        let octets = cursor.number64()?;
        cursor.expect(b'>', "a closing bracket")?;
        if octets == 0 { expected("a number that is not zero") } else { Ok(Some(Self { offset, octets })) }
    }
}
