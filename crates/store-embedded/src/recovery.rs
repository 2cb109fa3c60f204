//! Opening a store: the index as of its last checkpoint, and the log from there on.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io,
    path::Path,
    sync::Arc,
};

use crate::{
    Options,
    blob::BlobFiles,
    damage::{Damage, DamageList},
    error::{Context, OpenError},
    group::account,
    index::{self, Index, Mark, SegmentUse},
    log::LogEnd,
    memtable::Memtable,
    records::{Found, Record, RecordReader},
    segment::{SEGMENT_HEADER_BYTES, SegmentFiles, sync_dir},
    shared::{Layout, Parts, Shared},
    space::Space,
    view::View,
};

/// An opened store whose threads do not run yet.
#[derive(Debug)]
pub(crate) struct Opened {
    pub shared: Shared,
    pub index: Index,
    pub log: LogEnd,
    /// The index's mark, brought to the log's end.
    pub mark: Mark,
    /// Where replay began.
    pub marked: (u64, u64),
    /// As in the index.
    pub indexed_usage: index::Usage,
    /// Held as long as the store is open.
    pub lock: File,
}

pub(crate) fn open(layout: &Layout, options: Options) -> Result<Opened, OpenError> {
    let dir = &layout.dir;
    make_dirs(layout)?;
    let lock = take_lock(layout)?;
    let segments = SegmentFiles::new(layout.log(), options.spare_segments);
    segments.find_spares().while_("listing", segments.dir())?;
    if !index::exists(dir).while_("looking into", dir)? {
        create_index(dir, &segments)?;
    }
    let (index, mark) = Index::open(dir, options.index_cache_bytes)?;
    let base = index.snapshot().map_err(|error| index_error(dir, &error))?;
    let view = View { active: Memtable::default(), frozen: None, base: Arc::new(base) };
    let (marked, indexed_usage) = ((mark.segment, mark.offset), mark.usage.clone());
    let damage = DamageList::load(segments.dir()).while_("reading", segments.dir())?;
    let mut replay = Replay { segments: &segments, mark, view, damage };
    let log = replay.run()?;
    let Replay { mark, view, damage, .. } = replay;
    let blobs_dir = layout.blobs();
    let blobs = BlobFiles::open(blobs_dir.clone()).while_("making directories in", blobs_dir)?;
    let space = Space::new(dir.clone(), options.reserve_bytes);
    let (secret, next_blob) = (mark.secret, mark.next_blob);
    let shared = Shared::new(Parts { options, secret, view, segments, blobs, space, next_blob, damage });
    remove_orphans(&shared).while_("removing bodies without a reference below", dir)?;
    Ok(Opened { shared, index, log, mark, marked, indexed_usage, lock })
}

fn make_dirs(layout: &Layout) -> Result<(), OpenError> {
    let dir = &layout.dir;
    let is_new = !fs::exists(dir).while_("looking for", dir)?;
    for dir in [dir.clone(), layout.log(), layout.blobs()] {
        fs::create_dir_all(&dir).while_("making", &dir)?;
    }
    sync_dir(dir).while_("syncing", dir)?;
    match dir.parent() {
        Some(parent) if is_new && !parent.as_os_str().is_empty() => {
            sync_dir(parent).while_("syncing", parent)
        }
        _ => Ok(()),
    }
}

/// Two processes must never open one store.
fn take_lock(layout: &Layout) -> Result<File, OpenError> {
    let path = layout.lock();
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.while_("opening", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked(layout.dir.clone())),
        Err(fs::TryLockError::Error(source)) => Err(OpenError::Io { action: "locking", path, source }),
    }
}

fn create_index(dir: &Path, segments: &SegmentFiles) -> Result<(), OpenError> {
    if let Some(first) = segments.list().while_("listing", segments.dir())?.first() {
        let path = dir.to_owned();
        let reason = format!("there is a log (from segment {first}) but no index; restore it from a backup");
        return Err(OpenError::Damaged { path, reason });
    }
    let mark = Mark {
        secret: RandomState::new().hash_one(0),
        segment: 1,
        offset: SEGMENT_HEADER_BYTES,
        sequence: 1,
        next_blob: 1,
        usage: index::Usage::new(),
    };
    Index::create(dir, &mark)
}

