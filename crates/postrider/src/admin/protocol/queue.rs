//! What queue commands ask and get.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mail::QueueId;
use serde::{Deserialize, Serialize};

use crate::admin::selector::Selector;

/// Queue entries looked at for one request; the answer says where to go on.
pub const QUEUE_PAGE_ENTRIES_MAX: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueAction {
    List,
    Count,
    /// As `List`, with what is known besides: header section, other recipients.
    Show,
    Retry,
    Hold,
    Release,
    Reroute,
    Bounce,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRequest {
    pub action: QueueAction,
    pub selector: Selector,
    pub dry_run: bool,
    pub after: Option<Cursor>,
    /// Entries looked at, [`QUEUE_PAGE_ENTRIES_MAX`] at most.
    #[serde(default)]
    pub limit: Option<usize>,
    /// For the history; with [`QueueAction::Bounce`] for the sender too.
    #[serde(default)]
    pub reason: Option<String>,
    /// Where [`QueueAction::Reroute`] leads; none: back to the routes.
    #[serde(default)]
    pub lane: Option<String>,
}

/// The place in the queue that was reached, in words that mean nothing to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

impl Cursor {
    pub fn new(key: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(key))
    }

    /// None if it is not one.
    pub fn key(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(&self.0).ok().filter(|key| !key.is_empty())
    }
}

/// One page of the queue: what matched in it, and where the next begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePage {
    /// All with [`QueueAction::List`] and [`QueueAction::Show`], a few with a dry run.
    pub entries: Vec<EntryView>,
    /// Entries that matched; those that were changed, unless it was a dry run.
    pub count: u64,
    /// Entries left alone because they go to recipients who were not selected.
    pub shared: u64,
    /// Entries that were bounced without anybody to tell: reports, and those whose sender wants none.
    pub untold: u64,
    /// Messages left alone because they are being delivered right now.
    pub busy: Vec<QueueId>,
    pub next: Option<Cursor>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    pub id: String,
    pub part: u16,
    /// `waiting` or `held`.
    pub status: String,
    /// Empty for reports.
    pub sender: String,
    pub recipients: Vec<String>,
    pub bytes: u64,
    pub lane: String,
    pub attempts: u32,
    pub accepted_at: String,
    /// None while held, and where nothing is tried from here.
    pub next_attempt_at: Option<String>,
    /// Until when its sender wants it held.
    pub held_until: Option<String>,
    /// By when it is to be delivered, and `returned` or `told` for what happens else.
    pub deliver_by: Option<String>,
    pub if_late: Option<String>,
    /// From -9 to 9.
    pub priority: i8,
    /// Who has to come for it, where nothing is tried from here.
    pub waits_for: Option<String>,
    /// The site that cannot be reached, and when it is probed.
    #[serde(default)]
    pub waits_for_site: Option<String>,
    pub last_error: Option<String>,
    /// An operator chose its lane.
    #[serde(default)]
    pub rerouted: bool,
    /// With [`QueueAction::Show`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<EntryDetails>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryDetails {
    /// When it is given up, if it cannot be delivered until then.
    pub gives_up_at: Option<String>,
    /// What became of the message's other recipients.
    pub settled: Vec<String>,
    /// The header section, one field a line, cleaned.
    pub header: Vec<String>,
}
