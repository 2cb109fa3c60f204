//! One backup, read like a store.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use store::{BlobId, Key, KeyRange, Order, StoreError};

use crate::{
    error::Error,
    page::{decode_pairs, digest_of},
    place::Place,
    record::{HEADER_BYTES, Kind},
    table::{self, PIECE_BYTES, PIECE_HEADER_BYTES, Row},
    volume::{End, Header, PageRef, VolumeFile, VolumeId, look_at},
};

/// Pages that are kept, because a reader asks for what is near.
const PAGES_KEPT: usize = 16;

pub(crate) type Pairs = Arc<Vec<(Key, Bytes)>>;

/// A backup that is open for reading. In memory it holds the list of its pages, and some of those.
#[derive(Debug)]
pub struct Backup {
    place: Place,
    header: Header,
    end: End,
    pub(crate) pages: Vec<PageRef>,
    volumes: Mutex<BTreeMap<u32, Arc<VolumeFile>>>,
    kept: Mutex<VecDeque<(usize, Pairs)>>,
}

impl Backup {
    /// The backup of this number, or the newest.
    pub fn open(place: &Place, number: Option<u32>) -> Result<Self, Error> {
        let numbers = place.numbers()?;
        let Some(number) = number.or(numbers.last().copied()).filter(|number| numbers.contains(number))
        else {
            let (Place::Dir(path) | Place::File(path)) = place;
            return Err(Error::Refused(match number {
                Some(number) => format!(
                    "there is no backup number {number} in {}; `postrider backup list` tells which there are",
                    path.display()
                ),
                None => format!("there is no backup in {}", path.display()),
            }));
        };
        let (file, end) = look_at(&place.volume(number))?;
        if file.header.number != number {
            return Err(file.records.damaged(0, "this is the backup of another number"));
        }
        let pages = file.pages(&end)?;
        let header = file.header.clone();
        let volumes = Mutex::new(BTreeMap::from([(number, Arc::new(file))]));
        Ok(Self { place: place.clone(), header, end, pages, volumes, kept: Mutex::default() })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn end(&self) -> &End {
        &self.end
    }

    /// The volumes that it is read from.
    pub(crate) fn known_volumes(&self) -> &BTreeMap<u32, VolumeId> {
        &self.end.volumes
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(usize, Pairs)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn volume(&self, number: u32) -> Result<Arc<VolumeFile>, Error> {
        let mut volumes = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = volumes.get(&number) {
            return Ok(Arc::clone(open));
        }
        let path = self.place.volume(number);
        let file = VolumeFile::open(&path)?;
        if self.end.volumes.get(&number) != Some(&file.header.id) {
            return Err(file.records.damaged(0, "this is not the file that the backup was made with"));
        }
        let file = Arc::new(file);
        volumes.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// The pairs of one page, verified.
    pub(crate) fn page(&self, index: usize) -> Result<Pairs, Error> {
        if let Some((_, pairs)) = self.kept().iter().find(|(kept, _)| *kept == index) {
            return Ok(Arc::clone(pairs));
        }
        let Some(page) = self.pages.get(index) else { return Ok(Arc::default()) };
        let file = self.volume(page.volume)?;
        let content = file.records.record(page.offset, Kind::Page)?;
        let damaged = |what: &str| file.records.damaged(page.offset, what);
        if digest_of(&content) != page.digest {
            return Err(damaged("this is not the page that was written"));
        }
        let pairs = decode_pairs(&content).ok_or_else(|| damaged("a page cannot be read"))?;
        if pairs.first().map(|(key, _)| key) != Some(&page.first) || pairs.len() != page.pairs as usize {
            return Err(damaged("a page has other keys than the list says"));
        }
        let pairs = Arc::new(pairs);
        let mut kept = self.kept();
        kept.push_back((index, Arc::clone(&pairs)));
        if kept.len() > PAGES_KEPT {
            kept.pop_front();
        }
        Ok(pairs)
    }

    /// The page that has this key, or would have it.
    fn page_of(&self, key: &Key) -> usize {
        self.pages.partition_point(|page| page.first <= *key).saturating_sub(1)
    }

    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Key, Bytes)>, Error> {
        let mut found = Vec::new();
        if range.start >= range.end || self.pages.is_empty() {
            return Ok(found);
        }
        let last = self.pages.partition_point(|page| page.first < range.end);
        let mut pages = self.page_of(&range.start)..last;
        while found.len() < limit {
            let index = match order {
                Order::Ascending => pages.next(),
                Order::Descending => pages.next_back(),
            };
            let Some(index) = index else { break };
            let page = self.page(index)?;
            let within = page.iter().filter(|(key, _)| *key >= range.start && *key < range.end);
            let wanted = limit - found.len();
            match order {
                Order::Ascending => found.extend(within.take(wanted).cloned()),
                Order::Descending => found.extend(within.rev().take(wanted).cloned()),
            }
        }
        Ok(found)
    }

    pub(crate) fn row(&self, id: BlobId) -> Result<Option<Row>, Error> {
        let key = Row::key(id);
        let range = KeyRange { end: key.successor(), start: key };
        let found = self.scan(&range, Order::Ascending, 1)?;
        Ok(found.first().and_then(|(key, value)| Row::decode(key, value)))
    }

    /// Bodies with numbers above `after`, ascending.
    pub(crate) fn rows(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<Row>, Error> {
        let found = self.scan(&table::above(after), Order::Ascending, limit)?;
        let row = |(key, value): &(Key, Bytes)| {
            let unreadable = || Error::Refused("the table of bodies cannot be read".to_owned());
            Row::decode(key, value).ok_or_else(unreadable)
        };
        found.iter().map(row).collect()
    }

    /// One piece of a body, verified. Where there is none it is empty.
    pub(crate) fn piece(&self, row: &Row, index: u64) -> Result<Bytes, Error> {
        let Some((volume, first)) = row.place else {
            return Err(StoreError::Damaged(format!(
                "body {} could not be read when the backup was taken",
                row.body.id.0
            ))
            .into());
        };
        let start = index.saturating_mul(PIECE_BYTES);
        let expected = row.body.bytes.saturating_sub(start).min(PIECE_BYTES);
        if expected == 0 {
            return Ok(Bytes::new());
        }
        let (file, at) = (self.volume(volume)?, Row::piece_at(first, index));
        let mut content = file.records.record(at, Kind::Piece)?;
        let mut head = row.body.id.0.to_le_bytes().to_vec();
        head.extend_from_slice(&start.to_le_bytes());
        if !content.starts_with(&head) || content.len() as u64 != PIECE_HEADER_BYTES + expected {
            return Err(file.records.damaged(at + HEADER_BYTES, "this belongs to another body"));
        }
        Ok(content.split_off(head.len()))
    }

    pub(crate) fn body(&self, row: &Row, range: Range<u64>) -> Result<Bytes, Error> {
        let end = range.end.min(row.body.bytes);
        let start = range.start.min(end);
        let mut octets = BytesMut::new();
        let mut at = start;
        while at < end {
            let piece = self.piece(row, at / PIECE_BYTES)?;
            let from = usize::try_from(at % PIECE_BYTES).unwrap_or(usize::MAX);
            let until = usize::try_from(end - (at - at % PIECE_BYTES)).unwrap_or(usize::MAX).min(piece.len());
            let part = piece.get(from..until).unwrap_or_default();
            if start == at && at + part.len() as u64 == end {
                return Ok(piece.slice(from..until));
            }
            octets.extend_from_slice(part);
            at += (part.len() as u64).max(1);
        }
        Ok(octets.freeze())
    }

    /// Whether every file that it needs is there.
    pub(crate) fn has_all_volumes(&self) -> bool {
        self.end.volumes.keys().all(|number| self.volume(*number).is_ok())
    }
}
