//! Taking a backup.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use store::{BlobId, Body, Key};

use crate::{
    Progress, Watch,
    error::Error,
    page::{Cutter, Digest, Page, digest_of},
    place::{Draft, Place},
    read::Backup,
    record::{Kind, RecordWriter},
    source::{Part, Source},
    table::{PIECE_BYTES, Row},
    volume::{End, Header, PageRef, VolumeId, write_end, write_header},
};

/// Octets of bodies asked for in one go.
const FETCH_BYTES_MAX: u64 = 1024 * 1024;
const FETCH_BODIES_MAX: usize = 500;
/// Rows of the table that are read ahead.
const ROWS: usize = 2000;
/// Problems that are told one by one.
const PROBLEMS_TOLD_MAX: usize = 1000;

/// A backup that is whole and on disk.
#[derive(Debug)]
pub struct Taken {
    pub header: Header,
    pub end: End,
    /// Octets of the new volume.
    pub bytes: u64,
    /// Bodies that the store could not read; messages with them are incomplete there and here.
    pub problems: Vec<String>,
}

/// Writes what `source` has to a new volume. `about` says when and by whom; its number is given here. What `place` has already
/// is not written again. Memory holds the list of pages and about two megabytes.
pub async fn take(
    source: &mut dyn Source,
    place: &Place,
    about: Header,
    watch: Watch<'_>,
) -> Result<Taken, Error> {
    let draft = place.draft()?;
    let taken = write(source, place, &draft, about, watch).await;
    match &taken {
        Ok(_) => draft.publish()?,
        Err(_) => draft.discard(),
    }
    taken
}

async fn write(
    source: &mut dyn Source,
    place: &Place,
    draft: &Draft,
    about: Header,
    watch: Watch<'_>,
) -> Result<Taken, Error> {
    let base = newest(place, draft.number)?;
    let after = base.as_ref().map(|base| base.header().number);
    let header = Header { number: draft.number, after, ..about };
    let clone = draft.file.try_clone();
    let file = clone.map_err(|source| Error::Io { path: draft.partial.clone(), source })?;
    let mut writer = Writer::new(RecordWriter::new(file, draft.partial.clone()), &header, base);
    write_header(&mut writer.file, &header)?;
    let new = writer.new_octets(source).await?;
    watch(Progress::Total(new));
    writer.pairs(source).await?;
    writer.bodies(source, watch).await?;
    writer.finish(header)
}

/// What a new backup adds to: the newest that can be read, with all that it needs.
fn newest(place: &Place, number: u32) -> Result<Option<Backup>, Error> {
    if matches!(place, Place::File(_)) {
        return Ok(None);
    }
    let numbers = place.numbers()?;
    let earlier = numbers.into_iter().rev().filter(|earlier| *earlier < number);
    let opened = earlier.filter_map(|earlier| Backup::open(place, Some(earlier)).ok());
    Ok(opened.into_iter().find(Backup::has_all_volumes))
}

struct Writer {
    file: RecordWriter,
    number: u32,
    base: Option<Backup>,
    /// Where pages of the base are.
    known: HashMap<Digest, (u32, u64)>,
    volumes: BTreeMap<u32, VolumeId>,
    cutter: Cutter,
    pages: Vec<PageRef>,
    end: End,
    problems: Vec<String>,
}

impl Writer {
    fn new(file: RecordWriter, header: &Header, base: Option<Backup>) -> Self {
        let pages = base.iter().flat_map(|base| &base.pages);
        let known = pages.map(|page| (page.digest, (page.volume, page.offset))).collect();
        let end = End {
            manifest: (0, 0),
            digest: String::new(),
            pairs: 0,
            bodies: 0,
            body_bytes: 0,
            new_bodies: 0,
            new_body_bytes: 0,
            missing_bodies: 0,
            volumes: BTreeMap::from([(header.number, header.id.clone())]),
        };
        Self {
            file,
            number: header.number,
            volumes: base.as_ref().map(|base| base.known_volumes().clone()).unwrap_or_default(),
            base,
            known,
            cutter: Cutter::default(),
            pages: Vec::new(),
            end,
            problems: Vec::new(),
        }
    }

    /// Octets of bodies that have to be read.
    async fn new_octets(&self, source: &mut dyn Source) -> Result<u64, Error> {
        let (mut rows, mut after, mut octets) = (Rows::new(self.base.as_ref()), None, 0);
        loop {
            let bodies = source.bodies(after).await?;
            let Some(last) = bodies.last() else { return Ok(octets) };
            after = Some(last.id);
            for body in &bodies {
                octets += if rows.find(body)?.is_none() { body.bytes } else { 0 };
            }
        }
    }

    async fn pairs(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        let mut from = Key(Bytes::new());
        loop {
            let pairs = source.pairs(&from).await?;
            let Some((last, _)) = pairs.last() else { break };
            from = last.successor();
            self.end.pairs += pairs.len() as u64;
            for (key, value) in pairs {
                self.pair(key, &value)?;
            }
        }
        // The table of bodies begins a page: what is before it does not depend on it.
        match self.cutter.cut() {
            Some(page) => self.page(page),
            None => Ok(()),
        }
    }

    fn pair(&mut self, key: Key, value: &[u8]) -> Result<(), Error> {
        match self.cutter.push(key, value) {
            Some(page) => self.page(page),
            None => Ok(()),
        }
    }