fn index_error(dir: &Path, error: &dyn std::error::Error) -> OpenError {
    OpenError::Index { path: index::path(dir), reason: error.to_string() }
}

/// Bodies' files that no committed batch refers to.
fn remove_orphans(shared: &Shared) -> io::Result<()> {
    for id in shared.blobs.list()? {
        match shared.blob(id) {
            Ok(None) => fs::remove_file(shared.blobs.path(id))?,
            Ok(Some(_)) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(())
}

struct Replay<'a> {
    segments: &'a SegmentFiles,
    mark: Mark,
    view: View,
    damage: DamageList,
}

/// How a segment ended.
enum End {
    Sealed,
    /// The log ends here.
    Open {
        position: u64,
    },
}

impl Replay<'_> {
    fn run(&mut self) -> Result<LogEnd, OpenError> {
        let log_dir = self.segments.dir().to_owned();
        let mut numbers = self.segments.list().while_("listing", &log_dir)?;
        self.drop_unused(&mut numbers)?;
        let first = self.mark.segment;
        let last = numbers.last().copied().filter(|last| *last >= first);
        let mut end = (first - 1, End::Sealed);
        for number in first..=last.unwrap_or(0) {
            let offset = if number == first { self.mark.offset } else { SEGMENT_HEADER_BYTES };
            let path = self.segments.path(number);
            end = (number, self.segment(number, offset, Some(number) == last).while_("reading", path)?);
        }
        self.log_end(end)
    }

    /// Segments that hold nothing alive, or that a power cut left half made.
    fn drop_unused(&mut self, numbers: &mut Vec<u64>) -> Result<(), OpenError> {
        let first = self.mark.segment;
        let usage = &mut self.mark.usage;
        usage.retain(|number, sizes| *number >= first || sizes.live_bytes > 0);
        let damage = &self.damage;
        let is_dead =
            |number: u64| number < first && !usage.contains_key(&number) && !damage.has_segment(number);
        for number in numbers.iter().filter(|number| is_dead(**number)) {
            self.segments.remove(*number).while_("removing", self.segments.path(*number))?;
        }
        numbers.retain(|number| !is_dead(*number));
        let missing =
            usage.range(..first).map(|(number, _)| *number).filter(|number| !numbers.contains(number));
        for number in missing.collect::<Vec<_>>() {
            self.report(number, 0, "it is missing");
        }
        if let Some(last) = numbers.last().copied().filter(|last| *last >= first)
            && !self.was_used(last).while_("reading", self.segments.path(last))?
        {
            self.segments.remove(last).while_("removing", self.segments.path(last))?;
            numbers.pop();
        }
        Ok(())
    }

    /// A segment's header is synced before its first record is written; without both it was never used.
    fn was_used(&self, number: u64) -> io::Result<bool> {
        if self.segments.has_header(number)?
            || (number == self.mark.segment && self.mark.offset > SEGMENT_HEADER_BYTES)
        {
            return Ok(true);
        }
        let file = self.segments.get(number)?;
        let mut reader = RecordReader::new(file, number, self.mark.secret, SEGMENT_HEADER_BYTES)?;
        Ok(reader.find(SEGMENT_HEADER_BYTES)?.is_some())
    }

    fn log_end(&mut self, (segment, end): (u64, End)) -> Result<LogEnd, OpenError> {
        let sequence = self.mark.sequence;
        let End::Open { position } = end else {
            return Ok(LogEnd { segment, file: None, position: 0, sequence });
        };
        let path = self.segments.path(segment);
        let file = self.segments.get(segment).while_("opening", &path)?;
        let length = file.metadata().while_("reading", &path)?.len();
        if length > position {
            tracing::debug!(segment, octets = length - position, "cutting what was never acknowledged");
            // Synced, so that it cannot come back and pass for the next records.
            file.set_len(position).and_then(|()| file.sync_all()).while_("cutting", &path)?;
        }
        Ok(LogEnd { segment, file: Some(file), position, sequence })
    }

    fn segment(&mut self, number: u64, offset: u64, is_last: bool) -> io::Result<End> {
        let file = match self.segments.get(number) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.report(number, 0, "it is missing");
                return Ok(End::Sealed);
            }
            Err(error) => return Err(error),
        };
        if !self.segments.has_header(number)? {
            self.report(number, 0, "its header is damaged");
        }
        let mut reader = RecordReader::new(file, number, self.mark.secret, offset)?;
        loop {
            let at = reader.position();
            let usable = match reader.next()? {
                Found::Record(record) => {
                    let unsound = reader.unsound_body(&record)?;
                    let torn = unsound.is_some() && is_last && !was_synced(&mut reader, &record)?;
                    if let (Some(id), false) = (unsound, torn) {
                        self.report(number, at, &format!("the octets of body {id} are damaged"));
                    }
                    if torn { None } else { Some(record) }
                }
                Found::End if is_last => return Ok(End::Open { position: at }),
                Found::End => {
                    self.report(number, at, "it ends before its seal");
                    return Ok(End::Sealed);
                }
                Found::Bad => None,
            };
            match usable {
                Some(record) if record.writes.seals => {
                    self.mark.sequence = record.header.sequence + 1;
                    return Ok(End::Sealed);
                }
                Some(record) => self.apply(number, &reader, &record)?,
                None => {
                    if let Some(end) = self.skip_bad(number, &mut reader, at, is_last)? {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// What cannot be read at the end of the log was never acknowledged, and is cut. Elsewhere it is damage: it is
    /// reported, and what follows is read.
    fn skip_bad(
        &mut self,
        number: u64,
        reader: &mut RecordReader,
        at: u64,
        is_last: bool,
    ) -> io::Result<Option<End>> {
        if is_last && !later_group(reader, at, self.mark.sequence)? {
            return Ok(Some(End::Open { position: at }));
        }
        let Some((next, _)) = reader.find(at + 1)? else {
            self.report(number, at, "the rest is not readable");
            return Ok(Some(End::Sealed));
        };
        self.report(number, at, &format!("{} octets are not readable", next - at));
        reader.seek(next);
        Ok(None)
    }

    fn report(&mut self, segment: u64, offset: u64, reason: &str) {
        let damage = Damage { file: self.segments.path(segment), offset, reason: reason.to_owned() };
        self.damage.add(Some(segment), damage);
    }

    fn apply(&mut self, number: u64, reader: &RecordReader, record: &Record) -> io::Result<()> {
        self.mark.sequence = record.header.sequence + 1;
        for (id, row) in &record.writes.blobs {
            self.mark.next_blob = self.mark.next_blob.max(id + 1);
            let before = self.view.blob(*id).map_err(io::Error::other)?;
            account(&mut self.mark.usage, before.as_ref(), row.as_ref());
        }
        let sizes: &mut SegmentUse = self.mark.usage.entry(number).or_default();
        sizes.bytes = reader.position();
        let changes = self.view.prepare(&record.writes).map_err(io::Error::other)?;
        self.view.apply(changes);
        Ok(())
    }
}

/// Whether something after this record shows that the record was synced once.
fn was_synced(reader: &mut RecordReader, record: &Record) -> io::Result<bool> {
    later_group(reader, record.at + record.header.record_bytes(), record.header.sequence)
}

/// Whether from `from` on there is a record of a group begun after record `sequence` was synced.
fn later_group(reader: &mut RecordReader, from: u64, sequence: u64) -> io::Result<bool> {
    let mut from = from;
    while let Some((at, header)) = reader.find(from)? {
        if header.group > sequence {
            return Ok(true);
        }
        from = at + 1;
    }
    Ok(false)
}
