//! What BURL names (RFC 4468): messages of our own IMAP server. Nothing is fetched over a network.

use bytes::Bytes;
use mail::Timestamp;
use store::{StoreError, directory::Account};

/// Who finds out what a URL names, and whether it is for the submitter.
#[async_trait::async_trait]
pub trait UrlSource: Send + Sync {
    async fn open(
        &self,
        submitter: &Account,
        url: &str,
        now: Timestamp,
    ) -> Result<Box<dyn UrlContent>, UrlRefusal>;
}

/// Content, piece by piece.
#[async_trait::async_trait]
pub trait UrlContent: Send {
    /// In all.
    fn octets(&self) -> u64;
    /// The next octets, maybe none; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}

#[derive(Debug)]
pub enum UrlRefusal {
    Malformed,
    NotAuthorized,
    NotFound,
    Unreadable(StoreError),
}
