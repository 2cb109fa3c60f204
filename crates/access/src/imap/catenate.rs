//! CATENATE (RFC 4469): a message that is made of parts of others, which need not come here once more.

use mail::Right;
use proto::imap::{response::Code, url::MessageUrl};

use super::{refusal::Refusal, session::Session, urls};

impl Session {
    /// Adds what the URL names to the message that is being made. It may name what the client may read.
    pub(super) async fn add_part(&mut self, url: &str) -> Result<(), Refusal> {
        let bad = || Refusal::no(Code::BadUrl(url.to_owned()), "that URL leads to nothing here");
        let parsed = MessageUrl::parse(url).filter(|url| url.server.is_none() && url.authorization.is_none());
        let parsed = parsed.ok_or_else(bad)?;
        let reached = self.find(&parsed.mailbox, Right::Read).await.map_err(|_| bad())?;
        let content = urls::open(&self.service.stores, &reached, &parsed).await?;
        let mut content = content.ok_or_else(bad)?;
        self.claim(content.octets()).await?;
        while let Some(chunk) = content.next().await? {
            self.write_message(chunk).await?;
        }
        Ok(())
    }
}
