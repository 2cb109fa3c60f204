//! Postrider servers: what ships, in a simulated world, started again whenever they die.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use access::{
    imap::{ImapListener, ImapService},
    pop3::{Pop3Listener, Pop3Service},
};
use login::Logins;
use mail::QueueId;
use mta::{
    Config, Mta,
    config::{ListenerConfig, TlsMode},
    queue::{Done, Operation},
    route::{MxDelivery, NextHost, RecipientPattern, Route, RouteTls, Via, site::OwnHosts},
    scheduler::Holds,
};
use proto::smtp::server::Flavour;
use store::{
    PasswordCost, Stores,
    mailbox::Uid,
    memory::{Chance, CrashModel, MemoryEngine},
    spool::{EntryStatus, LaneId, QueueEntry},
};
use tokio::{sync::Notify, task::JoinSet};
use world::{ListenAddress, ShutdownTrigger, World};

use crate::{
    faults::Doing,
    journal::Journal,
    mutants::Bug,
    oracle::agreement,
    plan::{ACCOUNTS, Aliases, Plan, account, alias, host_of, server_domain, server_ip},
    tls,
    world::{Disk, Life, Outside, WallClock},
};

pub const PASSWORD: &str = "secret";
const SUBMISSION_PORT: u16 = 587;
const POP3_PORT: u16 = 110;
const IMAP_PORT: u16 = 143;
/// The longest message that is taken by APPEND.
const APPEND_BYTES_MAX: u64 = 1 << 20;
/// The time from a crash to the next start, unless a fault says otherwise.
const DOWN: Duration = Duration::from_secs(2);
/// How late it is seen that the store takes no more commits.
const POISON_NOTICED: Duration = Duration::from_millis(500);
/// A stop waits no longer for deliveries under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// A start crashes on its way once in so many.
const START_CRASHES_ONE_IN: u32 = 6;

pub type Setup = Result<(), Box<dyn std::error::Error>>;

/// One host with its disk, from the start of a run to its end.
pub struct Server {
    pub name: Arc<str>,
    pub ip: IpAddr,
    pub wall: Arc<WallClock>,
    number: usize,
    config: Config,
    /// Offered to other hosts.
    tls: TlsMode,
    aliases: Aliases,
    #[cfg(feature = "planted")]
    planted: Option<access::planted::Planted>,
    outside: Outside,
    journal: Journal,
    state: Mutex<State>,
    stop: Notify,
}

struct State {
    chance: Chance,
    engine: Arc<MemoryEngine>,
    running: Option<Running>,
    down: Duration,
    starts: u32,
    full: Vec<(Duration, Duration)>,
    /// When in the run a sync of its failed.
    failed: Vec<Duration>,
    /// What was found wrong on the disk after crashes.
    violations: Vec<String>,
}

/// A process.
#[derive(Clone)]
struct Running {
    life: Arc<Life>,
    mta: Arc<Mta>,
    stores: Stores,
    trigger: Arc<ShutdownTrigger>,
    listeners: Arc<tokio::sync::Mutex<JoinSet<()>>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.name)
    }
}

impl Server {
    pub async fn new(
        plan: &Plan,
        number: usize,
        outside: &Outside,
        journal: &Journal,
    ) -> Result<Arc<Self>, Box<dyn std::error::Error>> {
        let mut chance = Chance::new(plan.seed ^ (0x5E17 + number as u64));
        let model = CrashModel::calm(chance.draw());
        let model = match plan.planted {
            Some(Bug::Store(fault)) => model.plant(fault),
            _ => model,
        };
        let engine = Arc::new(MemoryEngine::with_crash_model(model));
        let (ip, wall) = (server_ip(number), outside.wall_clock());
        let world = outside.world(ip, &Arc::default(), &wall, chance.draw());
        furnish(&stores(&engine), &world, plan, number).await?;
        let state = State {
            chance,
            engine,
            running: None,
            down: DOWN,
            starts: 0,
            full: Vec::new(),
            failed: Vec::new(),
            violations: Vec::new(),
        };
        Ok(Arc::new(Self {
            name: format!("s{}", number + 1).into(),
            ip,
            wall,
            number,
            config: config(plan, number)?,
            tls: if plan.starttls { tls::offer(&host_of(&server_domain(number)))? } else { TlsMode::None },
            aliases: plan.aliases.clone(),
            #[cfg(feature = "planted")]
            planted: match plan.planted {
                Some(Bug::Access(planted)) => Some(planted),
                _ => None,
            },
            outside: outside.clone(),
            journal: journal.clone(),
            state: Mutex::new(state),
            stop: Notify::new(),
        }))
    }

