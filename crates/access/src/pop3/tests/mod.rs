//! Sessions over a stream in memory, against the stores on the memory engine.

mod logins;
mod maildrops;
mod wire;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mail::{Address, Domain, Timestamp};
use store::{
    Batch, Stores,
    mailbox::{Flags, MessageRecord},
    memory::MemoryEngine,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    task::JoinHandle,
};
use world::{BoxStream, Clock, Peer, ShutdownTrigger, SystemClock, SystemEntropy, tls::TlsSummary};

use super::*;

/// Short waits are over at once; long ones never are.
struct ImpatientClock;

#[async_trait::async_trait]
impl Clock for ImpatientClock {
    fn now(&self) -> std::time::Instant {
        SystemClock.now()
    }

    fn wall(&self) -> Timestamp {
        SystemClock.wall()
    }

    async fn sleep_until(&self, deadline: std::time::Instant) {
        if deadline > self.now() + Duration::from_mins(1) {
            std::future::pending::<()>().await;
        }
    }
}

struct House {
    stores: Stores,
    service: Arc<Pop3Service>,
    logins: Arc<Logins>,
    trigger: ShutdownTrigger,
    shutdown: Shutdown,
}

impl House {
    fn new() -> Self {
        let stores = Stores::new(Arc::new(MemoryEngine::new()));
        let clock = Arc::new(ImpatientClock);
        let world = world::World { clock: clock.clone(), ..world::World::system() };
        let logins = Logins::new(stores.directory.clone(), &world, ::login::Limits::default());
        let logins = Arc::new(logins);
        let service = Pop3Service::new(logins.clone(), stores.mailboxes.clone(), clock);
        let (trigger, shutdown) = ShutdownTrigger::new();
        Self { stores, service: Arc::new(service), logins, trigger, shutdown }
    }

    /// With the account alice@example.org, whose password is "open sesame".
    async fn with_alice() -> Self {
        let house = Self::new();
        let now = SystemClock.wall();
        let domain: Domain = "example.org".parse().unwrap();
        house.stores.directory.add_domain(&domain, now).await.unwrap();
        let alice: Address = "alice@example.org".parse().unwrap();
        let directory = &house.stores.directory;
        directory.add_account(&alice, "open sesame", None, &SystemEntropy, now).await.unwrap();
        house
    }

    async fn deliver(&self, content: &'static [u8]) {
        let alice: Address = "alice@example.org".parse().unwrap();
        let account = self.stores.directory.account(&alice).await.unwrap().unwrap();
        let mut writer = self.stores.engine.blob_writer().await.unwrap();
        writer.write(Bytes::from_static(content)).await.unwrap();
        let body = writer.finish().await.unwrap();
        let record = MessageRecord {
            blob: body.id,
            blob_bytes: body.bytes,
            prefix: Bytes::from_static(b"Return-Path: <>\r\n"),
            internal_date: SystemClock.wall(),
            flags: Flags::default(),
            keywords: Vec::new(),
            queue_id: None,
            saved_at: SystemClock.wall(),
        };
        let mut batch = Batch::new();
        batch.blob(body);
        self.stores.mailboxes.append(&mut batch, account.inbox, &record);
        self.stores.engine.commit(batch).await.unwrap();
    }

    fn connect(&self, tls: TlsMode, peer: &str) -> Client {
        let (ours, theirs) = tokio::io::duplex(1024);
        let remote = peer.parse().unwrap();
        let peer = Peer::Tcp { remote, local: "192.0.2.1:110".parse().unwrap() };
        let listener = Arc::new(Pop3Listener::new("mx.example.org", tls));
        let session = self.service.clone().serve(listener, Box::new(theirs), peer, self.shutdown.clone());
        Client { session: tokio::spawn(session), stream: BufReader::new(Box::new(ours)) }
    }

    async fn connect_locally(&self) -> Client {
        let mut client = self.connect(TlsMode::None, "127.0.0.1:4711");
        client.expect("+OK mx.example.org POP3 server ready").await;
        client
    }

    async fn logged_in(&self) -> Client {
        let mut client = self.connect_locally().await;
        client.say("USER alice@example.org\r\nPASS open sesame").await;
        client.expect("+OK now the password").await;
        assert!(client.hear().await.starts_with("+OK "));
        client
    }
}

struct Client {
    session: JoinHandle<()>,
    stream: BufReader<BoxStream>,
}

impl Client {
    async fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} has no end")).to_owned()
    }

    async fn expect(&mut self, line: &str) {
        assert_eq!(self.hear().await, line);
    }

    /// Plays `C:` lines and compares `S:` lines.
    async fn converse(&mut self, dialog: &str) {
        for line in dialog.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("C", text)) => self.say(text).await,
                Some(("S", text)) => assert_eq!(self.hear().await, text, "at {line:?}"),
                _ => panic!("{line:?} is no line of a dialog"),
            }
        }
    }

    /// Nothing more comes, and the session is over.
    async fn expect_end(mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8(rest).unwrap(), "");
        self.session.await.unwrap();
    }
}
