//! OK, NO, BAD, BYE and PREAUTH, and the codes behind them (RFC 9051 §7.1, RFC 5530, and the extensions).

use std::num::NonZeroU32;

use super::{
    super::{command::Flag, sequence::NumberSet},
    text,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Ok,
    No,
    Bad,
    Bye,
    PreAuth,
}

/// How a command went, or what the server has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub condition: Condition,
    pub code: Option<Code>,
    /// For people; what is not printable ASCII is written as `?`.
    pub text: String,
}

/// A response code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    Alert,
    AlreadyExists,
    /// RFC 4315
    AppendUid {
        uid_validity: NonZeroU32,
        uids: NumberSet,
    },
    AuthenticationFailed,
    AuthorizationFailed,
    /// RFC 5465: the events that are known.
    BadEvent(Vec<String>),
    BadCharset,
    /// RFC 4469
    BadUrl(String),
    Cannot,
    Capability(String),
    ClientBug,
    /// RFC 7162
    Closed,
    CompressionActive,
    ContactAdmin,
    CopyUid {
        uid_validity: NonZeroU32,
        from: NumberSet,
        to: NumberSet,
    },
    Corruption,
    Expired,
    ExpungeIssued,
    HasChildren,
    HighestModSeq(u64),
    /// RFC 9585
    InProgress {
        tag: String,
        done: Option<u32>,
        of: Option<u32>,
    },
    InUse,
    Limit,
    /// RFC 8474
    MailboxId(String),
    /// RFC 9738: so many messages were handled; all with UIDs below are still to do.
    MessageLimit {
        limit: u32,
        uid: Option<u32>,
    },
    /// RFC 5464
    MetadataLongEntries(u32),
    MetadataMaxSize(u32),
    MetadataNoPrivate,
    MetadataTooMany,
    /// RFC 7162
    Modified(NumberSet),
    NoModSeq,
    NoPerm,
    NoUpdate(String),
    NonExistent,
    NotificationOverflow,
    NotSaved,
    OverQuota,
    Parse,
    /// `any`: keywords that are not there yet can be made.
    PermanentFlags {
        flags: Vec<Flag>,
        any: bool,
    },
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(NonZeroU32),
    UidNotSticky,
    UidValidity(NonZeroU32),
    Unavailable,
    UnknownCte,
    /// RFC 3501: the first message that is not seen.
    Unseen(NonZeroU32),
    /// RFC 4467
    UrlMech(Vec<String>),
    UseAttr,
}

impl Status {
    pub fn new(condition: Condition, code: Option<Code>, text: &str) -> Self {
        Self { condition, code, text: text.to_owned() }
    }

    pub fn ok(text: &str) -> Self {
        Self::new(Condition::Ok, None, text)
    }

    pub fn no(code: Code, text: &str) -> Self {
        Self::new(Condition::No, Some(code), text)
    }

    pub fn bad(text: &str) -> Self {
        Self::new(Condition::Bad, None, text)
    }

    pub fn with(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }

    /// With its CRLF; `tag`: `*` where nothing is answered.
    pub(in super::super) fn write(&self, tag: &str, utf8: bool, out: &mut Vec<u8>) {
        let condition = match self.condition {
            Condition::Ok => "OK",
            Condition::No => "NO",
            Condition::Bad => "BAD",
            Condition::Bye => "BYE",
            Condition::PreAuth => "PREAUTH",
        };
        out.extend_from_slice(format!("{tag} {condition} ").as_bytes());
        if let Some(code) = &self.code {
            out.push(b'[');
            code.write(utf8, out);
            out.extend_from_slice(b"] ");
        }
        text::human(out, &self.text);
        out.extend_from_slice(b"\r\n");
    }
}

impl Code {
    fn write(&self, utf8: bool, out: &mut Vec<u8>) {
        match self {
            Self::BadUrl(url) => written(out, "BADURL ", |out| text::string(out, url, utf8)),
            Self::NoUpdate(tag) => written(out, "NOUPDATE ", |out| text::string(out, tag, utf8)),
            Self::InProgress { tag, done, of } => {
                written(out, "INPROGRESS (", |out| text::string(out, tag, utf8));
                for number in [done, of] {
                    let number = number.map_or("NIL".to_owned(), |number| number.to_string());
                    out.extend_from_slice(format!(" {number}").as_bytes());
                }
                out.push(b')');
            }
            code => out.extend_from_slice(code.plain().as_bytes()),
        }
    }

    fn plain(&self) -> String {
        match self {
            Self::AppendUid { uid_validity, uids } => format!("APPENDUID {uid_validity} {uids}"),
            Self::BadEvent(names) => format!("BADEVENT ({})", names.join(" ")),
            Self::Capability(names) => format!("CAPABILITY {names}"),
            Self::CopyUid { uid_validity, from, to } => format!("COPYUID {uid_validity} {from} {to}"),
            Self::HighestModSeq(modseq) => format!("HIGHESTMODSEQ {modseq}"),
            Self::MailboxId(id) => format!("MAILBOXID ({id})"),
            Self::MessageLimit { limit, uid: Some(uid) } => format!("MESSAGELIMIT {limit} {uid}"),
            Self::MessageLimit { limit, uid: None } => format!("MESSAGELIMIT {limit}"),
            Self::MetadataLongEntries(octets) => format!("METADATA LONGENTRIES {octets}"),
            Self::MetadataMaxSize(octets) => format!("METADATA MAXSIZE {octets}"),
            Self::Modified(set) => format!("MODIFIED {set}"),
            Self::PermanentFlags { flags, any } => {
                let names = flags.iter().map(Flag::name).chain(any.then_some("\\*"));
                format!("PERMANENTFLAGS ({})", names.collect::<Vec<_>>().join(" "))
            }
            Self::UidNext(uid) => format!("UIDNEXT {uid}"),
            Self::UidValidity(value) => format!("UIDVALIDITY {value}"),
            Self::Unseen(number) => format!("UNSEEN {number}"),
            Self::UrlMech(names) => format!("URLMECH {}", names.join(" ")),
            code => code.name().to_owned(),
        }
    }

    /// Of those that are a name and nothing else, and empty for the others.
    const fn name(&self) -> &'static str {
        match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset => "BADCHARSET (UTF-8 US-ASCII)",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::MetadataNoPrivate => "METADATA NOPRIVATE",
            Self::MetadataTooMany => "METADATA TOOMANY",
            Self::NoModSeq => "NOMODSEQ",
            Self::NoPerm => "NOPERM",
            Self::NonExistent => "NONEXISTENT",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::NotSaved => "NOTSAVED",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
            Self::AppendUid { .. }
            | Self::BadEvent(_)
            | Self::BadUrl(_)
            | Self::Capability(_)
            | Self::CopyUid { .. }
            | Self::HighestModSeq(_)
            | Self::InProgress { .. }
            | Self::MailboxId(_)
            | Self::MessageLimit { .. }
            | Self::MetadataLongEntries(_)
            | Self::MetadataMaxSize(_)
            | Self::Modified(_)
            | Self::NoUpdate(_)
            | Self::PermanentFlags { .. }
            | Self::UidNext(_)
            | Self::UidValidity(_)
            | Self::Unseen(_)
            | Self::UrlMech(_) => "",
        }
    }
}

fn written(out: &mut Vec<u8>, before: &str, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(before.as_bytes());
    write(out);
}
