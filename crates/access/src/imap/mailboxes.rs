//! CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB (RFC 9051 §6.3).

use proto::imap::{
    command::{List, MailboxName, SpecialUse},
    response::{Code, Condition, Data, Status},
};
use store::mailbox::{Mailbox, MailboxError, OUTBOX};

use super::{list::Tree, refusal::Refusal, session::Session};

impl From<MailboxError> for Refusal {
    fn from(error: MailboxError) -> Self {
        let code = match error {
            MailboxError::NotFound => Code::NonExistent,
            MailboxError::Exists => Code::AlreadyExists,
            MailboxError::Name(_) | MailboxError::Inbox => Code::Cannot,
            MailboxError::SpecialUse => Code::UseAttr,
            MailboxError::Limit(_) => Code::Limit,
            MailboxError::OverQuota => Code::OverQuota,
            MailboxError::Commit(error) => return error.into(),
            MailboxError::Read(error) => return error.into(),
        };
        Self::no(code, &error.to_string())
    }
}

impl Session {
    pub(super) async fn find(&mut self, name: &MailboxName) -> Result<Mailbox, Refusal> {
        let account = self.account()?.id;
        let found = match self.mailboxes().by_name(account, name.as_str()).await? {
            None if name.as_str() == OUTBOX => self.outbox().await?,
            found => found,
        };
        found.ok_or_else(|| MailboxError::NotFound.into())
    }

    /// All of the account's.
    async fn all(&mut self) -> Result<Vec<Mailbox>, Refusal> {
        let account = self.account()?.id;
        let mut mailboxes = self.mailboxes().list(account).await?;
        mailboxes.extend(self.outbox().await?);
        Ok(mailboxes)
    }

    /// Where messages are to go: the client may make it, and try again (RFC 9051 §6.3.12).
    pub(super) async fn find_target(&mut self, name: &MailboxName) -> Result<Mailbox, Refusal> {
        let account = self.account()?.id;
        let found = self.mailboxes().by_name(account, name.as_str()).await?;
        if found.is_none() {
            self.leave_outbox_alone(name).await?;
        }
        found.ok_or_else(|| Refusal::no(Code::TryCreate, "there is no such mailbox"))
    }

    pub(super) async fn create(
        &mut self,
        name: &MailboxName,
        uses: &[SpecialUse],
    ) -> Result<Status, Refusal> {
        self.leave_outbox_alone(name).await?;
        let account = self.account()?.id;
        let special_use = match uses {
            [] => None,
            [one] => Some(one.name()),
            _ => return Err(MailboxError::SpecialUse.into()),
        };
        let now = self.service.clock.wall();
        let mailbox = self.mailboxes().create(account, name.as_str(), special_use, now).await?;
        Ok(Status::ok("created").with(Code::MailboxId(mailbox.id.object_id())))
    }

    pub(super) async fn delete(&mut self, name: &MailboxName) -> Result<Status, Refusal> {
        self.leave_outbox_alone(name).await?;
        let account = self.account()?.id;
        let now = self.service.clock.wall();
        self.mailboxes().delete(account, name.as_str(), now).await?;
        if let Some(selected) = &self.selected
            && self.mailboxes().by_id(selected.mailbox).await?.is_none()
        {
            self.selected = None;
            self.machine.handle_mailbox_closed("it was the one that is selected");
        }
        Ok(Status::ok("deleted"))
    }

    pub(super) async fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<Status, Refusal> {
        self.leave_outbox_alone(from).await?;
        self.leave_outbox_alone(to).await?;
        let account = self.account()?.id;
        let now = self.service.clock.wall();
        self.mailboxes().rename(account, from.as_str(), to.as_str(), now).await?;
        Ok(Status::ok("renamed"))
    }

    pub(super) async fn subscribe(
        &mut self,
        name: &MailboxName,
        subscribed: bool,
    ) -> Result<Status, Refusal> {
        let account = self.account()?.id;
        if name.as_str() == OUTBOX && self.outbox().await?.is_some() {
            self.mailboxes().subscribe_outbox(account, subscribed).await?;
        } else {
            self.mailboxes().subscribe(account, name.as_str(), subscribed).await?;
        }
        Ok(Status::ok(if subscribed { "subscribed" } else { "not subscribed any more" }))
    }

    pub(super) async fn list(&mut self, list: &List) -> Result<Status, Refusal> {
        let account = self.account()?.id;
        let mailboxes = self.all().await?;
        let orphans = self.mailboxes().orphan_subscriptions(account).await?;
        let entries = Tree::new(&mailboxes, &orphans).list(list);
        for entry in entries {
            let name = MailboxName::new(&entry.name);
            self.machine.data(&Data::List(entry));
            let Some(name) = name else { continue };
            let Some(mailbox) = mailboxes.iter().find(|mailbox| mailbox.name == name.as_str()) else {
                continue;
            };
            // RFC 5819 §2, RFC 9590 §3: behind the mailbox that they are of.
            if !list.returned.metadata.is_empty() {
                self.tell_metadata(&name, mailbox.id, &list.returned.metadata).await?;
            }
            if !list.returned.status.is_empty() {
                let items = self.status_items(mailbox, &list.returned.status).await?;
                self.machine.data(&Data::Status { mailbox: name, items });
            }
        }
        Ok(Status::new(Condition::Ok, None, "listed"))
    }

    pub(super) async fn lsub(&mut self, reference: &str, pattern: &str) -> Result<Status, Refusal> {
        let account = self.account()?.id;
        let mailboxes = self.all().await?;
        let orphans = self.mailboxes().orphan_subscriptions(account).await?;
        for entry in Tree::new(&mailboxes, &orphans).lsub(reference, pattern) {
            self.machine.data(&Data::Lsub(entry));
        }
        Ok(Status::ok("listed"))
    }
}
