//! STORE, and the flags it sets (RFC 9051 §6.4.6, §2.3.2; RFC 7162 §3.1.3).

use super::{
    super::{
        FLAGS_MAX,
        cursor::Cursor,
        error::{CommandError, Parsed, expected},
        sequence::SequenceSet,
    },
    select::modseq_or_zero,
};

/// Keywords are equal in any case, and keep the case they came in.
#[derive(Clone, Debug, Eq)]
pub enum Flag {
    Answered,
    Flagged,
    Deleted,
    Seen,
    Draft,
    /// An atom.
    Keyword(String),
}

impl PartialEq for Flag {
    fn eq(&self, other: &Self) -> bool {
        self.name().eq_ignore_ascii_case(other.name())
    }
}

impl Flag {
    pub const SYSTEM: [Self; 5] = [Self::Answered, Self::Flagged, Self::Deleted, Self::Seen, Self::Draft];

    /// As it goes on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Seen => "\\Seen",
            Self::Draft => "\\Draft",
            Self::Keyword(name) => name,
        }
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        if !cursor.eat(b'\\') {
            return Self::keyword(cursor);
        }
        let name = cursor.atom("a flag")?;
        let named =
            |flag: &Self| flag.name().strip_prefix('\\').is_some_and(|own| own.eq_ignore_ascii_case(name));
        // \Recent is ours alone to set (RFC 3501 §2.3.2).
        Self::SYSTEM.into_iter().find(named).ok_or(CommandError::Flag.into())
    }

    pub(super) fn keyword(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let name = cursor.atom("a flag")?;
        if name.len() > FLAG_BYTES_MAX {
            expected("a shorter flag")
        } else {
            Ok(Self::Keyword(name.to_owned()))
        }
    }

    /// `flag-list`
    pub(super) fn parse_list(cursor: &mut Cursor<'_>) -> Parsed<Vec<Self>> {
        bounded(cursor.list_or_none("flags", Self::parse)?)
    }
}

const FLAG_BYTES_MAX: usize = 255;

/// One of each.
fn bounded(flags: Vec<Flag>) -> Parsed<Vec<Flag>> {
    let mut distinct: Vec<Flag> = Vec::new();
    for flag in flags {
        if !distinct.contains(&flag) {
            distinct.push(flag);
        }
        if distinct.len() > FLAGS_MAX {
            return Err(CommandError::TooMany { what: "flags", limit: FLAGS_MAX }.into());
        }
    }
    Ok(distinct)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub messages: SequenceSet,
    /// Leave alone what has changed since this mod-sequence.
    pub unchanged_since: Option<u64>,
    pub action: StoreAction,
    /// Without telling what the flags are then.
    pub silent: bool,
    /// One of each; may be empty.
    pub flags: Vec<Flag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAction {
    Replace,
    Add,
    Remove,
}

impl Store {
    pub(super) fn parse(messages: SequenceSet, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut unchanged_since = None;
        if cursor.peek() == Some(b'(') {
            cursor.list("modifiers", |cursor| {
                if !cursor.word_and_space("UNCHANGEDSINCE")? {
                    return expected("UNCHANGEDSINCE");
                }
                unchanged_since = Some(modseq_or_zero(cursor)?);
                Ok(())
            })?;
            cursor.space()?;
        }
        let action = match (cursor.eat(b'+'), cursor.eat(b'-')) {
            (false, false) => StoreAction::Replace,
            (true, false) => StoreAction::Add,
            (false, true) => StoreAction::Remove,
            (true, true) => return expected("FLAGS, +FLAGS or -FLAGS"),
        };
        let silent = cursor.word("FLAGS.SILENT");
        if !silent && !cursor.word("FLAGS") {
            return expected("FLAGS, +FLAGS or -FLAGS");
        }
        cursor.space()?;
        let flags = if cursor.peek() == Some(b'(') { Flag::parse_list(cursor)? } else { bare_flags(cursor)? };
        Ok(Self { messages, unchanged_since, action, silent, flags })
    }
}

/// Flags without brackets around them.
fn bare_flags(cursor: &mut Cursor<'_>) -> Parsed<Vec<Flag>> {
    let mut flags = vec![Flag::parse(cursor)?];
    while flags.len() <= FLAGS_MAX && cursor.eat(b' ') {
        flags.push(Flag::parse(cursor)?);
    }
    bounded(flags)
}
