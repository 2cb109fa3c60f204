use crate::engine::{CommitError, StoreError};

/// Why something was not done to a mailbox. The words are for whoever asked for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MailboxError {
    #[error("there is no such mailbox")]
    NotFound,
    #[error("there is a mailbox of that name already")]
    Exists,
    /// RFC 9051 §5.1, or a limit of ours.
    #[error("no mailbox can have that name: {0}")]
    Name(&'static str),
    #[error("INBOX is always there")]
    Inbox,
    /// RFC 6154 §3
    #[error("no mailbox can have that use")]
    SpecialUse,
    #[error("{0}")]
    Limit(&'static str),
    #[error("the account may not hold so much")]
    OverQuota,
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Read(#[from] StoreError),
}
