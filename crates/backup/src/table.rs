//! The table of bodies: pairs behind those of the store, in a space that is the engine's own and so never in a backup.

use bytes::Bytes;
use store::{
    BlobId, Body, Key, KeyRange,
    engine::after_prefix,
    keys::{ENGINE_FIRST, KeyBuilder, KeyReader},
};

use crate::record::HEADER_BYTES;

/// Octets of a body in one record; each but the last has as many.
pub const PIECE_BYTES: u64 = 256 * 1024;
/// What a piece begins with: the body's number, and where in it the piece belongs.
pub(crate) const PIECE_HEADER_BYTES: u64 = 16;

const TAG: u8 = ENGINE_FIRST;
const BODY_BYTES: usize = 32;

/// A body in a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) body: Body,
    /// The volume and the place of its first piece; none if the store could not read it.
    pub(crate) place: Option<(u32, u64)>,
}

impl Row {
    pub(crate) fn key(id: BlobId) -> Key {
        KeyBuilder::new(TAG).u64(id.0).key()
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        let Body { bytes, references, checksum, .. } = self.body;
        let (volume, offset) = self.place.unwrap_or_default();
        let mut value = Vec::with_capacity(36);
        for number in [bytes, references, checksum, offset] {
            value.extend_from_slice(&number.to_le_bytes());
        }
        value.extend_from_slice(&volume.to_le_bytes());
        value
    }

    pub(crate) fn decode(key: &Key, value: &Bytes) -> Option<Self> {
        let id = BlobId(KeyReader::new(key).ok()?.u64().ok()?);
        let mut rest = value.clone();
        let mut number = || u64_of(&mut rest);
        let (bytes, references, checksum, offset) = (number()?, number()?, number()?, number()?);
        let volume = u32::from_le_bytes(*rest.first_chunk()?);
        let body = Body { id, bytes, references, checksum };
        Some(Self { body, place: (volume > 0).then_some((volume, offset)) })
    }

    /// Where the record of its piece number `index` is.
    pub(crate) fn piece_at(first: u64, index: u64) -> u64 {
        first.saturating_add(index.saturating_mul(HEADER_BYTES + PIECE_HEADER_BYTES + PIECE_BYTES))
    }
}

fn u64_of(rest: &mut Bytes) -> Option<u64> {
    let number = u64::from_le_bytes(*rest.first_chunk()?);
    let _ = rest.split_to(8);
    Some(number)
}

/// Where the table begins: everything before it is the store's.
pub(crate) fn start() -> Key {
    vec![TAG].into()
}

/// The bodies above this number.
pub(crate) fn above(after: Option<BlobId>) -> KeyRange {
    let start = after.map_or_else(start, |after| Row::key(after).successor());
    KeyRange { start, end: after_prefix(&[TAG]) }
}

/// What is known of a body, as it travels: number, octets, references, checksum.
pub fn encode_body(octets: &mut Vec<u8>, body: &Body) {
    for number in [body.id.0, body.bytes, body.references, body.checksum] {
        octets.extend_from_slice(&number.to_le_bytes());
    }
}

/// None if it is not a run of bodies.
pub fn decode_bodies(octets: &Bytes) -> Option<Vec<Body>> {
    if !octets.len().is_multiple_of(BODY_BYTES) {
        return None;
    }
    let mut rest = octets.clone();
    let mut bodies = Vec::with_capacity(octets.len() / BODY_BYTES);
    while !rest.is_empty() {
        let mut number = || u64_of(&mut rest);
        let (id, bytes, references, checksum) = (BlobId(number()?), number()?, number()?, number()?);
        bodies.push(Body { id, bytes, references, checksum });
    }
    Some(bodies)
}
