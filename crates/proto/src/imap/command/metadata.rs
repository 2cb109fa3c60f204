//! Annotations of mailboxes and of the server (RFC 5464).

use super::{
    super::{
        cursor::{Cursor, utf8},
        error::{CommandError, Parsed, expected},
    },
    Command, MailboxName,
    mailbox::decode,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata {
    /// `None`: the server.
    pub mailbox: Option<MailboxName>,
    /// One or more, in lower case.
    pub entries: Vec<String>,
    /// Longer values are left out.
    pub octets_max: Option<u32>,
    pub depth: AnnotationDepth,
}

/// RFC 5464 §4.2.2
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnnotationDepth {
    #[default]
    Zero,
    One,
    Infinity,
}

/// A new value; `None` removes it. `entry`: in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    pub entry: String,
    pub value: Option<Vec<u8>>,
}

impl GetMetadata {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut get =
            Self { mailbox: None, entries: Vec::new(), octets_max: None, depth: AnnotationDepth::default() };
        let first = cursor.peek() == Some(b'(');
        if first {
            cursor.list("options", |cursor| get.option(cursor))?;
            cursor.space()?;
        }
        get.mailbox = mailbox_or_server(cursor)?;
        cursor.space()?;
        // Some clients put the options behind the mailbox, as the examples of RFC 5464 do.
        let mut ahead = cursor.clone();
        let second = !first && ahead.literally("(") && (ahead.word("MAXSIZE") || ahead.word("DEPTH"));
        if second {
            cursor.list("options", |cursor| get.option(cursor))?;
            cursor.space()?;
        }
        get.entries = if cursor.peek() == Some(b'(') { entries(cursor)? } else { vec![sought(cursor)?] };
        Ok(get)
    }

    fn option(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.word_and_space("MAXSIZE")? {
            self.octets_max = Some(cursor.number()?);
        } else if cursor.word_and_space("DEPTH")? {
            self.depth = match cursor.atom("a depth")?.to_ascii_lowercase().as_str() {
                "0" => AnnotationDepth::Zero,
                "1" => AnnotationDepth::One,
                "infinity" => AnnotationDepth::Infinity,
                _ => return expected("0, 1 or infinity"),
            };
        } else {
            return expected("MAXSIZE or DEPTH");
        }
        Ok(())
    }
}

pub(super) fn set_metadata(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = mailbox_or_server(cursor)?;
    cursor.space()?;
    let annotations = cursor.list("annotations", |cursor| {
        let entry = entry(cursor)?;
        cursor.space()?;
        Ok(Annotation { entry, value: cursor.nstring8("a value")?.map(std::borrow::Cow::into_owned) })
    })?;
    Ok(Command::SetMetadata { mailbox, annotations })
}

/// The empty name stands for the server.
pub(super) fn mailbox_or_server(cursor: &mut Cursor<'_>) -> Parsed<Option<MailboxName>> {
    let name = decode(&cursor.astring("a mailbox")?, cursor.utf8)?;
    if name.is_empty() {
        return Ok(None);
    }
    MailboxName::new(&name).map(Some).ok_or(CommandError::MailboxName.into())
}

pub(super) fn entries(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.list("entries", sought)
}

/// An entry, or one of the two that all others are below (RFC 5464 §4.2.2).
fn sought(cursor: &mut Cursor<'_>) -> Parsed<String> {
    for root in ["/shared", "/private"] {
        let mut ahead = cursor.clone();
        if ahead.astring("the name of an annotation")?.eq_ignore_ascii_case(root.as_bytes()) {
            *cursor = ahead;
            return Ok(root.to_owned());
        }
    }
    entry(cursor)
}

/// RFC 5464 §3.2: printable ASCII but `*` and `%`, in components that are not empty.
fn entry(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let name = utf8(&cursor.astring("the name of an annotation")?)?;
    let printable = name.bytes().all(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b'*' | b'%'));
    let lower = name.to_ascii_lowercase();
    let below = lower.strip_prefix("/private/").or(lower.strip_prefix("/shared/"));
    let well_formed = printable && below.is_some_and(|below| below.split('/').all(|part| !part.is_empty()));
    if well_formed { Ok(lower) } else { Err(CommandError::AnnotationName.into()) }
}
