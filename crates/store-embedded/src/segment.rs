//! The files of the log.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::{Input, put_u64};

/// Where a segment's records begin.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 32;

const MAGIC: &[u8; 8] = b"PRlog\0\0\x01";
const SPARE_SUFFIX: &str = "spare";
/// Files kept open for reading.
const OPEN_MAX: usize = 64;

/// A segment's number names its file and stands in each of its records; it is never used twice.
#[derive(Debug)]
pub(crate) struct SegmentFiles {
    dir: PathBuf,
    open: Mutex<BTreeMap<u64, Arc<File>>>,
    /// Segments that nothing needs, to be written over: syncing takes half as long where nothing is allocated.
    spares: Mutex<Vec<PathBuf>>,
    spares_max: usize,
    pub disk: Disk,
}

impl SegmentFiles {
    pub fn new(dir: PathBuf, spares_max: usize) -> Self {
        let (open, spares) = (Mutex::default(), Mutex::default());
        Self { dir, open, spares, spares_max, disk: Disk::default() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:010}.log"))
    }

    /// The numbers there are, ascending.
    pub fn list(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes the next segment; when it returns, the file survives a power cut. After an error the caller must not use
    /// the number again unless the file is gone.
    pub fn create(&self, number: u64) -> io::Result<Arc<File>> {
        let path = self.path(number);
        let spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = match &spare {
            Some(spare) => options.open(spare)?,
            None => options.create_new(true).open(&path)?,
        };
        self.disk.write(&file, &header(number), 0)?;
        file.sync_all()?;
        if let Some(spare) = &spare {
            fs::rename(spare, &path)?;
        }
        sync_dir(&self.dir)?;
        Ok(self.keep_open(number, Arc::new(file)))
    }

    /// For reading, and for writing where the log ends.
    pub fn get(&self, number: u64) -> io::Result<Arc<File>> {
        if let Some(file) = self.opened(number) {
            return Ok(file);
        }
        let file = OpenOptions::new().read(true).write(true).open(self.path(number))?;
        Ok(self.keep_open(number, Arc::new(file)))
    }

    /// What takes no access to the disk.
    pub fn opened(&self, number: u64) -> Option<Arc<File>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&number).map(Arc::clone)
    }

    fn keep_open(&self, number: u64, file: Arc<File>) -> Arc<File> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_MAX {
            open.pop_first();
        }
        open.insert(number, Arc::clone(&file));
        file
    }

    pub fn remove(&self, number: u64) -> io::Result<()> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        fs::remove_file(self.path(number))
    }

    /// Removes a segment that nothing needs, or keeps it as a spare. What is in it does no harm there: records tell
    /// their segment.
    pub fn retire(&self, number: u64) -> io::Result<()> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() >= self.spares_max {
            drop(spares);
            return self.remove(number);
        }
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        let path = self.path(number);
        let spare = path.with_extension(SPARE_SUFFIX);
        fs::rename(path, &spare)?;
        spares.push(spare);
        Ok(())
    }

    /// Takes up the spares that earlier runs left.
    pub fn find_spares(&self) -> io::Result<()> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|suffix| suffix != SPARE_SUFFIX) {
                continue;
            }
            if spares.len() < self.spares_max {
                spares.push(path);
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Whether the file begins as a segment of this number does.
    pub fn has_header(&self, number: u64) -> io::Result<bool> {
        let mut found = [0; 32];
        match self.get(number)?.read_exact_at(&mut found, 0) {
            Ok(()) => Ok(is_header(&found, number)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn header(number: u64) -> Vec<u8> {
    let mut octets = Vec::with_capacity(32);
    octets.extend_from_slice(MAGIC);
    put_u64(&mut octets, number);
    put_u64(&mut octets, 0);
    let sum = xxh3_64(&octets);
    put_u64(&mut octets, sum);
    octets
}

fn is_header(octets: &[u8], number: u64) -> bool {
    let mut input = Input(octets);
    input.take(8) == Some(MAGIC) && input.u64() == Some(number) && octets == header(number)
}

/// Makes the directory's entries survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// What the committer does to the disk; tests make it fail.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub full: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    pub fail_next_sync: std::sync::atomic::AtomicBool,
}

impl Disk {
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests keep their faults in it"))]
    pub fn write(&self, file: &File, octets: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            let half = octets.get(..octets.len() / 2).unwrap_or_default();
            file.write_all_at(half, at)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write_all_at(octets, at)
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests keep their faults in it"))]
    pub fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        if self.fail_next_sync.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return Err(io::Error::other("injected"));
        }
        file.sync_data()
    }
}
