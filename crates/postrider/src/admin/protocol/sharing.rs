//! What people share.

use mail::RightsChange;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharingAction {
    /// `with`: an identifier of RFC 4314 §2.
    Change {
        mailbox: String,
        with: String,
        change: RightsChange,
    },
    List,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareView {
    pub mailbox: String,
    pub with: String,
    /// Letters of RFC 4314 §2.1.
    pub rights: String,
}
