//! Names of mailboxes (RFC 9051 §5.1, RFC 3501 §5.1.3), and what STATUS asks of them.

use std::fmt;

use super::super::{
    cursor::{Cursor, utf8},
    error::{CommandError, Parsed, expected},
    mutf7,
};

/// The longest name, in octets of UTF-8.
pub const MAILBOX_NAME_BYTES_MAX: usize = 1000;

/// As people read it; `INBOX` in capitals, whatever the case it came in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(String);

impl MailboxName {
    /// `None` where it is empty, too long, or holds control characters.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=MAILBOX_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
        // RFC 9051 §5.1
        let name = if name.eq_ignore_ascii_case("INBOX") { "INBOX" } else { name };
        fits.then(|| Self(name.to_owned()))
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let octets = cursor.astring("a mailbox")?;
        let name = decode(&octets, cursor.utf8)?;
        Self::new(&name).ok_or(CommandError::MailboxName.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name, a part of one, or a pattern of names.
pub(super) fn decode(octets: &[u8], is_utf8: bool) -> Parsed<String> {
    if is_utf8 { utf8(octets) } else { mutf7::decode(octets).ok_or(CommandError::MailboxName.into()) }
}

/// What a client wants to know of a mailbox that it has not selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    Messages,
    /// RFC 3501
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    /// RFC 8438
    Size,
    /// RFC 7162
    HighestModSeq,
    /// RFC 8474
    MailboxId,
    /// RFC 7889
    AppendLimit,
    /// RFC 9208 §4.1.3
    DeletedStorage,
}

impl StatusItem {
    const ALL: [Self; 11] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::Deleted,
        Self::Size,
        Self::HighestModSeq,
        Self::MailboxId,
        Self::AppendLimit,
        Self::DeletedStorage,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
            Self::HighestModSeq => "HIGHESTMODSEQ",
            Self::MailboxId => "MAILBOXID",
            Self::AppendLimit => "APPENDLIMIT",
            Self::DeletedStorage => "DELETED-STORAGE",
        }
    }

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let name = cursor.atom("a status item")?;
        let found = Self::ALL.into_iter().find(|item| item.name().eq_ignore_ascii_case(name));
        found.map_or_else(|| expected("a status item that is known"), Ok)
    }
}
