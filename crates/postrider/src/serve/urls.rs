//! Submission finds what BURL names in the mailboxes that IMAP serves.

use access::imap::{self, UrlError};
use bytes::Bytes;
use mail::Timestamp;
use mta::urls::{UrlContent, UrlRefusal, UrlSource};
use store::{StoreError, Stores, directory::Account};

pub struct ImapUrls {
    pub stores: Stores,
}

struct Content(imap::UrlContent);

#[async_trait::async_trait]
impl UrlSource for ImapUrls {
    async fn open(
        &self,
        submitter: &Account,
        url: &str,
        now: Timestamp,
    ) -> Result<Box<dyn UrlContent>, UrlRefusal> {
        let content = imap::open_for_submission(&self.stores, submitter, url, now).await;
        match content {
            Ok(content) => Ok(Box::new(Content(content))),
            Err(UrlError::Malformed) => Err(UrlRefusal::Malformed),
            Err(UrlError::NotAuthorized) => Err(UrlRefusal::NotAuthorized),
            Err(UrlError::NotFound) => Err(UrlRefusal::NotFound),
            Err(UrlError::Store(error)) => Err(UrlRefusal::Unreadable(error)),
        }
    }
}

#[async_trait::async_trait]
impl UrlContent for Content {
    fn octets(&self) -> u64 {
        self.0.octets()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.0.next().await
    }
}
