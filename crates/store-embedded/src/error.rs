use std::{io, path::PathBuf};

use store::StoreError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the index {} cannot be opened: {reason}", path.display())]
    Index { path: PathBuf, reason: String },
    /// Nothing was changed; the store needs a person.
    #[error("the store in {} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// Names the step that an I/O error stopped.
pub(crate) trait Context<T> {
    fn while_(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, OpenError>;
}

impl<T> Context<T> for io::Result<T> {
    fn while_(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, OpenError> {
        self.map_err(|source| OpenError::Io { action, path: path.into(), source })
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(crate) fn store_error(error: &io::Error) -> StoreError {
    if is_full(error) { StoreError::Full } else { StoreError::Io(error.to_string()) }
}
