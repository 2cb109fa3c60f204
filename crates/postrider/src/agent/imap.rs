//! One IMAP connection to another server, to fetch mail from it.

use std::{io, sync::Arc, time::Duration};

use mail::text;
use proto::{
    imap::client::{Client, Config, Event, Fetched, Listed, TlsUse},
    machine::{Machine, Step},
    sasl::Credentials,
};
use tokio::io::AsyncWriteExt;
use world::{BoxStream, Clock, World, tls::ClientTls};

use super::{
    Login,
    connection::{client_tls, connect},
    server::{ServerAddress, Tls},
};
use crate::Failure;

/// How long the server may say nothing: some take a while to open a large mailbox.
const PATIENCE: Duration = Duration::from_mins(5);

/// A session that is logged in.
pub struct ImapSession {
    stream: BoxStream,
    client: Client,
    clock: Arc<dyn Clock>,
    tls: ClientTls,
    server: ServerAddress,
}

impl std::fmt::Debug for ImapSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImapSession({})", self.server)
    }
}

impl ImapSession {
    /// Longer messages than `message_bytes_max` must not be asked for. `verify`: the server has to show a valid certificate,
    /// unless it is on this machine.
    pub async fn open(
        world: &World,
        server: &ServerAddress,
        tls: Tls,
        verify: bool,
        login: &Login,
        message_bytes_max: usize,
    ) -> Result<Self, Failure> {
        let (mut stream, ip) = connect(world, server).await?;
        let under_tls = client_tls(verify && tls != Tls::None, ip)?;
        if tls == Tls::Implicit {
            let secured = under_tls.connect(&server.host, stream).await;
            stream = secured.map_err(|error| tls_failure(server, &error.to_string()))?.0;
        }
        let unusable = || Failure::usage("name and password may have up to 255 octets each, without NUL");
        let config = Config {
            credentials: Credentials::new(&login.user, &login.password.0).ok_or_else(unusable)?,
            nonce: world.entropy.array(),
            tls: match tls {
                Tls::Implicit => TlsUse::Active,
                Tls::Starttls | Tls::Opportunistic => TlsUse::Starttls,
                Tls::None => TlsUse::Never,
            },
            // Who says "none" means it.
            plaintext_login: tls == Tls::None,
            message_bytes_max,
            patience: PATIENCE,
        };
        let (client, clock) = (Client::new(config), world.clock.clone());
        let mut session = Self { stream, client, clock, tls: under_tls, server: server.clone() };
        match session.next_event().await? {
            Event::Ready => Ok(session),
            _ => Err(session.failed("it is not ready")),
        }
    }

    pub async fn list(&mut self) -> Result<Vec<Listed>, Failure> {
        self.client.list();
        let mut found = Vec::new();
        loop {
            match self.next_event().await? {
                Event::Listed(listed) => found.push(listed),
                Event::Done => return Ok(found),
                Event::Refused(why) => return Err(self.failed(&why)),
                _ => {}
            }
        }
    }

    /// How many messages are in the mailbox, and its UIDVALIDITY; or why it cannot be opened.
    pub async fn examine(&mut self, wire_name: &[u8]) -> Result<Result<(u32, u32), String>, Failure> {
        self.client.open(wire_name);
        let mut found = (0, 0);
        loop {
            match self.next_event().await? {
                Event::Opened { messages, uid_validity } => found = (messages, uid_validity),
                Event::Done => return Ok(Ok(found)),
                Event::Refused(why) => return Ok(Err(why)),
                _ => {}
            }
        }
    }

    /// What is known of the messages with these numbers, at most so many.
    pub async fn summaries(&mut self, first: u32, last: u32) -> Result<Vec<Fetched>, Failure> {
        self.client.fetch_summaries(first, last);
        let most = usize::try_from(last.saturating_sub(first)).unwrap_or(usize::MAX).saturating_add(1);
        let mut found = Vec::new();
        while let Some(fetched) = self.fetched().await? {
            if found.len() >= most {
                return Err(self.failed("it tells of more messages than we asked for"));
            }
            found.push(fetched);
        }
        Ok(found)
    }

    /// Asks for messages; take each with [`fetched`](Self::fetched).
    pub fn fetch(&mut self, uids: &[u32]) {
        self.client.fetch_bodies(uids);
    }

    /// None once all were told.
    pub async fn fetched(&mut self) -> Result<Option<Fetched>, Failure> {
        loop {
            match self.next_event().await? {
                Event::Fetched(fetched) => return Ok(Some(fetched)),
                Event::Done => return Ok(None),
                Event::Refused(why) => return Err(self.failed(&why)),
                _ => {}
            }
        }
    }

    /// Says goodbye; what the server answers matters no more.
    pub async fn close(mut self) {
        self.client.log_out();
        while self.next_event().await.is_ok() {}
    }

    async fn next_event(&mut self) -> Result<Event, Failure> {
        loop {
            match self.client.poll(self.clock.now()) {
                Step::Event(Event::Failed(why)) => return Err(self.failed(&why)),
                Step::Event(event) => return Ok(event),
                Step::Write(octets) => self.write(&octets).await,
                Step::NeedInput => self.read().await,
                Step::StartTls => self.start_tls().await,
                Step::Close => return Err(self.failed("the session is over")),
            }
        }
    }

    fn failed(&self, why: &str) -> Failure {
        Failure::new(format!("{}: {}", self.server, text::clean(why.as_bytes())))
    }

    async fn write(&mut self, octets: &[u8]) {
        let stream = &mut self.stream;
        let write = async {
            stream.write_all(octets).await?;
            stream.flush().await
        };
        if !matches!(tokio::time::timeout(PATIENCE, write).await, Ok(Ok(()))) {
            self.client.push_end();
        }
    }

    async fn read(&mut self) {
        let deadline = self.client.deadline().unwrap_or_else(|| self.clock.now() + PATIENCE);
        let client = &mut self.client;
        let read = world::read_some(&mut self.stream, |octets| client.push(octets));
        tokio::select! {
            read = read => match read {
                Ok(1..) => {}
                Ok(0) | Err(_) => self.client.push_end(),
            },
            () = self.clock.sleep_until(deadline) => {}
        }
    }

    async fn start_tls(&mut self) {
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let connected: io::Result<_> = Box::pin(self.tls.connect(&self.server.host, plain)).await;
        match connected {
            Ok((stream, _)) => {
                self.stream = stream;
                self.client.handle_tls_established();
            }
            Err(error) => self.client.handle_tls_failed(&error.to_string()),
        }
    }
}

fn tls_failure(server: &ServerAddress, error: &str) -> Failure {
    Failure::new(format!("{server}: TLS failed: {error}; --insecure takes any certificate"))
}
