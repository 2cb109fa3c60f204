//! One connection: what the protocol machine asks for is done here.

use std::{io, sync::Arc, time::Duration};

use login::Outcome;
use mail::text::clean_within;
use proto::{
    machine::{Machine, Step},
    pop3::{Config, Event, Server},
    sasl::{BearerToken, Channel, ChannelBinding, Credentials, ScramOutcome, ScramUser},
};
use store::StoreError;
use tokio::io::AsyncWriteExt;
use world::{
    BoxStream, Clock, Peer, Shutdown, read_some,
    tls::{ServerTls, TlsSummary},
};

use super::{
    Pop3Service,
    login::{Login, client},
    maildrop::{Maildrop, Reading},
};

/// A client that takes no octet of a piece of output for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_mins(5);
/// For the last words of TLS.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Octets of a user name that a log line shows.
const LOGGED_NAME_BYTES: usize = 80;

pub(super) struct Session {
    service: Arc<Pop3Service>,
    machine: Server,
    stls: Option<ServerTls>,
    /// What the client's certificate proves.
    client_addresses: Vec<String>,
    stream: BoxStream,
    peer: Peer,
    shutdown: Shutdown,
    shutdown_seen: bool,
    maildrop: Option<Maildrop>,
    /// Boxed: a session rarely has one.
    reading: Option<Box<Reading>>,
}

impl Session {
    pub(super) fn new(
        service: Arc<Pop3Service>,
        config: Config,
        stls: Option<ServerTls>,
        stream: BoxStream,
        peer: Peer,
        shutdown: Shutdown,
    ) -> Self {
        let mut machine = Server::new(config);
        machine.set_channel(Channel { tokens: service.logins.takes_tokens(), ..Channel::default() });
        Self {
            service,
            machine,
            stls,
            client_addresses: Vec::new(),
            stream,
            peer,
            shutdown,
            shutdown_seen: false,
            maildrop: None,
            reading: None,
        }
    }

    /// TLS is there: what it gives to SASL.
    pub(super) fn secured_by(&mut self, agreed: TlsSummary) {
        let binding = ChannelBinding { tls_exporter: agreed.exporter };
        self.client_addresses = agreed.client_addresses;
        let external = !self.client_addresses.is_empty();
        let tokens = self.service.logins.takes_tokens();
        self.machine.set_channel(Channel { binding, external, tokens });
    }

    /// Futures that are large and seldom needed are boxed, so that a waiting session stays small.
    pub(super) async fn run(mut self) {
        loop {
            let done = match self.machine.poll(self.service.clock.now()) {
                Step::Event(event) => {
                    Box::pin(self.answer(event)).await;
                    Ok(())
                }
                Step::Write(octets) => Box::pin(self.write(octets)).await,
                Step::NeedInput => self.wait().await,
                Step::StartTls => {
                    Box::pin(self.start_tls()).await;
                    Ok(())
                }
                Step::Close => break,
            };
            if let Err(error) = done {
                tracing::debug!(client = %self.peer.ip(), %error, "the POP3 connection broke");
                return;
            }
        }
        Box::pin(self.close()).await;
    }

    /// Waits for octets, the deadline or shutdown.
    async fn wait(&mut self) -> io::Result<()> {
        self.reading = None;
        let deadline = self.machine.deadline().unwrap_or_else(|| self.service.clock.now());
        let machine = &mut self.machine;
        let came = tokio::select! {
            biased;
            () = self.shutdown.given(), if !self.shutdown_seen => {
                self.shutdown_seen = true;
                None
            }
            came = read_some(&mut self.stream, |octets| machine.push(octets)) => Some(came?),
            () = self.service.clock.sleep_until(deadline) => None,
        };
        if self.shutdown_seen {
            self.machine.handle_shutdown();
        }
        if came == Some(0) {
            self.machine.push_end();
        }
        Ok(())
    }

    async fn write(&mut self, octets: Vec<u8>) -> io::Result<()> {
        let clock = self.service.clock.clone();
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let written = within(&*clock, WRITE_TIMEOUT, self.stream.write(rest)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(written..).unwrap_or_default();
        }
        within(&*clock, WRITE_TIMEOUT, self.stream.flush()).await
    }

    async fn start_tls(&mut self) {
        let Some(tls) = self.stls.take() else { return self.machine.handle_tls_failed() };
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        match tls.accept(plain).await {
            Ok((secured, agreed)) => {
                self.stream = secured;
                self.machine.handle_tls_started();
                self.secured_by(agreed);
            }
            Err(error) => {
                tracing::info!(client = %self.peer.ip(), %error, "the TLS handshake failed");
                self.machine.handle_tls_failed();
            }
        }
    }

    async fn close(mut self) {
        // The maildrop is free before the client learns that the session is over.
        self.maildrop = None;
        let clock = self.service.clock.clone();
        if let Err(error) = within(&*clock, CLOSE_TIMEOUT, self.stream.shutdown()).await {
            tracing::debug!(client = %self.peer.ip(), %error, "the POP3 connection did not close well");
        }
    }

