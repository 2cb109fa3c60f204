//! GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).

use mail::{Right, Rights, RightsChange};
use proto::imap::{
    command::MailboxName,
    response::{Code, Data, Status},
};
use store::{
    mailbox::{Identifier, Who},
    sharing::Reached,
};

use super::{refusal::Refusal, session::Session};

impl Session {
    pub(super) async fn get_acl(&mut self, name: &MailboxName) -> Result<Status, Refusal> {
        let Reached { mailbox, owner, .. } = self.find(name, Right::Administer).await?;
        let acl = self.mailboxes().acl(mailbox.id).await?;
        let granted = acl.into_iter().flat_map(|acl| acl.entries);
        let granted = granted.map(|entry| (entry.identifier.to_string(), entry.rights));
        let entries = std::iter::once((owner.address.to_string(), Rights::all())).chain(granted).collect();
        self.machine.data(&Data::Acl { mailbox: name.clone(), entries });
        Ok(Status::ok("that is all"))
    }

    pub(super) async fn set_acl(
        &mut self,
        name: &MailboxName,
        identifier: &str,
        change: RightsChange,
    ) -> Result<Status, Refusal> {
        let Reached { mailbox, owner, .. } = self.find(name, Right::Administer).await?;
        let sharing = &self.service.stores.sharing;
        let identifier = sharing.identifier(identifier).await?;
        let identifier =
            identifier.ok_or_else(|| Refusal::no(Code::Cannot, "nobody here has that identifier"))?;
        if matches!(&identifier.who, Who::Account { id, .. } if *id == owner.id) {
            return Err(Refusal::no(Code::Cannot, "the owner has all rights, always"));
        }
        if shares_with_anyone(&identifier, change) && !sharing.options().with_anyone {
            return Err(Refusal::no(Code::NoPerm, "only the operator shares with everybody here"));
        }
        self.mailboxes().change_acl(mailbox.id, &owner.address, &identifier, change).await?;
        Ok(Status::ok("so it is"))
    }

    pub(super) async fn list_rights(
        &mut self,
        name: &MailboxName,
        identifier: &str,
    ) -> Result<Status, Refusal> {
        let owner = self.find(name, Right::Administer).await?.owner.address;
        // Nobody is looked up: that somebody has an account must not show.
        let is_owner =
            identifier.parse().is_ok_and(|named: mail::Address| named.to_lookup() == owner.to_lookup());
        let (always, optional) =
            if is_owner { (Rights::all(), Rights::default()) } else { (Rights::default(), Rights::all()) };
        let (mailbox, identifier) = (name.clone(), identifier.to_owned());
        self.machine.data(&Data::ListRights { mailbox, identifier, always, optional });
        Ok(Status::ok("that is all"))
    }

    pub(super) async fn my_rights(&mut self, name: &MailboxName) -> Result<Status, Refusal> {
        // RFC 4314 §4
        let needed: Rights = [
            Right::Lookup,
            Right::Read,
            Right::Insert,
            Right::CreateMailboxes,
            Right::DeleteMailbox,
            Right::Administer,
        ]
        .into_iter()
        .collect();
        let rights = self.find(name, needed).await?.rights;
        self.machine.data(&Data::MyRights { mailbox: name.clone(), rights });
        Ok(Status::ok("that is all"))
    }
}

/// Everybody's lists would show what anybody shares so.
fn shares_with_anyone(identifier: &Identifier, change: RightsChange) -> bool {
    let grants = match change {
        RightsChange::Replace(rights) | RightsChange::Add(rights) => !rights.is_empty(),
        RightsChange::Remove(_) => false,
    };
    identifier.who == Who::Anyone && !identifier.negative && grants
}
