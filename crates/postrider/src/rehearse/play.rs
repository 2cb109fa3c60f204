//! One run: the transfer agent as `serve` configures it, on a stage, until nothing waits any more.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use indicatif::ProgressBar;
use login::{Limits, Logins};
use mail::{Address, ByMode, DeliverBy, Hold, MailParameters, QueueId, RcptParameters, Timestamp};
use mta::{
    Mta,
    config::{ListenerConfig, TlsMode},
    route::Via,
};
use proto::smtp::server::Flavour;
use sim::rehearsal::{Connections, SERVER_IP, Stage};
use store::{Stores, ledger::Event};
use tokio::task::JoinSet;
use world::{ListenAddress, ShutdownTrigger, World};

use super::{
    cast::{Cast, Playable},
    scenario::{IfLate, Scenario, TestMessage},
};
use crate::{
    Failure,
    admin::protocol::Secret,
    agent::{
        self, Login, Receipt, Submission,
        mailbox::Mailbox,
        message::{Draft, Message},
        server::{ServerAddress, Tls},
    },
    serve::wiring,
};

/// The accounts' password, in a world of their own.
const PASSWORD: &str = "rehearsal";
/// What clients call themselves.
const CLIENT_NAME: &str = "client.invalid";
const SMTP_PORT: u16 = 25;
/// How often it is looked whether something still waits.
const POLL: Duration = Duration::from_mins(5);
const LINE: &str = "This message is part of a rehearsal.\n";

/// What came of a run.
#[derive(Debug)]
pub struct Played {
    pub messages: Vec<Sent>,
    pub connections: Vec<Connections>,
    /// How long it was.
    pub lasted: Duration,
}

/// One message and its history; times count from the start of the run.
#[derive(Debug)]
pub struct Sent {
    pub from: Address,
    pub to: Vec<Address>,
    pub at: Duration,
    /// What the server said to it; if nothing, why.
    pub receipt: Result<Receipt, String>,
    pub id: Option<QueueId>,
    pub events: Vec<(Duration, Event)>,
    pub waiting: Vec<Waiting>,
}

/// What of it is in the queue when the run is over.
#[derive(Debug)]
pub struct Waiting {
    pub recipients: Vec<String>,
    /// None: on hold.
    pub next: Option<Duration>,
    pub last_error: Option<String>,
}

/// Plays the scenario. All of it happens on this thread, and its time is simulated.
pub fn play(
    playable: &Playable,
    scenario: &Scenario,
    seed: u64,
    progress: &ProgressBar,
) -> Result<Played, Failure> {
    let cast = Arc::new(Cast::new(playable, scenario)?);
    let runtime = sim::world::runtime().map_err(Failure::new)?;
    runtime.block_on(async {
        let stage = Stage::set(seed, &cast.script).map_err(Failure::new)?;
        Run::start(playable, scenario, cast, stage).await?.finish(scenario, progress).await
    })
}

struct Run {
    stage: Stage,
    stores: Stores,
    mta: Arc<Mta>,
    clients: JoinSet<Result<Vec<(usize, Sent)>, Failure>>,
    /// Dropped, it would be given.
    _trigger: ShutdownTrigger,
}

impl Run {
    async fn start(
        playable: &Playable,
        scenario: &Scenario,
        cast: Arc<Cast>,
        stage: Stage,
    ) -> Result<Self, Failure> {
        let (world, stores) = (stage.world(), stage.stores());
        stage.name_server(&playable.config.hostname.0);
        furnish(&stores, &world, playable, scenario, &cast).await?;
        let mut config = wiring::mta_config_trusting(&playable.config, stage.roots_pem())?;
        config.own.addresses = [SERVER_IP].into();
        let doors = [(SMTP_PORT, Flavour::Smtp), (cast.submission_port, Flavour::Submission)];
        let mut bound = Vec::new();
        for (port, flavour) in doors {
            let address = ListenAddress::Tcp(SocketAddr::new(SERVER_IP, port));
            bound.push((world.net.listen(&address).await.map_err(Failure::new)?, flavour));
        }
        let (trigger, shutdown) = ShutdownTrigger::new();
        let logins = Arc::new(Logins::new(stores.directory.clone(), &world, Limits::default()));
        let mta = Mta::start(config, stores.clone(), logins, world.clone(), shutdown).await?;
        for (listener, flavour) in bound {
            let config = ListenerConfig { flavour, tls: TlsMode::None, refusal: None };
            tokio::spawn(mta.clone().serve(listener, config));
        }
        let mut clients = JoinSet::new();
        let mut number = 0;
        for message in &scenario.message {
            let client = Client::new(message, &cast, &stage)?;
            clients.spawn(client.send_all(number));
            number += usize::try_from(message.count).unwrap_or(usize::MAX);
        }
        Ok(Self { stage, stores, mta, clients, _trigger: trigger })
    }

