//! What the machine is given to send, and what it tells.

use mail::{MailParameters, Recipient, Reply, ReversePath};

use crate::smtp::reply::ReplyError;

/// A message for a server: the envelope; the content is asked for when the server wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub reverse_path: ReversePath,
    /// `size` is of no account. `body` and `smtputf8` say what the message needs; whoever knows the content clears what
    /// it does not.
    pub mail: MailParameters,
    pub recipients: Vec<Recipient>,
    /// Octets of content, for SIZE.
    pub body_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection waits for `send` or `quit`. Told once each time; then the machine wants input, so that it notices
    /// when the server hangs up.
    Ready,
    /// What became of the recipient with this index in [`Transaction::recipients`], apart from the others.
    Recipient { index: usize, outcome: RecipientOutcome },
    /// The server takes content. Pending until `push_content` or `end_content`.
    WantContent,
    /// The transaction has ended, for all recipients that had no `Recipient` event. `Ready` follows.
    TransactionDone(Outcome),
    /// Nothing more goes on this connection. Recipients that had no outcome have none.
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientOutcome {
    /// RCPT was refused. `temporary`: it may go another time.
    Refused { reply: Reply, temporary: bool },
    /// The server takes no more recipients in this transaction; send it in the next at once (RFC 5321 §4.5.3.1.10).
    /// No reply: we did not even ask.
    TooMany(Option<Reply>),
    /// Not asked: its domain is one too many for this session, so it goes over another (RFC 9422 §4.3).
    OtherSession,
    /// LMTP's reply for this recipient (RFC 2033 §4.2).
    Final(Reply),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply to the end of content. With code 2yz the message is the server's.
    Replied(Reply),
    /// MAIL, DATA or a chunk was refused. `temporary`: it may go another time.
    Refused { stage: Stage, reply: Reply, temporary: bool },
    /// No recipient was accepted, and each had its event.
    NoRecipients,
    /// LMTP: each recipient had its event.
    Each,
    /// The server takes no further transaction in this session (RFC 9422 §4.1); nothing was sent.
    Spent,
    /// The message needs what the server does not have; nothing was sent.
    Unsupported(Missing),
}

/// What a server lacks for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    SmtpUtf8,
    EightBitMime,
    BinaryMime,
    /// DELIVERBY, or the time that is left is less than it asks for (RFC 2852 §4.1).
    DeliverBy,
    /// REQUIRETLS, or TLS (RFC 8689 §4.2.1).
    RequireTls,
    /// The message is larger than the server takes.
    Size {
        bytes_max: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub stage: Stage,
    pub cause: Cause,
    /// It may go another time, to this host; false only if the host said 5yz to our coming.
    pub temporary: bool,
}

/// How far the conversation had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Greeting,
    Hello,
    StartTls,
    Auth,
    Ready,
    Rset,
    Mail,
    Rcpt,
    Data,
    /// Content, and the reply to its end.
    Content,
    Quit,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("the server said: {0}")]
    Reply(Reply),
    /// It announced CHUNKING and does not know BDAT. Part of the content may have been read as commands; the message goes
    /// another time, with [`Config::chunking`](super::Config::chunking) off.
    #[error("the server announces BDAT and does not know it: {0}")]
    ChunkingRefused(Reply),
    #[error("{0}")]
    Protocol(#[from] ReplyError),
    #[error("the server spoke without being asked")]
    Unsolicited,
    #[error("the server did not answer in time")]
    TimedOut,
    #[error("the server closed the connection")]
    Closed,
    #[error("the server does not offer TLS")]
    TlsNotOffered,
    #[error("the TLS handshake failed")]
    TlsFailed,
    #[error("the server offers no authentication that we can use here")]
    AuthNotOffered,
    #[error("the server took our authentication without proving that it knows us")]
    AuthUnproven,
}
