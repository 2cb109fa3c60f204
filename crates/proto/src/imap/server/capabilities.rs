//! What is offered, and what has been switched on (RFC 9051 §6.1.1, RFC 5161).

use super::{
    Config,
    session::{Phase, Server},
};
use crate::{machine::Tls, sasl::Mechanism};

/// What IMAP4rev2 has by itself, named for clients of RFC 3501.
const BUILT_IN: &str = "ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT MOVE CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE \
                        STATUS=SIZE ESEARCH SEARCHRES BINARY";

/// What the driver can do or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    Acl,
    Catenate,
    Compress,
    CondStore,
    CreateSpecialUse,
    ESort,
    InProgress,
    ListMetadata,
    ListMyRights,
    Metadata,
    MultiAppend,
    Notify,
    ObjectId,
    Partial,
    Preview,
    QResync,
    Quota,
    Replace,
    SaveDate,
    Sort,
    Thread,
    Unauthenticate,
    UrlAuth,
    Utf8Accept,
    Within,
}

impl Extension {
    pub const ALL: [Self; 25] = [
        Self::Acl,
        Self::Catenate,
        Self::Compress,
        Self::CondStore,
        Self::CreateSpecialUse,
        Self::ESort,
        Self::InProgress,
        Self::ListMetadata,
        Self::ListMyRights,
        Self::Metadata,
        Self::MultiAppend,
        Self::Notify,
        Self::ObjectId,
        Self::Partial,
        Self::Preview,
        Self::QResync,
        Self::Quota,
        Self::Replace,
        Self::SaveDate,
        Self::Sort,
        Self::Thread,
        Self::Unauthenticate,
        Self::UrlAuth,
        Self::Utf8Accept,
        Self::Within,
    ];

    /// As it is announced.
    pub const fn names(self) -> &'static str {
        match self {
            Self::Acl => "ACL RIGHTS=texk",
            Self::Catenate => "CATENATE",
            Self::Compress => "COMPRESS=DEFLATE",
            Self::CondStore => "CONDSTORE",
            Self::CreateSpecialUse => "CREATE-SPECIAL-USE",
            Self::ESort => "ESORT",
            Self::InProgress => "INPROGRESS",
            Self::ListMetadata => "LIST-METADATA",
            Self::ListMyRights => "LIST-MYRIGHTS",
            // RFC 5464 §1: that of the server is part of it.
            Self::Metadata => "METADATA",
            Self::MultiAppend => "MULTIAPPEND",
            Self::Notify => "NOTIFY",
            Self::ObjectId => "OBJECTID",
            Self::Partial => "PARTIAL",
            Self::Preview => "PREVIEW",
            Self::QResync => "QRESYNC",
            Self::Quota => "QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE",
            Self::Replace => "REPLACE",
            Self::SaveDate => "SAVEDATE",
            Self::Sort => "SORT",
            Self::Thread => "THREAD=REFERENCES THREAD=ORDEREDSUBJECT",
            Self::Unauthenticate => "UNAUTHENTICATE",
            Self::UrlAuth => "URLAUTH",
            Self::Utf8Accept => "UTF8=ACCEPT",
            Self::Within => "WITHIN",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions(u32);

impl Extensions {
    pub fn all() -> Self {
        Extension::ALL.into_iter().collect()
    }

    pub const fn has(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        Self(extensions.into_iter().fold(0, |bits, extension| bits | extension.bit()))
    }
}

/// What the client has switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enabled {
    /// IMAP4rev2: search results are ESEARCH, names UTF-8, and there is no RECENT.
    pub rev2: bool,
    pub utf8_accept: bool,
    /// With ENABLE, or by asking for mod-sequences (RFC 7162 §3.1).
    pub condstore: bool,
    pub qresync: bool,
}

impl Enabled {
    pub const fn utf8(self) -> bool {
        self.rev2 || self.utf8_accept
    }

    /// Returns the name to tell if it was not on before.
    fn enable(&mut self, name: &str, offered: Extensions) -> Option<&'static str> {
        let (name, switch) = match name {
            "IMAP4REV2" => ("IMAP4rev2", &mut self.rev2),
            "UTF8=ACCEPT" if offered.has(Extension::Utf8Accept) => ("UTF8=ACCEPT", &mut self.utf8_accept),
            "CONDSTORE" if offered.has(Extension::CondStore) => ("CONDSTORE", &mut self.condstore),
            "QRESYNC" if offered.has(Extension::QResync) => {
                // RFC 7162 §3.2.3
                self.condstore = true;
                ("QRESYNC", &mut self.qresync)
            }
            _ => return None,
        };
        (!std::mem::replace(switch, true)).then_some(name)
    }
}

impl Server {
    /// What is switched on; a driver writes accordingly.
    pub fn enabled(&self) -> Enabled {
        self.enabled
    }

    pub(super) fn enable(&mut self, names: &[String]) -> Vec<&'static str> {
        let offered = self.config.extensions;
        let new = names.iter().filter_map(|name| self.enabled.enable(name, offered)).collect();
        self.encoder.set_utf8(self.enabled.utf8());
        new
    }

    pub(super) fn capabilities(&self) -> String {
        if self.phase == Phase::NotAuthenticated {
            return self.capabilities_before_login();
        }
        let Config { extensions, append_bytes_max, message_limit, .. } = &self.config;
        let offered = Extension::ALL.into_iter().filter(|extension| extensions.has(*extension));
        let mut names = vec!["IMAP4rev2", "IMAP4rev1", "LITERAL+", BUILT_IN];
        names.extend(offered.map(Extension::names));
        let limit = message_limit.map(|limit| format!(" MESSAGELIMIT={limit}")).unwrap_or_default();
        format!("{} APPENDLIMIT={append_bytes_max}{limit}", names.join(" "))
    }

    fn capabilities_before_login(&self) -> String {
        let with_passwords = self.passwords_allowed();
        let mechanisms = Mechanism::announcement(&self.channel, with_passwords);
        let mut names = "IMAP4rev2 IMAP4rev1 LITERAL- ID ENABLE SASL-IR".to_owned();
        if self.config.tls == Tls::Available {
            names.push_str(" STARTTLS");
        }
        if !with_passwords {
            names.push_str(" LOGINDISABLED");
        }
        for mechanism in mechanisms.split_whitespace() {
            names.push_str(" AUTH=");
            names.push_str(mechanism);
        }
        names
    }
}
