//! Mail that comes and goes by the control socket. The octets of the messages follow the line that tells of them.

use serde::{Deserialize, Serialize};

/// Messages of one page.
pub const TRANSFER_MESSAGES_MAX: usize = 100;
/// Octets of a page that has more than one message.
pub const TRANSFER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Messages for one mailbox, which is made if it is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportPage {
    pub address: String,
    pub mailbox: String,
    pub messages: Vec<ImportedMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedMessage {
    pub octets: u64,
    /// Milliseconds since 1970; now, if there is none.
    pub internal_date: Option<i64>,
    /// `\Seen`, …, and keywords.
    pub flags: Vec<String>,
    /// [`store::mailbox::ImportMark`], 32 hexadecimal digits: what has been imported is passed over.
    pub mark: String,
}

/// Messages of a mailbox that come after a UID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPage {
    pub address: String,
    pub mailbox: String,
    pub after: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedMessage {
    pub uid: u32,
    /// 0 if it cannot be read.
    pub octets: u64,
    pub internal_date: i64,
    pub flags: Vec<String>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxView {
    pub name: String,
    #[serde(default)]
    pub special_use: Option<String>,
    pub uid_validity: u32,
    pub messages: u64,
    pub bytes: u64,
}

/// A mailbox to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxSettings {
    pub address: String,
    pub name: String,
    /// `\Sent`, …
    pub special_use: Option<String>,
    pub subscribed: bool,
}
