//! Addresses that nothing more is sent to, because mail to them failed for good, or because an operator says so.

use std::sync::Arc;

use mail::{Address, QueueId, Timestamp, cause::Cause};
use serde::{Deserialize, Serialize};

use crate::{
    CONFLICTS_MAX,
    batch::{Batch, Expect},
    engine::{CommitError, Engine, Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, SUPPRESSION},
    value::Value,
};

/// The list over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Suppressions {
    engine: Arc<dyn Engine>,
}

/// What is known against an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Lookup form.
    pub address: String,
    /// False while too few failures were counted.
    pub active: bool,
    /// The first failure.
    pub since: Timestamp,
    pub last_at: Timestamp,
    /// None: until somebody removes it.
    pub expires_at: Option<Timestamp>,
    pub cause: Cause,
    pub source: Source,
    /// Messages that failed.
    pub failures: u32,
    /// What the host said, or the operator; cleaned.
    pub detail: Option<String>,
    /// The last message that failed.
    pub message: Option<QueueId>,
}

/// How the last failure became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The next host refused it.
    Reply,
    /// A report came back.
    Report,
    Operator,
}

impl Value for Suppression {
    const NAME: &'static str = "suppression";
    const VERSION: u8 = 1;
}

impl Suppression {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Mail to the address is to be refused.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.active && !self.is_expired(now)
    }
}

impl Suppressions {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    pub async fn get(&self, address: &Address) -> Result<Option<Suppression>, StoreError> {
        self.engine
            .get(&key(&address.to_lookup()))
            .await?
            .map(|octets| Suppression::decode(&octets))
            .transpose()
    }

    /// Replaces what was read before; the batch conflicts if it changed meanwhile.
    pub fn stage(&self, batch: &mut Batch, old: Option<&Suppression>, new: &Suppression) {
        let key = key(&new.address);
        let expected = old.map_or(Expect::Absent, |old| Expect::Equals(old.encode().into()));
        batch.check(key.clone(), expected);
        batch.put(key, new.encode());
    }

    /// Whatever stood there before.
    pub async fn put(&self, new: &Suppression) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        batch.put(key(&new.address), new.encode());
        self.engine.commit(batch).await.map(drop)
    }

    /// False if there was none.
    pub async fn remove(&self, address: &Address) -> Result<bool, CommitError> {
        let key = key(&address.to_lookup());
        let mut batch = Batch::new();
        batch.check(key.clone(), Expect::Present);
        batch.delete(key);
        match self.engine.commit(batch).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// In order of their addresses' lookup forms, after `after`, expired ones too.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Suppression>, StoreError> {
        let mut range = KeyRange::prefix(&[SUPPRESSION]);
        if let Some(after) = after {
            range.start = key(after).successor();
        }
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        found.iter().map(|(_, value)| Suppression::decode(value)).collect()
    }

    /// Deletes those that have expired, of `limit` after `after`; returns where to go on, none at the end.
    pub async fn prune(
        &self,
        now: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<String>, CommitError> {
        for _ in 0..CONFLICTS_MAX {
            let page = self.list(after, limit).await?;
            let mut batch = Batch::new();
            for old in page.iter().filter(|suppression| suppression.is_expired(now)) {
                batch.check(key(&old.address), Expect::Equals(old.encode().into()));
                batch.delete(key(&old.address));
            }
            match self.engine.commit(batch).await {
                Ok(_) => {
                    let last = page.last().filter(|_| page.len() >= limit);
                    return Ok(last.map(|last| last.address.clone()));
                }
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

fn key(lookup: &str) -> Key {
    KeyBuilder::new(SUPPRESSION).text(lookup).key()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryEngine;

    fn suppression(address: &str, expires_at: Option<i64>) -> Suppression {
        Suppression {
            address: address.to_owned(),
            active: true,
            since: Timestamp::from_millis(1),
            last_at: Timestamp::from_millis(2),
            expires_at: expires_at.map(Timestamp::from_millis),
            cause: Cause::NoSuchUser,
            source: Source::Reply,
            failures: 2,
            detail: None,
            message: None,
        }
    }

    fn addresses(page: &[Suppression]) -> Vec<&str> {
        page.iter().map(|suppression| suppression.address.as_str()).collect()
    }

    #[tokio::test]
    async fn pages_come_in_order_and_what_has_expired_goes() {
        let list = Suppressions::new(Arc::new(MemoryEngine::new()));
        for (address, expires_at) in [("c@x", None), ("a@x", Some(10)), ("b@x", Some(20)), ("d@x", Some(10))]
        {
            list.put(&suppression(address, expires_at)).await.unwrap();
        }
        assert_eq!(addresses(&list.list(None, 2).await.unwrap()), ["a@x", "b@x"]);
        assert_eq!(addresses(&list.list(Some("b@x"), 9).await.unwrap()), ["c@x", "d@x"]);
        let (now, mut after) = (Timestamp::from_millis(10), None);
        let mut pages = 0;
        loop {
            pages += 1;
            after = list.prune(now, after.as_deref(), 2).await.unwrap();
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, 3, "the last page is known by its length");
        assert_eq!(addresses(&list.list(None, 9).await.unwrap()), ["b@x", "c@x"]);
        let b = "B@x".parse().unwrap();
        assert!(list.get(&b).await.unwrap().unwrap().holds(now));
        assert!(!list.get(&b).await.unwrap().unwrap().holds(Timestamp::from_millis(20)));
        assert!(list.remove(&b).await.unwrap() && !list.remove(&b).await.unwrap());
    }

    #[tokio::test]
    async fn what_changed_meanwhile_is_not_overwritten() {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let list = Suppressions::new(engine.clone());
        let (one, two) = (suppression("a@x", None), suppression("a@x", Some(1)));
        list.put(&one).await.unwrap();
        for (old, is_met) in [(None, false), (Some(&two), false), (Some(&one), true)] {
            let mut batch = Batch::new();
            list.stage(&mut batch, old, &two);
            assert_eq!(engine.commit(batch).await.is_ok(), is_met);
        }
    }
}
