//! What administrative commands ask and get: one JSON object a line, the same over the control socket and in process.

mod site;
mod suppression;
mod tls;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use mail::{QueueId, terminal::Notice};
use serde::{Deserialize, Serialize};
use store::directory::Service;

use super::selector::Selector;
pub use site::{HostView, LimitsView, RouteView, SiteView, WayView};
pub use suppression::{SUPPRESSION_PAGE_MAX, SuppressionAction, SuppressionView};
pub use tls::{TlsDayView, TlsFailureView, TlsPolicyView, TlsReceivedView, TlsReportView, TlsReportsAction};

/// Octets of one request line.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Octets of one response line.
pub const RESPONSE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Members added or removed with one request.
pub const LIST_PAGE_MEMBERS_MAX: usize = 500;
/// Queue entries looked at for one request; the answer says where to go on.
pub const QUEUE_PAGE_ENTRIES_MAX: usize = 1000;

/// A text that never shows in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(withheld)")
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
    AppPassword {
        address: String,
        action: AppPasswordAction,
    },
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
    Queue {
        action: QueueAction,
        selector: Selector,
        dry_run: bool,
        after: Option<Cursor>,
    },
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

/// What is none stays as it is, or is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSettings {
    pub name: Option<String>,
    pub owners: Option<Vec<String>>,
    pub posting: Option<Posting>,
    pub subscription: Option<Subscription>,
}

/// Who may write to a list; owners always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Posting {
    Anyone,
    Members,
    Owners,
}

/// Who may join a list by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Subscription {
    /// Everybody who confirms
    Open,
    /// Nobody: members are added by command
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueAction {
    List,
    Retry,
    Hold,
    Release,
    Delete,
}

/// The last entry looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub id: QueueId,
    pub part: u16,
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    pub address: String,
    pub name: Option<String>,
    pub owners: Vec<String>,
    pub posting: Posting,
    pub subscription: Subscription,
    pub member_count: u64,
    /// Where one list is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<MemberView>>,
    pub created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    pub address: String,
    pub since: String,
    pub bounces: u32,
    pub suspended_at: Option<String>,
}

/// One page of the queue: what matched in it, and where the next begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePage {
    /// With [`QueueAction::List`] only.
    pub entries: Vec<EntryView>,
    /// Entries that matched; those that were changed, unless it was a dry run.
    pub count: u64,
    /// Entries left alone because they go to recipients who were not selected.
    pub shared: u64,
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
