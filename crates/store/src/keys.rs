//! The schema: every key space, its layout and its value, in one table.
//!
//! | tag | space | key after the tag | value |
//! | --- | --- | --- | --- |
//! | 0x01 | counter | name | u64, big endian |
//! | 0x10 | queue entry | queue ID u64, part u16 | [`crate::spool::QueueEntry`] |
//! | 0x11 | due | lane, 0x00, due time i64 ms, queue ID u64, part u16 | empty |
//! | 0x12 | recipient's domain, of releases before 0x13 | | empty |
//! | 0x13 | queue entry by recipient | domain's lookup form with its labels from the right, 0x00, 1 octet: 0 waits to go to another host, 1 else, hash of the address u32, queue ID u64, part u16 | empty |
//! | 0x14 | queue entry by sender | hash of the domain u32, hash of the address u32, queue ID u64, part u16 | empty |
//! | 0x15 | queue entry held | lane, 0x00, queue ID u64, part u16 | empty |
//! | 0x16 | queue entry by submitter | account u64, queue ID u64, part u16 | empty |
//! | 0x20 | domain | lookup form | [`crate::directory::DomainRecord`] |
//! | 0x21 | account | lookup form of the address | [`crate::directory::Account`] |
//! | 0x22 | alias | lookup form of the address (catch-all: `@domain`) | [`crate::directory::Alias`] |
//! | 0x23 | SCRAM verifiers | account u64 | [`crate::directory::ScramVerifiers`] |
//! | 0x24 | secret | name | 32 random octets |
//! | 0x25 | app password | account u64, keyed hash of the password, 32 octets | [`crate::directory::AppPassword`] |
//! | 0x28 | turn domain | lookup form | [`crate::directory::TurnDomain`] |
//! | 0x29 | turn domain of an account | account u64, lookup form | empty |
//! | 0x2A | account name | word of the full name or all of it, lower case, 0x00, lookup form of the address | empty |
//! | 0x2B | list | lookup form of the address | [`crate::directory::MailingList`] |
//! | 0x2C | list member | list u64, lookup form of the address | [`crate::directory::Member`] |
//! | 0x2D | list distribution | queue ID u64 | [`crate::directory::Distribution`] |
//! | 0x30 | mailbox | account u64, mailbox u64 | [`crate::mailbox::Mailbox`] |
//! | 0x31 | mailbox name | account u64, name | mailbox u64 |
//! | 0x32 | mailbox message | mailbox u64, UID u32 | version, MODSEQ u64, [`crate::mailbox::MessageRecord`] |
//! | 0x33 | mailbox change: one of each message, its last | mailbox u64, MODSEQ u64 | UID u32, 1 octet, flags, keywords: all that a listing needs |
//! | 0x34 | summary of a message | mailbox u64, UID u32 | [`crate::mailbox::Summary`] |
//! | 0x35 | messages expunged together | mailbox u64, MODSEQ u64 | their UIDs: [`crate::mailbox::UidRanges`] |
//! | 0x36 | subscription to a mailbox that is gone | account u64, name | empty |
//! | 0x37 | expunged message that can be restored | account u64, time i64 ms, mailbox u64, UID u32 | [`crate::mailbox::ExpungedMessage`] |
//! | 0x38 | deleted mailbox whose messages still go | mailbox u64 | [`crate::mailbox::DeletedMailbox`] |
//! | 0x39 | imported message | account u64, [`crate::mailbox::ImportMark`] | empty |
//! | 0x3A | annotation | mailbox u64 (of the server: the last number of the account), reader u64 (0: all), name | its value |
//! | 0x3C | access control list | mailbox u64 | [`crate::mailbox::Acl`] |
//! | 0x3D | mailbox in which something is granted | account u64 (0: everybody), mailbox u64 | empty |
//! | 0x3E | mailbox access key of an account, which signs URLs | account u64, mailbox u64 | 32 random octets |
//! | 0x3F | Outbox: mailbox 0 of an account, which shows what it submitted | account u64 | [`crate::mailbox::Outbox`] |
//! | 0x40 | ledger event | queue ID u64, time i64 ms, u16 | [`crate::ledger::Event`] |
//! | 0x41 | ledger index | hash of an address or Message-ID u64, queue ID u64 | empty |
//! | 0x60 | TLS sessions | day u32, lookup form of the domain | [`crate::tls_reports::TlsDay`] |
//! | 0x50 | suppression | lookup form of the address | [`crate::suppressions::Suppression`] |
//! | 0x61 | received TLS report | queue ID u64 | [`crate::tls_received::ReceivedReport`] |
//! | 0x62 | MTA-STS policy | domain in its lookup form | [`crate::sts::KeptPolicy`] |
//! | 0x70 | block of the search index | account u64, body u64 | [`crate::search_index::BlockRecord`] |
//! | 0xF0–0xFF | the engine's own | | |
//!
//! Counters are named by an octet and a number or text:
//!
//! | name | counts |
//! | --- | --- |
//! | `A` | accounts ever made: the last [`crate::mailbox::AccountId`] |
//! | `D`, domain | accounts, aliases and lists of a domain |
//! | `Q` | nothing: the version of the indexes that every queue entry is in |
//! | `L` | lists ever made: the last [`crate::directory::ListId`] |
//! | `P`, list u64 | members of a list |
//! | `K` | MTA-STS policies that are kept |
//! | `T`, account u64 | turn domains of an account |
//! | `V` | the last UIDVALIDITY given out |
//! | `N`, account u64 | mailboxes ever made of an account |
//! | `M`, account u64 | messages of an account |
//! | `O`, account u64 | octets of an account |
//! | `U`, mailbox u64 | the last UID |
//! | `S`, mailbox u64 | the last MODSEQ |
//! | `C`, mailbox u64 | messages, in the upper 32 bits, and those unseen, in the lower ones |
//! | `B`, mailbox u64 | octets of a mailbox |
//! | `X`, mailbox u64 | messages that are flagged \Deleted |
//! | `E`, mailbox u64 | entries of what was expunged |
//! | `F`, mailbox u64 | the MODSEQ up to which nobody knows any more what was expunged |
//! | `R`, account u64 | octets of an account's expunged messages that can be restored |
//! | `G`, account u64 | octets of an account's annotations |
//! | `I`, mailbox u64 | the UID up to which its messages were looked at for the search index |
//! | `H`, account u64 | how often the search index of an account changed |
//! | `W` | nothing: the version of the counters and changes that every mailbox has |
//!
//! A mailbox's number is its account's in the upper 32 bits and its own in the account, from 1, in the lower ones.

