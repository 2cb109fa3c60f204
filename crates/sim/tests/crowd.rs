//! Many IMAP sessions on many threads change one mailbox at once, on the engine in memory, and each believes what it is
//! told. `crates/postrider/tests/imap_crowd.rs` does the same with the binary; `CROWD_SECONDS` says how long.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use access::imap::{ImapListener, ImapService};
use login::Logins;
use sim::imap::believer::Believer;
use store::{PasswordCost, Stores, memory::MemoryEngine};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use world::{Clock, Peer, Shutdown, ShutdownTrigger, SystemClock, SystemEntropy, World, tls::TlsMode};

const SESSIONS: u64 = 8;
const SECONDS: u64 = 3;

struct Member {
    stream: BufReader<DuplexStream>,
    believer: Believer,
}

impl Member {
    /// Logged in, with INBOX selected.
    async fn new(service: &Arc<ImapService>, shutdown: &Shutdown, seed: u64) -> Self {
        let (ours, theirs) = tokio::io::duplex(4096);
        let listener = Arc::new(ImapListener::new("mx.example.org", TlsMode::None, 1_000_000));
        let peer =
            Peer::Tcp { remote: "127.0.0.1:4711".parse().unwrap(), local: "127.0.0.1:143".parse().unwrap() };
        tokio::spawn(service.clone().serve(listener, Box::new(theirs), peer, shutdown.clone()));
        let mut member = Self { stream: BufReader::new(ours), believer: Believer::new(seed) };
        member.line().await;
        for command in ["LOGIN alice@example.org secret", "SELECT INBOX"] {
            let said = member.believer.say(command);
            assert!(member.command(&said).await.starts_with("OK"), "{command}");
        }
        member
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} has no end")).to_owned()
    }

    async fn command(&mut self, said: &str) -> String {
        self.stream.write_all(said.as_bytes()).await.unwrap();
        loop {
            let line = self.line().await;
            if let Some(answer) = self.believer.hear(&line).unwrap_or_else(|wrong| panic!("{wrong}")) {
                return answer;
            }
        }
    }

    async fn say(&mut self, command: &str) -> String {
        let said = self.believer.say(command);
        self.command(&said).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_change_one_mailbox_end_with_one_view() {
    let seconds = env::var("CROWD_SECONDS").map_or(SECONDS, |seconds| seconds.parse().unwrap());
    let stores = Stores::with_password_cost(Arc::new(MemoryEngine::new()), PasswordCost::least());
    let now = SystemClock.wall();
    stores.directory.add_domain(&"example.org".parse().unwrap(), now).await.unwrap();
    let alice = "alice@example.org".parse().unwrap();
    stores.directory.add_account(&alice, "secret", None, &SystemEntropy, now).await.unwrap();
    let logins = Logins::new(stores.directory.clone(), &World::system(), login::Limits::default());
    let service =
        Arc::new(ImapService::new(Arc::new(logins), stores, Arc::new(SystemClock), Arc::new(SystemEntropy)));
    let (_trigger, shutdown) = ShutdownTrigger::new();
    let mut fresh = Member::new(&service, &shutdown, 0).await;
    assert!(fresh.say("CREATE Aside").await.starts_with("OK"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut crowd = Vec::new();
    for seed in 1..=SESSIONS {
        let mut member = Member::new(&service, &shutdown, seed).await;
        crowd.push(tokio::spawn(async move {
            let mut commands = 0_u64;
            while Instant::now() < until {
                let said = member.believer.act();
                member.command(&said).await;
                commands += 1;
            }
            (member, commands)
        }));
    }
    let mut members = Vec::new();
    for one in crowd {
        let (member, commands) = one.await.unwrap();
        assert!(commands > 10, "a session did {commands} commands");
        members.push(member);
    }
    fresh.say("SELECT INBOX").await;
    fresh.say("FETCH 1:* (UID FLAGS)").await;
    for member in &mut members {
        member.say("NOOP").await;
        member.believer.view.agrees(&fresh.believer.view).unwrap();
        member.say("FETCH 1:* (UID FLAGS)").await;
        assert_eq!(member.believer.view.messages, fresh.believer.view.messages);
    }
}
