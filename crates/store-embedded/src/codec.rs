//! How records look in the log. Numbers are little endian.
//!
//! A record is a header, the batch's writes, and the octets of its new bodies. The header's checksum covers the header
//! and the writes; each body has its own in the writes, so that a body is hashed once in its life. The header's is
//! seeded with the store's secret: no body can be made that passes for a record where the log is torn or damaged.

use bytes::Bytes;
use store::Key;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Octets of a record's header: checksum, segment, sequence, group (8 each), length of the writes, length of the
/// bodies (4 each).
pub(crate) const HEADER_BYTES: usize = 40;
/// Neither part of a record is longer.
pub(crate) const PART_BYTES_MAX: usize = 256 * 1024 * 1024;

const CHECKSUM_BYTES: usize = 8;
const DELETED: u32 = u32::MAX;

/// Where a body's octets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Log { segment: u64, offset: u64 },
    File,
}

/// What is known of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobRow {
    pub place: Place,
    pub bytes: u64,
    pub checksum: u64,
    pub references: u64,
}

/// A batch's outcome. Everything is absolute, so that applying it twice is applying it once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    pub pairs: Vec<(Key, Option<Bytes>)>,
    /// The new state of each body touched; none if it is reclaimed.
    pub blobs: Vec<(u64, Option<BlobRow>)>,
    /// Ends its segment.
    pub seals: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    checksum: u64,
    pub segment: u64,
    /// Counts records.
    pub sequence: u64,
    /// The first sequence number of what was written and synced at once: all before it was synced earlier.
    pub group: u64,
    pub writes_bytes: usize,
    pub bodies_bytes: usize,
}

impl Header {
    /// The record's length.
    pub fn record_bytes(&self) -> u64 {
        (HEADER_BYTES + self.writes_bytes + self.bodies_bytes) as u64
    }

    /// None if it cannot be a header of this segment.
    pub fn decode(octets: &[u8], segment: u64) -> Option<Self> {
        let mut input = Input(octets);
        let header = Self {
            checksum: input.u64()?,
            segment: input.u64()?,
            sequence: input.u64()?,
            group: input.u64()?,
            writes_bytes: usize::try_from(input.u32()?).ok()?,
            bodies_bytes: usize::try_from(input.u32()?).ok()?,
        };
        let bounded = header.writes_bytes.max(header.bodies_bytes) <= PART_BYTES_MAX;
        (bounded && header.segment == segment).then_some(header)
    }

    /// Whether `record`, which begins with this header, has its header and writes whole.
    pub fn verify(&self, record: &[u8], secret: u64) -> bool {
        let covered = record.get(CHECKSUM_BYTES..HEADER_BYTES.saturating_add(self.writes_bytes));
        covered.is_some_and(|covered| xxh3_64_with_seed(covered, secret) == self.checksum)
    }
}

/// Appends one record to the buffer of a group that will be written to `segment` at `position`.
///
/// `bodies` are the octets of the rows that lie in this record, in their order; their offsets are filled in.
pub(crate) fn encode_record(
    buffer: &mut Vec<u8>,
    position: u64,
    header: &NewHeader,
    writes: &mut Writes,
    bodies: &[Bytes],
) {
    let start = buffer.len();
    let writes_bytes = writes_bytes(writes);
    let mut offset = position + (start + HEADER_BYTES + writes_bytes) as u64;
    for (row, body) in new_rows(writes, header.segment).zip(bodies) {
        row.place = Place::Log { segment: header.segment, offset };
        offset += body.len() as u64;
    }
    buffer.extend_from_slice(&[0; CHECKSUM_BYTES]);
    for number in [header.segment, header.sequence, header.group] {
        put_u64(buffer, number);
    }
    put_length(buffer, writes_bytes);
    put_length(buffer, bodies.iter().map(Bytes::len).sum());
    encode_writes(buffer, writes);
    let covered = buffer.get(start + CHECKSUM_BYTES..).unwrap_or_default();
    let sum = xxh3_64_with_seed(covered, header.secret);
    if let Some(place) = buffer.get_mut(start..start + CHECKSUM_BYTES) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    for body in bodies {
        buffer.extend_from_slice(body);
    }
}

/// What a record's header says besides its lengths and checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewHeader {
    pub secret: u64,
    pub segment: u64,
    pub sequence: u64,
    pub group: u64,
}

/// The offset of rows whose octets are not written yet.
pub(crate) const OFFSET_UNKNOWN: u64 = 0;

fn new_rows(writes: &mut Writes, segment: u64) -> impl Iterator<Item = &mut BlobRow> {
    let new = Place::Log { segment, offset: OFFSET_UNKNOWN };
    writes.blobs.iter_mut().filter_map(|(_, row)| row.as_mut()).filter(move |row| row.place == new)
}

fn writes_bytes(writes: &Writes) -> usize {
    let pairs =
        writes.pairs.iter().map(|(key, value)| 8 + key.0.len() + value.as_ref().map_or(0, Bytes::len));
    let blobs = writes.blobs.iter().map(|(_, row)| 9 + if row.is_some() { ROW_BYTES } else { 0 });
    9 + pairs.sum::<usize>() + blobs.sum::<usize>()
}

