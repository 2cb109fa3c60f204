//! The schema: every key space, its layout and its value, in one table.
//!
//! | tag | space | key after the tag | value |
//! | --- | --- | --- | --- |
//! | 0x01 | counter | name | u64, big endian |
//! | 0x10 | queue entry | queue ID u64, part u16 | [`crate::spool::QueueEntry`] |
//! | 0x11 | due | lane, 0x00, due time i64 ms, queue ID u64, part u16 | empty |
//! | 0x20 | domain | lookup form | [`crate::directory::DomainRecord`] |
//! | 0x21 | account | lookup form of the address | [`crate::directory::Account`] |
//! | 0x22 | alias | lookup form of the address (catch-all: `@domain`) | [`crate::directory::Alias`] |
//! | 0x30 | mailbox | account u64, mailbox u64 | [`crate::mailbox::Mailbox`] |
//! | 0x31 | mailbox name | account u64, name | mailbox u64 |
//! | 0x32 | mailbox message | mailbox u64, UID u32 | version, MODSEQ u64, [`crate::mailbox::MessageRecord`] |
//! | 0x33 | mailbox change | mailbox u64, MODSEQ u64 | UID u32, 1 octet: 0 changed, 1 expunged |
//! | 0x40 | ledger event | queue ID u64, time i64 ms, u16 | [`crate::ledger::Event`] |
//! | 0x41 | ledger index | hash of an address or Message-ID u64, queue ID u64 | empty |
//! | 0xF0–0xFF | the engine's own | | |

use mail::{QueueId, Timestamp};

use crate::engine::Key;

pub const COUNTER: u8 = 0x01;
pub const QUEUE_ENTRY: u8 = 0x10;
pub const DUE: u8 = 0x11;
pub const DOMAIN: u8 = 0x20;
pub const ACCOUNT: u8 = 0x21;
pub const ALIAS: u8 = 0x22;
pub const MAILBOX: u8 = 0x30;
pub const MAILBOX_NAME: u8 = 0x31;
pub const MAILBOX_MESSAGE: u8 = 0x32;
pub const MAILBOX_CHANGE: u8 = 0x33;
pub const LEDGER_EVENT: u8 = 0x40;
pub const LEDGER_INDEX: u8 = 0x41;
/// Tags from here on belong to the engine.
pub const ENGINE_FIRST: u8 = 0xF0;

/// Builds a key octet by octet.
#[derive(Clone, Debug)]
pub struct KeyBuilder(Vec<u8>);

impl KeyBuilder {
    pub fn new(tag: u8) -> Self {
        let mut octets = Vec::with_capacity(32);
        octets.push(tag);
        Self(octets)
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
