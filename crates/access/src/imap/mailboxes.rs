//! CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB (RFC 9051 §6.3).

use mail::Right;
use proto::imap::{
    command::{List, MailboxName, SpecialUse},
    response::{Code, Condition, Data, ListAttribute, Status},
};
use store::{
    mailbox::{MailboxError, OUTBOX},
    sharing::{Place, Reached},
};

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
    pub(super) async fn create(
        &mut self,
        name: &MailboxName,
        uses: &[SpecialUse],
    ) -> Result<Status, Refusal> {
        self.leave_outbox_alone(name).await?;
        let Place { owner, name } = self.find_place(name).await?;
        let special_use = match uses {
            [] => None,
            // RFC 6154: what a mailbox is used for is its owner's to say.
            [_] if owner.id != self.account()?.id => return Err(MailboxError::SpecialUse.into()),
            [one] => Some(one.name()),
            _ => return Err(MailboxError::SpecialUse.into()),
        };
        let now = self.service.clock.wall();
        let mailbox = self.mailboxes().create(owner.id, &name, special_use, now).await?;
        Ok(Status::ok("created").with(Code::MailboxId(mailbox.id.object_id())))
    }

    pub(super) async fn delete(&mut self, name: &MailboxName) -> Result<Status, Refusal> {
        self.leave_outbox_alone(name).await?;
        let Reached { mailbox, owner, .. } = self.find(name, Right::DeleteMailbox).await?;
        let now = self.service.clock.wall();
        self.mailboxes().delete(owner.id, &mailbox.name, now).await?;
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
        let account = self.account()?;
        let from = match self.service.stores.sharing.place(account, from.as_str()).await? {
            // A name above mailboxes, which is none itself, can be renamed too.
            Some(place) if place.owner.id == account.id => place,
            _ => {
                let Reached { mailbox, owner, .. } = self.find(from, Right::DeleteMailbox).await?;
                Place { owner, name: mailbox.name }
            }
        };
        let is_own = from.owner.id == self.account()?.id;
        let to = self.find_place(to).await?;
        if to.owner.id != from.owner.id || (from.name == "INBOX" && !is_own) {
            return Err(Refusal::no(Code::Cannot, "a mailbox stays with its owner; copy the messages"));
        }
        let now = self.service.clock.wall();
        self.mailboxes().rename(from.owner.id, &from.name, &to.name, now).await?;
        Ok(Status::ok("renamed"))
    }

    pub(super) async fn subscribe(
        &mut self,
        name: &MailboxName,
        subscribed: bool,
    ) -> Result<Status, Refusal> {
        let account = self.account()?.clone();
        let place = self.service.stores.sharing.place(&account, name.as_str()).await?;
        match place {
            _ if name.as_str() == OUTBOX && self.outbox().await?.is_some() => {
                self.mailboxes().subscribe_outbox(account.id, subscribed).await?;
            }
            Some(place) if place.owner.id == account.id => {
                self.mailboxes().subscribe(account.id, &place.name, subscribed).await?;
            }
            _ if subscribed => {
                self.find(name, Right::Lookup).await?;
                self.mailboxes().subscribe_to_shared(account.id, name.as_str()).await?;
            }
            _ => self.mailboxes().subscribe(account.id, name.as_str(), false).await?,
        }
        Ok(Status::ok(if subscribed { "subscribed" } else { "not subscribed any more" }))
    }

    pub(super) async fn list(&mut self, list: &List) -> Result<Status, Refusal> {
        let names = self.names().await?;
        for mut entry in Tree::new(&names.mailboxes, &names.orphans).list(list) {
            let found = names.get(&entry.name);
            let is_readable = found.is_some_and(|(_, rights)| rights.has(Right::Read));
            if found.is_some() && !is_readable {
                entry.attributes.push(ListAttribute::NoSelect);
            }
            // RFC 8440
            entry.my_rights = found.map(|(_, rights)| rights).filter(|_| list.returned.my_rights);
            let name = MailboxName::new(&entry.name);
            self.machine.data(&Data::List(entry));
            let (Some(name), Some((mailbox, _))) = (name, found.filter(|_| is_readable)) else { continue };
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
        let names = self.names().await?;
        for entry in Tree::new(&names.mailboxes, &names.orphans).lsub(reference, pattern) {
            self.machine.data(&Data::Lsub(entry));
        }
        Ok(Status::ok("listed"))
    }
}
