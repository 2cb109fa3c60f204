use std::ops::{BitAnd, BitOr, Not};

use serde::{Deserialize, Serialize};

/// RFC 9051 §2.3.2 system flags, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags(pub u8);

impl Flags {
    pub const SEEN: Self = Self(1);
    pub const ANSWERED: Self = Self(2);
    pub const FLAGGED: Self = Self(4);
    pub const DELETED: Self = Self(8);
    pub const DRAFT: Self = Self(16);

    const NAMES: [(&str, Self); 5] = [
        ("\\Answered", Self::ANSWERED),
        ("\\Deleted", Self::DELETED),
        ("\\Draft", Self::DRAFT),
        ("\\Flagged", Self::FLAGGED),
        ("\\Seen", Self::SEEN),
    ];

    /// `\Seen`, …, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, flag)| flag)
    }

    /// `\Seen`, …
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, flag)| self.has(*flag)).map(|(name, _)| name)
    }

    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 == flag.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// What becomes of flags and keywords (RFC 9051 §6.4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagChange {
    pub how: FlagChangeKind,
    pub flags: Flags,
    pub keywords: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagChangeKind {
    Replace,
    /// Those flags only; the others stay.
    ReplaceWithin(FlagMask),
    Add,
    Remove,
}

/// Flags that somebody may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagMask {
    pub flags: Flags,
    pub keywords: bool,
}

impl FlagMask {
    pub const ALL: Self = Self { flags: Flags(31), keywords: true };
    /// Without keywords.
    pub const FLAGS: Self = Self { keywords: false, ..Self::ALL };

    pub fn is_empty(self) -> bool {
        self.flags == Flags::default() && !self.keywords
    }
}

/// Keywords of one message; others are not added.
pub const KEYWORDS_MAX: usize = 100;
/// Octets of a keyword; longer ones are not added.
pub const KEYWORD_BYTES_MAX: usize = 128;

impl FlagChange {
    /// As far as it changes flags of the mask.
    pub fn within(self, mask: FlagMask) -> Self {
        if mask == FlagMask::ALL {
            return self;
        }
        let how = match self.how {
            FlagChangeKind::Replace => FlagChangeKind::ReplaceWithin(mask),
            FlagChangeKind::ReplaceWithin(other) => FlagChangeKind::ReplaceWithin(FlagMask {
                flags: other.flags & mask.flags,
                keywords: other.keywords && mask.keywords,
            }),
            how => how,
        };
        let keywords = if mask.keywords { self.keywords } else { Vec::new() };
        Self { how, flags: self.flags & mask.flags, keywords }
    }

    /// Whether it names any.
    pub fn names_flags(&self) -> bool {
        self.flags != Flags::default() || !self.keywords.is_empty()
    }

    /// Flags and keywords afterwards. Keywords have no case (RFC 9051 §2.3.2): the one that was there first stands.
    pub fn applied(&self, flags: Flags, keywords: &[String]) -> (Flags, Vec<String>) {
        let names = |keywords: &[String], one: &str| keywords.iter().any(|own| own.eq_ignore_ascii_case(one));
        match self.how {
            FlagChangeKind::Replace => (self.flags, distinct(&[], &self.keywords)),
            FlagChangeKind::ReplaceWithin(mask) => {
                let others = if mask.keywords { &[] } else { keywords };
                (flags & !mask.flags | self.flags, distinct(others, &self.keywords))
            }
            FlagChangeKind::Add => (flags | self.flags, distinct(keywords, &self.keywords)),
            FlagChangeKind::Remove => {
                let left = keywords.iter().filter(|own| !names(&self.keywords, own)).cloned().collect();
                (flags & !self.flags, left)
            }
        }
    }
}

fn distinct(before: &[String], added: &[String]) -> Vec<String> {
    let mut all = before.to_vec();
    for keyword in added.iter().filter(|keyword| keyword.len() <= KEYWORD_BYTES_MAX) {
        if all.len() < KEYWORDS_MAX && !all.iter().any(|own| own.eq_ignore_ascii_case(keyword)) {
            all.push(keyword.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_have_no_case_and_stand_once() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let apply = |how, keywords: &[&str]| {
            let change = FlagChange { how, flags: Flags::SEEN, keywords: words(keywords) };
            change.applied(Flags::SEEN | Flags::DELETED, &words(&["$Junk", "a"]))
        };
        let both = Flags::SEEN | Flags::DELETED;
        assert_eq!(apply(FlagChangeKind::Add, &["A", "b", "B"]), (both, words(&["$Junk", "a", "b"])));
        assert_eq!(apply(FlagChangeKind::Remove, &["A", "x"]), (Flags::DELETED, words(&["$Junk"])));
        assert_eq!(
            apply(FlagChangeKind::ReplaceWithin(FlagMask::FLAGS), &[]),
            (Flags::SEEN, words(&["$Junk", "a"]))
        );
        assert_eq!(apply(FlagChangeKind::Replace, &["x", "X"]), (Flags::SEEN, words(&["x"])));
        let many: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(apply(FlagChangeKind::Add, &many).1.len(), KEYWORDS_MAX);
        assert_eq!(apply(FlagChangeKind::Replace, &["y".repeat(129).as_str()]).1.len(), 0);
    }
}
