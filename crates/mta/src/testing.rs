//! A transfer agent on the engine in memory, and clients that read like the wire.

mod names;

use std::{sync::Arc, time::Duration};

use login::Logins;
use proto::smtp::server::Flavour;
use store::{Stores, memory::MemoryEngine};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use world::{Peer, ShutdownTrigger, World};

use crate::{
    Config, Mta,
    config::{ListenerConfig, TlsMode},
    route::Route,
    session::{self, Arrival, Security},
};

pub(crate) use names::Names;

pub(crate) struct Site {
    pub(crate) mta: Arc<Mta>,
    pub(crate) stores: Stores,
    pub(crate) engine: Arc<MemoryEngine>,
    _shutdown: ShutdownTrigger,
}

pub(crate) fn config(routes: Vec<Route>) -> Config {
    Config {
        trusted_networks: vec!["127.0.0.0/8".parse().unwrap()],
        routes,
        retry_delays: vec![Duration::from_millis(50)],
        expire_after: Duration::from_hours(1),
        report_expire_after: Duration::from_hours(1),
        dead_letters: true,
        delay_notice_after: Duration::from_mins(30),
        history_kept_for: Duration::from_hours(1),
        ..Config::new("mx.here.example").unwrap()
    }
}

impl Site {
    /// Hosts `here.example` with the account `bob`.
    pub(crate) async fn new(config: Config) -> Self {
        Self::in_world(config, World::system()).await
    }

    pub(crate) async fn in_world(config: Config, world: World) -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let stores = Stores::new(engine.clone());
        let now = world.clock.wall();
        stores.directory.add_domain(&"here.example".parse().unwrap(), now).await.unwrap();
        let bob = "bob@here.example".parse().unwrap();
        stores.directory.add_account(&bob, "secret", None, &*world.entropy, now).await.unwrap();
        Self::start(config, stores, engine, world).await
    }

    /// Another agent that takes up the queue where this one has it now, as after a crash.
    pub(crate) async fn restarted(&self) -> Self {
        let config = Config::clone(&self.mta.config());
        Self::start(config, self.stores.clone(), self.engine.clone(), World::system()).await
    }

    async fn start(config: Config, stores: Stores, engine: Arc<MemoryEngine>, world: World) -> Self {
        let (trigger, shutdown) = ShutdownTrigger::new();
        let logins = Logins::new(stores.directory.clone(), &world, login::Limits::default());
        let mta = Mta::start(config, stores.clone(), Arc::new(logins), world, shutdown).await.unwrap();
        Self { mta, stores, engine, _shutdown: trigger }
    }

    pub(crate) async fn connect(&self, ip: &str) -> Wire {
        self.connect_to(ip, Flavour::Smtp).await
    }

    pub(crate) async fn connect_to(&self, ip: &str, flavour: Flavour) -> Wire {
        let mut wire = self.connect_in_silence(ip, flavour);
        wire.expect("220 mx.here.example").await;
        let hello = if flavour == Flavour::Lmtp { "LHLO" } else { "EHLO" };
        wire.say(&format!("{hello} client.example")).await;
        wire.expect("250").await;
        wire
    }

    /// Connected, and nothing said yet.
    pub(crate) fn connect_in_silence(&self, ip: &str, flavour: Flavour) -> Wire {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let peer = Peer::Tcp {
            remote: format!("{ip}:1234").parse().unwrap(),
            local: "192.0.2.25:25".parse().unwrap(),
        };
        let listener = ListenerConfig { flavour, tls: TlsMode::None, refusal: None };
        let protocol = session::protocol(&self.mta.config(), &listener, peer.ip().is_loopback());
        let arrival =
            Arrival { peer, security: Security::None, admission: None, verdicts: Vec::new(), refusal: None };
        tokio::spawn(session::run(self.mta.clone(), Box::new(theirs), arrival, Arc::new(protocol)));
        Wire(ours)
    }

    /// Waits for the message that the account's INBOX gets as its n-th.
    pub(crate) async fn mail(&self, address: &str, n: usize) -> String {
        let account = self.stores.directory.account(&address.parse().unwrap()).await.unwrap().unwrap();
        for _ in 0..500 {
            let messages =
                self.stores.mailboxes.messages(account.inbox, store::mailbox::Uid(1), n).await.unwrap();
            if let Some(message) = messages.get(n - 1) {
                let octets = self.stores.mailboxes.read(&message.record, 0..u64::MAX).await.unwrap();
                return String::from_utf8(octets.to_vec()).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the message did not come");
    }
}

/// The client's end.
pub(crate) struct Wire(DuplexStream);

impl Wire {
    pub(crate) async fn say(&mut self, line: &str) {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    /// Reads one reply and asserts how it begins.
    pub(crate) async fn expect(&mut self, beginning: &str) -> String {
        let mut reply = String::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(self.0.read_u8().await.unwrap());
            }
            let line = String::from_utf8(line).unwrap();
            reply.push_str(&line);
            if line.as_bytes()[3] == b' ' {
                break;
            }
        }
        assert!(reply.starts_with(beginning), "expected {beginning:?}, got {reply:?}");
        reply
    }

    /// Reads one reply, whatever it is.
    pub(crate) async fn reply(&mut self) -> String {
        self.expect("").await
    }

    /// One line, without its CRLF.
    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    /// As [`dialog`](Self::dialog) once the roles have changed: `S: ` lines are commands, expected one line each.
    pub(crate) async fn reversed(&mut self, script: &str) {
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            if let Some(said) = line.strip_prefix("C: ") {
                self.say(said).await;
            } else {
                let (expected, got) = (line.strip_prefix("S: ").unwrap(), self.line().await);
                assert!(got.starts_with(expected), "expected {expected:?}, got {got:?}");
            }
        }
    }

    /// Content up to the lone dot.
    pub(crate) async fn content(&mut self) -> String {
        let mut content = String::new();
        loop {
            let line = self.line().await;
            if line == "." {
                return content;
            }
            content.extend([line.as_str(), "\r\n"]);
        }
    }

    /// Everything until the other end closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await.unwrap();
        rest
    }

    /// `C: ` lines are said, `S: ` lines expected.
    pub(crate) async fn dialog(&mut self, script: &str) {
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            match (line.strip_prefix("C: "), line.strip_prefix("S: ")) {
                (Some(said), _) => self.say(said).await,
                (_, Some(expected)) => drop(self.expect(expected).await),
                _ => panic!("neither C: nor S: {line}"),
            }
        }
    }
}
