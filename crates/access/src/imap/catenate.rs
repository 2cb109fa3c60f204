//! CATENATE (RFC 4469): a message that is made of parts of others, which need not come here once more.

use proto::imap::{
    command::{Partial, SectionText},
    response::Code,
    url::MessageUrl,
};
use store::mailbox::{Summary, Uid};

use super::{
    fetch::{Form, Stream, form, measure, place},
    refusal::Refusal,
    session::Session,
};

impl Session {
    /// Adds what the URL names to the message that is being made. It may name messages of this account alone.
    pub(super) async fn add_part(&mut self, url: &str) -> Result<(), Refusal> {
        let bad = || Refusal::no(Code::BadUrl(url.to_owned()), "that URL leads to nothing here");
        let parsed = MessageUrl::parse(url).filter(|url| url.server.is_none() && url.authorization.is_none());
        let parsed = parsed.ok_or_else(bad)?;
        let (account, mailboxes) = (self.account()?.id, self.mailboxes());
        let mailbox = mailboxes.by_name(account, parsed.mailbox.as_str()).await?;
        let is_same = |validity: u32| parsed.uid_validity.is_none_or(|known| known == validity);
        let mailbox = mailbox.filter(|mailbox| is_same(mailbox.uid_validity)).ok_or_else(bad)?;
        let message = mailboxes.message(mailbox.id, Uid(parsed.uid)).await?.ok_or_else(bad)?;
        let (text, part) = (&parsed.section.text, parsed.section.part.as_slice());
        let range = match (text, part) {
            (SectionText::All, []) => Some(0..message.record.octets()),
            (text, part) => {
                let Summary { structure, .. } = mailboxes.summary(mailbox.id, &message).await?;
                structure.section(part, place(text))
            }
        };
        let (range, form): (_, Form) = (range.ok_or_else(bad)?, form(text));
        let measured = measure(&mailboxes, &message.record, range.clone(), &form).await?;
        let partial =
            parsed.partial.map(|(offset, octets)| Partial { offset, octets: octets.unwrap_or(u64::MAX) });
        let mut stream = Stream::new(&message.record, range, &form, measured.octets, partial);
        self.claim(stream.left()).await?;
        while let Some(chunk) = stream.next(&mailboxes).await? {
            self.write_message(chunk).await?;
        }
        Ok(())
    }
}
