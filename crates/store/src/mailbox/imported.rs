//! What was imported, so that nothing is twice.

use super::{AccountId, Mailboxes};
use crate::{
    batch::{Batch, Expect},
    engine::{Key, StoreError},
    keys::{IMPORTED, KeyBuilder},
};

/// Names a message of an import: what it says, where it belongs, and the how many-eth of its kind it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportMark(pub u128);

impl ImportMark {
    pub fn new(mailbox: &str, occurrence: u32, content: &[u8]) -> Self {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(mailbox.as_bytes());
        hash.update(&[0]);
        hash.update(&occurrence.to_be_bytes());
        hash.update(content);
        Self(hash.digest128())
    }
}

impl Mailboxes {
    pub async fn is_imported(&self, account: AccountId, mark: ImportMark) -> Result<bool, StoreError> {
        Ok(self.engine.get(&key(account, mark)).await?.is_some())
    }

    /// Belongs into the batch that appends the message, which conflicts if that was imported meanwhile.
    pub fn stage_imported(&self, batch: &mut Batch, account: AccountId, mark: ImportMark) {
        batch.check(key(account, mark), Expect::Absent);
        batch.put(key(account, mark), Vec::new());
    }
}

fn key(account: AccountId, ImportMark(mark): ImportMark) -> Key {
    let [high, low] = [mark >> 64, mark & u128::from(u64::MAX)];
    let half = |half: u128| u64::try_from(half).unwrap_or_default();
    KeyBuilder::new(IMPORTED).u64(account.0).u64(half(high)).u64(half(low)).key()
}
