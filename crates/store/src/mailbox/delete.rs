use mail::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AccountId, MailboxError, MailboxId, Mailboxes,
    keyspace::{deleted_key, mailbox_counter, mailbox_key, modseq_counter, name_key, orphan_key, url_key},
    names::canonical_name,
    removal::Removal,
    tally::Tally,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Key},
    keys::counter,
    value::Value,
};

/// A mailbox that nobody sees any more, until its messages are gone too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedMailbox {
    pub name: String,
    pub deleted_at: Timestamp,
}

impl Value for DeletedMailbox {
    const NAME: &'static str = "deleted mailbox";
    const VERSION: u8 = 1;
}

/// All counters of a mailbox.
pub(super) fn counters(mailbox: MailboxId) -> impl Iterator<Item = Key> {
    [
        counter::UID,
        counter::MODSEQ,
        counter::MAILBOX_COUNTS,
        counter::MAILBOX_OCTETS,
        counter::MAILBOX_DELETED,
        counter::EXPUNGED_ENTRIES,
        counter::EXPUNGED_FLOOR,
        counter::INDEXED_UID,
    ]
    .into_iter()
    .map(move |name| mailbox_counter(name, mailbox))
}

impl Mailboxes {
    /// Deletes a mailbox with its messages, at once for everybody; those below it stay. It stays subscribed (RFC 9051
    /// §6.3.5, §6.3.7).
    pub async fn delete(&self, account: AccountId, name: &str, now: Timestamp) -> Result<(), MailboxError> {
        let name = canonical_name(name);
        if name == "INBOX" {
            return Err(MailboxError::Inbox);
        }
        for _ in 0..CONFLICTS_MAX {
            let id = self.by_name(account, &name).await?.ok_or(MailboxError::NotFound)?.id;
            let Some((mailbox, stored)) = self.stored(id).await? else { continue };
            let modseq = self.engine.get(&modseq_counter(id)).await?;
            let status = self.status(id).await?;
            let mut batch = Batch::new();
            batch.check(mailbox_key(id), Expect::Equals(stored));
            // Nothing came or went since it was counted.
            batch.check(modseq_counter(id), modseq.map_or(Expect::Absent, Expect::Equals));
            batch.delete(mailbox_key(id));
            batch.delete(name_key(account, &mailbox.name));
            counters(id).for_each(|key| batch.delete(key));
            self.stage_unshared(&mut batch, id).await?;
            batch.delete(url_key(account, id));
            Tally::leaving(status.messages, status.octets).stage_usage(
                &mut batch,
                account,
                super::Quota::default(),
            );
            if mailbox.subscribed {
                batch.put(orphan_key(account, &mailbox.name), Vec::new());
            }
            let deleted = DeletedMailbox { name: mailbox.name, deleted_at: now };
            batch.put(deleted_key(id), deleted.encode());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(self.clear(id, Removal::Deleted(&deleted)).await?),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(name_key(account, &name)).into())
    }
}
