//! LIST with its options (RFC 5258, RFC 5819, RFC 6154, RFC 8440, RFC 9590), LSUB, and CREATE with a use.

use super::{
    super::{
        LIST_PATTERNS_MAX,
        cursor::Cursor,
        error::{CommandError, Parsed, expected},
    },
    Command, MailboxName,
    mailbox::{StatusItem, decode},
    metadata,
};

/// What a mailbox is for (RFC 6154 §2, RFC 8457).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    All,
    Archive,
    Drafts,
    Flagged,
    Important,
    Junk,
    Sent,
    Trash,
}

impl SpecialUse {
    pub const ALL: [Self; 8] = [
        Self::All,
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Important,
        Self::Junk,
        Self::Sent,
        Self::Trash,
    ];

    /// With its backslash.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Important => "\\Important",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.expect(b'\\', "a use that begins with a backslash")?;
        let name = cursor.atom("a use")?;
        let named =
            |used: &Self| used.name().strip_prefix('\\').is_some_and(|own| own.eq_ignore_ascii_case(name));
        Self::ALL.into_iter().find(named).ok_or(CommandError::SpecialUse.into())
    }
}

/// LIST. Patterns have `*` and `%`; neither they nor the reference are names of mailboxes by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    pub selection: ListSelection,
    pub reference: String,
    /// One or more; `""` asks for the hierarchy delimiter.
    pub patterns: Vec<String>,
    pub returned: ListReturn,
    /// It was written in a way that only LIST-EXTENDED has.
    pub extended: bool,
}

/// Which mailboxes to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListSelection {
    pub subscribed: bool,
    pub remote: bool,
    /// Also those whose children match.
    pub recursive_match: bool,
    pub special_use: bool,
}

/// What to tell of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReturn {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    /// RFC 8440
    pub my_rights: bool,
    /// RFC 5819; empty: none.
    pub status: Vec<StatusItem>,
    /// RFC 9590; entry names, empty: none.
    pub metadata: Vec<String>,
}

impl List {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut list = Self::default();
        if cursor.peek() == Some(b'(') {
            list.extended = true;
            cursor.list_or_none("options", |cursor| list.selection.option(cursor))?;
            cursor.space()?;
        }
        // RFC 5258 §3.1
        if list.selection.recursive_match && !list.selection.subscribed && !list.selection.special_use {
            return expected("another selection option beside RECURSIVEMATCH");
        }
        list.reference = decode(&cursor.astring("a reference")?, cursor.utf8)?;
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            list.extended = true;
            list.patterns = cursor.list("patterns", pattern)?;
            if list.patterns.len() > LIST_PATTERNS_MAX {
                return Err(CommandError::TooMany { what: "patterns", limit: LIST_PATTERNS_MAX }.into());
            }
        } else {
            list.patterns.push(pattern(cursor)?);
        }
        if cursor.eat(b' ') {
            list.extended = true;
            if !cursor.word_and_space("RETURN")? {
                return expected("RETURN");
            }
            cursor.list_or_none("options", |cursor| list.returned.option(cursor))?;
        }
        Ok(list)
    }
}

impl ListSelection {
    fn option(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let name = cursor.atom("a selection option")?;
        let option = match name.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => &mut self.subscribed,
            "REMOTE" => &mut self.remote,
            "RECURSIVEMATCH" => &mut self.recursive_match,
            "SPECIAL-USE" => &mut self.special_use,
            _ => return expected("a selection option that is known"),
        };
        *option = true;
        Ok(())
    }
}

impl ListReturn {
    fn option(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let name = cursor.atom("a return option")?;
        match name.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => self.subscribed = true,
            "CHILDREN" => self.children = true,
            "SPECIAL-USE" => self.special_use = true,
            "MYRIGHTS" => self.my_rights = true,
            "STATUS" => {
                cursor.space()?;
                self.status = cursor.list("status items", StatusItem::parse)?;
            }
            "METADATA" => {
                cursor.space()?;
                self.metadata = metadata::entries(cursor)?;
            }
            _ => return expected("a return option that is known"),
        }
        Ok(())
    }
}

fn pattern(cursor: &mut Cursor<'_>) -> Parsed<String> {
    decode(&cursor.pattern()?, cursor.utf8)
}

pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let reference = decode(&cursor.astring("a reference")?, cursor.utf8)?;
    cursor.space()?;
    Ok(Command::Lsub { reference, pattern: pattern(cursor)? })
}

pub(super) fn create(mailbox: MailboxName, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mut uses = Vec::new();
    if cursor.eat(b' ') {
        cursor.list("parameters", |cursor| {
            if !cursor.word_and_space("USE")? {
                return expected("USE");
            }
            uses = cursor.list_or_none("uses", SpecialUse::parse)?;
            Ok(())
        })?;
    }
    Ok(Command::Create { mailbox, uses })
}
