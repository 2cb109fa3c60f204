//! Access control lists (RFC 4314).

use std::fmt;

use super::{
    super::{
        cursor::Cursor,
        error::{CommandError, Parsed},
    },
    Command, MailboxName,
};

/// RFC 4314 §2.1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    Lookup,
    Read,
    KeepSeen,
    Write,
    Insert,
    Post,
    CreateMailboxes,
    DeleteMailbox,
    DeleteMessages,
    Expunge,
    Administer,
}

impl Right {
    pub const ALL: [Self; 11] = [
        Self::Lookup,
        Self::Read,
        Self::KeepSeen,
        Self::Write,
        Self::Insert,
        Self::Post,
        Self::CreateMailboxes,
        Self::DeleteMailbox,
        Self::DeleteMessages,
        Self::Expunge,
        Self::Administer,
    ];

    pub const fn letter(self) -> char {
        match self {
            Self::Lookup => 'l',
            Self::Read => 'r',
            Self::KeepSeen => 's',
            Self::Write => 'w',
            Self::Insert => 'i',
            Self::Post => 'p',
            Self::CreateMailboxes => 'k',
            Self::DeleteMailbox => 'x',
            Self::DeleteMessages => 't',
            Self::Expunge => 'e',
            Self::Administer => 'a',
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u16);

impl Rights {
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// `None`: a letter has no meaning. RFC 4314 §2.1.1: `c` and `d` are those of RFC 2086.
    pub fn parse(letters: &str) -> Option<Self> {
        let each = letters.chars().map(|letter| match letter {
            'c' => Some(Self::from_iter([Right::CreateMailboxes, Right::DeleteMailbox])),
            'd' => Some(Self::from_iter([Right::DeleteMessages, Right::Expunge])),
            letter => {
                Right::ALL.into_iter().find(|right| right.letter() == letter).map(|right| Self(right.bit()))
            }
        });
        each.into_iter().try_fold(Self::default(), |all, one| Some(all.union(one?)))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |bits, right| bits | right.bit()))
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters: String =
            Right::ALL.into_iter().filter(|right| self.has(*right)).map(Right::letter).collect();
        f.write_str(&letters)
    }
}

/// What SETACL does to somebody's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsChange {
    Replace(Rights),
    Add(Rights),
    Remove(Rights),
}

pub(super) fn set_acl(mailbox: MailboxName, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let identifier = identifier(cursor)?;
    cursor.space()?;
    let text = cursor.text("rights")?;
    let (kind, letters): (fn(Rights) -> RightsChange, &str) =
        match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(letters), _) => (RightsChange::Add, letters),
            (None, Some(letters)) => (RightsChange::Remove, letters),
            (None, None) => (RightsChange::Replace, &text),
        };
    // RFC 4314 §3.1: unknown rights are refused with BAD.
    let rights = Rights::parse(letters).ok_or(CommandError::Right)?;
    Ok(Command::SetAcl { mailbox, identifier, change: kind(rights) })
}

pub(super) fn delete_acl(mailbox: MailboxName, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::DeleteAcl { mailbox, identifier: identifier(cursor)? })
}

pub(super) fn list_rights(mailbox: MailboxName, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::ListRights { mailbox, identifier: identifier(cursor)? })
}

fn identifier(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.space()?;
    cursor.text("an identifier")
}
