use std::{
    io,
    path::{Path, PathBuf},
};

use store::{CommitError, StoreError};

/// Why a backup cannot be taken or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// What was read is not what was written.
    #[error("{} is damaged at octet {offset}: {what}", path.display())]
    Damaged { path: PathBuf, offset: u64, what: String },
    /// Tells what to do.
    #[error("{0}")]
    Refused(String),
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    #[error("the store: {0}")]
    Commit(#[from] CommitError),
    /// Whoever gives the state failed.
    #[error("{0}")]
    Source(String),
}

impl Error {
    pub(crate) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), offset, what: what.into() }
    }
}

/// Adds where it was.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { path: path.to_owned(), source })
    }
}
