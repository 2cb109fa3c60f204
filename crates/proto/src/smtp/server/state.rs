//! What a session is doing.

use bytes::Bytes;
use mail::{Domain, Recipient, Reply};

use super::{Event, Inquiry, MailRequest};
use crate::{
    sasl::{BearerToken, Credentials, SaslServer, ScramOutcome, ScramUser},
    smtp::{attributes::Impersonation, data::DataDecoder, turn::EtrnTarget},
};

/// States that wait for an answer of the driver hold what they asked, and stay until it comes.
#[derive(Debug)]
pub(super) enum State {
    Greeting,
    RefusingGreeting(Box<Reply>),
    /// Everything but QUIT gets 503, or this greeting again if it was 521.
    Refusing(Box<Reply>),
    Command,
    SaslResponse(Box<SaslServer>),
    /// DATA's content, up to the lone dot.
    Data(DataDecoder),
    /// A chunk of the transaction's content.
    Chunk(Chunk),
    /// What a URL named, as the driver has it.
    Url(UrlContent),
    /// A chunk that nobody wants; its reply stands already.
    RefusedChunk {
        octets: u64,
        reply: Box<Reply>,
    },
    Deciding(Question),
    StartingTls,
    /// Once the reply is written, the connection is the driver's.
    Turned,
    Closing,
}

/// What is left of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) octets: u64,
    pub(super) last: bool,
}

/// What is left of it.
#[derive(Debug)]
pub(super) struct UrlContent {
    pub(super) octets: u64,
    pub(super) last: bool,
    pub(super) piece: Option<Bytes>,
}

/// What BURL asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) url: Box<str>,
    pub(super) last: bool,
}

/// How content begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Data,
    /// With the chunk that comes.
    Bdat(Chunk),
    Burl(Wanted),
}

/// What the driver decides.
#[derive(Debug)]
pub(super) enum Question {
    Hello(Box<Hello>),
    Mail(Box<MailRequest>),
    Rcpt(Box<Recipient>),
    Data(Opening),
    Url(Wanted),
    Content,
    Authenticate(Box<Credentials>),
    /// For the exchange to go on.
    ScramVerifier(Box<ScramUser>, Box<SaslServer>),
    Scram(Box<ScramOutcome>),
    /// For the exchange to go on if it is refused.
    Token(Box<BearerToken>, Box<SaslServer>),
    External(Box<str>),
    Verify(Box<Inquiry>),
    Expand(Box<Inquiry>),
    Impersonate(Box<Impersonation>),
    Etrn(Box<EtrnTarget>),
    Turn(Vec<Domain>),
}

#[derive(Debug)]
pub(super) struct Hello {
    pub(super) name: String,
    /// EHLO or LHLO.
    pub(super) esmtp: bool,
}

/// What a step of the session leads to.
pub(super) enum Progress {
    More,
    Event(Event),
    Pause(Pause),
}

/// What the session waits for once its output is written.
pub(super) enum Pause {
    Input,
    Tls,
    Turned,
    Close,
}

impl Question {
    pub(super) fn event(&self) -> Event {
        match self {
            Self::Hello(hello) => Event::Hello { name: hello.name.clone() },
            Self::Mail(request) => Event::Mail(MailRequest::clone(request)),
            Self::Rcpt(recipient) => Event::Rcpt(Recipient::clone(recipient)),
            Self::Data(_) => Event::Data,
            Self::Url(wanted) => Event::Url(wanted.url.clone()),
            Self::Content => Event::ContentEnd,
            Self::Authenticate(credentials) => Event::Authenticate(Credentials::clone(credentials)),
            Self::ScramVerifier(user, _) => Event::ScramVerifier(ScramUser::clone(user)),
            Self::Scram(outcome) => Event::Scram(ScramOutcome::clone(outcome)),
            Self::External(authorization_id) => Event::External(authorization_id.clone()),
            Self::Token(token, _) => Event::Token(BearerToken::clone(token)),
            Self::Verify(inquiry) => Event::Verify(Inquiry::clone(inquiry)),
            Self::Expand(inquiry) => Event::Expand(Inquiry::clone(inquiry)),
            Self::Impersonate(told) => Event::Impersonate(told.clone()),
            Self::Etrn(target) => Event::Etrn(EtrnTarget::clone(target)),
            Self::Turn(domains) => Event::Turn(domains.clone()),
        }
    }
}
