//! STATUS (RFC 9051 §6.3.11, RFC 8438, RFC 7889, RFC 8474).

use mail::Right;
use proto::imap::{
    command::{MailboxName, StatusItem},
    response::{Data, Status, StatusValue},
};
use store::mailbox::{Flags, Mailbox, MailboxId, MailboxStatus};

use super::{refusal::Refusal, session::Session};

impl Session {
    pub(super) async fn status(
        &mut self,
        name: &MailboxName,
        items: &[StatusItem],
    ) -> Result<Status, Refusal> {
        let mailbox = self.find(name, Right::Read).await?.mailbox;
        let items = self.status_items(&mailbox, items).await?;
        self.machine.data(&Data::Status { mailbox: name.clone(), items });
        Ok(Status::ok("that is all"))
    }

    pub(super) async fn status_items(
        &mut self,
        mailbox: &Mailbox,
        items: &[StatusItem],
    ) -> Result<Vec<(StatusItem, StatusValue)>, Refusal> {
        if mailbox.id.is_outbox() {
            self.follow_queue().await?;
        }
        let status = self.mailboxes().status(mailbox.id).await?;
        let deleted_octets = if items.contains(&StatusItem::DeletedStorage) && status.deleted > 0 {
            self.deleted_octets(mailbox.id).await?
        } else {
            0
        };
        let value = |item: &StatusItem| match item {
            StatusItem::DeletedStorage => StatusValue::Number(deleted_octets),
            item => self.value(*item, mailbox, &status),
        };
        Ok(items.iter().map(|item| (*item, value(item))).collect())
    }

    /// What an EXPUNGE would give back (RFC 9208 §4.1.4).
    async fn deleted_octets(&mut self, mailbox: MailboxId) -> Result<u64, Refusal> {
        let listing = self.mailboxes().listing(mailbox).await?;
        let mut octets: u64 = 0;
        for message in listing.messages.iter().filter(|message| message.flags.has(Flags::DELETED)) {
            let message = self.mailboxes().message(mailbox, message.uid).await?;
            octets = octets.saturating_add(message.map_or(0, |message| message.record.octets()));
        }
        Ok(octets)
    }

    fn value(&self, item: StatusItem, mailbox: &Mailbox, status: &MailboxStatus) -> StatusValue {
        let number = match item {
            StatusItem::Messages => status.messages,
            // RFC 9051 appendix E: there is no \Recent any more.
            StatusItem::Recent | StatusItem::DeletedStorage => 0,
            StatusItem::UidNext => u64::from(status.uid_next.0),
            StatusItem::UidValidity => u64::from(mailbox.uid_validity),
            StatusItem::Unseen => status.unseen,
            StatusItem::Deleted => status.deleted,
            StatusItem::Size => status.octets,
            StatusItem::HighestModSeq => status.highest_modseq,
            StatusItem::MailboxId => return StatusValue::Id(mailbox.id.object_id()),
            StatusItem::AppendLimit => self.append_bytes_max,
        };
        StatusValue::Number(number)
    }
}