use mail::{QueueId, Timestamp};

use crate::engine::{Key, StoreError};

pub const COUNTER: u8 = 0x01;
pub const QUEUE_ENTRY: u8 = 0x10;
pub const DUE: u8 = 0x11;
pub const OLD_QUEUE_NODE: u8 = 0x12;
pub const QUEUE_RECIPIENT: u8 = 0x13;
pub const QUEUE_SENDER: u8 = 0x14;
pub const QUEUE_HELD: u8 = 0x15;
pub const QUEUE_SUBMITTER: u8 = 0x16;
pub const DOMAIN: u8 = 0x20;
pub const ACCOUNT: u8 = 0x21;
pub const ALIAS: u8 = 0x22;
pub const SCRAM: u8 = 0x23;
pub const SECRET: u8 = 0x24;
pub const APP_PASSWORD: u8 = 0x25;
pub const TURN_DOMAIN: u8 = 0x28;
pub const ACCOUNT_TURN_DOMAIN: u8 = 0x29;
pub const ACCOUNT_NAME: u8 = 0x2A;
pub const LIST: u8 = 0x2B;
pub const LIST_MEMBER: u8 = 0x2C;
pub const DISTRIBUTION: u8 = 0x2D;
pub const MAILBOX: u8 = 0x30;
pub const MAILBOX_NAME: u8 = 0x31;
pub const MAILBOX_MESSAGE: u8 = 0x32;
pub const MAILBOX_CHANGE: u8 = 0x33;
pub const MESSAGE_SUMMARY: u8 = 0x34;
pub const MAILBOX_EXPUNGED: u8 = 0x35;
pub const ORPHAN_SUBSCRIPTION: u8 = 0x36;
pub const EXPUNGED_MESSAGE: u8 = 0x37;
pub const DELETED_MAILBOX: u8 = 0x38;
pub const IMPORTED: u8 = 0x39;
pub const ANNOTATION: u8 = 0x3A;
pub const MAILBOX_ACL: u8 = 0x3C;
pub const SHARED_MAILBOX: u8 = 0x3D;
pub const URL_KEY: u8 = 0x3E;
pub const OUTBOX: u8 = 0x3F;
pub const LEDGER_EVENT: u8 = 0x40;
pub const LEDGER_INDEX: u8 = 0x41;
pub const TLS_DAY: u8 = 0x60;
pub const SUPPRESSION: u8 = 0x50;
pub const TLS_RECEIVED: u8 = 0x61;
pub const STS_POLICY: u8 = 0x62;
pub const SEARCH_BLOCK: u8 = 0x70;
/// Tags from here on belong to the engine.
pub const ENGINE_FIRST: u8 = 0xF0;

