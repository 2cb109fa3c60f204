//! Backups of a store.
//!
//! A backup is an ordered run of pairs: what the store had at one moment, and behind it the table of bodies. It is cut into
//! pages where the keys say so, so that what did not change makes the same pages, and those are written once. Each backup
//! adds one file, a volume, which holds its new pages, its new bodies, and the list of all its pages; so each is read without
//! a look at those between. `docs/backup.md` tells the format.

mod adopt;
mod copy;
mod engine;
mod error;
mod page;
mod place;
mod read;
mod record;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod verify;
mod volume;
mod write;

pub use adopt::{Adopted, Adoption, adopt};
pub use copy::{Copied, Damage, copy};
pub use engine::BackupEngine;
pub use error::Error;
pub use page::{decode_pairs, encode_pair};
pub use place::{Place, Unreadable};
pub use read::Backup;
pub use source::{Part, Source};
pub use table::{PIECE_BYTES, decode_bodies, encode_body};
pub use verify::{Verified, verify};
pub use volume::{End, Header, VolumeId};
pub use write::{Taken, take};

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many octets are to come in all.
    Total(u64),
    /// So many more are done.
    Done(u64),
}

/// Hears of the progress.
pub type Watch<'a> = &'a mut (dyn FnMut(Progress) + Send);