    async fn answer(&mut self, event: Event) {
        match event {
            Event::Authenticate(credentials) => self.log_in(&credentials).await,
            Event::ScramVerifier(user) => self.find_verifier(&user).await,
            Event::Scram(outcome) => self.finish_scram(&outcome).await,
            Event::Token(token) => self.log_in_by_token(&token).await,
            Event::External(authorization_id) => self.log_in_externally(&authorization_id).await,
            Event::Retrieve { uid } => self.start_reading(uid).await,
            Event::MoreContent => self.read_on().await,
            Event::Commit { deleted } => self.commit(&deleted).await,
        }
    }

    async fn log_in(&mut self, credentials: &Credentials) {
        let login = self.service.log_in(self.peer, credentials).await;
        self.answer_login(&credentials.authentication_id, login).await;
    }

    async fn find_verifier(&mut self, user: &ScramUser) {
        match self.service.logins.scram_verifier(client(self.peer), user).await {
            Ok((verifier, nonce)) => self.machine.answer_scram_verifier(verifier, &nonce),
            Err(outcome) => self.answer_login(&user.authentication_id, Login::Refused(outcome)).await,
        }
    }

    async fn log_in_by_token(&mut self, token: &BearerToken) {
        match self.service.log_in_by_token(self.peer, token).await {
            Login::Refused(Outcome::Refused { after }) => {
                self.wait_to_refuse(after).await;
                self.machine.answer_token_refused(&self.service.logins.token_hint());
            }
            login => self.answer_login(&token.authorization_id, login).await,
        }
    }

    async fn log_in_externally(&mut self, authorization_id: &str) {
        let login = self.service.log_in_externally(self.peer, &self.client_addresses, authorization_id).await;
        let name = self.client_addresses.first().cloned().unwrap_or_default();
        self.answer_login(&name, login).await;
    }

    async fn finish_scram(&mut self, outcome: &ScramOutcome) {
        let login = self.service.finish_scram(self.peer, outcome).await;
        self.answer_login(&outcome.user.authentication_id, login).await;
    }

    async fn answer_login(&mut self, name: &str, login: Login) {
        let client = self.peer.ip();
        let user = clean_within(name.as_bytes(), LOGGED_NAME_BYTES);
        match login {
            Login::Opened(maildrop, listing) => {
                tracing::info!(%client, %user, messages = listing.entries.len(), "POP3 login");
                self.maildrop = Some(maildrop);
                self.machine.answer_authenticated(&listing);
            }
            Login::Refused(outcome) => self.refuse_login(&outcome).await,
            Login::InUse => self.machine.answer_locked(),
            Login::Unavailable(error) => {
                tracing::error!(%user, %error, "a maildrop could not be opened");
                self.machine.answer_unavailable();
            }
        }
    }

    async fn refuse_login(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Refused { after } => {
                self.wait_to_refuse(*after).await;
                self.machine.answer_authentication_failed();
            }
            Outcome::Held => self.machine.answer_held(),
            Outcome::Unavailable | Outcome::Accepted(_) => self.machine.answer_unavailable(),
        }
    }

    /// Slows guessing down; nobody has to wait for it when the server stops.
    async fn wait_to_refuse(&mut self, after: Duration) {
        let now = self.service.clock.now();
        let until = now.checked_add(after).unwrap_or(now);
        tokio::select! {
            biased;
            () = self.service.clock.sleep_until(until) => {}
            () = self.shutdown.given() => {}
        }
    }

    async fn start_reading(&mut self, uid: u32) {
        let Some(maildrop) = &self.maildrop else { return self.machine.answer_content_gone() };
        match maildrop.find(uid).await {
            Ok(Some(reading)) => {
                self.reading = Some(Box::new(reading));
                self.read_on().await;
            }
            Ok(None) => self.machine.answer_content_gone(),
            Err(error) => self.fail_reading(&error),
        }
    }

    async fn read_on(&mut self) {
        let (Some(maildrop), Some(reading)) = (&self.maildrop, &mut self.reading) else {
            return self.machine.answer_content_gone();
        };
        match maildrop.read(reading).await {
            Ok(Some(chunk)) => self.machine.answer_content(&chunk),
            Ok(None) => self.machine.answer_content_end(),
            // Its last reference went between the look-up and now.
            Err(StoreError::NotFound) => self.machine.answer_content_gone(),
            Err(error) => self.fail_reading(&error),
        }
    }

    fn fail_reading(&mut self, error: &StoreError) {
        tracing::error!(%error, "a message could not be read");
        self.machine.answer_content_failed();
    }

    /// RFC 1939 §6: the UPDATE state.
    async fn commit(&mut self, deleted: &[u32]) {
        let Some(maildrop) = self.maildrop.take() else { return self.machine.answer_commit_failed() };
        match maildrop.expunge(deleted, self.service.clock.wall()).await {
            Ok(removed) => {
                tracing::info!(client = %self.peer.ip(), removed, "POP3 session ended");
                self.machine.answer_committed();
            }
            Err(error) => {
                tracing::error!(%error, "messages could not be removed");
                self.machine.answer_commit_failed();
            }
        }
    }
}

/// The outcome of `io`, or an error once `limit` is over.
async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    io: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let now = clock.now();
    tokio::select! {
        biased;
        outcome = io => outcome,
        () = clock.sleep_until(now.checked_add(limit).unwrap_or(now)) => Err(io::ErrorKind::TimedOut.into()),
    }
}