fn encode_writes(buffer: &mut Vec<u8>, writes: &Writes) {
    buffer.push(u8::from(writes.seals));
    put_length(buffer, writes.pairs.len());
    put_length(buffer, writes.blobs.len());
    for (key, value) in &writes.pairs {
        put_length(buffer, key.0.len());
        if let Some(value) = value {
            put_length(buffer, value.len());
            buffer.extend_from_slice(&key.0);
            buffer.extend_from_slice(value);
        } else {
            buffer.extend_from_slice(&DELETED.to_le_bytes());
            buffer.extend_from_slice(&key.0);
        }
    }
    for (id, row) in &writes.blobs {
        put_u64(buffer, *id);
        buffer.push(u8::from(row.is_some()));
        if let Some(row) = row {
            buffer.extend_from_slice(&row.encode());
        }
    }
}

pub(crate) fn decode_writes(octets: &[u8]) -> Option<Writes> {
    let mut input = Input(octets);
    let seals = input.u8()? != 0;
    let (pair_count, blob_count) = (input.u32()?, input.u32()?);
    let mut writes = Writes { seals, ..Writes::default() };
    for _ in 0..pair_count {
        let (key_bytes, value_bytes) = (input.u32()?, input.u32()?);
        let key = Key(input.owned(key_bytes)?);
        let value = if value_bytes == DELETED { None } else { Some(input.owned(value_bytes)?) };
        writes.pairs.push((key, value));
    }
    for _ in 0..blob_count {
        let id = input.u64()?;
        let row = if input.u8()? == 0 { None } else { Some(BlobRow::decode(input.take(ROW_BYTES)?)?) };
        writes.blobs.push((id, row));
    }
    input.0.is_empty().then_some(writes)
}

/// Octets of an encoded row.
pub(crate) const ROW_BYTES: usize = 40;
/// A segment number that no segment has: the body has a file of its own.
const OWN_FILE: u64 = u64::MAX;

impl BlobRow {
    pub fn encode(&self) -> [u8; ROW_BYTES] {
        let (segment, offset) = match self.place {
            Place::Log { segment, offset } => (segment, offset),
            Place::File => (OWN_FILE, 0),
        };
        let mut octets = [0; ROW_BYTES];
        let numbers = [segment, offset, self.bytes, self.checksum, self.references];
        for (place, number) in octets.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        octets
    }

    pub fn decode(octets: &[u8]) -> Option<Self> {
        let mut input = Input(octets);
        let (segment, offset) = (input.u64()?, input.u64()?);
        let place = if segment == OWN_FILE { Place::File } else { Place::Log { segment, offset } };
        let row = Self { place, bytes: input.u64()?, checksum: input.u64()?, references: input.u64()? };
        input.0.is_empty().then_some(row)
    }
}

pub(crate) fn put_u64(buffer: &mut Vec<u8>, number: u64) {
    buffer.extend_from_slice(&number.to_le_bytes());
}

/// Longer parts are refused before they get here.
fn put_length(buffer: &mut Vec<u8>, length: usize) {
    buffer.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// What is left to decode.
pub(crate) struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn owned(&mut self, length: u32) -> Option<Bytes> {
        self.take(usize::try_from(length).ok()?).map(Bytes::copy_from_slice)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: u64 = 99;

    fn header(sequence: u64, group: u64) -> NewHeader {
        NewHeader { secret: SECRET, segment: 7, sequence, group }
    }

    fn row(place: Place) -> BlobRow {
        BlobRow { place, bytes: 3, checksum: 9, references: 2 }
    }

    fn example() -> Writes {
        Writes {
            pairs: vec![
                (Key(Bytes::from_static(b"a")), Some(Bytes::from_static(b"1"))),
                (Key(Bytes::from_static(b"b")), None),
                (Key(Bytes::new()), Some(Bytes::new())),
            ],
            blobs: vec![
                (1, Some(row(Place::Log { segment: 7, offset: OFFSET_UNKNOWN }))),
                (2, None),
                (3, Some(row(Place::File))),
                (4, Some(row(Place::Log { segment: 3, offset: 77 }))),
            ],
            seals: false,
        }
    }

    #[test]
    fn a_record_is_read_back_and_tells_where_its_bodies_are() {
        let mut writes = example();
        let mut buffer = vec![0xEE; 5];
        let body = Bytes::from_static(b"xyz");
        encode_record(&mut buffer, 1000, &header(21, 4), &mut writes, &[body]);
        let record = &buffer[5..];
        let header = Header::decode(record, 7).unwrap();
        assert_eq!((header.sequence, header.group, header.record_bytes()), (21, 4, record.len() as u64));
        assert!(header.verify(record, SECRET));
        let decoded = decode_writes(&record[HEADER_BYTES..HEADER_BYTES + header.writes_bytes]).unwrap();
        assert_eq!(decoded, writes);
        let Some(BlobRow { place: Place::Log { offset, .. }, .. }) = decoded.blobs[0].1 else { panic!() };
        assert_eq!(&buffer[usize::try_from(offset).unwrap() - 1000..], b"xyz");
    }

    #[test]
    fn a_record_of_another_segment_or_with_any_octet_changed_is_no_record() {
        let mut buffer = Vec::new();
        encode_record(&mut buffer, 0, &header(1, 1), &mut example(), &[Bytes::new()]);
        assert!(!Header::decode(&buffer, 7).unwrap().verify(&buffer, SECRET + 1));
        assert_eq!(Header::decode(&buffer, 8), None);
        for at in 0..buffer.len() {
            let mut damaged = buffer.clone();
            damaged[at] ^= 0x10;
            let sound = Header::decode(&damaged, 7).is_some_and(|header| header.verify(&damaged, SECRET));
            assert!(!sound, "octet {at}");
        }
    }

    proptest! {
        #[test]
        fn hostile_octets_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_writes(&octets);
            let _ = BlobRow::decode(&octets);
            let _ = Header::decode(&octets, 0);
        }
    }
}
