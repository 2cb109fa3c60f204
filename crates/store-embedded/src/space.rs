//! Notices a disk that runs full early enough that what is stored can still be delivered and deleted.

use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// So much may be written between two looks.
const LOOK_EVERY_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Space {
    dir: PathBuf,
    reserve_bytes: u64,
    /// What may still be written before the next look; 0 too while space is short.
    unlooked: AtomicU64,
}

impl Space {
    pub fn new(dir: PathBuf, reserve_bytes: u64) -> Self {
        Self { dir, reserve_bytes, unlooked: AtomicU64::new(0) }
    }

    /// Call before writing a new body of so many octets; fails while only the reserve is left.
    pub fn check(&self, bytes: u64) -> io::Result<()> {
        let enough =
            self.unlooked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if self.reserve_bytes == 0 || enough.is_ok() {
            return Ok(());
        }
        let found = rustix::fs::statvfs(&self.dir)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < self.reserve_bytes.saturating_add(bytes) {
            self.unlooked.store(0, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.unlooked.store(LOOK_EVERY_BYTES, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_not_for_new_bodies() {
        let dir = tempfile::tempdir().unwrap();
        let check = |reserve| Space::new(dir.path().to_owned(), reserve).check(1000);
        assert!(check(0).is_ok() && check(1).is_ok());
        assert_eq!(check(u64::MAX - 1000).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
