//! What can be wrong with a command. The words go to the client.

use super::SEARCH_KEYS_MAX;

/// Why a command cannot be carried out as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("a command begins with a tag, a space and a name")]
    NoTag,
    #[error("there is no such command")]
    Unknown,
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("something follows that the command does not take")]
    Trailing,
    #[error("no more than {limit} {what} are taken")]
    TooMany { what: &'static str, limit: usize },
    #[error("brackets are nested too deeply")]
    TooDeep,
    #[error("no more than {SEARCH_KEYS_MAX} search keys are taken")]
    SearchKeys,
    #[error("the command is too long")]
    TooLong,
    #[error("the literal is too long")]
    LiteralTooLong,
    /// RFC 7888 §4: only LITERAL- is on offer.
    #[error("a literal of that size has to wait for the continuation")]
    LiteralMustWait,
    /// RFC 3502 §6.3.11
    #[error("an empty message cancels the command")]
    Cancelled,
    #[error("a literal may not contain NUL")]
    Nul,
    #[error("text has to be UTF-8")]
    NotUtf8,
    #[error("only UTF-8 and US-ASCII are known here")]
    Charset,
    #[error("that is no name for a mailbox here")]
    MailboxName,
    #[error("no such system flag can be set")]
    Flag,
    #[error("there is no such right")]
    Right,
    #[error("that is no name of an annotation")]
    AnnotationName,
    #[error("there is no such event")]
    Event,
    #[error("there is no such use of a mailbox")]
    SpecialUse,
}

/// Why the grammar stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The octets of a literal are to follow; what stands before it is right.
    Literal,
    Error(CommandError),
}

impl From<CommandError> for Fault {
    fn from(error: CommandError) -> Self {
        Self::Error(error)
    }
}

pub(super) type Parsed<T> = Result<T, Fault>;

pub(super) fn expected<T>(what: &'static str) -> Parsed<T> {
    Err(Fault::Error(CommandError::Expected(what)))
}
