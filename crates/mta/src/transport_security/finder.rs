//! MTA-STS policies of other domains: found when they are needed, renewed before they expire.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use store::{
    CommitError, StoreError, Stores,
    sts::{KeptPolicy, StsPolicies},
};
use world::{
    World,
    http::{Http, HttpClient},
};

use super::sts::{StsFinding, StsMemory, StsSource};
use crate::{
    Config, Mta,
    route::{self, Via},
};

/// How often it is looked which policies grow old.
const INTERVAL: Duration = Duration::from_mins(10);
/// Policies read at once.
const PAGE_MAX: usize = 100;
/// Policies fetched at once.
const TOGETHER_MAX: usize = 8;

/// Whom to ask for policies, and those that are kept.
#[derive(Debug)]
pub struct StsFinder {
    world: World,
    policies: StsPolicies,
    memory: StsMemory,
}

impl StsFinder {
    pub fn new(world: &World, stores: &Stores) -> Self {
        Self { world: world.clone(), policies: stores.sts.clone(), memory: StsMemory::default() }
    }

    /// The policy in force for a domain (in its lookup form) whose hosts its MX records name; none if it is an address.
    /// `private_addresses`: it may be fetched from hosts that have those.
    pub async fn find(
        &self,
        config: &Config,
        domain: &str,
        private_addresses: bool,
    ) -> Result<StsFinding, StoreError> {
        if !config.transport.mta_sts || world::dns::literal(domain).is_some() {
            return Ok(StsFinding::default());
        }
        let http = self.http(config, private_addresses);
        self.source(config, &http).find(domain).await
    }

    /// Whoever names a host in the domain name system must not lead us into our own networks.
    fn http(&self, config: &Config, private_addresses: bool) -> HttpClient {
        let client = HttpClient::new(self.world.clone(), config.client_tls.verified.clone());
        if private_addresses { client } else { client.to_public_hosts() }
    }

    fn source<'a>(&'a self, config: &Config, http: &'a dyn Http) -> StsSource<'a> {
        StsSource {
            memory: &self.memory,
            policies: &self.policies,
            dns: &*self.world.dns,
            clock: &*self.world.clock,
            http,
            port: config.transport.mta_sts_port,
        }
    }

    /// Renews what grows old and forgets what has expired.
    async fn look_after(&self, config: &Config) -> Result<(), CommitError> {
        let mut after: Option<String> = None;
        loop {
            let page = self.policies.page(after.as_deref(), PAGE_MAX).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.domain.clone());
            let now = self.world.clock.wall();
            let (live, expired): (Vec<KeptPolicy>, Vec<KeptPolicy>) =
                page.into_iter().partition(|kept| kept.is_live(now));
            for kept in &expired {
                self.policies.forget(kept).await?;
            }
            let stale = live.into_iter().filter(|kept| config.transport.mta_sts && kept.is_stale(now));
            let renewed = stream::iter(stale).map(|kept| self.renew(config, kept));
            renewed.buffer_unordered(TOGETHER_MAX).for_each(async |()| ()).await;
        }
    }

    async fn renew(&self, config: &Config, kept: KeptPolicy) {
        let http = self.http(config, leads_to_private(config, &kept.domain));
        if let Err(error) = self.source(config, &http).refresh(&kept).await {
            tracing::error!(domain = kept.domain, %error, "an MTA-STS policy cannot be renewed");
        }
    }
}

/// Until shutdown.
pub(crate) async fn look_after(mta: Arc<Mta>) {
    let mut shutdown = mta.shutdown.clone();
    loop {
        let (clock, config) = (&mta.world.clock, mta.config());
        tokio::select! {
            biased;
            () = clock.sleep_until(clock.now() + INTERVAL) => {}
            () = shutdown.given() => return,
        }
        tokio::select! {
            biased;
            result = mta.sts.look_after(&config) => if let Err(error) = result {
                tracing::error!(%error, "MTA-STS policies cannot be looked after");
            },
            () = shutdown.given() => return,
        }
    }
}

/// Whether the route to the domain leads to private addresses too.
fn leads_to_private(config: &Config, domain: &str) -> bool {
    let address = format!("postmaster@{domain}").parse().ok();
    let route = address.and_then(|address| route::choose(&config.routes, &address));
    matches!(route.map(|route| &route.via), Some(Via::Mx(delivery)) if delivery.private_addresses)
}
