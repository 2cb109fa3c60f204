//! What administrative commands ask and get: one JSON object a line, the same over the control socket and in process.

mod list;
mod queue;
mod sharing;
mod site;
mod snapshot;
mod suppression;
mod tls;
mod transfer;
mod undelete;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use mail::terminal::Notice;
use serde::{Deserialize, Serialize};
use store::directory::Service;

pub use list::{ListSettings, ListView, MemberView, Posting, Subscription};
pub use queue::{
    Cursor, EntryDetails, EntryView, QUEUE_PAGE_ENTRIES_MAX, QueueAction, QueuePage, QueueRequest,
};
pub use sharing::{ShareView, SharingAction};
pub use site::{HostView, LimitsView, RouteView, SiteView, StsView, WayView};
pub use snapshot::{BodyPart, PartView, SNAPSHOT_BYTES_MAX, SNAPSHOT_PARTS_MAX, SnapshotAction};
pub use suppression::{SUPPRESSION_PAGE_MAX, SuppressionAction, SuppressionView};
pub use tls::{TlsDayView, TlsFailureView, TlsPolicyView, TlsReceivedView, TlsReportView, TlsReportsAction};
pub use transfer::{
    ExportPage, ExportedMessage, ImportPage, ImportedMessage, MailboxSettings, MailboxView,
    TRANSFER_BYTES_MAX, TRANSFER_MESSAGES_MAX,
};
pub use undelete::{EXPUNGED_SHOWN_MAX, ExpungedView, Undelete};

/// Octets of one request line.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Octets of one response line.
pub const RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Members added or removed with one request.
pub const LIST_PAGE_MEMBERS_MAX: usize = 500;
/// A text that never shows in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(withheld)")
    }
}

/// A limit that is set, or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    None,
    AtMost(u64),
}

