use super::{
    AccountId, Mailbox, MailboxError, Mailboxes,
    keyspace::{mailbox_key, orphan_key},
    names::canonical_name,
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, KeyRange, Order, StoreError},
    keys::{KeyBuilder, KeyReader, ORPHAN_SUBSCRIPTION},
    value::Value,
};

impl Mailboxes {
    /// A mailbox that is gone can only be unsubscribed from.
    pub async fn subscribe(
        &self,
        account: AccountId,
        name: &str,
        subscribed: bool,
    ) -> Result<(), MailboxError> {
        let orphan = orphan_key(account, &canonical_name(name));
        for _ in 0..CONFLICTS_MAX {
            let mut batch = Batch::new();
            if let Some(mailbox) = self.by_name(account, name).await? {
                let Some((mailbox, stored)) = self.stored(mailbox.id).await? else { continue };
                let key = mailbox_key(mailbox.id);
                batch.check(key.clone(), Expect::Equals(stored));
                batch.put(key, Mailbox { subscribed, ..mailbox }.encode());
            } else if subscribed || self.engine.get(&orphan).await?.is_none() {
                return Err(MailboxError::NotFound);
            } else {
                batch.delete(orphan.clone());
            }
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Conflict(orphan).into())
    }

    /// Subscribes to what others share: the name by which the account sees it is kept, and nothing else. It is
    /// unsubscribed from like a mailbox that is gone.
    pub async fn subscribe_to_shared(&self, account: AccountId, name: &str) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        batch.put(orphan_key(account, name), Vec::new());
        self.engine.commit(batch).await.map(drop)
    }

    /// Names that are subscribed though no mailbox has them any more: a server does not end that by itself (RFC 9051
    /// §6.3.7).
    pub async fn orphan_subscriptions(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(ORPHAN_SUBSCRIPTION).u64(account.0).octets());
        let found = self.engine.scan(range, Order::Ascending, usize::MAX).await?;
        let name = |(key, _): &(_, _)| {
            let mut reader = KeyReader::new(key)?;
            reader.u64()?;
            reader.text().map(str::to_owned)
        };
        found.iter().map(name).collect()
    }
}
