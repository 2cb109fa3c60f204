//! The life of a message, one file a step, in the order a message meets them:
//! [`listener`] → [`session`] → [`policy`] → [`accept`] → [`scheduler`] → [`route`] → [`deliver`] → [`outcome`].
//!
//! `docs/message-flow.md` tells it on one page.

pub mod accept;
mod bounce;
mod clock_jumps;
pub mod config;
pub mod deliver;
mod etrn;
pub mod forward;
#[cfg(test)]
mod forward_tests;
mod history;
pub mod link;
pub mod listener;
mod notice;
mod outcome;
mod pickup;
pub mod planted;
pub mod policy;
mod promise;
pub mod queue;
mod queue_ids;
mod renewal;
pub mod route;
pub mod scheduler;
mod session;
mod suppression;
pub mod terminals;
#[cfg(test)]
mod testing;
pub mod tls_reports;
pub mod transport_security;
pub mod urls;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use login::Logins;
use store::Stores;
use world::{Shutdown, World};

use clock_jumps::ClockJumps;
pub use config::Config;
use etrn::Etrn;
use pickup::Pickups;
use queue_ids::QueueIds;
use scheduler::Dispatcher;
use terminals::Terminals;
use transport_security::StsFinder;
use urls::UrlSource;

/// The transfer agent: what all its sessions and deliveries share.
pub struct Mta {
    stores: Stores,
    logins: Arc<Logins>,
    world: World,
    config: RwLock<Arc<Config>>,
    queue_ids: QueueIds,
    dispatcher: Dispatcher,
    memory: policy::Memory,
    terminals: Terminals,
    etrn: Etrn,
    pickups: Pickups,
    tls_counts: tls_reports::Counter,
    sts: StsFinder,
    clock_jumps: ClockJumps,
    urls: OnceLock<Arc<dyn UrlSource>>,
    shutdown: Shutdown,
}

impl std::fmt::Debug for Mta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mta")
    }
}

impl Mta {
    /// Takes up the queue where the last run left it. Deliveries run until `shutdown` is given.
    pub async fn start(
        config: Config,
        stores: Stores,
        logins: Arc<Logins>,
        world: World,
        shutdown: Shutdown,
    ) -> Result<Arc<Self>, store::StoreError> {
        stores.directory.make_seal(&*world.entropy).await?;
        let mta = Self::new(config, stores, logins, world, shutdown);
        mta.dispatcher.start(&mta);
        tokio::spawn(history::prune(mta.clone()));
        tokio::spawn(tls_reports::run(mta.clone()));
        tokio::spawn(transport_security::look_after(mta.clone()));
        tokio::spawn(renewal::run(mta.clone()));
        Ok(mta)
    }

    /// One that delivers nothing: for what an operator does while no server runs.
    pub fn at_rest(config: Config, stores: Stores, world: World) -> Arc<Self> {
        let logins = Arc::new(Logins::new(stores.directory.clone(), &world, login::Limits::default()));
        let (_, shutdown) = world::ShutdownTrigger::new();
        let mta = Self::new(config, stores, logins, world, shutdown);
        mta.dispatcher.tell(&mta, scheduler::Lanes::handle_shutdown);
        mta
    }

    fn new(
        config: Config,
        stores: Stores,
        logins: Arc<Logins>,
        world: World,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue_ids: QueueIds::new(&*world.entropy),
            dispatcher: Dispatcher::new(config.delivery.connections_max),
            memory: policy::Memory::new(world.clock.now()),
            terminals: Terminals::default(),
            etrn: Etrn::default(),
            pickups: Pickups::default(),
            tls_counts: tls_reports::Counter::default(),
            sts: StsFinder::new(&world, &stores),
            clock_jumps: ClockJumps::new(world.clock.now(), world.clock.wall()),
            config: RwLock::new(Arc::new(config)),
            urls: OnceLock::new(),
            stores,
            logins,
            world,
            shutdown,
        })
    }

    /// From now on submission offers BURL. Counts once.
    pub fn serve_urls(&self, source: Arc<dyn UrlSource>) {
        let _ = self.urls.set(source);
    }

    /// The configuration in force; sessions and deliveries take it anew for each message.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who finds MTA-STS policies.
    pub fn sts(&self) -> &StsFinder {
        &self.sts
    }

    /// The wall clock; that it was set is noticed.
    pub(crate) fn wall(self: &Arc<Self>) -> mail::Timestamp {
        let wall = self.world.clock.wall();
        if let Some(by) = self.clock_jumps.look(self.world.clock.now(), wall) {
            tokio::spawn(clock_jumps::pull_forward(self.clone(), by));
        }
        wall
    }

    /// What policy remembers of clients.
    pub fn memory(&self) -> &policy::Memory {
        &self.memory
    }

    /// Puts a new configuration in force for whatever starts from now on.
    pub fn reload(self: &Arc<Self>, mut config: Config) {
        config.delivery.version = self.config().delivery.version + 1;
        let connections_max = config.delivery.connections_max;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.dispatcher.tell(self, |lanes| lanes.handle_reload(connections_max));
    }

    /// The lanes that lead to other hosts, as they are now.
    pub fn sites(&self) -> Vec<scheduler::SiteView> {
        self.dispatcher.sites()
    }

    /// One of them, if something goes there, or failed to.
    pub fn site(&self, lane: &store::spool::LaneId) -> Option<scheduler::SiteView> {
        self.dispatcher.site(lane)
    }

    /// What is in memory for mail under way.
    pub fn holds(&self) -> scheduler::Holds {
        scheduler::Holds { clients: self.memory.connections.open(), ..self.dispatcher.lanes().holds() }
    }

    /// Waits until no delivery is under way; new ones do not start once `shutdown` is given.
    pub async fn drained(&self) {
        self.dispatcher.drained().await;
    }
}
