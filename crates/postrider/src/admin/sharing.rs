//! `mailbox`: access control lists from the command line.

use mail::RightsChange;
use store::{
    directory::{Account, DirectoryError},
    mailbox::{MailboxError, Who},
};

use super::{
    Admin,
    directory::parse_address,
    protocol::{AdminResponse, ShareView, SharingAction},
};

/// The error is the answer when it fails.
pub async fn execute(
    admin: &Admin,
    address: &str,
    action: SharingAction,
) -> Result<AdminResponse, DirectoryError> {
    let address = parse_address(address)?;
    let account = admin.stores.directory.account(&address).await?;
    let account = account.ok_or_else(|| DirectoryError::AccountUnknown(address.to_string()))?;
    match action {
        SharingAction::Change { mailbox, with, change } => {
            share(admin, &account, &mailbox, &with, change).await
        }
        SharingAction::List => list(admin, &account).await,
    }
}

async fn share(
    admin: &Admin,
    account: &Account,
    name: &str,
    with: &str,
    change: RightsChange,
) -> Result<AdminResponse, DirectoryError> {
    let (mailboxes, owner) = (&admin.stores.mailboxes, &account.address);
    let Some(mailbox) = mailboxes.by_name(account.id, name).await? else {
        return Err(DirectoryError::Invalid(format!("{owner} has no mailbox {name:?}")));
    };
    let Some(identifier) = admin.stores.sharing.identifier(with).await? else {
        return Err(DirectoryError::AccountUnknown(with.to_owned()));
    };
    if matches!(&identifier.who, Who::Account { id, .. } if *id == account.id) {
        return Err(DirectoryError::Invalid(format!("{owner} owns the mailbox, and has all rights")));
    }
    match mailboxes.change_acl(mailbox.id, owner, &identifier, change).await {
        Ok(()) => {}
        Err(MailboxError::Commit(error)) => return Err(error.into()),
        Err(error) => return Err(DirectoryError::Invalid(error.to_string())),
    }
    let name = mailbox.name;
    Ok(AdminResponse::done(match change.applied(mail::Rights::default()) {
        rights if rights.is_empty() => format!("{name} of {owner} is not shared with {identifier} any more"),
        rights if identifier.negative => {
            format!("{rights} is taken away from {} in {name} of {owner}", with.trim_start_matches('-'))
        }
        rights => format!("{name} of {owner} is shared with {identifier}: {rights}"),
    }))
}

async fn list(admin: &Admin, account: &Account) -> Result<AdminResponse, DirectoryError> {
    let mut shares = Vec::new();
    for mailbox in admin.stores.mailboxes.list(account.id).await? {
        let acl = admin.stores.mailboxes.acl(mailbox.id).await?;
        shares.extend(acl.into_iter().flat_map(|acl| acl.entries).map(|entry| ShareView {
            mailbox: mailbox.name.clone(),
            with: entry.identifier.to_string(),
            rights: entry.rights.to_string(),
        }));
    }
    Ok(AdminResponse::Shares { shares })
}