pub(crate) mod counter {
    pub(crate) const ACCOUNT_ID: u8 = b'A';
    pub(crate) const DOMAIN_USERS: u8 = b'D';
    pub(crate) const LIST_ID: u8 = b'L';
    pub(crate) const QUEUE_INDEX: u8 = b'Q';
    pub(crate) const LIST_MEMBERS: u8 = b'P';
    pub(crate) const STS_POLICIES: u8 = b'K';
    pub(crate) const TURN_DOMAINS: u8 = b'T';
    pub(crate) const UID_VALIDITY: u8 = b'V';
    pub(crate) const MAILBOX_NUMBER: u8 = b'N';
    pub(crate) const USAGE_MESSAGES: u8 = b'M';
    pub(crate) const USAGE_OCTETS: u8 = b'O';
    pub(crate) const UID: u8 = b'U';
    pub(crate) const MODSEQ: u8 = b'S';
    pub(crate) const MAILBOX_COUNTS: u8 = b'C';
    pub(crate) const MAILBOX_OCTETS: u8 = b'B';
    pub(crate) const MAILBOX_DELETED: u8 = b'X';
    pub(crate) const EXPUNGED_ENTRIES: u8 = b'E';
    pub(crate) const EXPUNGED_FLOOR: u8 = b'F';
    pub(crate) const RESTORABLE_OCTETS: u8 = b'R';
    pub(crate) const ANNOTATION_OCTETS: u8 = b'G';
    pub(crate) const INDEXED_UID: u8 = b'I';
    pub(crate) const INDEX_REVISION: u8 = b'H';
    pub(crate) const MAILBOX_LAYOUT: u8 = b'W';
}

/// Builds a key octet by octet.
#[derive(Clone, Debug)]
pub struct KeyBuilder(Vec<u8>);

impl KeyBuilder {
    pub fn new(tag: u8) -> Self {
        let mut octets = Vec::with_capacity(32);
        octets.push(tag);
        Self(octets)
    }

    pub fn counter(name: u8) -> Self {
        Self::new(COUNTER).octet(name)
    }

    pub fn text(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn octet(mut self, octet: u8) -> Self {
        self.0.push(octet);
        self
    }

    pub fn u16(mut self, number: u16) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn u32(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn u64(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn id(self, id: QueueId) -> Self {
        self.u64(id.as_u64())
    }

    /// Sign bit flipped, so that earlier sorts first.
    pub fn time(self, at: Timestamp) -> Self {
        self.u64(at.millis().cast_unsigned() ^ (1 << 63))
    }

    pub fn key(self) -> Key {
        self.0.into()
    }

    pub fn octets(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a key apart in the order it was built; an error if it ends too early.
#[derive(Clone, Copy, Debug)]
pub struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    pub fn new(key: &'a Key) -> Result<Self, StoreError> {
        key.as_slice().split_first().map(|(_, rest)| Self(rest)).ok_or_else(malformed)
    }

    /// The last octets of a key, whatever stands before them.
    pub fn end_of(key: &'a Key, length: usize) -> Result<Self, StoreError> {
        let start =
            key.as_slice().len().checked_sub(length).filter(|start| *start > 0).ok_or_else(malformed)?;
        key.as_slice().get(start..).map(Self).ok_or_else(malformed)
    }

    pub fn u8(&mut self) -> Result<u8, StoreError> {
        self.take().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, StoreError> {
        self.take().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, StoreError> {
        self.take().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, StoreError> {
        self.take().map(u64::from_be_bytes)
    }

    pub fn id(&mut self) -> Result<QueueId, StoreError> {
        self.u64().map(QueueId::from_u64)
    }

    pub fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.u64().map(|number| Timestamp::from_millis((number ^ (1 << 63)).cast_signed()))
    }

    /// Text up to an octet 0, which is dropped.
    pub fn text_to_nul(&mut self) -> Result<&'a str, StoreError> {
        let at = self.0.iter().position(|octet| *octet == 0).ok_or_else(malformed)?;
        let (text, rest) = self.0.split_at_checked(at).ok_or_else(malformed)?;
        self.0 = rest.get(1..).unwrap_or_default();
        std::str::from_utf8(text).map_err(|_| malformed())
    }

    /// Text up to the end.
    pub fn text(&mut self) -> Result<&'a str, StoreError> {
        std::str::from_utf8(std::mem::take(&mut self.0)).map_err(|_| malformed())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (octets, rest) = self.0.split_first_chunk().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*octets)
    }
}

fn malformed() -> StoreError {
    StoreError::Damaged("a key does not have the layout of its space".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_is_read() {
        let at = Timestamp::from_millis(-5);
        let key = KeyBuilder::new(DUE).text("lane").octet(0).time(at).u64(7).u16(3).u32(9).key();
        let mut reader = KeyReader::new(&key).unwrap();
        assert_eq!(reader.text_to_nul().unwrap(), "lane");
        assert_eq!(reader.time().unwrap(), at);
        assert_eq!((reader.u64().unwrap(), reader.u16().unwrap(), reader.u32().unwrap()), (7, 3, 9));
        assert!(reader.u16().is_err());
    }

    #[test]
    fn no_two_spaces_share_a_tag() {
        let tags = include_str!("keys.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
        let tags: Vec<&str> = tags.filter_map(|line| line.split_once("u8 = ")).map(|(_, tag)| tag).collect();
        let distinct: std::collections::BTreeSet<&str> = tags.iter().copied().collect();
        assert!(tags.len() > 20 && distinct.len() == tags.len(), "{tags:?}");
    }

    #[test]
    fn earlier_times_sort_first() {
        let key = |millis| KeyBuilder::new(DUE).time(Timestamp::from_millis(millis)).key();
        assert!(key(i64::MIN) < key(-1) && key(-1) < key(0) && key(0) < key(i64::MAX));
    }
}