    async fn finish(mut self, scenario: &Scenario, progress: &ProgressBar) -> Result<Played, Failure> {
        let until = Duration::from_hours(24) * scenario.days;
        let world = self.stage.world();
        let mut sent = Vec::new();
        let begun = progress.position();
        while self.stage.elapsed() < until {
            while let Some(client) = self.clients.try_join_next() {
                sent.extend(client.map_err(Failure::new)??);
            }
            if self.clients.is_empty() && self.stores.spool.list(None, 1).await?.is_empty() {
                break;
            }
            let next = POLL.min(until.saturating_sub(self.stage.elapsed()));
            world.clock.sleep_until(world.clock.now() + next).await;
            progress.set_position(begun + self.stage.elapsed().as_secs() / 3600);
        }
        sent.sort_by_key(|(number, _)| *number);
        let mut messages: Vec<_> = sent.into_iter().map(|(_, sent)| sent).collect();
        for message in &mut messages {
            self.tell(message).await?;
        }
        Ok(Played { messages, connections: self.stage.connections(), lasted: self.stage.elapsed() })
    }

    /// Adds its history.
    async fn tell(&self, message: &mut Sent) -> Result<(), Failure> {
        let Some(id) = message.id else { return Ok(()) };
        let events = self.stores.ledger.events(id).await?;
        message.events = events.into_iter().map(|(at, event)| (sim::world::uptime(at), event)).collect();
        for entry in self.stores.spool.entries_of(id).await? {
            let held = entry.status == store::spool::EntryStatus::Held;
            let probe = self.mta.site(&entry.lane).and_then(|site| match site.state {
                mta::scheduler::SiteState::Closed { until, .. } => Some(until),
                _ => None,
            });
            let next: Timestamp = entry.due.max(probe.unwrap_or(entry.due));
            message.waiting.push(Waiting {
                recipients: entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect(),
                next: (!held).then(|| sim::world::uptime(next)),
                last_error: entry.last_error.clone(),
            });
        }
        Ok(())
    }
}

/// Domains and accounts as the messages need them.
async fn furnish(
    stores: &Stores,
    world: &World,
    playable: &Playable,
    scenario: &Scenario,
    cast: &Cast,
) -> Result<(), Failure> {
    let now = world.clock.wall();
    for domain in &cast.domains {
        stores.directory.add_domain(domain, now).await.map_err(Failure::new)?;
    }
    let captures = playable.routes.iter().filter_map(|route| match &route.via {
        Via::Capture(capture) => Some(capture.mailbox.clone()),
        _ => None,
    });
    let mut accounts: Vec<Address> = captures.collect();
    for message in &scenario.message {
        accounts.push(cast.sender(message)?);
        accounts.extend(message.to.iter().map(|address| address.0.clone()));
    }
    accounts.retain(|address| cast.is_hosted(address));
    accounts.sort_by_key(Address::to_lookup);
    accounts.dedup_by_key(|address| address.to_lookup());
    for account in accounts {
        let added = stores.directory.add_account(&account, PASSWORD, None, &*world.entropy, now).await;
        added.map_err(Failure::new)?;
    }
    Ok(())
}

