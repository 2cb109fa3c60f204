//! A volume: one file, and what its beginning and its end say. Both are JSON, so that a person can read them.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::Key;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    error::Error,
    page::{self, Digest, digest_of},
    record::{Kind, RecordFile, RecordWriter},
};

/// Names the format and its version, for people and `file`.
pub(crate) const MAGIC: &[u8] = b"Postrider backup, format 1\n";
/// What every version begins with.
const MAGIC_ANY: &[u8] = b"Postrider backup, format ";
/// Where the record of the end is, a checksum of that, and this.
const TRAILER: &[u8; 8] = b"PRbkend\n";
const TRAILER_BYTES: usize = 24;
/// Octets of the list of pages in one record.
const MANIFEST_BYTES: usize = 256 * 1024;

/// Random, so that no file passes for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VolumeId(pub String);

/// What is known as a backup begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub number: u32,
    pub id: VolumeId,
    /// The state is that of this moment, in RFC 3339.
    pub taken_at: String,
    /// The release of Postrider that took it.
    pub release: String,
    /// The backup that this one adds to.
    pub after: Option<u32>,
}

/// What is known once it is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The first record of the list of pages, and how many there are.
    pub(crate) manifest: (u64, u32),
    /// SHA-256 of the list.
    pub(crate) digest: String,
    /// Pairs of the store.
    pub pairs: u64,
    pub bodies: u64,
    pub body_bytes: u64,
    /// Of those, what this backup added.
    pub new_bodies: u64,
    pub new_body_bytes: u64,
    /// Bodies that the store could not read.
    pub missing_bodies: u64,
    /// The volumes that are read for this backup.
    pub volumes: BTreeMap<u32, VolumeId>,
}

/// A page in the list of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageRef {
    pub(crate) first: Key,
    pub(crate) pairs: u32,
    pub(crate) digest: Digest,
    pub(crate) volume: u32,
    pub(crate) offset: u64,
}

pub(crate) fn write_header(file: &mut RecordWriter, header: &Header) -> Result<(), Error> {
    file.octets(MAGIC)?;
    let text = json(header)?;
    file.record(Kind::Header, &[&text]).map(drop)
}

/// The list, the end and the trailer.
pub(crate) fn write_end(file: &mut RecordWriter, pages: &[PageRef], mut end: End) -> Result<End, Error> {
    let (mut list, mut records) = (Vec::new(), Vec::new());
    for page in pages {
        encode(&mut list, page);
        if list.len() >= MANIFEST_BYTES {
            records.push(std::mem::take(&mut list));
        }
    }
    records.push(list);
    let begin = file.position();
    for record in &records {
        file.record(Kind::Manifest, &[record])?;
    }
    end.manifest = (begin, u32::try_from(records.len()).unwrap_or(u32::MAX));
    end.digest = hex(&digest_of(&records.concat()));
    let text = json(&end)?;
    let at = file.record(Kind::End, &[&text])?.to_le_bytes();
    file.octets(&at)?;
    file.octets(&xxh3_64(&at).to_le_bytes())?;
    file.octets(TRAILER)?;
    Ok(end)
}

/// A file that begins as a volume does.
#[derive(Debug)]
pub(crate) struct VolumeFile {
    pub(crate) records: RecordFile,
    pub(crate) header: Header,
}

impl VolumeFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let records = RecordFile::open(path.to_owned())?;
        let begin = records.octets(0, MAGIC.len())?;
        if begin != MAGIC {
            let newer =
                format!("{} was written by a newer release of Postrider; use that one", path.display());
            return Err(if begin.starts_with(MAGIC_ANY) {
                Error::Refused(newer)
            } else {
                records.damaged(0, "this is not a backup of Postrider")
            });
        }
        let at = MAGIC.len() as u64;
        let header = read_json(&records, at, Kind::Header)?;
        Ok(Self { records, header })
    }

    pub(crate) fn end(&self) -> Result<End, Error> {
        let at = self.records.length().saturating_sub(TRAILER_BYTES as u64);
        let trailer = self.records.octets(at, TRAILER_BYTES)?;
        let (offset, rest) = trailer.split_at(8);
        let (sum, mark) = rest.split_at(8);
        if mark != TRAILER || xxh3_64(offset).to_le_bytes() != *sum {
            return Err(self.records.damaged(at, "the end is missing: the backup was broken off, or cut"));
        }
        let offset = <[u8; 8]>::try_from(offset).map(u64::from_le_bytes).unwrap_or_default();
        read_json(&self.records, offset, Kind::End)
    }

    pub(crate) fn pages(&self, end: &End) -> Result<Vec<PageRef>, Error> {
        let (mut at, count) = end.manifest;
        let begin = at;
        let mut list = Vec::new();
        for _ in 0..count {
            let content = self.records.record(at, Kind::Manifest)?;
            at += crate::record::HEADER_BYTES + content.len() as u64;
            list.extend_from_slice(&content);
        }
        if hex(&digest_of(&list)) != end.digest {
            return Err(self.records.damaged(begin, "the list of pages is not the one that was written"));
        }
        let mut rest = bytes::Bytes::from(list);
        let mut pages = Vec::new();
        while !rest.is_empty() {
            let page = decode(&mut rest);
            pages.push(page.ok_or_else(|| self.records.damaged(begin, "the list of pages cannot be read"))?);
        }
        Ok(pages)
    }
}

/// The header and the end of a file that may not be there or not be whole.
pub(crate) fn look_at(path: &Path) -> Result<(VolumeFile, End), Error> {
    let file = VolumeFile::open(path)?;
    let end = file.end()?;
    Ok((file, end))
}

fn encode(list: &mut Vec<u8>, page: &PageRef) {
    let first = page.first.as_slice();
    list.extend_from_slice(&u32::try_from(first.len()).unwrap_or(u32::MAX).to_le_bytes());
    list.extend_from_slice(first);
    list.extend_from_slice(&page.pairs.to_le_bytes());
    list.extend_from_slice(&page.digest);
    list.extend_from_slice(&page.volume.to_le_bytes());
    list.extend_from_slice(&page.offset.to_le_bytes());
}

fn decode(rest: &mut bytes::Bytes) -> Option<PageRef> {
    let first = Key(page::take(rest)?);
    let pairs = u32::from_le_bytes(*rest.first_chunk()?);
    let digest = *rest.get(4..)?.first_chunk::<32>()?;
    let volume = u32::from_le_bytes(*rest.get(36..)?.first_chunk()?);
    let offset = u64::from_le_bytes(*rest.get(40..)?.first_chunk()?);
    let _ = rest.split_to(48);
    Some(PageRef { first, pairs, digest, volume, offset })
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Refused(error.to_string()))
}

fn read_json<T: DeserializeOwned>(records: &RecordFile, at: u64, kind: Kind) -> Result<T, Error> {
    let content = records.record(at, kind)?;
    serde_json::from_slice(&content).map_err(|error| records.damaged(at, &error.to_string()))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |text, octet| text + &format!("{octet:02x}"))
}

/// Makes a directory's entries survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    fs::File::open(dir)?.sync_all()
}
