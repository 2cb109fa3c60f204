//! What the machine asks of its driver, and what it gets back.

use bytes::Bytes;
use mail::{Delivery, Domain, MailParameters, Recipient, Reply, ReversePath};

use crate::{
    sasl::{BearerToken, Credentials, ScramOutcome, ScramUser, TokenHint},
    smtp::{attributes::Impersonation, data::Violation, turn::EtrnTarget},
};

/// What happened. Unless it says otherwise an event stays pending until its answer is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// EHLO, HELO or LHLO with this name, for `answer_hello`. The time to set what EHLO announces.
    Hello { name: String },
    /// MAIL, SEND, SOML or SAML, for `answer_mail`.
    Mail(MailRequest),
    /// For `answer_rcpt`. The recipients accepted so far are in `envelope()`.
    Rcpt(Recipient),
    /// DATA, or the first BDAT or BURL: content begins once `answer_data` accepts.
    Data,
    /// BURL: for `answer_url`, how many octets of content it names. Wants `Data` to have been accepted.
    Url(Box<str>),
    /// The next octets of it, for `push_url`.
    MoreOfUrl,
    /// The next piece of content; at most as much as was pushed. Wants no answer.
    Content(Bytes),
    /// All content is here and well-formed, for `answer_content` or `answer_content_each`.
    ContentEnd,
    /// The content begun with `Data` is void, and no `ContentEnd` will follow. Wants no answer.
    ContentAborted(Abort),
    /// For `answer_auth`. The accepted identity is `credentials.authorization_id`, or `authentication_id` where that
    /// is empty; whether one may act as the other is for the driver to find out.
    Authenticate(Credentials),
    /// For `answer_scram_verifier`. That there is no such user must not show: neither in what is answered nor in the
    /// time it takes.
    ScramVerifier(ScramUser),
    /// For `answer_auth`, like `Authenticate`; to be refused unless proven.
    Scram(ScramOutcome),
    /// For `answer_external`: whom the client wants to act as; empty means whom its certificate names.
    External(Box<str>),
    /// For `answer_token`.
    Token(BearerToken),
    /// VRFY, for `answer_verify`.
    Verify(Inquiry),
    /// EXPN, for `answer_expand`.
    Expand(Inquiry),
    /// XCLIENT, for `answer_impersonate`: a trusted proxy says who its client is. Reject with 421 if that client may not
    /// connect.
    Impersonate(Box<Impersonation>),
    /// ETRN, for `answer_etrn`.
    Etrn(EtrnTarget),
    /// ATRN or TURN for the mail of these domains, or of all that are the client's if there are none; for `answer_turn`.
    Turn(Vec<Domain>),
    /// The reply to it is written: from here on the connection is the driver's, as a client. Wants no answer.
    Turned,
}

/// What begins a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRequest {
    pub delivery: Delivery,
    pub reverse_path: ReversePath,
    pub parameters: MailParameters,
}

/// What VRFY or EXPN asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    pub argument: String,
    /// RFC 6531 §3.7.4.2: the client takes an answer in UTF-8; otherwise what is not ASCII in it becomes `?`.
    pub smtputf8: bool,
}

/// The driver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// With a positive reply, or `None` for the usual one.
    Accept(Option<Reply>),
    /// With a 4yz or 5yz reply. Code 421 closes the session.
    Reject(Reply),
}

impl Decision {
    /// Accept with the usual reply.
    pub const ACCEPT: Self = Self::Accept(None);
}

impl From<Result<(), Reply>> for Decision {
    fn from(result: Result<(), Reply>) -> Self {
        match result {
            Ok(()) => Self::ACCEPT,
            Err(reply) => Self::Reject(reply),
        }
    }
}

/// What comes of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    /// It is good, and belongs to this account.
    Accepted(String),
    /// The client is told how to get a better one, then 535.
    Refused(TokenHint),
    /// It was not looked at; a 4yz reply.
    Deferred(Reply),
}

/// Why content is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// It is larger than we take. The rest is discarded and answered 552.
    TooLarge,
    /// CR or LF stands alone in it. The rest is discarded and answered 550.
    BareLineEnd,
    /// NUL stands in text. The rest is discarded and answered 554.
    Nul,
    /// More chunks than we take.
    TooManyChunks,
    /// The client gave it up: RSET, EHLO or QUIT between chunks.
    Reset,
    TimedOut,
    /// The connection ended.
    Closed,
}

impl From<Violation> for Abort {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::BareLineEnd => Self::BareLineEnd,
            Violation::Nul => Self::Nul,
        }
    }
}