/// Who sends the messages of one `[[message]]`, one after the other.
struct Client {
    message: TestMessage,
    world: World,
    from: Address,
    server: ServerAddress,
    login: Option<Login>,
}

impl Client {
    fn new(message: &TestMessage, cast: &Cast, stage: &Stage) -> Result<Self, Failure> {
        let from = cast.sender(message)?;
        let is_ours = cast.is_hosted(&from);
        let (world, ip, port) = if is_ours {
            (stage.world(), Ipv4Addr::LOCALHOST.into(), cast.submission_port)
        } else {
            (stage.stranger(), SERVER_IP, SMTP_PORT)
        };
        let login = is_ours.then(|| Login { user: from.to_string(), password: Secret(PASSWORD.to_owned()) });
        let server = ServerAddress { host: ip.to_string(), port };
        Ok(Self { message: message.clone(), world, from, server, login })
    }

    /// With their numbers, from `first` on.
    async fn send_all(self, first: usize) -> Result<Vec<(usize, Sent)>, Failure> {
        let start = self.world.clock.now();
        let mut sent = Vec::new();
        for index in 0..self.message.count {
            let at = self.message.at.0 + self.message.every.0 * index;
            self.world.clock.sleep_until(start + at).await;
            let number = first + usize::try_from(index).unwrap_or(usize::MAX);
            let at = self.world.clock.now().duration_since(start);
            sent.push((number, self.send(number, at).await?));
        }
        Ok(sent)
    }

    async fn send(&self, number: usize, at: Duration) -> Result<Sent, Failure> {
        let message = Message::build(&self.draft(number), &self.world)?;
        let to: Vec<Address> = self.message.to.iter().map(|address| address.0.clone()).collect();
        let submission = Submission {
            server: self.server.clone(),
            tls: Tls::None,
            verify: false,
            login: self.login.clone(),
            parameters: self.parameters(),
            rcpt: RcptParameters {
                notify: self.message.notify.as_ref().map(|notify| notify.value.0),
                ..RcptParameters::default()
            },
            name: CLIENT_NAME.to_owned(),
            from: self.from.clone(),
            recipients: to.clone(),
        };
        let receipt = agent::submit(&self.world, submission, message, &ProgressBar::hidden()).await;
        let receipt = receipt.map_err(|failure| failure.to_string());
        let id = receipt
            .as_ref()
            .ok()
            .filter(|receipt| receipt.accepted)
            .and_then(|receipt| queue_id(&receipt.reply));
        let from = self.from.clone();
        Ok(Sent { from, to, at, receipt, id, events: Vec::new(), waiting: Vec::new() })
    }

    fn parameters(&self) -> MailParameters {
        let seconds = |length: Duration| i32::try_from(length.as_secs()).unwrap_or(i32::MAX).max(1);
        let mode = match self.message.if_late {
            IfLate::Return => ByMode::Return,
            IfLate::Notify => ByMode::Notify,
        };
        let by = self.message.deliver_by;
        MailParameters {
            hold: self.message.hold_for.map(|span| Hold::For(seconds(span.0).unsigned_abs())),
            deliver_by: by.map(|span| DeliverBy { seconds: seconds(span.0), mode, trace: false }),
            priority: self.message.priority.as_ref().map(|priority| priority.value.0),
            ..MailParameters::default()
        }
    }

    fn draft(&self, number: usize) -> Draft {
        let mailbox = |address: &Address| Mailbox { name: None, address: address.clone() };
        let lines = usize::try_from(self.message.size.0).unwrap_or(usize::MAX) / LINE.len();
        Draft {
            from: mailbox(&self.from),
            to: self.message.to.iter().map(|address| mailbox(&address.0)).collect(),
            cc: Vec::new(),
            subject: format!("Rehearsal {}", number + 1),
            text: LINE.repeat(lines.max(1)),
            html: None,
            attachments: Vec::new(),
        }
    }
}

/// Out of `250 2.0.0 accepted as ID`.
fn queue_id(reply: &str) -> Option<QueueId> {
    reply.rsplit(' ').next()?.parse().ok()
}
