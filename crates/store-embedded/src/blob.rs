//! Bodies: small ones go into the log with their batch, larger ones stream to files of their own.
//!
//! A body's file holds its octets and then the checksum of each block of 64 KiB; the checksum of those is in the index.
//! So every read is verified, also of a part.

use std::{
    any::Any,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use store::{BlobId, BlobPayload, BlobWriter, PendingBlob, StoreError, engine::Staged};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    codec::BlobRow,
    error::store_error,
    janitor::{Janitor, Job},
    segment::sync_dir,
    space::Space,
};

/// Longer bodies have a file of their own.
pub(crate) const INLINE_BYTES_MAX: usize = 256 * 1024;
/// What one checksum covers, and a multiple of which one write to a body's file has.
const BLOCK_BYTES: usize = 64 * 1024;
const CHECKSUM_BYTES: usize = 8;
/// Directories that the files are spread over.
const DIRECTORIES: u64 = 16;

/// The directory of the bodies that have their own files.
#[derive(Debug)]
pub(crate) struct BlobFiles {
    dir: PathBuf,
}

impl BlobFiles {
    /// Makes what is missing of the directories, to survive a power cut.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        let mut made = false;
        for number in 0..DIRECTORIES {
            match fs::create_dir(dir.join(format!("{number:x}"))) {
                Ok(()) => made = true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        if made {
            sync_dir(&dir)?;
        }
        Ok(Self { dir })
    }

    pub fn path(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{:x}/{id:016x}", id % DIRECTORIES))
    }

    /// Every file there is, by its body's number.
    pub fn list(&self) -> io::Result<Vec<u64>> {
        let mut ids = Vec::new();
        for number in 0..DIRECTORIES {
            for entry in fs::read_dir(self.dir.join(format!("{number:x}")))? {
                let name = entry?.file_name();
                ids.extend(name.to_str().and_then(|name| u64::from_str_radix(name, 16).ok()));
            }
        }
        Ok(ids)
    }

    /// Octets of a body, verified. The range lies within it.
    pub fn read(&self, id: u64, row: &BlobRow, range: &Range<u64>) -> Result<Bytes, StoreError> {
        let file = File::open(self.path(id)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound,
            _ => store_error(&error),
        })?;
        let damaged = || StoreError::Damaged(format!("body {id} in {}", self.path(id).display()));
        let octets = read_verified(&file, row, range).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(),
            _ => store_error(&error),
        })?;
        octets.ok_or_else(damaged)
    }
}

/// None if a checksum does not match.
fn read_verified(file: &File, row: &BlobRow, range: &Range<u64>) -> io::Result<Option<Bytes>> {
    let block = BLOCK_BYTES as u64;
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut sums = vec![0; usize::try_from(row.bytes.div_ceil(block)).map_err(too_long)? * CHECKSUM_BYTES];
    file.read_exact_at(&mut sums, row.bytes)?;
    if xxh3_64(&sums) != row.checksum {
        return Ok(None);
    }
    let first = range.start / block;
    let (from, to) = (first * block, (range.end.div_ceil(block) * block).min(row.bytes));
    let mut octets = vec![0; usize::try_from(to.saturating_sub(from)).map_err(too_long)?];
    file.read_exact_at(&mut octets, from)?;
    let sums = sums.chunks_exact(CHECKSUM_BYTES).skip(usize::try_from(first).map_err(too_long)?);
    let sound = octets.chunks(BLOCK_BYTES).zip(sums).all(|(block, sum)| xxh3_64(block).to_le_bytes() == *sum);
    let start = usize::try_from(range.start - from).map_err(too_long)?;
    let end = usize::try_from(range.end - from).map_err(too_long)?;
    Ok(sound.then(|| Bytes::from(octets).slice(start..end)))
}

/// A finished body with its checksum; what a [`BlobPayload::Staged`] of this engine holds.
#[derive(Debug)]
pub(crate) enum StagedBody {
    Memory { octets: Bytes, checksum: u64 },
    File { file: StagedFile, checksum: u64 },
}

impl Staged for StagedBody {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send + Sync> {
        self
    }
}

impl StagedBody {
    pub fn of(payload: BlobPayload) -> Option<Self> {
        match payload {
            BlobPayload::Memory(chunks) => {
                let octets = Bytes::from(chunks.concat());
                Some(Self::Memory { checksum: xxh3_64(&octets), octets })
            }
            BlobPayload::Staged(staged) => staged.into_any().downcast::<Self>().ok().map(|body| *body),
        }
    }
}

