//! CATENATE (RFC 4469): a message that is made of parts of others, which need not come here once more.

use mail::Right;
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
    /// Adds what the URL names to the message that is being made. It may name what the client may read.
    pub(super) async fn add_part(&mut self, url: &str) -> Result<(), Refusal> {
        let bad = || Refusal::no(Code::BadUrl(url.to_owned()), "that URL leads to nothing here");
        let parsed = MessageUrl::parse(url).filter(|url| url.server.is_none() && url.authorization.is_none());
        let parsed = parsed.ok_or_else(bad)?;
        let mailbox = self.find(&parsed.mailbox, Right::Read).await.map_err(|_| bad())?.mailbox;
        if parsed.uid_validity.is_some_and(|known| known != mailbox.uid_validity) {
            return Err(bad());
        }
        let mailboxes = self.mailboxes();
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
