//! Reading bodies.

use std::{
    io::{self, IoSliceMut},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, preadv2};
use store::StoreError;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    codec::{BlobRow, Place},
    error::store_error,
    shared::Shared,
};

/// A body may be moved while it is read, and perhaps once more.
const ATTEMPTS: usize = 3;

pub(crate) async fn blob(shared: &Arc<Shared>, id: u64, range: Range<u64>) -> Result<Bytes, StoreError> {
    let row = shared.blob(id)?.ok_or(StoreError::NotFound)?;
    let range = range.start.min(row.bytes)..range.end.min(row.bytes);
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    if let Some(octets) = shared.recent().get(id) {
        return part(&octets, &range).ok_or(StoreError::NotFound);
    }
    if let Some(octets) = from_page_cache(shared, &row) {
        return part(&octets, &range).ok_or(StoreError::NotFound);
    }
    let shared = Arc::clone(shared);
    let read = tokio::task::spawn_blocking(move || read(&shared, id, row, &range));
    read.await.map_err(|error| StoreError::Io(error.to_string()))?
}

/// A body that takes no access to the disk is read at once: another thread would cost more than the reading. Whatever
/// is not plainly there is left to [`read`].
fn from_page_cache(shared: &Shared, row: &BlobRow) -> Option<Bytes> {
    let Place::Log { segment, offset } = row.place else { return None };
    let file = shared.segments.opened(segment)?;
    let mut octets = vec![0; usize::try_from(row.bytes).ok()?];
    let read = preadv2(&*file, &mut [IoSliceMut::new(&mut octets)], offset, ReadWriteFlags::NOWAIT).ok()?;
    (read == octets.len() && xxh3_64(&octets) == row.checksum).then(|| octets.into())
}

/// A body that stays where it is, because a snapshot needs it.
pub(crate) fn held(shared: &Shared, id: u64, row: BlobRow, range: Range<u64>) -> Result<Bytes, StoreError> {
    let range = range.start.min(row.bytes)..range.end.min(row.bytes);
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let outcome = match row.place {
        Place::File => shared.blobs.read(id, &row, &range),
        Place::Log { segment, offset } => from_log(shared, &row, segment, offset, &range),
    };
    outcome.map_err(|error| missing_or_damaged(shared, id, &row, error))
}

fn read(shared: &Shared, id: u64, row: BlobRow, range: &Range<u64>) -> Result<Bytes, StoreError> {
    let mut row = row;
    for _ in 0..ATTEMPTS {
        let outcome = match row.place {
            Place::File => shared.blobs.read(id, &row, range),
            Place::Log { segment, offset } => from_log(shared, &row, segment, offset, range),
        };
        let Err(error) = outcome else { return outcome };
        match shared.blob(id)? {
            None => return Err(StoreError::NotFound),
            Some(now) if now.place == row.place => return Err(missing_or_damaged(shared, id, &row, error)),
            Some(now) => row = now,
        }
    }
    Err(StoreError::Io(format!("body {id} moves about")))
}

fn from_log(
    shared: &Shared,
    row: &BlobRow,
    segment: u64,
    offset: u64,
    range: &Range<u64>,
) -> Result<Bytes, StoreError> {
    let file = shared.segments.get(segment).map_err(|error| read_error(&error))?;
    let length = usize::try_from(row.bytes).map_err(|_| StoreError::NotFound)?;
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, offset).map_err(|error| read_error(&error))?;
    if xxh3_64(&octets) != row.checksum {
        return Err(StoreError::Damaged("the checksum does not match".to_owned()));
    }
    part(&Bytes::from(octets), range).ok_or(StoreError::NotFound)
}

fn read_error(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => StoreError::NotFound,
        _ => store_error(error),
    }
}

/// The index says that the body is there, so an absence is damage.
fn missing_or_damaged(shared: &Shared, id: u64, row: &BlobRow, error: StoreError) -> StoreError {
    let reason = match &error {
        StoreError::NotFound => format!("body {id} is missing"),
        StoreError::Damaged(_) => format!("body {id} is damaged"),
        _ => return error,
    };
    match row.place {
        Place::Log { segment, offset } => shared.report_damage(segment, offset, reason.clone()),
        Place::File => shared.report_file_damage(shared.blobs.path(id), reason.clone()),
    }
    StoreError::Damaged(reason)
}

fn part(octets: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
    (start <= end && end <= octets.len()).then(|| octets.slice(start..end))
}
