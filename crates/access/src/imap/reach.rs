//! What a mailbox name leads to, and what the client may do there (RFC 4314 §4). It is asked here and nowhere else.

use std::collections::HashMap;

use mail::{Right, Rights};
use proto::imap::{command::MailboxName, response::Code};
use store::{
    StoreError,
    mailbox::{FlagMask, Flags, Mailbox, MailboxError, OUTBOX},
    sharing::{Place, Reached},
};

use super::{refusal::Refusal, session::Session};

impl Session {
    /// The mailbox, if the client has any of these rights there. What it may not be told of is not there.
    pub(super) async fn find(
        &mut self,
        name: &MailboxName,
        needed: impl Into<Rights>,
    ) -> Result<Reached, Refusal> {
        let needed = needed.into();
        let account = self.account()?;
        let reached = match self.service.stores.sharing.reach(account, name.as_str()).await? {
            None if name.as_str() == OUTBOX => self.reach_outbox().await?,
            reached => reached,
        };
        match reached {
            Some(reached) if reached.rights.has_any(needed) => Ok(reached),
            Some(reached) if reached.rights.has(Right::Lookup) => Err(no_right()),
            _ => Err(MailboxError::NotFound.into()),
        }
    }

    async fn reach_outbox(&mut self) -> Result<Option<Reached>, Refusal> {
        let owner = self.account()?.clone();
        Ok(self.outbox().await?.map(|mailbox| Reached { mailbox, owner, rights: in_outbox() }))
    }

    /// Where messages are to go: the client may make it, and try again (RFC 9051 §6.3.12).
    pub(super) async fn find_target(&mut self, name: &MailboxName) -> Result<Reached, Refusal> {
        let account = self.account()?;
        let sharing = &self.service.stores.sharing;
        if sharing.reach(account, name.as_str()).await?.is_none()
            && let Some(place) = sharing.place(account, name.as_str()).await?
            && sharing.may_create(account.id, &place).await?
        {
            self.leave_outbox_alone(name).await?;
            return Err(Refusal::no(Code::TryCreate, "there is no such mailbox"));
        }
        self.find(name, Right::Insert).await
    }

    /// Where a mailbox of that name would be, if the client may make it.
    pub(super) async fn find_place(&mut self, name: &MailboxName) -> Result<Place, Refusal> {
        let account = self.account()?;
        let sharing = &self.service.stores.sharing;
        match sharing.place(account, name.as_str()).await? {
            Some(place) if sharing.may_create(account.id, &place).await? => Ok(place),
            // The same whether or not there is such an account.
            _ => Err(no_right()),
        }
    }

    /// Rights may have been given and taken since the mailbox was selected. To who may not read it any more it is gone.
    pub(super) async fn renew_rights(&mut self) -> Result<(), StoreError> {
        let (Some(selected), Some(account)) = (self.selected.as_deref_mut(), self.account.as_deref()) else {
            return Ok(());
        };
        if selected.mailbox.account() == account.id {
            return Ok(());
        }
        selected.rights = self.service.stores.sharing.rights(account.id, selected.mailbox).await?;
        selected.is_gone |= !selected.rights.has(Right::Read);
        Ok(())
    }

    /// All that LIST may tell of.
    pub(super) async fn names(&mut self) -> Result<Names, Refusal> {
        let account = self.account()?.id;
        let mut mailboxes = self.mailboxes().list(account).await?;
        let mut shared = HashMap::new();
        if let Some(outbox) = self.outbox().await? {
            shared.insert(outbox.name.clone(), in_outbox());
            mailboxes.push(outbox);
        }
        let mut orphans = self.mailboxes().orphan_subscriptions(account).await?;
        for (mut mailbox, rights) in self.service.stores.sharing.visible(account).await? {
            if mailboxes.iter().any(|own| own.name == mailbox.name) {
                continue;
            }
            let place = orphans.iter().position(|orphan| *orphan == mailbox.name);
            mailbox.subscribed = place.map(|place| orphans.remove(place)).is_some();
            shared.insert(mailbox.name.clone(), rights);
            mailboxes.push(mailbox);
        }
        Ok(Names { mailboxes, orphans, shared })
    }
}

/// Mailboxes by the names under which the client sees them.
pub(super) struct Names {
    pub(super) mailboxes: Vec<Mailbox>,
    /// Subscribed, and there is no such mailbox.
    pub(super) orphans: Vec<String>,
    /// What the client may do in those of others, and in its Outbox.
    shared: HashMap<String, Rights>,
}

impl Names {
    /// With what the client may do there.
    pub(super) fn get(&self, name: &str) -> Option<(&Mailbox, Rights)> {
        let mailbox = self.mailboxes.iter().find(|mailbox| mailbox.name == name)?;
        Some((mailbox, self.shared.get(name).copied().unwrap_or_else(Rights::all)))
    }
}

pub(super) fn no_right() -> Refusal {
    Refusal::no(Code::NoPerm, "you may not do that there")
}

/// What one may do in one's own Outbox, which follows the queue.
fn in_outbox() -> Rights {
    flagging().union([Right::Lookup, Right::Read, Right::Expunge].into_iter().collect())
}

/// Rights that let somebody change something in a mailbox (RFC 4314 §5.2).
pub(super) fn changing() -> Rights {
    flagging().union([Right::Insert, Right::Expunge].into_iter().collect())
}

/// Rights that let somebody change flags.
pub(super) fn flagging() -> Rights {
    [Right::KeepSeen, Right::Write, Right::DeleteMessages].into_iter().collect()
}

/// The flags that somebody with these rights may change (RFC 4314 §4).
pub(super) fn changeable(rights: Rights) -> FlagMask {
    let others = Flags::ANSWERED | Flags::FLAGGED | Flags::DRAFT;
    let each =
        [(Right::KeepSeen, Flags::SEEN), (Right::DeleteMessages, Flags::DELETED), (Right::Write, others)];
    let flags = each.into_iter().filter(|(right, _)| rights.has(*right));
    let flags = flags.fold(Flags::default(), |all, (_, flags)| all | flags);
    FlagMask { flags, keywords: rights.has(Right::Write) }
}
