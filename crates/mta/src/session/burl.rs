//! BURL: content by the URL of a message in a mailbox here (RFC 4468).

use bytes::Bytes;
use mail::{Address, Reply};

use super::{Session, decide::unstorable};
use crate::{
    Mta,
    urls::{UrlContent, UrlRefusal},
};

impl Session {
    /// How many octets the URL names.
    pub(super) async fn open_url(&mut self, url: &str) -> Result<u64, Reply> {
        let content = find(&self.mta.clone(), self.identity.clone(), url).await?;
        let octets = content.octets();
        self.transaction.get_or_insert_default().url = Some(content);
        Ok(octets)
    }

    /// The next octets of it; none where it ends.
    pub(super) async fn more_of_url(&mut self) -> Result<Bytes, Reply> {
        let url = self.transaction.as_mut().and_then(|transaction| transaction.url.as_mut());
        let Some(url) = url else { return Ok(Bytes::new()) };
        loop {
            match url.next().await {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(piece) => return Ok(piece.unwrap_or_default()),
                Err(error) => return Err(unstorable(&error)),
            }
        }
    }
}

async fn find(mta: &Mta, identity: Option<Address>, url: &str) -> Result<Box<dyn UrlContent>, Reply> {
    let (Some(source), Some(identity)) = (mta.urls.get(), identity) else {
        return Err(refusal(UrlRefusal::NotAuthorized));
    };
    let submitter = mta.stores.directory.account(&identity).await.map_err(|error| unstorable(&error))?;
    let submitter = submitter.ok_or_else(|| refusal(UrlRefusal::NotAuthorized))?;
    source.open(&submitter, url, mta.world.clock.wall()).await.map_err(refusal)
}

/// RFC 4468 §6, §7
fn refusal(why: UrlRefusal) -> Reply {
    match why {
        UrlRefusal::Malformed => Reply::new(501, (5, 5, 4), "that is no URL of a message on our IMAP server"),
        UrlRefusal::NotAuthorized => Reply::new(554, (5, 7, 8), "that URL is not for you, or no longer"),
        UrlRefusal::NotFound => Reply::new(554, (5, 6, 6), "what the URL names is not there"),
        UrlRefusal::Unreadable(error) => unstorable(&error),
    }
}