    fn page(&mut self, page: Page) -> Result<(), Error> {
        let digest = digest_of(&page.content);
        let (volume, offset) = match self.known.get(&digest) {
            Some(place) => *place,
            None => (self.number, self.file.record(Kind::Page, &[&page.content])?),
        };
        self.refer(volume);
        self.pages.push(PageRef { first: page.first, pairs: page.pairs, digest, volume, offset });
        Ok(())
    }

    /// The backup needs this volume.
    fn refer(&mut self, volume: u32) {
        if let Some(id) = self.volumes.get(&volume) {
            self.end.volumes.entry(volume).or_insert_with(|| id.clone());
        }
    }

    async fn bodies(&mut self, source: &mut dyn Source, watch: Watch<'_>) -> Result<(), Error> {
        let base = self.base.take();
        let (mut rows, mut after) = (Rows::new(base.as_ref()), None);
        let mut waiting: Vec<Row> = Vec::new();
        loop {
            let bodies = source.bodies(after).await?;
            let Some(last) = bodies.last() else { break };
            after = Some(last.id);
            for body in bodies {
                let known = rows.find(&body)?;
                waiting.push(Row { body, place: known });
                let wanted: u64 = wanted(&waiting).map(|row| row.body.bytes).sum();
                if wanted >= FETCH_BYTES_MAX || waiting.len() >= FETCH_BODIES_MAX {
                    self.rows(source, std::mem::take(&mut waiting), watch).await?;
                }
            }
        }
        self.rows(source, waiting, watch).await?;
        match self.cutter.cut() {
            Some(page) => self.page(page),
            None => Ok(()),
        }
    }

    /// Writes those bodies that are new, and the rows of all.
    async fn rows(
        &mut self,
        source: &mut dyn Source,
        rows: Vec<Row>,
        watch: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), Error> {
        let small = |row: &&Row| row.body.bytes <= PIECE_BYTES;
        let parts = wanted(&rows).filter(small).map(|row| Part { id: row.body.id, range: 0..row.body.bytes });
        let parts: Vec<Part> = parts.collect();
        let mut read = source.parts(&parts).await?.into_iter();
        for mut row in rows {
            if row.place.is_none() {
                let at = self.file.position();
                let written = if small(&&row) {
                    self.piece(&row.body, 0, read.next().unwrap_or_else(|| Err(String::new())))
                } else {
                    self.large(source, &row.body).await
                };
                row.place = written?.then_some((self.number, at));
                self.end.new_bodies += u64::from(row.place.is_some());
                self.end.new_body_bytes += row.place.map_or(0, |_| row.body.bytes);
                watch(Progress::Done(row.body.bytes));
            }
            self.end.bodies += 1;
            self.end.body_bytes += row.body.bytes;
            self.end.missing_bodies += u64::from(row.place.is_none());
            if let Some((volume, _)) = row.place {
                self.refer(volume);
            }
            self.pair(Row::key(row.body.id), &row.value())?;
        }
        Ok(())
    }

    async fn large(&mut self, source: &mut dyn Source, body: &Body) -> Result<bool, Error> {
        let mut at = 0;
        while at < body.bytes {
            let part = Part { id: body.id, range: at..body.bytes.min(at + PIECE_BYTES) };
            let read = source.parts(&[part]).await?.pop().unwrap_or_else(|| Err(String::new()));
            if !self.piece(body, at, read)? {
                return Ok(false);
            }
            at += PIECE_BYTES;
        }
        Ok(true)
    }

    /// False if the store cannot read it.
    fn piece(&mut self, body: &Body, at: u64, read: Result<Bytes, String>) -> Result<bool, Error> {
        let expected = (body.bytes - at).min(PIECE_BYTES);
        let problem = match read {
            Ok(octets) if octets.len() as u64 == expected => {
                let parts = [&body.id.0.to_le_bytes()[..], &at.to_le_bytes(), &octets];
                self.file.record(Kind::Piece, &parts)?;
                return Ok(true);
            }
            Ok(_) => "it is shorter than it should be".to_owned(),
            Err(problem) => problem,
        };
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(format!("body {} cannot be read: {problem}", body.id.0));
        }
        Ok(false)
    }

    fn finish(mut self, header: Header) -> Result<Taken, Error> {
        let end = write_end(&mut self.file, &self.pages, self.end)?;
        let bytes = self.file.finish()?;
        Ok(Taken { header, end, bytes, problems: self.problems })
    }
}

fn wanted(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.place.is_none())
}

/// The bodies of the base, walked through in step with those of the source.
struct Rows<'a> {
    base: Option<&'a Backup>,
    ahead: VecDeque<Row>,
    last: Option<BlobId>,
}

impl<'a> Rows<'a> {
    fn new(base: Option<&'a Backup>) -> Self {
        Self { base, ahead: VecDeque::new(), last: None }
    }

    /// Where the base has this body. Ask in ascending order.
    fn find(&mut self, body: &Body) -> Result<Option<(u32, u64)>, Error> {
        loop {
            while self.ahead.front().is_some_and(|row| row.body.id < body.id) {
                self.ahead.pop_front();
            }
            if let Some(row) = self.ahead.front() {
                // A store that was put back to an earlier state may give a number again.
                let same = row.body.id == body.id
                    && row.body.bytes == body.bytes
                    && row.body.checksum == body.checksum;
                return Ok(row.place.filter(|_| same));
            }
            let Some(base) = self.base else { return Ok(None) };
            self.ahead.extend(base.rows(self.last, ROWS)?);
            match self.ahead.back() {
                Some(row) => self.last = Some(row.body.id),
                None => self.base = None,
            }
        }
    }
}
