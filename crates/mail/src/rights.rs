//! What somebody may do with a mailbox (RFC 4314 §2.1).

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// A set of rights. It is stored as it stands: bits keep their meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights(u16);

impl Rights {
    pub fn all() -> Self {
        Right::ALL.into_iter().collect()
    }

    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    pub const fn has_any(self, of: Self) -> bool {
        self.0 & of.0 != 0
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
            'c' => Some(CREATE),
            'd' => Some(DELETE),
            letter => {
                Right::ALL.into_iter().find(|right| right.letter() == letter).map(|right| Self(right.bit()))
            }
        });
        each.into_iter().try_fold(Self::default(), |all, one| Some(all.union(one?)))
    }

    /// As they are told to clients: with `c` and `d` for those that know RFC 2086 only (RFC 4314 §2.1.1).
    pub fn with_old_letters(self) -> String {
        let old = [('c', CREATE), ('d', DELETE)];
        let old: String =
            old.into_iter().filter(|(_, of)| self.has_any(*of)).map(|(letter, _)| letter).collect();
        format!("{self}{old}")
    }
}

/// What `c` stands for.
const CREATE: Rights = Rights(Right::CreateMailboxes.bit() | Right::DeleteMailbox.bit());
/// What `d` stands for.
const DELETE: Rights = Rights(Right::DeleteMessages.bit() | Right::Expunge.bit());

impl From<Right> for Rights {
    fn from(right: Right) -> Self {
        Self(right.bit())
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

/// What is done to somebody's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RightsChange {
    Replace(Rights),
    Add(Rights),
    Remove(Rights),
}

impl RightsChange {
    pub const fn applied(self, rights: Rights) -> Rights {
        match self {
            Self::Replace(new) => new,
            Self::Add(more) => rights.union(more),
            Self::Remove(less) => rights.without(less),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(letters: &str) -> Rights {
        Rights::parse(letters).unwrap()
    }

    #[test]
    fn letters_old_and_new() {
        assert_eq!(rights("alr").to_string(), "lra");
        assert_eq!((rights("c"), rights("d")), (rights("kx"), rights("te")));
        assert_eq!(Rights::parse("lrz"), None);
        assert_eq!(rights("lrte").with_old_letters(), "lrted");
        assert_eq!(rights("lk").with_old_letters(), "lkc");
        assert_eq!(Rights::all().with_old_letters(), "lrswipkxteacd");
        assert_eq!(Rights::default().with_old_letters(), "");
    }

    #[test]
    fn changes() {
        assert_eq!(RightsChange::Add(rights("w")).applied(rights("lr")), rights("lrw"));
        assert_eq!(RightsChange::Remove(rights("rw")).applied(rights("lr")), rights("l"));
        assert_eq!(RightsChange::Replace(rights("a")).applied(rights("lr")), rights("a"));
        assert!(rights("lr").has_any(rights("ra")) && !rights("lr").has_any(rights("a")));
    }
}
