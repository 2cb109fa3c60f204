//! MTA-STS (RFC 8461): whether a domain has a policy, and what it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mail::mta_sts::{StsPolicy, StsRecord};
use store::{
    StoreError,
    sts::{KeptPolicy, StsPolicies},
};
use world::{
    Clock, Dns,
    http::{Http, HttpRequest},
};

use super::result::{ResultType, TlsFailure};

/// RFC 8461 §3.3: after a policy could not be fetched, it is not asked for again at once.
const RETRY_AFTER: Duration = Duration::from_mins(5);
/// Domains of which is remembered that their policies could not be fetched.
const FAILURES_MAX: usize = 10_000;
const HTTPS_PORT: u16 = 443;

/// What is remembered of fetching.
#[derive(Debug, Default)]
pub struct StsMemory {
    /// Domains whose policies could not be fetched, and when that was.
    failed: Mutex<HashMap<String, Instant>>,
    /// Domains whose policies are being fetched; one asks for all that wait.
    under_way: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// Where policies come from.
pub struct StsSource<'a> {
    pub memory: &'a StsMemory,
    pub policies: &'a StsPolicies,
    pub dns: &'a dyn Dns,
    pub clock: &'a dyn Clock,
    pub http: &'a dyn Http,
    /// 443, but for tests.
    pub port: u16,
}

impl std::fmt::Debug for StsSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StsSource")
    }
}

/// What came of looking.
#[derive(Clone, Debug, Default)]
pub struct StsFinding {
    pub policy: Option<Arc<KeptPolicy>>,
    /// Why it is not the one that the domain announces.
    pub(crate) failure: Option<TlsFailure>,
}

impl StsSource<'_> {
    /// The policy in force for a domain (in its lookup form): the one it announces, else the last one that still holds.
    ///
    /// # Errors
    ///
    /// When the store cannot tell what is kept: then nobody knows what holds.
    pub async fn find(&self, domain: &str) -> Result<StsFinding, StoreError> {
        let kept = self.live(domain).await?;
        let record = match self.dns.txt(&format!("_mta-sts.{domain}")).await {
            Ok(answer) => StsRecord::among(&answer.records),
            Err(_) => None,
        };
        // RFC 8461 §10.2: whoever hides the record does not make a policy void.
        let Some(record) = record else { return Ok(StsFinding { policy: kept, failure: None }) };
        self.renewed(domain, &record.id, kept).await
    }

    /// As [`find`](Self::find), for a policy that is kept and grows old.
    pub(super) async fn refresh(&self, kept: &KeptPolicy) -> Result<(), StoreError> {
        let name = format!("_mta-sts.{}", kept.domain);
        let record = self.dns.txt(&name).await.ok().and_then(|answer| StsRecord::among(&answer.records));
        let id = record.map_or_else(|| kept.id.clone(), |record| record.id);
        self.renewed(&kept.domain, &id, Some(Arc::new(kept.clone()))).await.map(drop)
    }

    async fn live(&self, domain: &str) -> Result<Option<Arc<KeptPolicy>>, StoreError> {
        let now = self.clock.wall();
        Ok(self.policies.get(domain).await?.filter(|kept| kept.is_live(now)).map(Arc::new))
    }

    /// Fetches the policy if the one that is kept is another, or old.
    async fn renewed(
        &self,
        domain: &str,
        id: &str,
        kept: Option<Arc<KeptPolicy>>,
    ) -> Result<StsFinding, StoreError> {
        if self.is_good(id, kept.as_deref()) || self.memory.failed_lately(domain, self.clock.now()) {
            return Ok(StsFinding { policy: kept, failure: None });
        }
        let turn = self.memory.turn(domain);
        let _turn = turn.lock().await;
        let kept = self.live(domain).await?;
        if self.is_good(id, kept.as_deref()) || self.memory.failed_lately(domain, self.clock.now()) {
            return Ok(StsFinding { policy: kept, failure: None });
        }
        match self.fetch(domain).await {
            Ok(policy) => {
                let (domain, id) = (domain.to_owned(), id.to_owned());
                let fetched = KeptPolicy { domain, id, policy, fetched_at: self.clock.wall() };
                match self.policies.keep(&fetched).await {
                    Ok(true) => {}
                    Ok(false) => tracing::warn!(domain = fetched.domain, "no room to keep an MTA-STS policy"),
                    Err(error) => {
                        tracing::error!(domain = fetched.domain, %error, "an MTA-STS policy is not kept");
                    }
                }
                Ok(StsFinding { policy: Some(Arc::new(fetched)), failure: None })
            }
            // RFC 8461 §3.3: what was kept holds until it expires.
            Err(failure) => {
                tracing::info!(domain, reason = failure.detail, "an MTA-STS policy cannot be fetched");
                self.memory.note_failure(domain, self.clock.now());
                Ok(StsFinding { policy: kept, failure: Some(failure) })
            }
        }
    }

    fn is_good(&self, id: &str, kept: Option<&KeptPolicy>) -> bool {
        kept.is_some_and(|kept| kept.id == id && !kept.is_stale(self.clock.wall()))
    }

    /// RFC 8461 §3.3: a valid certificate, 200 and nothing else, text/plain.
    async fn fetch(&self, domain: &str) -> Result<StsPolicy, TlsFailure> {
        let failure = |kind, detail: String| TlsFailure { kind, detail };
        let not_fetched = |detail| failure(ResultType::StsPolicyFetchError, detail);
        let port = if self.port == HTTPS_PORT { String::new() } else { format!(":{}", self.port) };
        let url = format!("https://mta-sts.{domain}{port}/.well-known/mta-sts.txt");
        let url = url.parse().map_err(not_fetched)?;
        let request = HttpRequest { url, body: None, authorization: None, accept: "text/plain" };
        let answer = self.http.ask(request).await.map_err(|error| {
            let is_tls = error.is_tls;
            let kind = if is_tls { ResultType::StsWebpkiInvalid } else { ResultType::StsPolicyFetchError };
            failure(kind, error.to_string())
        })?;
        if answer.status != 200 {
            return Err(not_fetched(format!("mta-sts.{domain} answered {}", answer.status)));
        }
        if answer.content_type.as_deref() != Some("text/plain") {
            let reason = format!("what mta-sts.{domain} answered is not text/plain");
            return Err(not_fetched(reason));
        }
        StsPolicy::parse(&answer.body).map_err(|error| {
            let reason = format!("the policy of mta-sts.{domain} is none: {error}");
            failure(ResultType::StsPolicyInvalid, reason)
        })
    }
}

impl StsMemory {
    fn failed_lately(&self, domain: &str, now: Instant) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(domain).is_some_and(|at| now.saturating_duration_since(*at) < RETRY_AFTER)
    }

    fn note_failure(&self, domain: &str, now: Instant) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= FAILURES_MAX {
            failed.retain(|_, at| now.saturating_duration_since(*at) < RETRY_AFTER);
        }
        if failed.len() < FAILURES_MAX {
            failed.insert(domain.to_owned(), now);
        }
    }

    fn turn(&self, domain: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, turn| Arc::strong_count(turn) > 1);
        under_way.entry(domain.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests;
