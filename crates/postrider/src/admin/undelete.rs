//! Expunged messages brought back.

use std::time::Duration;

use mail::{
    ReversePath, Timestamp,
    terminal::{MESSAGE_BYTES_MAX, Notice},
};
use store::{
    StoreError,
    directory::{Account, DirectoryError},
    mailbox::{ExpungedMessage, MailboxError},
};

use super::{
    Admin,
    directory::parse_address,
    protocol::{AdminResponse, EXPUNGED_SHOWN_MAX, ExpungedView, Undelete},
};

/// Messages looked at for one request.
const MESSAGES_MAX: usize = 100_000;

/// The error is the answer when it fails.
pub async fn execute(admin: &Admin, request: Undelete) -> Result<AdminResponse, DirectoryError> {
    let address = parse_address(&request.address)?;
    let account = admin.stores.directory.account(&address).await?;
    let account = account.ok_or_else(|| DirectoryError::AccountUnknown(address.to_string()))?;
    let found = find(admin, &account, &request).await?;
    if request.dry_run {
        let shown = found.get(..EXPUNGED_SHOWN_MAX).unwrap_or(&found);
        let mut messages = Vec::with_capacity(shown.len());
        for message in shown {
            messages.push(view(admin, message).await?);
        }
        return Ok(AdminResponse::Expunged { messages, total: found.len() });
    }
    let now = admin.world.clock.wall();
    match admin.stores.mailboxes.restore(account.id, &found, account.quota(), now).await {
        Ok(1) => Ok(AdminResponse::done("1 message is back in its mailbox, with a new UID")),
        Ok(count) => Ok(AdminResponse::done(format_args!(
            "{count} messages are back in their mailboxes, with new UIDs"
        ))),
        Err(MailboxError::OverQuota) => Ok(AdminResponse::error(format_args!(
            "the account may not hold so much; `postrider account set-quota {address}` gives it more room, or restore \
             fewer with --mailbox or --within"
        ))),
        Err(MailboxError::Commit(error)) => Err(error.into()),
        Err(error) => Err(DirectoryError::Invalid(error.to_string())),
    }
}

async fn find(
    admin: &Admin,
    account: &Account,
    request: &Undelete,
) -> Result<Vec<ExpungedMessage>, StoreError> {
    let now = admin.world.clock.wall();
    let since = request.seconds.map_or(Timestamp::from_millis(0), |seconds| {
        let within = Duration::from_secs(seconds).as_millis();
        Timestamp::from_millis(now.millis().saturating_sub(i64::try_from(within).unwrap_or(i64::MAX)))
    });
    let mut found = admin.stores.mailboxes.restorable(account.id, since, MESSAGES_MAX).await?;
    if let Some(name) = &request.mailbox {
        let name = store::mailbox::canonical_name(name);
        found.retain(|message| message.mailbox_name == name);
    }
    Ok(found)
}

async fn view(admin: &Admin, message: &ExpungedMessage) -> Result<ExpungedView, StoreError> {
    let record = &message.record;
    let start = admin.stores.mailboxes.read(record, 0..MESSAGE_BYTES_MAX).await?;
    let notice = Notice::of(&start, record.octets(), &ReversePath::Null);
    Ok(ExpungedView {
        expunged_at: message.expunged_at.rfc3339(),
        mailbox: message.mailbox_name.clone(),
        uid: message.uid.0,
        bytes: record.octets(),
        from: notice.from,
        subject: notice.subject,
    })
}
