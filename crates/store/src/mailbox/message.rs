//! How a message and its changes are stored: one octet of version, MODSEQ, then the record.

use super::{MessageRecord, StoredMessage, Uid};
use crate::{
    batch::{HoleWidth, Slot, Template},
    engine::{Key, StoreError},
    keys::KeyReader,
    value::ENCODED_BYTES_TYPICAL,
};

const VERSION: u8 = 1;

/// What the value of a change says beside the UID.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Changed = 0,
    Expunged = 1,
}

/// The value of a message whose MODSEQ is assigned at commit time.
pub(super) fn template(modseq: Slot, record: &MessageRecord) -> Template {
    let mut value = Template::from(start()).hole(HoleWidth::Eight, modseq);
    value.octets = with_record(value.octets, record);
    value
}

pub(super) fn encode(message: &StoredMessage) -> Vec<u8> {
    let mut octets = start();
    octets.extend_from_slice(&message.modseq.to_be_bytes());
    with_record(octets, &message.record)
}

fn start() -> Vec<u8> {
    let mut octets = Vec::with_capacity(ENCODED_BYTES_TYPICAL);
    octets.push(VERSION);
    octets
}

fn with_record(octets: Vec<u8>, record: &MessageRecord) -> Vec<u8> {
    // Fails for sequences of unknown length only, and the record has none.
    postcard::to_extend(record, octets).unwrap_or_default()
}

pub(super) fn decode(uid: Uid, octets: &[u8]) -> Result<StoredMessage, StoreError> {
    let unreadable = |why: &str| StoreError::Value(format!("a mailbox message cannot be read: {why}"));
    let (version, rest) = octets.split_first().ok_or_else(|| unreadable("it is empty"))?;
    if *version != VERSION {
        return Err(unreadable("a newer release of Postrider wrote it"));
    }
    let (modseq, rest) = rest.split_first_chunk().ok_or_else(|| unreadable("it is cut short"))?;
    let record = postcard::from_bytes(rest).map_err(|error| unreadable(&error.to_string()))?;
    Ok(StoredMessage { uid, modseq: u64::from_be_bytes(*modseq), record })
}

pub(super) fn uid_of(key: &Key) -> Result<Uid, StoreError> {
    let mut reader = KeyReader::new(key)?;
    reader.u64()?;
    reader.u32().map(Uid)
}

/// The value of the change that adds a message.
pub(super) fn changed(uid: Slot) -> Template {
    Template::from(Vec::with_capacity(5)).hole(HoleWidth::Four, uid).octets(&[Change::Changed as u8])
}

pub(super) fn change(uid: Uid, change: Change) -> Vec<u8> {
    let [a, b, c, d] = uid.0.to_be_bytes();
    vec![a, b, c, d, change as u8]
}
