//! Records: what a volume consists of. Numbers are little endian.
//!
//! | octets | |
//! | --- | --- |
//! | 1 | kind |
//! | 4 | length of the content |
//! | 8 | XXH3 of kind, length and content, seeded with the record's place in the file |
//! | | content |

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{At, Error};

/// What a record begins with.
pub(crate) const HEADER_BYTES: u64 = 13;
/// No content is longer; a page is that of its pairs, and a batch of the store takes no more.
const CONTENT_BYTES_MAX: u32 = 160 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Header,
    Page,
    Piece,
    Manifest,
    End,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Header, Self::Page, Self::Piece, Self::Manifest, Self::End];

    fn octet(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Page => b'P',
            Self::Piece => b'B',
            Self::Manifest => b'M',
            Self::End => b'E',
        }
    }
}

fn checksum(at: u64, kind: u8, length: u32, content: &[&[u8]]) -> u64 {
    let mut hash = Xxh3::with_seed(at);
    hash.update(&[kind]);
    hash.update(&length.to_le_bytes());
    for part in content {
        hash.update(part);
    }
    hash.digest()
}

/// Appends to a file.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    file: BufWriter<File>,
    path: PathBuf,
    position: u64,
}

impl RecordWriter {
    pub(crate) fn new(file: File, path: PathBuf) -> Self {
        Self { file: BufWriter::with_capacity(256 * 1024, file), path, position: 0 }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.file.write_all(octets).at(&self.path)?;
        self.position += octets.len() as u64;
        Ok(())
    }

    /// The record's place. The parts are its content, one after another.
    pub(crate) fn record(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<u64, Error> {
        let at = self.position;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).ok().filter(|length| *length <= CONTENT_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge)).at(&self.path)?;
        self.octets(&[kind.octet()])?;
        self.octets(&length.to_le_bytes())?;
        self.octets(&checksum(at, kind.octet(), length, parts).to_le_bytes())?;
        parts.iter().try_for_each(|part| self.octets(part))?;
        Ok(at)
    }

    /// Everything is on the disk when it returns.
    pub(crate) fn finish(self) -> Result<u64, Error> {
        let Self { file, path, position } = self;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error).at(&path)?;
        file.sync_all().at(&path)?;
        Ok(position)
    }
}

/// Reads records wherever they are.
#[derive(Debug)]
pub(crate) struct RecordFile {
    file: File,
    path: PathBuf,
    length: u64,
}

impl RecordFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let file = File::open(&path).at(&path)?;
        let length = file.metadata().at(&path)?.len();
        Ok(Self { file, path, length })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn damaged(&self, at: u64, what: &str) -> Error {
        Error::damaged(&self.path, at, what)
    }

    pub(crate) fn octets(&self, at: u64, count: usize) -> Result<Vec<u8>, Error> {
        if at.checked_add(count as u64).is_none_or(|end| end > self.length) {
            return Err(self.damaged(at, "the file ends too early"));
        }
        let mut octets = vec![0; count];
        self.file.read_exact_at(&mut octets, at).at(&self.path)?;
        Ok(octets)
    }

    /// The content of the record of this kind at this place.
    pub(crate) fn record(&self, at: u64, kind: Kind) -> Result<Bytes, Error> {
        let header = self.octets(at, 13)?;
        let (Some(&[found, a, b, c, d]), Some(sum)) = (header.first_chunk::<5>(), header.last_chunk::<8>())
        else {
            return Err(self.damaged(at, "the file ends too early"));
        };
        if !Kind::ALL.iter().any(|known| known.octet() == found) {
            return Err(self.damaged(at, "there is no record"));
        }
        let length = u32::from_le_bytes([a, b, c, d]);
        if found != kind.octet() || length > CONTENT_BYTES_MAX {
            return Err(self.damaged(at, "there is another record"));
        }
        let content = self.octets(at + HEADER_BYTES, length as usize)?;
        if checksum(at, found, length, &[&content]) != u64::from_le_bytes(*sum) {
            return Err(self.damaged(at, "the checksum does not match"));
        }
        Ok(content.into())
    }
}
