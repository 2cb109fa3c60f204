//! What a listener offers and how much it bears.

use std::{sync::Arc, time::Duration};

use mail::{Timestamp, limits::SERVER_COMMAND_TIMEOUT};

/// Shared by all sessions of a listener.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in the greeting and the reply to EHLO.
    pub hostname: Arc<str>,
    pub flavour: Flavour,
    pub extensions: Extensions,
    pub starttls: StartTls,
    /// AUTH is offered; the mechanisms that show the password under TLS only.
    pub auth: bool,
    /// They are offered without TLS too.
    pub plaintext_auth: bool,
    /// Octets that come before the greeting, behind EHLO or HELO, or behind DATA before its 354 end the session with
    /// 554 (RFC 2920 §3.1). Without it they count as commands or as content.
    pub refuse_early_talk: bool,
    /// Classes of solicitation that are refused, announced with NO-SOLICITING (RFC 3865). None: it is not offered.
    pub no_soliciting: mail::Solicitation,
    pub limits: Limits,
}

impl Config {
    /// Everything on that needs nothing from outside: no TLS, no AUTH.
    pub fn new(hostname: impl Into<Arc<str>>, flavour: Flavour) -> Self {
        Self {
            hostname: hostname.into(),
            flavour,
            extensions: Extensions::default(),
            starttls: StartTls::Off,
            auth: false,
            plaintext_auth: false,
            refuse_early_talk: true,
            no_soliciting: mail::Solicitation::default(),
            limits: Limits::default(),
        }
    }
}

/// Which dialect of the protocol a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// RFC 5321
    Smtp,
    /// RFC 6409
    Submission,
    /// RFC 2033
    Lmtp,
    /// RFC 2645: no mail comes in, a client that has logged in asks for its own.
    Odmr,
}

/// The extensions that can be switched. PIPELINING, SIZE, 8BITMIME, ENHANCEDSTATUSCODES and HELP are always there;
/// STARTTLS and AUTH follow from [`Config`] and the state of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 3030 §2
    pub chunking: bool,
    /// RFC 3030 §3; means nothing without `chunking`.
    pub binary_mime: bool,
    /// RFC 4468: content comes from our own IMAP server too, for clients that have logged in.
    pub burl: bool,
    /// RFC 6531
    pub smtputf8: bool,
    /// RFC 3461
    pub dsn: bool,
    /// EXPN is announced and asked for with an event; off, it is answered 502.
    pub expn: bool,
    /// The client may say with XCLIENT that it is somebody else, or with XFORWARD whose mail it brings (Postfix).
    pub xclient: bool,
    pub xforward: bool,
    /// RFC 8689; offered under TLS only.
    pub require_tls: bool,
    /// RFC 7293
    pub rrvs: bool,
    /// RFC 3885, MTRK; means nothing without `dsn`.
    pub tracking: bool,
    /// SEND, SOML and SAML are announced and served (RFC 821 §3.4); off, they are answered 502.
    pub send: bool,
    /// RFC 1985. What the configuration says decides whether it is served, what the session has whether it is announced.
    pub etrn: bool,
    /// RFC 821 §3.8, for clients that have logged in under TLS; announced to them only.
    pub turn: bool,
    /// RFC 2852: the fewest seconds that we promise to return a message in; 0 for any.
    pub deliver_by: Option<u32>,
    /// RFC 6710
    pub mt_priority: bool,
    /// RFC 4865, for submission. To be set with each EHLO, for it holds a date.
    pub future_release: Option<HoldMax>,
}

/// How far ahead a message may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldMax {
    pub seconds: u32,
    pub until: Timestamp,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            chunking: true,
            binary_mime: false,
            burl: false,
            smtputf8: true,
            dsn: false,
            expn: false,
            xclient: false,
            xforward: false,
            send: false,
            etrn: false,
            turn: false,
            deliver_by: None,
            mt_priority: false,
            future_release: None,
            require_tls: false,
            rrvs: false,
            tracking: false,
        }
    }
}

/// RFC 3207
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    Off,
    Offered,
    /// Nothing but NOOP, EHLO, STARTTLS and QUIT goes without it.
    Required,
}

/// How much one session may use up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// 0: no limit of our own.
    pub message_bytes_max: u64,
    /// Recipients of one transaction; the next gets 452.
    pub recipients_max: usize,
    /// Unknown, malformed or misplaced commands since the last accepted message.
    pub errors_max: u32,
    /// Commands since the last accepted message.
    pub commands_max: u32,
    /// Refused recipients since the last accepted message.
    pub refused_recipients_max: u32,
    pub auth_failures_max: u32,
    /// MAIL commands in one connection, whatever comes of them; the next gets 421.
    pub transactions_max: u32,
    /// BDAT commands in one transaction.
    pub chunks_max: u32,
    /// Until the next command is complete.
    pub command_timeout: Duration,
    /// For the content of one message, from DATA or the first BDAT to its end.
    pub content_timeout: Duration,
    /// Within this time content has to come on by `progress_bytes_min`, or end.
    pub progress_timeout: Duration,
    pub progress_bytes_min: u64,
}

impl Limits {
    /// The limits that clients are told, as far as six digits can say them (RFC 9422 §4).
    pub(super) fn announcement(&self) -> Option<String> {
        let told =
            [("RCPTMAX", u32::try_from(self.recipients_max).ok()), ("MAILMAX", Some(self.transactions_max))];
        let told: Vec<String> = told
            .into_iter()
            .filter_map(|(name, most)| Some((name, most.filter(|most| (1..=999_999).contains(most))?)))
            .map(|(name, most)| format!("{name}={most}"))
            .collect();
        (!told.is_empty()).then(|| format!("LIMITS {}", told.join(" ")))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 50 << 20,
            recipients_max: 1000,
            errors_max: 20,
            commands_max: 10_000,
            refused_recipients_max: 200,
            auth_failures_max: 3,
            transactions_max: u32::MAX,
            chunks_max: 100_000,
            command_timeout: SERVER_COMMAND_TIMEOUT,
            content_timeout: Duration::from_hours(1),
            progress_timeout: Duration::from_mins(5),
            progress_bytes_min: 16 << 10,
        }
    }
}