    /// Runs one process after another.
    pub async fn live(self: Arc<Self>) {
        loop {
            let life = Arc::<Life>::default();
            self.prepare(&life);
            let clean = tokio::select! {
                biased;
                () = life.ended() => false,
                clean = self.run(&life) => clean,
            };
            life.kill();
            self.outside.internet.process_ended(&life);
            let down = self.bury(clean);
            let found = agreement(&self.stores(), &self.aliases).await;
            for violation in found {
                self.journal.note(&self.name, format!("WRONG: {violation}"));
                self.state().violations.push(format!("{}: after a crash: {violation}", self.name));
            }
            tokio::time::sleep(down).await;
        }
    }

    /// Some starts do not come to their end.
    fn prepare(&self, life: &Life) {
        let mut state = self.state();
        state.starts += 1;
        let again = state.starts > 1;
        if again && state.chance.one_in(START_CRASHES_ONE_IN) {
            life.die_after(state.chance.below(80));
        }
    }

    /// Takes the process's memory away, and of its disk what was not synced.
    fn bury(&self, clean: bool) -> Duration {
        let mut state = self.state();
        state.running = None;
        state.engine = Arc::new(state.engine.crash());
        let (now, engine) = (self.outside.elapsed(), state.engine.clone());
        engine.set_full(state.full.iter().any(|(from, to)| (*from..*to).contains(&now)));
        let down = std::mem::replace(&mut state.down, DOWN);
        let how = if clean { "stops" } else { "crashes" };
        self.journal.note(&self.name, format!("{how}, back in {down:?}"));
        down
    }

    /// Until the process is asked to stop (true) or its disk fails.
    async fn run(&self, life: &Arc<Life>) -> bool {
        let running = match self.start(life).await {
            Ok(running) => running,
            Err(error) => {
                self.journal.note(&self.name, format!("cannot start: {error}"));
                return false;
            }
        };
        self.journal.note(&self.name, "starts");
        self.state().running = Some(running.clone());
        tokio::select! {
            biased;
            () = life.ailed() => {
                self.journal.note(&self.name, "its disk failed");
                self.state().failed.push(self.outside.elapsed());
                tokio::time::sleep(POISON_NOTICED).await;
                false
            }
            () = self.stop.notified() => {
                running.stop().await;
                true
            }
        }
    }

    async fn start(&self, life: &Arc<Life>) -> Result<Running, Box<dyn std::error::Error>> {
        let (engine, seeds) = {
            let mut state = self.state();
            (state.engine.clone(), [state.chance.draw(), state.chance.draw()])
        };
        let world = self.outside.world(self.ip, life, &self.wall, seeds[0]);
        let disk = Arc::new(Disk::new(engine, life.clone(), seeds[1]));
        let stores = Stores::with_password_cost(disk, PasswordCost::least());
        stores.mailboxes.finish_deletions().await?;
        let doors = [(25, Flavour::Smtp), (SUBMISSION_PORT, Flavour::Submission)];
        let mut bound = Vec::new();
        for (port, flavour) in doors {
            let address = ListenAddress::Tcp(SocketAddr::new(self.ip, port));
            bound.push((world.net.listen(&address).await?, flavour));
        }
        let pop3_address = ListenAddress::Tcp(SocketAddr::new(self.ip, POP3_PORT));
        let pop3_listener = world.net.listen(&pop3_address).await?;
        let imap_address = ListenAddress::Tcp(SocketAddr::new(self.ip, IMAP_PORT));
        let imap_listener = world.net.listen(&imap_address).await?;
        let (trigger, shutdown) = ShutdownTrigger::new();
        let logins = Arc::new(Logins::new(stores.directory.clone(), &world, login::Limits::default()));
        let mut listeners = JoinSet::new();
        let pop3 = Pop3Service::new(logins.clone(), stores.mailboxes.clone(), world.clock.clone());
        #[cfg(feature = "planted")]
        let pop3 = pop3.planting(self.planted);
        let options = Arc::new(Pop3Listener::new(&self.name, TlsMode::None));
        listeners.spawn(Arc::new(pop3).listen(pop3_listener, move || options.clone(), shutdown.clone()));
        let imap =
            ImapService::new(logins.clone(), stores.clone(), world.clock.clone(), world.entropy.clone());
        #[cfg(feature = "planted")]
        let imap = imap.planting(self.planted);
        let options = Arc::new(ImapListener::new(&self.name, TlsMode::None, APPEND_BYTES_MAX));
        listeners.spawn(Arc::new(imap).listen(imap_listener, move || options.clone(), shutdown.clone()));
        let mta = Mta::start(self.config.clone(), stores.clone(), logins, world, shutdown).await?;
        for (listener, flavour) in bound {
            let tls = if flavour == Flavour::Smtp { self.tls.clone() } else { TlsMode::None };
            let config = ListenerConfig { flavour, tls, refusal: None };
            listeners.spawn(mta.clone().serve(listener, config));
        }
        let (trigger, listeners) = (Arc::new(trigger), Arc::new(tokio::sync::Mutex::new(listeners)));
        Ok(Running { life: life.clone(), mta, stores, trigger, listeners })
    }

