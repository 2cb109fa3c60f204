//! One state of the store, asked for in parts. Octets follow the line that tells how many.

use serde::{Deserialize, Serialize};

use super::Cursor;

/// Octets of bodies given in one go, and parts of them.
pub const SNAPSHOT_BYTES_MAX: u64 = 4 * 1024 * 1024;
pub const SNAPSHOT_PARTS_MAX: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotAction {
    /// The state is kept until the connection is closed.
    Take,
    /// Pairs with keys from this one on; from the first, if there is none.
    Pairs {
        from: Option<Cursor>,
    },
    /// Bodies with numbers above this one.
    Bodies {
        after: Option<u64>,
    },
    Parts {
        parts: Vec<BodyPart>,
    },
}

/// Octets `from` to `to` of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyPart {
    pub body: u64,
    pub from: u64,
    pub to: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartView {
    /// 0 if it cannot be read.
    pub octets: u64,
    /// Why it cannot be read.
    pub problem: Option<String>,
}
