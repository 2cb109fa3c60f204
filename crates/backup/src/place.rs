//! Where backups are: one file, or a directory of volumes in which each backup adds to those before it.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{
    error::{At, Error},
    volume::{End, Header, look_at, sync_dir},
};

const SUFFIX: &str = ".backup";
const PARTIAL: &str = ".partial";
const LOCK: &str = "lock";

/// A file for one backup, or a directory for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    Dir(PathBuf),
}

/// What each volume that is whole says of itself, by its number.
pub type Whole = BTreeMap<u32, (Header, End)>;

/// A volume that cannot be used, and why.
#[derive(Debug)]
pub struct Unreadable {
    pub path: PathBuf,
    pub error: Error,
}

/// A backup on its way; it gets its name when it is whole.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) file: File,
    pub(crate) partial: PathBuf,
    path: PathBuf,
    pub(crate) number: u32,
    /// Held as long as it is written.
    _lock: Option<File>,
}

impl Place {
    /// A directory if it is one, or if the path ends with `/`.
    pub fn at(path: &Path) -> Self {
        let slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if slash || path.is_dir() { Self::Dir(path.to_owned()) } else { Self::File(path.to_owned()) }
    }

    /// The file of a backup's volume.
    pub fn volume(&self, number: u32) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Dir(dir) => dir.join(format!("{number:06}{SUFFIX}")),
        }
    }

    /// The numbers of the volumes there are, ascending.
    pub fn numbers(&self) -> Result<Vec<u32>, Error> {
        let Self::Dir(dir) = self else { return Ok(vec![1]) };
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at(dir)?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.at(dir)?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// What each volume says of itself, and those that say nothing that can be read.
    pub fn list(&self) -> Result<(Whole, Vec<Unreadable>), Error> {
        let (mut found, mut unreadable) = (BTreeMap::new(), Vec::new());
        for number in self.numbers()? {
            let path = self.volume(number);
            match look_at(&path) {
                Ok((file, end)) => drop(found.insert(number, (file.header, end))),
                Err(error) => unreadable.push(Unreadable { path, error }),
            }
        }
        Ok((found, unreadable))
    }

    /// Begins a new volume. What was broken off before is removed.
    pub(crate) fn draft(&self) -> Result<Draft, Error> {
        match self {
            Self::File(path) => {
                if path.exists() {
                    return Err(Error::Refused(format!(
                        "{} exists; name another file, or a directory, in which each backup adds what is new",
                        path.display()
                    )));
                }
                let mut partial = path.clone().into_os_string();
                partial.push(PARTIAL);
                Self::begin(path.clone(), partial.into(), 1, None)
            }
            Self::Dir(dir) => {
                DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
                let lock = lock(dir)?;
                remove_partials(dir)?;
                let number = self.numbers()?.last().map_or(1, |last| last.saturating_add(1));
                let path = self.volume(number);
                let partial = dir.join(format!("{number:06}{SUFFIX}{PARTIAL}"));
                Self::begin(path, partial, number, Some(lock))
            }
        }
    }

    fn begin(path: PathBuf, partial: PathBuf, number: u32, lock: Option<File>) -> Result<Draft, Error> {
        // Made anew: what somebody else left at this name, perhaps a link, is not written through.
        if File::open(&partial).is_ok_and(|file| file.try_lock().is_err()) {
            return Err(busy(&partial));
        }
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).at(&partial),
            _ => {}
        }
        // What is inside is as secret as the data directory.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).at(&partial)?;
        match file.try_lock() {
            Ok(()) => Ok(Draft { file, partial, path, number, _lock: lock }),
            Err(_) => Err(busy(&partial)),
        }
    }
}

impl Draft {
    /// Gives the volume its name, once everything in it is on disk.
    pub(crate) fn publish(&self) -> Result<(), Error> {
        fs::rename(&self.partial, &self.path).at(&self.path)?;
        sync_dir(self.path.parent().unwrap_or(Path::new("."))).at(&self.path)
    }

    /// Nothing is left of it.
    pub(crate) fn discard(&self) {
        // What stays is removed by the next backup.
        let _ = fs::remove_file(&self.partial);
    }
}

fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).at(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(busy(dir)),
        Err(TryLockError::Error(error)) => Err(error).at(&path),
    }
}

fn busy(path: &Path) -> Error {
    Error::Refused(format!("another backup is being written to {}; wait until it is done", path.display()))
}

fn remove_partials(dir: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(dir).at(dir)? {
        let path = entry.at(dir)?.path();
        if path.to_str().is_some_and(|path| path.ends_with(&format!("{SUFFIX}{PARTIAL}"))) {
            fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}
