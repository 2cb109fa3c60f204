//! The commands and their arguments (RFC 9051 §6, RFC 3501 §6, and the extensions named at each).

mod access;
pub(super) mod append;
mod fetch;
mod list;
mod mailbox;
mod metadata;
mod notify;
mod parse;
mod quota;
mod search;
mod select;
mod session;
mod store;
#[cfg(test)]
mod tests;
mod urlauth;

pub use access::{Right, Rights, RightsChange};
pub use append::{AppendMessage, AppendStart, Replaced};
pub use fetch::{Fetch, FetchItem, FetchModifiers, Partial, Section, SectionText};
pub use list::{List, ListReturn, ListSelection, SpecialUse};
pub use mailbox::{MAILBOX_NAME_BYTES_MAX, MailboxName, StatusItem};
pub use metadata::{Annotation, AnnotationDepth, GetMetadata};
pub use notify::{EventGroup, Events, MailboxFilter, MessageNew, Notify};
pub(super) use parse::{is_append, parse, tag_of};
pub use quota::QuotaResource;
pub use search::{
    Direction, EnvelopeField, PartialRange, Search, SearchKey, SearchReturn, Sort, SortField, SortKey,
    Thread, ThreadAlgorithm, WhichDate,
};
pub use select::{KnownMessages, QResync, Select};
pub use session::{Identification, InitialResponse};
pub use store::{Flag, Store, StoreAction};
pub use urlauth::GenUrlAuth;

use super::sequence::SequenceSet;
use crate::sasl::Credentials;

/// A command with its tag; APPEND and REPLACE come in pieces instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    pub tag: String,
    pub command: Command,
}

/// What a client asks for. `uid`: numbers are UIDs, and so they are in what is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Capability,
    Noop,
    Logout,
    /// RFC 2971
    Id(Identification),
    StartTls,
    Authenticate {
        mechanism: String,
        initial_response: Option<InitialResponse>,
    },
    /// `None`: what no account can have.
    Login(Option<Credentials>),
    /// RFC 8437
    Unauthenticate,
    /// RFC 5161; names in upper case, known or not.
    Enable(Vec<String>),
    /// SELECT and EXAMINE.
    Select(Box<Select>),
    Create {
        mailbox: MailboxName,
        /// RFC 6154 §3
        uses: Vec<SpecialUse>,
    },
    Delete(MailboxName),
    Rename {
        from: MailboxName,
        to: MailboxName,
    },
    Subscribe(MailboxName),
    Unsubscribe(MailboxName),
    List(Box<List>),
    Lsub {
        reference: String,
        pattern: String,
    },
    /// RFC 2342
    Namespace,
    Status {
        mailbox: MailboxName,
        items: Vec<StatusItem>,
    },
    /// RFC 2177
    Idle,
    /// RFC 4978
    Compress,
    /// RFC 4314
    GetAcl(MailboxName),
    SetAcl {
        mailbox: MailboxName,
        identifier: String,
        change: RightsChange,
    },
    DeleteAcl {
        mailbox: MailboxName,
        identifier: String,
    },
    ListRights {
        mailbox: MailboxName,
        identifier: String,
    },
    MyRights(MailboxName),
    /// RFC 9208
    GetQuota(String),
    GetQuotaRoot(MailboxName),
    SetQuota {
        root: String,
        limits: Vec<(QuotaResource, u64)>,
    },
    /// RFC 5464. `mailbox`: `None` for the server itself.
    GetMetadata(Box<GetMetadata>),
    SetMetadata {
        mailbox: Option<MailboxName>,
        annotations: Vec<Annotation>,
    },
    /// RFC 5465
    Notify(Notify),
    /// RFC 4467
    GenUrlAuth(Vec<GenUrlAuth>),
    /// Of one mailbox, or all; `mechanisms` empty: all.
    ResetKey {
        mailbox: Option<MailboxName>,
        mechanisms: Vec<String>,
    },
    UrlFetch(Vec<String>),
    Check,
    Close,
    /// RFC 3691
    Unselect,
    /// UID EXPUNGE with its UIDs (RFC 4315 §2.1).
    Expunge(Option<SequenceSet>),
    Search {
        uid: bool,
        search: Box<Search>,
    },
    /// RFC 5256
    Sort {
        uid: bool,
        sort: Box<Sort>,
    },
    Thread {
        uid: bool,
        thread: Box<Thread>,
    },
    Fetch {
        uid: bool,
        fetch: Box<Fetch>,
    },
    Store {
        uid: bool,
        store: Box<Store>,
    },
    Copy {
        uid: bool,
        messages: SequenceSet,
        to: MailboxName,
    },
    /// RFC 6851
    Move {
        uid: bool,
        messages: SequenceSet,
        to: MailboxName,
    },
}
