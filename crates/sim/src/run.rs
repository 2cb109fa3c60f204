//! Plays a plan to its end and says what was wrong.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{
    client::{self, Door, Submission},
    faults::Kind,
    imap,
    journal::{Journal, Line},
    oracle::{self, Evidence, Kept},
    peer::{Arrivals, Peer},
    plan::{
        BUSY, Household, LOOP_DOMAIN, Message, Origin, Plan, Reader, host_of, peer_domain, peer_ip,
        server_domain, server_ip, trusted_ip,
    },
    reader::{self, Seen},
    server::{PASSWORD, Server},
    world::{DnsWeather, Life, Outside, Weather},
};

/// Faults and what they last are over this long after the busy time.
const AFTERMATH: Duration = Duration::from_mins(95);
const DRAIN_POLL: Duration = Duration::from_mins(5);
/// The longest that an empty queue leaves anything in memory: a site's state, a connection kept open.
const REST_MAX: Duration = Duration::from_hours(1);
/// Longer than any run, whatever its schedule.
const RUN_MAX: Duration = Duration::from_hours(60 * 24);
/// Lines of the timeline for each message that a run may have: with more something goes round in circles.
const LINES_MAX: usize = 40;

/// And of people who read their mail by IMAP.
const HOUSE_LINES_MAX: usize = 2000;

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What must not be; empty if all is well.
    pub violations: Vec<String>,
    pub timeline: Vec<Line>,
    /// Of the messages that violations name, by the clocks of their servers.
    pub histories: Vec<String>,
    pub counts: Counts,
}

/// How much happened in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub simulated: Duration,
    pub messages: usize,
    pub acknowledged: usize,
    pub faults: usize,
    /// Processes that began.
    pub starts: usize,
    pub connections: usize,
    /// Of these broken or stalled.
    pub disturbed: usize,
    /// Messages that a server took over TLS.
    pub encrypted: usize,
    pub bounces: usize,
    pub duplicates: usize,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.simulated += other.simulated;
        self.messages += other.messages;
        self.acknowledged += other.acknowledged;
        self.faults += other.faults;
        self.starts += other.starts;
        self.connections += other.connections;
        self.disturbed += other.disturbed;
        self.encrypted += other.encrypted;
        self.bounces += other.bounces;
        self.duplicates += other.duplicates;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.simulated.as_secs_f64() / 86_400.0;
        write!(
            f,
            "{days:.1} days simulated: {} messages, {} recipients acknowledged, {} letters taken over TLS, ",
            self.messages, self.acknowledged, self.encrypted
        )?;
        write!(f, "{} bounces, {} second copies; {} faults, ", self.bounces, self.duplicates, self.faults)?;
        write!(
            f,
            "{} starts of a server, {} of {} connections disturbed",
            self.starts, self.disturbed, self.connections
        )
    }
}

/// Plays the plan. Everything runs on this thread, and its time is simulated.
pub fn run(plan: &Plan) -> Result<Report, Box<dyn std::error::Error>> {
    let played = async { tokio::time::timeout(RUN_MAX, play(plan)).await };
    let played = crate::world::runtime()?.block_on(played);
    played.map_err(|_| format!("somebody waits for ever: {RUN_MAX:?} are over"))?
}

struct Stage<'a> {
    plan: &'a Plan,
    outside: Outside,
    journal: Journal,
    arrivals: Arrivals,
    servers: Vec<Arc<Server>>,
}

async fn play(plan: &Plan) -> Result<Report, Box<dyn std::error::Error>> {
    let outside = Outside::new(plan.seed);
    let mut stage =
        Stage { plan, outside, journal: Journal::new(), arrivals: Arrivals::default(), servers: Vec::new() };
    stage.name_hosts();
    stage.set_up_peers();
    for number in 0..plan.servers {
        let server = Server::new(plan, number, &stage.outside, &stage.journal).await?;
        tokio::spawn(server.clone().live());
        stage.servers.push(server);
    }
    stage.outside.internet.set_weather(Weather { break_one_in: plan.break_one_in, ..Weather::fine() });
    let clients: Vec<_> = plan.messages.iter().map(|message| stage.send(message)).collect();
    let readers: Vec<_> = plan.readers.iter().map(|reader| stage.read(reader)).collect();
    let households: Vec<_> = plan.households.iter().map(|household| stage.house(household)).collect();
    for (_, fault) in &plan.faults {
        tokio::time::sleep(fault.at.saturating_sub(stage.outside.elapsed())).await;
        stage.journal.note(&"fault".into(), fault.kind.to_string());
        stage.strike(&fault.kind);
    }
    tokio::time::sleep((BUSY + AFTERMATH).saturating_sub(stage.outside.elapsed())).await;
    stage.calm_down();
    let mut submissions = Vec::new();
    for client in clients {
        submissions.extend(client.await?);
    }
    let mut seen = Vec::new();
    for reader in readers {
        seen.push(reader.await?);
    }
    let mut met = Vec::new();
    for household in households {
        let mut clients = Vec::new();
        for client in household {
            clients.push(client.await?);
        }
        met.push(clients);
    }
    let mut late = stage.drain().await;
    for clients in met {
        seen.push(imap::finale(clients, &stage.journal).await);
    }
    late.extend(stage.rest().await);
    stage.judge(submissions, &seen, late).await
}