    /// Its disk as it is now, whether or not a process runs.
    pub fn stores(&self) -> Stores {
        stores(&self.engine())
    }

    pub fn engine(&self) -> Arc<MemoryEngine> {
        self.state().engine.clone()
    }

    /// Nothing more fits on its disk for a while.
    pub fn fill_disk(&self, lasts: Duration) {
        let mut state = self.state();
        state.engine.set_full(true);
        let now = self.outside.elapsed();
        state.full.push((now, now + lasts));
    }

    pub fn failed(&self) -> Vec<Duration> {
        self.state().failed.clone()
    }

    /// From when to when in the run its disk was full.
    pub fn full(&self) -> Vec<(Duration, Duration)> {
        self.state().full.clone()
    }

    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    pub fn is_up(&self) -> bool {
        self.state().running.is_some()
    }

    /// What it has in memory for mail under way; none if it does not run.
    pub fn holds(&self) -> Option<Holds> {
        self.state().running.as_ref().map(|running| running.mta.holds())
    }

    pub fn crash_after(&self, steps: u64, down: Duration) {
        let mut state = self.state();
        if let Some(running) = &state.running {
            running.life.die_after(steps);
            state.down = down;
        }
    }

    pub fn restart(&self) {
        if self.is_up() {
            self.stop.notify_one();
        }
    }

    /// An operator's hand in the queue of the running server; what cannot be done is left undone.
    pub fn operate(&self, does: Doing) {
        let Some(running) = self.state().running.clone() else { return };
        let (journal, name) = (self.journal.clone(), self.name.clone());
        tokio::spawn(async move {
            let waiting = running.stores.spool.list(None, 10_000).await.unwrap_or_default();
            let (chosen, operation, takes_back) = told(does);
            let index = usize::try_from(chosen).unwrap_or_default().checked_rem(waiting.len());
            let Some(entry) = index.and_then(|index| waiting.get(index)) else { return };
            let done = running.mta.operate(entry.id(), &operation.clone().into()).await;
            let done = match done {
                Ok(Done::Changed { .. }) => "done",
                Ok(Done::Unchanged) => "nothing to do",
                Ok(Done::Busy) => "it is being delivered",
                Err(_) => "failed",
            };
            journal.note(&name, format!("operator: {operation:?} {}: {done}", entry.queue_id));
            if let Some((lasts, back)) = takes_back {
                tokio::time::sleep(lasts).await;
                let _ = running.mta.operate(entry.id(), &back.into()).await;
            }
        });
    }

    /// Lets everything go that is still held. Nobody waits for it, as the process may die meanwhile.
    pub fn release_all(&self) {
        let Some(running) = self.state().running.clone() else { return };
        let held = |entry: &QueueEntry| entry.status == EntryStatus::Held;
        tokio::spawn(async move {
            let waiting = running.stores.spool.list(None, 10_000).await.unwrap_or_default();
            for entry in waiting.iter().filter(|entry| held(entry)) {
                let _ = running.mta.operate(entry.id(), &Operation::Release.into()).await;
            }
        });
    }

