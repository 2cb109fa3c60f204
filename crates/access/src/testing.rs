//! What the tests of all protocols need: an account, mail, and a client that talks line by line.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use login::Logins;
use mail::{Address, Domain, Timestamp};
use store::{
    Batch, Stores,
    directory::Account,
    mailbox::{Flags, MailboxId, MessageRecord},
    memory::MemoryEngine,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    task::JoinHandle,
};
use world::{BoxStream, Clock, Peer, Shutdown, ShutdownTrigger, SystemClock, SystemEntropy, World};

/// Short waits are over at once; long ones never are.
pub(crate) struct ImpatientClock;

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

/// The stores on the memory engine, and who may log in.
pub(crate) struct Base {
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) trigger: ShutdownTrigger,
    pub(crate) shutdown: Shutdown,
}

impl Base {
    pub(crate) fn new() -> Self {
        let stores = Stores::new(Arc::new(MemoryEngine::new()));
        let clock = Arc::new(ImpatientClock);
        let world = World { clock: clock.clone(), ..World::system() };
        let logins = Arc::new(Logins::new(stores.directory.clone(), &world, login::Limits::default()));
        let (trigger, shutdown) = ShutdownTrigger::new();
        Self { stores, clock, logins, trigger, shutdown }
    }

    /// The account alice@example.org, whose password is "open sesame".
    pub(crate) async fn add_alice(&self) {
        let now = SystemClock.wall();
        let domain: Domain = "example.org".parse().unwrap();
        self.stores.directory.add_domain(&domain, now).await.unwrap();
        self.add_account("alice").await;
    }

    /// Another account of that domain, with the same password.
    pub(crate) async fn add_account(&self, name: &str) {
        let address: Address = format!("{name}@example.org").parse().unwrap();
        let directory = &self.stores.directory;
        let now = SystemClock.wall();
        directory.add_account(&address, "open sesame", None, &SystemEntropy, now).await.unwrap();
    }

    pub(crate) async fn alice(&self) -> Account {
        let alice: Address = "alice@example.org".parse().unwrap();
        self.stores.directory.account(&alice).await.unwrap().unwrap()
    }

    /// Into her INBOX.
    pub(crate) async fn deliver(&self, content: &[u8]) {
        let inbox = self.alice().await.inbox;
        self.deliver_to(inbox, content).await;
    }

    pub(crate) async fn deliver_to(&self, mailbox: MailboxId, content: &[u8]) {
        let mut writer = self.stores.engine.blob_writer().await.unwrap();
        writer.write(Bytes::copy_from_slice(content)).await.unwrap();
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
        self.stores.mailboxes.append(&mut batch, mailbox, &record);
        self.stores.engine.commit(batch).await.unwrap();
    }

    /// Starts the session that `serve` makes of its end of a connection.
    pub(crate) fn connect<S>(peer: &str, serve: impl FnOnce(BoxStream, Peer) -> S) -> Client
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let (ours, theirs) = tokio::io::duplex(1024);
        let remote = peer.parse().unwrap();
        let peer = Peer::Tcp { remote, local: "192.0.2.1:110".parse().unwrap() };
        let session = tokio::spawn(serve(Box::new(theirs), peer));
        Client { session, stream: BufReader::new(Box::new(ours)) }
    }
}

pub(crate) struct Client {
    pub(crate) session: JoinHandle<()>,
    pub(crate) stream: BufReader<BoxStream>,
}

impl Client {
    pub(crate) async fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} has no end")).to_owned()
    }

    pub(crate) async fn expect(&mut self, line: &str) {
        assert_eq!(self.hear().await, line);
    }

    /// Plays `C:` lines, which may say `\r\n` for a line end within, and compares `S:` lines; `…` at the end of one
    /// stands for anything.
    pub(crate) async fn converse(&mut self, dialog: &str) {
        for line in dialog.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("C", text)) => self.say(&text.replace("\\r\\n", "\r\n")).await,
                Some(("S", text)) => {
                    let heard = self.hear().await;
                    match text.strip_suffix('…') {
                        Some(start) => assert!(heard.starts_with(start), "{heard:?} at {line:?}"),
                        None => assert_eq!(heard, text, "at {line:?}"),
                    }
                }
                _ => panic!("{line:?} is no line of a dialog"),
            }
        }
    }

    /// Nothing more comes, and the session is over.
    pub(crate) async fn expect_end(mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8(rest).unwrap(), "");
        self.session.await.unwrap();
    }
}
