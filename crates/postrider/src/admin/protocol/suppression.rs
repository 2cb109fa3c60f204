//! The suppression list.

use mail::cause::Cause;
use serde::{Deserialize, Serialize};
use store::suppressions::Source;

/// Suppressions in one answer.
pub const SUPPRESSION_PAGE_MAX: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuppressionAction {
    List {
        after: Option<String>,
    },
    Show {
        address: String,
    },
    /// Without an end it holds until it is removed.
    Add {
        address: String,
        reason: Option<String>,
        seconds: Option<u64>,
    },
    Remove {
        address: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressionView {
    pub address: String,
    /// `suppressed`, `counting` while too few messages failed, or `expired`
    pub state: String,
    pub cause: Cause,
    pub source: Source,
    pub failures: u32,
    pub since: String,
    pub last_at: String,
    pub expires_at: Option<String>,
    pub detail: Option<String>,
    /// The last message that failed.
    pub message: Option<String>,
}