    /// Where an account submits, from the same machine.
    pub fn submission(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), SUBMISSION_PORT)
    }

    /// Where an account fetches its mail, from the same machine.
    pub fn pop3(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), POP3_PORT)
    }

    /// The same by IMAP.
    pub fn imap(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), IMAP_PORT)
    }

    /// What the message of this UID was called in the queue.
    pub async fn queue_id_of(&self, account: &str, uid: u32) -> Option<QueueId> {
        let stores = self.stores();
        let account = stores.directory.account(&account.parse().ok()?).await.ok()??;
        let found = stores.mailboxes.messages(account.inbox, Uid(uid), 1).await.ok()?;
        found.into_iter().find(|message| message.uid == Uid(uid))?.record.queue_id
    }

    pub fn accounts(&self) -> impl Iterator<Item = String> + use<> {
        let server = self.number;
        (0..ACCOUNTS).map(move |number| account(server, number))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which entry an operator means, what is done to it, and when and how that is taken back.
fn told(does: Doing) -> (u64, Operation, Option<(Duration, Operation)>) {
    match does {
        Doing::Retry(chosen) => (chosen, Operation::Retry, None),
        Doing::Delete(chosen) => (chosen, Operation::Delete, None),
        Doing::Bounce(chosen) => (chosen, Operation::Bounce, None),
        Doing::Hold(chosen, lasts) => (chosen, Operation::Hold, Some((lasts, Operation::Release))),
        Doing::Reroute(chosen, to, lasts) => {
            let lane = LaneId(format!("smtp:{to}:25").into());
            (chosen, Operation::Reroute(Some(lane)), Some((lasts, Operation::Reroute(None))))
        }
    }
}

impl Running {
    /// As a signal does it.
    async fn stop(self) {
        self.trigger.give();
        let drained = async {
            while self.listeners.lock().await.join_next().await.is_some() {}
            self.mta.drained().await;
        };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT * 2, drained).await;
        let _ = self.stores.engine.close().await;
    }
}

fn stores(engine: &Arc<MemoryEngine>) -> Stores {
    Stores::with_password_cost(engine.clone(), PasswordCost::least())
}

async fn furnish(stores: &Stores, world: &World, plan: &Plan, number: usize) -> Setup {
    let now = world.clock.wall();
    stores.directory.add_domain(&server_domain(number).parse()?, now).await?;
    for user in 0..ACCOUNTS {
        let address = account(number, user).parse()?;
        stores.directory.add_account(&address, PASSWORD, None, &*world.entropy, now).await?;
    }
    let targets: Result<Vec<_>, _> =
        plan.aliases.targets(&alias(number)).iter().map(|target| target.parse()).collect();
    stores.directory.add_alias(&alias(number), targets?, now).await?;
    Ok(())
}

fn config(plan: &Plan, number: usize) -> Result<Config, Box<dyn std::error::Error>> {
    let (host, last) = (host_of(&server_domain(number)), plan.servers - 1);
    let mut trusted_networks = vec!["127.0.0.0/8".parse()?, "203.0.113.0/24".parse()?];
    let mut routes = Vec::new();
    if plan.smarthost && number == 0 {
        trusted_networks.push(server_ip(last).to_string().parse()?);
    }
    if plan.smarthost && number == last {
        let via = NextHost {
            host: server_ip(0).to_string(),
            port: 25,
            tls: RouteTls::None,
            login: None,
            lmtp: false,
        };
        routes.push(Route { recipient: RecipientPattern::ANY, via: Via::Smtp(Arc::new(via)) });
    }
    let mx = MxDelivery { port: 25, tls: RouteTls::Opportunistic, private_addresses: false, backup: false };
    routes.push(Route { recipient: RecipientPattern::ANY, via: Via::Mx(Arc::new(mx)) });
    let mut config = Config::new(&host)?;
    config.own = OwnHosts { names: [host].into(), addresses: [server_ip(number)].into() };
    config.trusted_networks = trusted_networks;
    config.routes = routes;
    config.retry_delays.clone_from(&plan.retry_delays);
    config.dead_letters = plan.dead_letters;
    config.expire_after = plan.expire_after;
    config.delay_notice_after = plan.expire_after / 3;
    config.clients.exempt_networks = vec!["0.0.0.0/0".parse()?];
    #[cfg(feature = "planted")]
    if let Some(Bug::Mta(planted)) = plan.planted {
        config.planted = Some(planted);
    }
    Ok(config)
}
