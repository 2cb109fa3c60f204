//! Mailbox access keys: with them an account signs URLs of messages that others may read (RFC 4467 §5).

use world::Entropy;

use super::{
    AccountId, MailboxId, Mailboxes,
    keyspace::{url_key, url_key_prefix},
};
use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, KeyRange, Order, StoreError},
};

const KEY_BYTES: usize = 32;

/// A secret between an account and a mailbox.
#[derive(Clone)]
pub struct UrlKey([u8; KEY_BYTES]);

impl std::fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UrlKey(withheld)")
    }
}

impl UrlKey {
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl Mailboxes {
    /// `None`: nothing is signed with it.
    pub async fn url_key(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<UrlKey>, StoreError> {
        let stored = self.engine.get(&url_key(account, mailbox)).await?;
        let key = stored.map(|octets| octets.as_ref().try_into().map(UrlKey));
        key.transpose().map_err(|_| StoreError::Damaged("a mailbox access key has a wrong length".to_owned()))
    }

    /// The account's key to the mailbox, made if there is none.
    pub async fn make_url_key(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        entropy: &dyn Entropy,
    ) -> Result<UrlKey, CommitError> {
        let at = url_key(account, mailbox);
        for _ in 0..CONFLICTS_MAX {
            if let Some(key) = self.url_key(account, mailbox).await? {
                return Ok(key);
            }
            let key = entropy.array();
            let mut batch = Batch::new();
            batch.check(at.clone(), Expect::Absent);
            batch.put(at.clone(), key.to_vec());
            match self.engine.commit(batch).await {
                Ok(_) => return Ok(UrlKey(key)),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CommitError::Conflict(at))
    }

    /// What the account has signed is worth nothing any more: of one mailbox, or of all.
    pub async fn forget_url_keys(
        &self,
        account: AccountId,
        mailbox: Option<MailboxId>,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        if let Some(mailbox) = mailbox {
            batch.delete(url_key(account, mailbox));
        } else {
            let range = KeyRange::prefix(&url_key_prefix(account));
            for (key, _) in self.engine.scan(range, Order::Ascending, usize::MAX).await? {
                batch.delete(key);
            }
        }
        self.engine.commit(batch).await.map(drop)
    }
}