/// A body's file that nothing refers to yet. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct StagedFile {
    path: PathBuf,
    janitor: Janitor,
    kept: bool,
}

impl StagedFile {
    /// Something refers to it now, or may do so.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.kept {
            self.janitor.send(Job::RemoveFile(std::mem::take(&mut self.path)));
        }
    }
}

/// What writers share.
#[derive(Clone, Debug)]
pub(crate) struct WriterContext {
    pub files: Arc<BlobFiles>,
    pub space: Arc<Space>,
    pub janitor: Janitor,
}

#[derive(Debug)]
pub(crate) struct Writer {
    id: u64,
    context: WriterContext,
    /// What is not on disk yet; less than [`INLINE_BYTES_MAX`] between writes.
    buffer: Vec<u8>,
    on_disk: Option<OnDisk>,
}

#[derive(Debug)]
struct OnDisk {
    file: File,
    staged: StagedFile,
    bytes: u64,
    sums: Vec<u8>,
}

impl Writer {
    pub fn new(id: u64, context: WriterContext) -> Self {
        Self { id, context, buffer: Vec::new(), on_disk: None }
    }

    /// Writes out whole blocks, or everything at the end.
    async fn spill(&mut self, is_last: bool) -> Result<(), StoreError> {
        let keep = if is_last { 0 } else { self.buffer.len() % BLOCK_BYTES };
        let rest = self.buffer.split_off(self.buffer.len() - keep);
        let octets = std::mem::replace(&mut self.buffer, rest);
        self.context.space.check(octets.len() as u64).map_err(|error| store_error(&error))?;
        let on_disk = self.on_disk.take();
        let (id, context) = (self.id, self.context.clone());
        let written = tokio::task::spawn_blocking(move || {
            let mut on_disk = match on_disk {
                Some(on_disk) => on_disk,
                None => OnDisk::create(id, &context)?,
            };
            on_disk.append(&octets)?;
            Ok(on_disk)
        });
        self.on_disk = Some(joined(written.await)?);
        Ok(())
    }
}

impl OnDisk {
    fn create(id: u64, context: &WriterContext) -> io::Result<Self> {
        let path = context.files.path(id);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let staged = StagedFile { path, janitor: context.janitor.clone(), kept: false };
        Ok(Self { file, staged, bytes: 0, sums: Vec::new() })
    }

    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        for block in octets.chunks(BLOCK_BYTES) {
            self.sums.extend_from_slice(&xxh3_64(block).to_le_bytes());
        }
        self.bytes += octets.len() as u64;
        self.file.write_all(octets)
    }

    fn finish(mut self) -> io::Result<StagedBody> {
        self.file.write_all(&self.sums)?;
        self.file.sync_all()?;
        sync_dir(self.staged.path.parent().unwrap_or(Path::new(".")))?;
        Ok(StagedBody::File { file: self.staged, checksum: xxh3_64(&self.sums) })
    }
}

#[async_trait::async_trait]
impl BlobWriter for Writer {
    fn id(&self) -> BlobId {
        BlobId(self.id)
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let mut chunk = chunk;
        while !chunk.is_empty() {
            let room = INLINE_BYTES_MAX.saturating_sub(self.buffer.len());
            if room == 0 {
                self.spill(false).await?;
                continue;
            }
            self.buffer.extend_from_slice(&chunk.split_to(room.min(chunk.len())));
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<PendingBlob, StoreError> {
        if self.on_disk.is_some() {
            self.spill(true).await?;
        }
        let (bytes, body) = if let Some(on_disk) = self.on_disk.take() {
            let bytes = on_disk.bytes;
            (bytes, joined(tokio::task::spawn_blocking(move || on_disk.finish()).await)?)
        } else {
            let octets = Bytes::from(std::mem::take(&mut self.buffer));
            (octets.len() as u64, StagedBody::Memory { checksum: xxh3_64(&octets), octets })
        };
        Ok(PendingBlob { id: BlobId(self.id), bytes, payload: BlobPayload::Staged(Box::new(body)) })
    }
}

fn joined<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> Result<T, StoreError> {
    match result {
        Ok(outcome) => outcome.map_err(|error| store_error(&error)),
        Err(error) => Err(StoreError::Io(error.to_string())),
    }
}
