//! Why a command is not carried out, and how its client is told.

use proto::imap::response::{Code, Condition, Status};
use store::{CommitError, StoreError};

#[derive(Debug)]
pub(super) enum Refusal {
    /// It may not be, or cannot be done as it was asked.
    Told(Status),
    /// The store could not be read or written.
    Failed(CommitError),
}

impl Refusal {
    pub(super) fn no(code: Code, text: &str) -> Self {
        Self::Told(Status::no(code, text))
    }

    pub(super) fn bad(text: &str) -> Self {
        Self::Told(Status::bad(text))
    }

    /// RFC 5530: what the client can do about it stands in the code.
    pub(super) fn into_status(self) -> Status {
        match self {
            Self::Told(status) => status,
            Self::Failed(CommitError::Conflict(_)) => {
                Status::no(Code::InUse, "others changed it at the same time; try again")
            }
            Self::Failed(CommitError::Full | CommitError::Read(StoreError::Full)) => {
                tracing::error!("an IMAP command failed: the disk is full");
                Status::no(Code::Unavailable, "there is no space left; try again later")
            }
            Self::Failed(error) => {
                tracing::error!(%error, "an IMAP command failed");
                Status::new(Condition::No, Some(Code::ServerBug), "the mailbox could not be read or written")
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        Self::Failed(error)
    }
}
