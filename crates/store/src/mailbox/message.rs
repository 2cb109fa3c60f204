//! How a message and its changes are stored: one octet of version, MODSEQ, then the record.

use bytes::Bytes;
use mail::{QueueId, Timestamp};
use serde::Deserialize;

use super::{Flags, ListedMessage, MessageRecord, StoredMessage, Uid};
use crate::{
    batch::{HoleWidth, Slot, Template},
    engine::{BlobId, Key, StoreError},
    keys::KeyReader,
    value::ENCODED_BYTES_TYPICAL,
};

const VERSION: u8 = 2;

/// Kinds of changes. Those of earlier releases said no more than that a message changed, or was expunged.
const OLD_CHANGED: u8 = 0;
const OLD_EXPUNGED: u8 = 1;
const CHANGED: u8 = 2;

/// Before `saved_at`.
#[derive(Deserialize)]
struct FirstRecord {
    blob: BlobId,
    blob_bytes: u64,
    prefix: Bytes,
    internal_date: Timestamp,
    flags: Flags,
    keywords: Vec<String>,
    queue_id: Option<QueueId>,
}

impl From<FirstRecord> for MessageRecord {
    fn from(first: FirstRecord) -> Self {
        let FirstRecord { blob, blob_bytes, prefix, internal_date, flags, keywords, queue_id } = first;
        // No release that wrote it could copy, so it has been here since it came.
        let saved_at = internal_date;
        Self { blob, blob_bytes, prefix, internal_date, flags, keywords, queue_id, saved_at }
    }
}

/// The value of a message whose MODSEQ is assigned at commit time.
pub(super) fn template(modseq: Slot, record: &MessageRecord) -> Template {
    let mut octets = Vec::with_capacity(ENCODED_BYTES_TYPICAL);
    octets.push(VERSION);
    let mut value = Template::from(octets).hole(HoleWidth::Eight, modseq);
    // Fails for sequences of unknown length only, and the record has none.
    value.octets = postcard::to_extend(record, value.octets).unwrap_or_default();
    value
}

pub(super) fn decode(uid: Uid, octets: &[u8]) -> Result<StoredMessage, StoreError> {
    let unreadable = |why: &str| StoreError::Value(format!("a mailbox message cannot be read: {why}"));
    let (version, rest) = octets.split_first().ok_or_else(|| unreadable("it is empty"))?;
    let (modseq, rest) = rest.split_first_chunk().ok_or_else(|| unreadable("it is cut short"))?;
    let record = match *version {
        VERSION => postcard::from_bytes(rest),
        1 => postcard::from_bytes::<FirstRecord>(rest).map(Into::into),
        _ => return Err(unreadable("a newer release of Postrider wrote it")),
    };
    let record = record.map_err(|error| unreadable(&error.to_string()))?;
    Ok(StoredMessage { uid, modseq: u64::from_be_bytes(*modseq), record })
}

/// The UID or MODSEQ that ends a key begun by a mailbox.
pub(super) fn uid_of(key: &Key) -> Result<Uid, StoreError> {
    KeyReader::end_of(key, 4)?.u32().map(Uid)
}

pub(super) fn modseq_of(key: &Key) -> Result<u64, StoreError> {
    KeyReader::end_of(key, 8)?.u64()
}

/// The value of the change that adds a message.
pub(super) fn added(uid: Slot, flags: Flags, keywords: &[String]) -> Template {
    let start = Template::from(Vec::with_capacity(6)).hole(HoleWidth::Four, uid);
    Template { octets: with_flags(start.octets, flags, keywords), ..start }
}

/// The value of a later one.
pub(super) fn changed(uid: Uid, flags: Flags, keywords: &[String]) -> Vec<u8> {
    with_flags(uid.0.to_be_bytes().to_vec(), flags, keywords)
}

fn with_flags(mut octets: Vec<u8>, flags: Flags, keywords: &[String]) -> Vec<u8> {
    octets.extend_from_slice(&[CHANGED, flags.0]);
    if keywords.is_empty() {
        return octets;
    }
    postcard::to_extend(keywords, octets).unwrap_or_default()
}

/// What a change says. `None`: nothing of a message that is there.
pub(super) fn decode_change(key: &Key, value: &[u8]) -> Result<Option<ListedMessage>, StoreError> {
    let unreadable = || StoreError::Value("a mailbox change cannot be read".to_owned());
    let (uid, rest) = value.split_first_chunk().ok_or_else(unreadable)?;
    let (flags, keywords) = match rest {
        [OLD_CHANGED | OLD_EXPUNGED] => return Ok(None),
        [CHANGED, flags] => (*flags, Vec::new()),
        [CHANGED, flags, keywords @ ..] => {
            (*flags, postcard::from_bytes(keywords).map_err(|_| unreadable())?)
        }
        _ => return Err(unreadable()),
    };
    let uid = Uid(u32::from_be_bytes(*uid));
    Ok(Some(ListedMessage { uid, modseq: modseq_of(key)?, flags: Flags(flags), keywords }))
}
