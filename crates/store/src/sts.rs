//! MTA-STS policies of other domains (RFC 8461), kept as long as they hold: whoever takes a domain's record or policy away
//! from us does not make us forget what it said.

use std::{sync::Arc, time::Duration};

use mail::{Timestamp, mta_sts::StsPolicy};
use serde::{Deserialize, Serialize};

use crate::{
    CONFLICTS_MAX,
    apply::counter_value,
    batch::{Batch, Expect},
    engine::{CommitError, Engine, Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, STS_POLICY, counter},
    value::Value,
};

/// Domains whose policies are kept.
const POLICIES_MAX: u64 = 100_000;
/// RFC 8461 §10.2: a policy is fetched again well before it expires, and once a day at least.
const FRESH_FOR_MAX: Duration = Duration::from_hours(24);

/// A policy as its domain gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPolicy {
    /// Lookup form.
    pub domain: String,
    /// Of the record that announced it.
    pub id: String,
    pub policy: StsPolicy,
    pub fetched_at: Timestamp,
}

impl Value for KeptPolicy {
    const NAME: &'static str = "MTA-STS policy";
    const VERSION: u8 = 1;
}

impl KeptPolicy {
    pub fn expires_at(&self) -> Timestamp {
        self.fetched_at.plus(self.max_age())
    }

    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at()
    }

    /// It is time to fetch it again, so that it does not expire.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now >= self.fetched_at.plus((self.max_age() / 2).min(FRESH_FOR_MAX))
    }

    fn max_age(&self) -> Duration {
        Duration::from_secs(self.policy.max_age_seconds.into())
    }
}

/// The policies over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct StsPolicies {
    engine: Arc<dyn Engine>,
}

impl StsPolicies {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// `domain` in its lookup form. What has expired may still be there.
    pub async fn get(&self, domain: &str) -> Result<Option<KeptPolicy>, StoreError> {
        self.engine.get(&key(domain)).await?.map(|octets| KeptPolicy::decode(&octets)).transpose()
    }

    /// Puts it in the place of the domain's last one. False if there is no room for one more domain.
    pub async fn keep(&self, policy: &KeptPolicy) -> Result<bool, CommitError> {
        let key = key(&policy.domain);
        for _ in 0..CONFLICTS_MAX {
            let stored = self.engine.get(&key).await?;
            let mut batch = Batch::new();
            if stored.is_none() {
                if counter_value(self.engine.get(&count_key()).await?.as_ref())? >= POLICIES_MAX {
                    return Ok(false);
                }
                batch.add(count_key(), 1);
            }
            batch.check(key.clone(), stored.map_or(Expect::Absent, Expect::Equals));
            batch.put(key.clone(), policy.encode());
            match self.engine.commit(batch).await {
                Err(CommitError::Conflict(_)) => {}
                other => return other.map(|_| true),
            }
        }
        Err(CommitError::Conflict(key))
    }

    /// Forgets it, unless there is another by now.
    pub async fn forget(&self, policy: &KeptPolicy) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        batch.check(key(&policy.domain), Expect::Equals(policy.encode().into()));
        batch.delete(key(&policy.domain));
        batch.add(count_key(), -1);
        match self.engine.commit(batch).await {
            Err(CommitError::Conflict(_)) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Those behind `after` (a domain) in order of their domains.
    pub async fn page(&self, after: Option<&str>, limit: usize) -> Result<Vec<KeptPolicy>, StoreError> {
        let mut range = KeyRange::prefix(&[STS_POLICY]);
        if let Some(after) = after {
            range.start = key(after).successor();
        }
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        found.iter().map(|(_, value)| KeptPolicy::decode(value)).collect()
    }
}

fn key(domain: &str) -> Key {
    KeyBuilder::new(STS_POLICY).text(domain).key()
}

fn count_key() -> Key {
    KeyBuilder::counter(counter::STS_POLICIES).key()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryEngine;

    fn policy(domain: &str, max_age: u32) -> KeptPolicy {
        let text = format!("version: STSv1\nmode: enforce\nmx: mx.{domain}\nmax_age: {max_age}\n");
        KeptPolicy {
            domain: domain.to_owned(),
            id: "1".to_owned(),
            policy: StsPolicy::parse(text.as_bytes()).unwrap(),
            fetched_at: Timestamp::from_millis(1_000_000),
        }
    }

    #[test]
    fn a_policy_is_stale_before_it_expires() {
        let at = |seconds: i64| Timestamp::from_millis(1_000_000 + seconds * 1000);
        let brief = policy("a.example", 60);
        assert!(!brief.is_stale(at(29)) && brief.is_stale(at(30)));
        assert!(brief.is_live(at(59)) && !brief.is_live(at(60)));
        let long = policy("a.example", 31_557_600);
        assert!(!long.is_stale(at(86_399)) && long.is_stale(at(86_400)) && long.is_live(at(86_400)));
        assert!(!policy("a.example", 0).is_live(at(0)));
    }

    #[tokio::test]
    async fn policies_are_kept_and_forgotten_and_counted() {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let policies = StsPolicies::new(engine.clone());
        assert_eq!(policies.get("a.example").await.unwrap(), None);
        let (first, second) = (policy("a.example", 60), policy("a.example", 90));
        for kept in [&first, &second, &policy("b.example", 60)] {
            assert!(policies.keep(kept).await.unwrap());
        }
        assert_eq!(policies.get("a.example").await.unwrap().as_ref(), Some(&second));
        let domains = async |after: Option<&str>| {
            let page = policies.page(after, 10).await.unwrap();
            page.into_iter().map(|policy| policy.domain).collect::<Vec<_>>()
        };
        assert_eq!(domains(None).await, ["a.example", "b.example"]);
        assert_eq!(domains(Some("a.example")).await, ["b.example"]);
        policies.forget(&first).await.unwrap();
        assert!(policies.get("a.example").await.unwrap().is_some(), "it is another by now");
        policies.forget(&second).await.unwrap();
        assert_eq!(domains(None).await, ["b.example"]);
        let count = counter_value(engine.get(&count_key()).await.unwrap().as_ref()).unwrap();
        assert_eq!(count, 1);
    }
}
