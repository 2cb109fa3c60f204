//! Reads a segment record by record.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{BlobRow, HEADER_BYTES, Header, Place, Writes, decode_writes};

/// Read ahead by so much.
const WINDOW_BYTES: usize = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct RecordReader {
    file: Arc<File>,
    segment: u64,
    secret: u64,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub at: u64,
    pub header: Header,
    pub writes: Writes,
}

#[derive(Debug)]
pub(crate) enum Found {
    Record(Record),
    /// Something that is no record; the position stays.
    Bad,
    /// The file ends here.
    End,
}

impl RecordReader {
    pub fn new(file: Arc<File>, segment: u64, secret: u64, position: u64) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file, segment, secret, position, end, window: Vec::new(), window_at: 0 })
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// The record at the position, which moves behind it. Its bodies are not looked at.
    pub fn next(&mut self) -> io::Result<Found> {
        if self.position >= self.end {
            return Ok(Found::End);
        }
        let Some(header) = self.header_at(self.position)? else { return Ok(Found::Bad) };
        let at = self.position;
        let wanted = HEADER_BYTES + header.writes_bytes;
        let secret = self.secret;
        let Some(octets) = self.octets(at, wanted)? else { return Ok(Found::Bad) };
        if !header.verify(octets, secret) {
            return Ok(Found::Bad);
        }
        let Some(writes) = octets.get(HEADER_BYTES..).and_then(decode_writes) else { return Ok(Found::Bad) };
        self.position = at + header.record_bytes();
        Ok(Found::Record(Record { at, header, writes }))
    }

    /// The first body of the record that is not whole.
    pub fn unsound_body(&mut self, record: &Record) -> io::Result<Option<u64>> {
        for (id, row, offset) in bodies_within(record, self.segment) {
            if self.body(&row, offset)?.is_none() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// A body's octets, if they are whole.
    pub fn body(&mut self, row: &BlobRow, offset: u64) -> io::Result<Option<Bytes>> {
        let Ok(length) = usize::try_from(row.bytes) else { return Ok(None) };
        let octets = self.octets(offset, length)?;
        let sound = octets.filter(|octets| xxh3_64(octets) == row.checksum);
        Ok(sound.map(Bytes::copy_from_slice))
    }

    /// Looks for the next record from `from` on whose writes are whole.
    pub fn find(&mut self, from: u64) -> io::Result<Option<(u64, Header)>> {
        let tag = self.segment.to_le_bytes();
        let mut at = from;
        while at + (HEADER_BYTES as u64) <= self.end {
            let octets = self.ahead(at)?;
            let length = octets.len();
            let numbers = octets.get(8..).unwrap_or_default();
            let Some(skip) = numbers.windows(tag.len()).position(|eight| eight == tag) else {
                // A number may begin in the last 15 octets.
                at += length.saturating_sub(HEADER_BYTES / 2).max(1) as u64;
                continue;
            };
            at += skip as u64;
            if let Some(header) = self.sound_header_at(at)? {
                return Ok(Some((at, header)));
            }
            at += 1;
        }
        Ok(None)
    }

    fn sound_header_at(&mut self, at: u64) -> io::Result<Option<Header>> {
        let Some(header) = self.header_at(at)? else { return Ok(None) };
        let secret = self.secret;
        let octets = self.octets(at, HEADER_BYTES + header.writes_bytes)?;
        Ok(octets.is_some_and(|octets| header.verify(octets, secret)).then_some(header))
    }

    /// None too if the record would end behind the file.
    fn header_at(&mut self, at: u64) -> io::Result<Option<Header>> {
        let (segment, end) = (self.segment, self.end);
        let header = self.octets(at, HEADER_BYTES)?.and_then(|octets| Header::decode(octets, segment));
        Ok(header.filter(|header| at + header.record_bytes() <= end))
    }

    /// What is read already from `at` on, at least a header's length.
    fn ahead(&mut self, at: u64) -> io::Result<&[u8]> {
        self.octets(at, HEADER_BYTES)?;
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).unwrap_or_default())
    }

    /// None if the file is shorter.
    fn octets(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if at.checked_add(length as u64).is_none_or(|end| end > self.end) {
            return Ok(None);
        }
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + length as u64 > window_end {
            let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
            self.window.resize(length.max(WINDOW_BYTES).min(left), 0);
            self.window_at = at;
            if let Err(error) = self.file.read_exact_at(&mut self.window, at) {
                self.window.clear();
                return Err(error);
            }
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).and_then(|rest| rest.get(..length)))
    }
}

/// The rows whose octets are part of this record, each with its offset.
pub(crate) fn bodies_within(record: &Record, segment: u64) -> impl Iterator<Item = (u64, BlobRow, u64)> {
    let inside = record.at..record.at + record.header.record_bytes();
    record.writes.blobs.iter().filter_map(move |(id, row)| match row {
        Some(row) => match row.place {
            Place::Log { segment: at, offset } if at == segment && inside.contains(&offset) => {
                Some((*id, *row, offset))
            }
            _ => None,
        },
        None => None,
    })
}