impl Stage<'_> {
    fn name_hosts(&self) {
        let names = &self.outside.names;
        let servers = (0..self.plan.servers).map(|number| (server_domain(number), server_ip(number)));
        let peers = (0..self.plan.peers.len()).map(|number| (peer_domain(number), peer_ip(number)));
        for (domain, ip) in servers.chain(peers) {
            names.set_mx(&domain, &[host_of(&domain)]);
            names.set_address(&host_of(&domain), ip);
        }
        names.set_mx(LOOP_DOMAIN, &[host_of(&server_domain(0))]);
    }

    fn set_up_peers(&self) {
        for (number, habit) in self.plan.peers.iter().enumerate() {
            let (ip, seed) = (peer_ip(number), self.plan.seed ^ (0xBEE5 + number as u64));
            let name = format!("p{} {}", number + 1, habit.name());
            let peer = Peer::new(&name, ip, *habit, self.arrivals.clone(), self.journal.clone(), seed);
            tokio::spawn(peer.serve(self.world_of(ip)));
        }
    }

    /// For what never crashes.
    fn world_of(&self, ip: std::net::IpAddr) -> world::World {
        self.outside.world(ip, &Arc::<Life>::default(), &self.outside.wall_clock(), self.plan.seed)
    }

    fn send(&self, message: &Message) -> JoinHandle<Vec<Submission>> {
        let server = &self.servers[message.server];
        let smtp = SocketAddr::new(server.ip, 25);
        let (ip, address, login) = match message.origin {
            Origin::Account => {
                (server.ip, server.submission(), Some((message.sender.clone(), PASSWORD.to_owned())))
            }
            Origin::Trusted => (trusted_ip(), smtp, None),
            Origin::Stranger => (peer_ip(message.number % self.plan.peers.len()), smtp, None),
        };
        let door = Door { server: message.server, address, login };
        let (world, message, journal) = (self.world_of(ip), message.clone(), self.journal.clone());
        tokio::spawn(async move {
            tokio::time::sleep(message.at).await;
            client::submit(world, door, message, journal).await
        })
    }

    fn read(&self, reader: &Reader) -> JoinHandle<Seen> {
        let server = self.servers[reader.server].clone();
        let world = self.world_of(server.ip);
        tokio::spawn(reader::read_mail(world, server, reader.clone(), self.journal.clone()))
    }

    fn house(&self, household: &Household) -> Vec<JoinHandle<imap::Client>> {
        let server = &self.servers[household.server];
        imap::live(&self.world_of(server.ip), server, household, &self.journal)
    }

    fn strike(&self, kind: &Kind) {
        let internet = self.outside.internet.clone();
        match *kind {
            Kind::Crash { server, steps, down } => self.servers[server].crash_after(steps, down),
            Kind::Restart { server } => self.servers[server].restart(),
            Kind::SyncFails { server } => self.servers[server].engine().fail_next_sync(),
            Kind::DiskFull { server, lasts } => {
                let server = self.servers[server].clone();
                server.fill_disk(lasts);
                after(lasts, move || server.engine().set_full(false));
            }
            Kind::Part { a, b, lasts } => {
                internet.part(a, b);
                after(lasts, move || internet.rejoin(a, b));
            }
            Kind::Break { server } => internet.break_links(self.servers[server].ip),
            Kind::Slow { most, lasts } => {
                let fine = internet.weather();
                internet.set_weather(Weather { delay: (fine.delay.0, most), ..fine });
                after(lasts, move || {
                    let weather = internet.weather();
                    internet.set_weather(Weather { delay: Weather::fine().delay, ..weather });
                });
            }
            Kind::Dns { weather, lasts } => {
                let names = self.outside.names.clone();
                names.set_weather(weather);
                after(lasts, move || names.set_weather(DnsWeather::Fine));
            }
            Kind::MoveMx { from, to, lasts } => {
                let (names, domain) = (self.outside.names.clone(), peer_domain(from));
                names.set_mx(&domain, &[host_of(&peer_domain(to))]);
                after(lasts, move || names.set_mx(&domain, &[host_of(&domain)]));
            }
            Kind::ClockJump { server, millis } => self.servers[server].wall.jump(millis),
            Kind::Operator { server, does } => self.servers[server].operate(does),
        }
    }

    fn calm_down(&self) {
        self.journal.note(&"fault".into(), "none from here on");
        self.outside.internet.set_weather(Weather::fine());
        self.outside.internet.rejoin_all();
        self.outside.names.set_weather(DnsWeather::Fine);
    }

    /// Until every queue is empty; says what is not in time.
    async fn drain(&self) -> Vec<String> {
        let jumps = self.plan.faults.iter().filter_map(|(_, fault)| match fault.kind {
            Kind::ClockJump { millis, .. } => Some(Duration::from_millis(millis.unsigned_abs())),
            _ => None,
        });
        let longest = self.plan.retry_delays.iter().max().copied().unwrap_or_default();
        // A report on what expired has its own time, and each try its own patience.
        let patience =
            2 * (self.plan.expire_after + 2 * longest) + Duration::from_hours(2) + jumps.sum::<Duration>();
        let until = self.outside.elapsed() + patience;
        loop {
            let mut waiting = Vec::new();
            for server in &self.servers {
                server.release_all();
                let left = server.stores().spool.list(None, 10_000).await.unwrap_or_default();
                let entries = left.iter().map(|it| format!("{} on {:?}", it.queue_id, it.lane.0));
                waiting.extend(entries.map(|entry| format!("{}: still in the queue: {entry}", server.name)));
                if !server.is_up() {
                    waiting.push(format!("{}: is down", server.name));
                }
            }
            let lines = self.journal.len();
            let lines_max = LINES_MAX * (self.plan.messages.len() + self.plan.faults.len())
                + HOUSE_LINES_MAX * self.plan.households.len();
            if lines > lines_max {
                waiting.push(format!("it runs wild: {lines} lines so far"));
                return waiting;
            }
            if waiting.is_empty() || self.outside.elapsed() > until {
                return waiting;
            }
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Until no server has anything of all this in memory; says who has in spite of its empty queue.
    async fn rest(&self) -> Vec<String> {
        let until = self.outside.elapsed() + REST_MAX;
        loop {
            let rest = self.servers.iter().filter_map(|server| {
                let holds = server.holds().filter(|holds| !holds.is_nothing())?;
                Some(format!("{}: its queue is empty, and in memory it has {holds:?}", server.name))
            });
            let rest: Vec<_> = rest.collect();
            if rest.is_empty() || self.outside.elapsed() > until {
                return rest;
            }
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    async fn judge(
        self,
        submissions: Vec<Submission>,
        seen: &[Seen],
        late: Vec<String>,
    ) -> Result<Report, Box<dyn std::error::Error>> {
        let mut servers = Vec::new();
        for server in &self.servers {
            let kept = Kept::of(server).await?;
            self.journal.note(&server.name, format!("all that is left: {:016x}", kept.digest()));
            servers.push(kept);
        }
        let mut violations: Vec<_> = seen.iter().flat_map(|seen| seen.wrong.clone()).collect();
        for kept in &mut servers {
            violations.extend(seen.iter().flat_map(|seen| kept.take_back(seen)));
        }
        let evidence = Evidence {
            aliases: self.plan.aliases.clone(),
            dead_letters: self.plan.dead_letters,
            start: tokio::time::Instant::now() - self.outside.elapsed(),
            submissions,
            arrivals: self.arrivals.all(),
            servers,
            links: self.outside.internet.records(),
        };
        violations.extend(self.servers.iter().flat_map(|server| server.violations()));
        violations.extend(late);
        let (found, mut counts) = oracle::judge(&evidence);
        violations.extend(found);
        counts.simulated = self.outside.elapsed();
        counts.messages = self.plan.messages.len();
        counts.faults = self.plan.faults.len();
        let timeline = self.journal.lines();
        counts.starts = timeline.iter().filter(|line| line.what == "starts").count();
        let histories = oracle::histories_of(&evidence, &violations);
        Ok(Report { violations, timeline, histories, counts })
    }
}

fn after(time: Duration, end: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        end();
    });
}
