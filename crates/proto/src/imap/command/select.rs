//! SELECT and EXAMINE with what CONDSTORE and QRESYNC add (RFC 7162).

use std::num::{NonZeroU32, NonZeroU64};

use super::{
    super::{
        cursor::Cursor,
        error::{Parsed, expected},
        sequence::SequenceSet,
    },
    MailboxName,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    pub mailbox: MailboxName,
    /// EXAMINE.
    pub read_only: bool,
    pub condstore: bool,
    pub qresync: Option<QResync>,
}

/// What the client remembers of the mailbox (RFC 7162 §3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QResync {
    pub uid_validity: NonZeroU32,
    pub modseq: NonZeroU64,
    /// The UIDs it knows; `None`: all below the UIDNEXT that it knew. No `*`, no `$`.
    pub uids: Option<SequenceSet>,
    pub messages: Option<KnownMessages>,
}

/// Some message numbers and the UIDs they had (RFC 7162 §3.2.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMessages {
    pub numbers: SequenceSet,
    pub uids: SequenceSet,
}

impl Select {
    pub(super) fn parse(mailbox: MailboxName, read_only: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut select = Self { mailbox, read_only, condstore: false, qresync: None };
        if cursor.eat(b' ') {
            cursor.list("parameters", |cursor| select.parameter(cursor))?;
        }
        Ok(select)
    }

    fn parameter(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.word("CONDSTORE") {
            self.condstore = true;
        } else if cursor.word_and_space("QRESYNC")? {
            self.qresync = Some(cursor.nested(QResync::parse)?);
        } else {
            return expected("CONDSTORE or QRESYNC");
        }
        Ok(())
    }
}

impl QResync {
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.expect(b'(', "what the client remembers, in brackets")?;
        let uid_validity = cursor.nz_number()?;
        cursor.space()?;
        let modseq = modseq(cursor)?;
        let mut known = Self { uid_validity, modseq, uids: None, messages: None };
        let mut more = cursor.eat(b' ');
        if more && cursor.at_sequence_set() {
            known.uids = Some(known_set(cursor)?);
            more = cursor.eat(b' ');
        }
        if more {
            cursor.expect(b'(', "known messages in brackets")?;
            let numbers = known_set(cursor)?;
            cursor.space()?;
            known.messages = Some(KnownMessages { numbers, uids: known_set(cursor)? });
            cursor.expect(b')', "a closing bracket")?;
        }
        cursor.expect(b')', "a closing bracket")?;
        Ok(known)
    }
}

/// RFC 7162 §7: `known-uids` and its like have no `*`.
fn known_set(cursor: &mut Cursor<'_>) -> Parsed<SequenceSet> {
    let set = cursor.sequence_set()?;
    let one = set.resolve(1);
    let is_plain = one.is_some() && one == set.resolve(u32::MAX);
    if is_plain { Ok(set) } else { expected("a set of numbers without * or $") }
}

/// `mod-sequence-value`
pub(super) fn modseq(cursor: &mut Cursor<'_>) -> Parsed<NonZeroU64> {
    NonZeroU64::new(modseq_or_zero(cursor)?).map_or_else(|| expected("a mod-sequence that is not zero"), Ok)
}

/// `mod-sequence-valzer`; RFC 7162 §7: 63 bits.
pub(super) fn modseq_or_zero(cursor: &mut Cursor<'_>) -> Parsed<u64> {
    let value = cursor.number64()?;
    if i64::try_from(value).is_ok() { Ok(value) } else { expected("a mod-sequence of 63 bits") }
}
