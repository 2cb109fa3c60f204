//! After the content: has the mailbox room for this message?

use mail::Reply;
use store::{StoreError, Stores, directory::Account};

use crate::{
    accept::AcceptedRecipient,
    route::{LOCAL_LANE, Way},
};

/// Refuses a recipient if none of its ways can take a message of so many octets now.
pub async fn check(stores: &Stores, ways: &[Way], octets: u64) -> Result<(), Reply> {
    let mut refusal = None;
    for way in ways {
        match check_way(stores, way, octets).await {
            Ok(()) => return Ok(()),
            Err(reply) => refusal = refusal.or(Some(reply)),
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// The refusal of the message, if none of its recipients can have it: better now than by a report to whoever its sender
/// is said to be.
pub async fn check_all(stores: &Stores, recipients: &[AcceptedRecipient], octets: u64) -> Option<Reply> {
    let mut refusal = None;
    for recipient in recipients {
        let refused = check(stores, &recipient.ways, octets).await.err()?;
        refusal = refusal.or(Some(refused));
    }
    refusal
}

async fn check_way(stores: &Stores, way: &Way, octets: u64) -> Result<(), Reply> {
    if *way.lane.0 != *LOCAL_LANE {
        return Ok(());
    }
    let account = stores.directory.account(&way.address).await.map_err(|error| unreadable(&error))?;
    let Some(account) = account else {
        return Err(Reply::new(550, (5, 1, 1), "there is no such mailbox any more"));
    };
    if has_room(stores, &account, octets).await.map_err(|error| unreadable(&error))? {
        return Ok(());
    }
    // RFC 3463 §3.3: a full mailbox may be emptied; one that is too small for the message stays so.
    if account.quota_bytes.is_some_and(|quota| octets > quota) {
        return Err(Reply::new(552, (5, 2, 2), "the message is larger than the mailbox may grow"));
    }
    Err(Reply::new(452, (4, 2, 2), "the mailbox is full; try again later"))
}

/// Whether so many octets more stay within the account's quota.
pub async fn has_room(stores: &Stores, account: &Account, octets: u64) -> Result<bool, StoreError> {
    let Some(quota) = account.quota_bytes else { return Ok(true) };
    let (_, used) = stores.mailboxes.usage(account.id).await?;
    Ok(used.saturating_add(octets) <= quota)
}

fn unreadable(error: &StoreError) -> Reply {
    tracing::error!(%error, "the directory cannot be read");
    Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later")
}
