//! Has the mailbox room for the message? Asked at RCPT, when its size is not known unless the client tells, and when the
//! content is here.

use mail::Reply;
use store::{StoreError, Stores, directory::Account, mailbox::Quota};

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
    if account.quota_bytes.is_some_and(|quota| octets > quota) || account.quota_messages == Some(0) {
        return Err(Reply::new(552, (5, 2, 2), "the message is larger than the mailbox may grow"));
    }
    Err(Reply::new(452, (4, 2, 2), "the mailbox is full; try again later"))
}

/// Whether a message of so many octets stays within the account's quota.
pub async fn has_room(stores: &Stores, account: &Account, octets: u64) -> Result<bool, StoreError> {
    let quota = account.quota();
    if quota == Quota::default() {
        return Ok(true);
    }
    let (messages, used) = stores.mailboxes.usage(account.id).await?;
    let fits = |limit: Option<u64>, more: u64| limit.is_none_or(|limit| more <= limit);
    Ok(fits(quota.octets, used.saturating_add(octets)) && fits(quota.messages, messages.saturating_add(1)))
}

fn unreadable(error: &StoreError) -> Reply {
    tracing::error!(%error, "the directory cannot be read");
    Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later")
}