impl Limit {
    pub fn value(self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::AtMost(most) => Some(most),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AdminRequest {
    /// Is a server there, and what does it serve?
    Status,
    DomainAdd {
        domain: String,
    },
    DomainList,
    DomainShow {
        domain: String,
    },
    DomainRemove {
        domain: String,
    },
    /// Without a password one is made and told.
    AccountAdd {
        address: String,
        password: Option<Secret>,
        quota_bytes: Option<u64>,
        #[serde(default)]
        full_name: Option<String>,
    },
    /// What is not named stays as it is.
    AccountQuota {
        address: String,
        octets: Option<Limit>,
        messages: Option<Limit>,
    },
    AccountList,
    AccountShow {
        address: String,
    },
    AccountPassword {
        address: String,
        password: Option<Secret>,
    },
    /// Without a name the account has none any more.
    AccountName {
        address: String,
        full_name: Option<String>,
    },
    AccountRemove {
        address: String,
    },
    /// Its search index is made anew.
    AccountReindex {
        address: String,
    },
    AppPassword {
        address: String,
        action: AppPasswordAction,
    },
    MailboxList {
        address: String,
    },
    /// One that is there stays as it is.
    MailboxAdd(MailboxSettings),
    /// Tells messages apart: [`store::mailbox::MessageRecord::likeness`], of those with UIDs above `after`.
    MailboxContents {
        address: String,
        mailbox: String,
        after: u32,
    },
    /// For backups; octets follow the answers.
    Snapshot {
        action: SnapshotAction,
    },
    /// Which messages came in already, by their marks: see [`ImportedMessage::mark`].
    ImportKnown {
        address: String,
        marks: Vec<String>,
    },
    /// Who may do what with the account's mailboxes.
    Sharing {
        address: String,
        action: SharingAction,
    },
    /// The octets of its messages follow.
    Import(ImportPage),
    Export(ExportPage),
    /// Restores what was expunged.
    Undelete(Undelete),
    /// Mail for the domain waits for the account to fetch it with ATRN.
    TurnDomainAdd {
        address: String,
        domain: String,
    },
    TurnDomainList,
    TurnDomainRemove {
        domain: String,
    },
    AliasAdd {
        address: String,
        targets: Vec<String>,
    },
    AliasList,
    AliasRemove {
        address: String,
    },
    ListAdd {
        address: String,
        settings: ListSettings,
    },
    ListSet {
        address: String,
        settings: ListSettings,
    },
    ListList,
    ListShow {
        address: String,
    },
    /// One batch; see [`LIST_PAGE_MEMBERS_MAX`].
    ListSubscribe {
        address: String,
        members: Vec<String>,
    },
    ListUnsubscribe {
        address: String,
        members: Vec<String>,
    },
    ListRemove {
        address: String,
    },
    /// Lists or changes one page of the entries that match.
    Queue(QueueRequest),
    /// The sites that mail waits for or goes to.
    QueueSites,
    /// Histories of a queue ID, or of the latest messages with this address or Message-ID.
    Trace {
        term: String,
        /// More may come, so that it is no error if there is nothing yet.
        #[serde(default)]
        follow: bool,
    },
    Why {
        id: String,
    },
    Suppression {
        action: SuppressionAction,
    },
    /// What policy would say to a client.
    Session {
        visitor: VisitorView,
    },
    /// Where mail to an address would go.
    Route {
        address: String,
    },
    /// Sessions with other hosts under TLS, and the reports on them.
    TlsReports {
        action: TlsReportsAction,
    },
    /// Shows the account's messages to terminals on this connection, each as a [`AdminResponse::Message`] to be answered
    /// with `Shown`, until it is closed.
    Attach {
        address: String,
    },
    /// The last message is on the terminal.
    Shown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppPasswordAction {
    /// Without a name it gets a number. The password is told once.
    Add {
        name: Option<String>,
        services: Vec<Service>,
    },
    List,
    Remove {
        name: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum AdminResponse {
    /// The request was refused or failed; tells what to do.
    Error {
        message: String,
    },
    Done {
        message: String,
    },
    Status {
        version: String,
        listeners: Vec<ListenerView>,
    },
    Domains {
        domains: Vec<DomainView>,
    },
    Accounts {
        accounts: Vec<AccountView>,
    },
    /// The password if one was made.
    Password {
        address: String,
        password: Option<Secret>,
        message: String,
    },
    AppPasswords {
        app_passwords: Vec<AppPasswordView>,
    },
    TurnDomains {
        turn_domains: Vec<TurnDomainView>,
    },
    Aliases {
        aliases: Vec<AliasView>,
    },
    Lists {
        lists: Vec<ListView>,
    },
    List(ListView),
    /// Who joined or left.
    Members {
        members: Vec<String>,
    },
    Queue(QueuePage),
    Sites {
        sites: Vec<SiteView>,
    },
    Histories {
        histories: Vec<HistoryView>,
    },
    Why {
        sentence: String,
    },
    /// One page; `next` is what to list after.
    Mailboxes {
        mailboxes: Vec<MailboxView>,
    },
    /// None at the end.
    Contents {
        likenesses: Vec<u64>,
        next: Option<u32>,
    },
    SnapshotTaken {
        taken_at: String,
    },
    /// So many follow.
    Octets {
        octets: u64,
    },
    /// The octets of all follow.
    Parts {
        parts: Vec<PartView>,
    },
    /// In the order of the marks.
    Known {
        known: Vec<bool>,
    },
    Imported {
        added: usize,
        known: usize,
    },
    /// The octets of its messages follow.
    Exported {
        messages: Vec<ExportedMessage>,
    },
    /// What can be restored, and how many there are in all.
    Expunged {
        messages: Vec<ExpungedView>,
        total: usize,
    },
    Shares {
        shares: Vec<ShareView>,
    },
    Suppressions {
        suppressions: Vec<SuppressionView>,
        next: Option<String>,
    },
    Route(RouteView),
    Session {
        phases: Vec<PhaseView>,
    },
    TlsDays {
        days: Vec<TlsDayView>,
    },
    TlsReports {
        reports: Vec<TlsReportView>,
    },
    TlsReceived {
        reports: Vec<TlsReceivedView>,
    },
    /// For an attached terminal.
    Message {
        notice: Notice,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerView {
    pub service: String,
    pub address: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainView {
    pub name: String,
    pub accounts: usize,
    pub aliases: usize,
    pub lists: usize,
    pub created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    pub address: String,
    #[serde(default)]
    pub full_name: Option<String>,
    pub messages: u64,
    pub bytes: u64,
    pub quota_bytes: Option<u64>,
    #[serde(default)]
    pub quota_messages: Option<u64>,
    /// Messages that the search index knows; some may be gone.
    #[serde(default)]
    pub indexed_messages: u64,
    #[serde(default)]
    pub index_bytes: u64,
    pub created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPasswordView {
    pub name: String,
    /// `submission`, `pop3`, `imap`, `odmr`
    pub services: Vec<String>,
    pub created_at: String,
    /// To the hour; none if it never was.
    pub last_used_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnDomainView {
    pub domain: String,
    /// The account that fetches its mail.
    pub account: String,
    pub created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasView {
    pub address: String,
    pub targets: Vec<String>,
    pub created_at: String,
}

/// A client as it would show itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorView {
    pub from_ip: IpAddr,
    /// The account it is logged in as.
    pub login: Option<String>,
    pub helo: Option<String>,
    pub mail_from: Option<String>,
    pub recipients: Vec<String>,
}

/// What policy says in one phase, rule by rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseView {
    /// `connect`, `helo`, `mail` or `rcpt`.
    pub phase: String,
    pub said: Option<String>,
    pub rules: Vec<RuleView>,
    /// The reply that refuses it.
    pub refused: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    pub rule: String,
    pub inputs: BTreeMap<String, String>,
    /// Why it lets pass, or `refused: ` and the reply.
    pub outcome: String,
}

/// Everything known about one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryView {
    pub id: String,
    pub events: Vec<EventView>,
    /// What of it is still in the queue.
    pub queued: Vec<EntryView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    pub at: String,
    /// `accepted`, `attempt`, `delivered`, …
    pub kind: String,
    /// One line for people.
    pub text: String,
    /// More lines that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub details: serde_json::Value,
}

impl AdminResponse {
    pub fn error(message: impl fmt::Display) -> Self {
        Self::Error { message: message.to_string() }
    }

    pub fn done(message: impl fmt::Display) -> Self {
        Self::Done { message: message.to_string() }
    }
}
