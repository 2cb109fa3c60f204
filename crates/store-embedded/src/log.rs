//! Where the log ends, and how it grows.

use std::{fs::File, io, sync::Arc};

use store::CommitError;

use crate::{
    error::is_full,
    segment::{SEGMENT_HEADER_BYTES, SegmentFiles},
};

/// The end of the log.
#[derive(Debug)]
pub(crate) struct LogEnd {
    pub segment: u64,
    /// None if the segment is sealed: the next append begins another.
    pub file: Option<Arc<File>>,
    pub position: u64,
    /// The next record's.
    pub sequence: u64,
}

impl LogEnd {
    /// Makes sure that there is a segment to append to.
    pub fn prepare(&mut self, files: &SegmentFiles) -> Result<(), CommitError> {
        if self.file.is_some() {
            return Ok(());
        }
        let number = self.segment + 1;
        match files.create(number) {
            Ok(file) => {
                *self = Self {
                    segment: number,
                    file: Some(file),
                    position: SEGMENT_HEADER_BYTES,
                    sequence: self.sequence,
                };
                Ok(())
            }
            Err(error) if is_full(&error) => match files.remove(number) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(poisoned("removing a segment that found no room", &error))
                }
                _ => Err(CommitError::Full),
            },
            Err(error) => Err(poisoned("making a segment", &error)),
        }
    }

    /// Writes a group and syncs it. After `Full` nothing of it is there; after `Poisoned` that is uncertain.
    pub fn append(&mut self, files: &SegmentFiles, group: &[u8]) -> Result<(), CommitError> {
        let Some(file) = &self.file else {
            return Err(CommitError::Poisoned("there is no segment to append to".to_owned()));
        };
        if let Err(error) = files.disk.write(file, group, self.position) {
            if !is_full(&error) {
                return Err(poisoned("writing the log", &error));
            }
            // What was refused must not come back with a power cut, so its removal is synced.
            let undone = file.set_len(self.position).and_then(|()| file.sync_all());
            return Err(match undone {
                Ok(()) => CommitError::Full,
                Err(error) => poisoned("undoing a write that found no room", &error),
            });
        }
        files.disk.sync(file).map_err(|error| poisoned("syncing the log", &error))?;
        self.position += group.len() as u64;
        Ok(())
    }

    /// The segment takes no more records.
    pub fn seal(&mut self) {
        let Some(file) = self.file.take() else { return };
        // A spare may have been longer. If that does not survive, no harm: reading ends at the seal.
        if let Err(error) = file.set_len(self.position) {
            tracing::warn!(segment = self.segment, %error, "a sealed segment cannot be cut to its length");
        }
    }

    /// Where replay goes on after everything appended so far.
    pub fn replay_from(&self) -> (u64, u64) {
        match self.file {
            Some(_) => (self.segment, self.position),
            None => (self.segment + 1, SEGMENT_HEADER_BYTES),
        }
    }
}

fn poisoned(what: &str, error: &io::Error) -> CommitError {
    CommitError::Poisoned(format!("{what} failed: {error}"))
}
