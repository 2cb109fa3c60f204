//! Expunged messages.

use serde::{Deserialize, Serialize};

/// Expunged messages in one answer.
pub const EXPUNGED_SHOWN_MAX: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelete {
    pub address: String,
    /// Only what was expunged from the mailbox of that name; without it, from all.
    pub mailbox: Option<String>,
    /// Only what was expunged within so long.
    pub seconds: Option<u64>,
    /// Tells what would be restored.
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpungedView {
    pub expunged_at: String,
    pub mailbox: String,
    /// It had then.
    pub uid: u32,
    pub bytes: u64,
    pub from: String,
    pub subject: String,
}
