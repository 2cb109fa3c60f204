//! GENURLAUTH, RESETKEY, URLFETCH (RFC 4467): URLs that let others read a message.

use std::collections::VecDeque;

use mail::{Right, Rights};
use proto::imap::{
    command::{GenUrlAuth, MailboxName},
    response::{Code, Data, Status},
    url::MessageUrl,
};

use super::{
    refusal::Refusal,
    session::{OUTPUT_BYTES_MAX, Session},
    urls::{MECHANISM, Reader, UrlContent, UrlError, open_signed, sign, signer},
};

/// A URLFETCH under way.
pub(super) struct UrlWork {
    urls: VecDeque<String>,
    content: Option<UrlContent>,
}

impl UrlWork {
    pub(super) fn new(urls: Vec<String>) -> Self {
        Self { urls: urls.into(), content: None }
    }
}

impl Session {
    pub(super) async fn gen_url_auth(&mut self, wanted: &[GenUrlAuth]) -> Result<Status, Refusal> {
        let mut signed = Vec::with_capacity(wanted.len());
        for GenUrlAuth { url, mechanism } in wanted {
            if mechanism != MECHANISM {
                return Err(Refusal::bad("only INTERNAL is known here"));
            }
            signed.push(self.sign_url(url).await?);
        }
        self.machine.data(&Data::GenUrlAuth(signed));
        Ok(Status::ok("that is all"))
    }

    /// RFC 4467 §7: the URL says who it is for, and names the client as the user who may read what it names.
    async fn sign_url(&mut self, url: &str) -> Result<String, Refusal> {
        let parsed = MessageUrl::parse(url);
        let unsigned = |parsed: &MessageUrl| {
            let authorization = parsed.authorization.as_ref();
            authorization.is_some_and(|authorization| authorization.signature.is_none())
        };
        let Some(parsed) = parsed.filter(unsigned) else {
            return Err(Refusal::bad("that is no URL of a message with ;URLAUTH= and who may use it"));
        };
        let account = self.account()?.clone();
        if signer(&self.service.stores, &parsed).await?.is_none_or(|signer| signer.id != account.id) {
            return Err(Refusal::no(Code::Cannot, "the URL has to name you as its user"));
        }
        let mailbox = self.find(&parsed.mailbox, Right::Read).await?.mailbox.id;
        if mailbox.is_outbox() {
            // What is in it comes and goes as the queue does.
            return Err(Refusal::no(Code::Cannot, "nothing in Outbox can be signed"));
        }
        let entropy = self.service.entropy.clone();
        let key = self.mailboxes().make_url_key(account.id, mailbox, &*entropy).await?;
        Ok(sign(url, &key))
    }

    /// What was signed is worth nothing any more.
    pub(super) async fn reset_key(
        &mut self,
        name: Option<&MailboxName>,
        mechanisms: &[String],
    ) -> Result<Status, Refusal> {
        if mechanisms.iter().any(|mechanism| mechanism != MECHANISM) {
            return Err(Refusal::bad("only INTERNAL is known here"));
        }
        let account = self.account()?.clone();
        let mailbox = match name {
            Some(name) => {
                // Whoever may not see the mailbox any more takes back all that was signed.
                let needed: Rights = [Right::Lookup, Right::Read].into_iter().collect();
                Some(self.find(name, needed).await?.mailbox.id)
            }
            None => None,
        };
        self.mailboxes().forget_url_keys(account.id, mailbox).await?;
        Ok(Status::ok("what was signed is void").with(Code::UrlMech(vec![MECHANISM.to_owned()])))
    }

    /// Writes what there is room for. The status at the end.
    pub(super) async fn fetch_urls_on(&mut self, work: &mut UrlWork) -> Result<Option<Status>, Refusal> {
        while self.machine.output_len() < OUTPUT_BYTES_MAX {
            if let Some(content) = &mut work.content {
                match content.next().await? {
                    Some(chunk) => self.machine.content(&chunk),
                    None => work.content = None,
                }
                continue;
            }
            let Some(url) = work.urls.pop_front() else { return Ok(Some(Status::ok("that is all"))) };
            let now = self.service.clock.wall();
            match open_signed(&self.service.stores, Reader::Person(self.account()?), &url, now).await {
                Ok(content) => {
                    self.machine.start_url(&url, content.octets());
                    work.content = Some(content);
                }
                Err(UrlError::Store(error)) => return Err(error.into()),
                // RFC 4467 §7: why, is not told.
                Err(_) => {
                    self.machine.data(&Data::UrlFetch(vec![(url, None)]));
                }
            }
        }
        Ok(None)
    }
}
