//! One connection: what the protocol machine asks for is done here.

use std::{future, io, sync::Arc};

use login::Outcome;
use proto::{
    machine::{Machine, Step},
    pop3::{Config, Event, Server},
    sasl::{BearerToken, Credentials, ScramOutcome, ScramUser},
};
use store::StoreError;

use super::{
    Pop3Service,
    login::{Login, client},
    maildrop::{Maildrop, Reading},
};
use crate::{connection::Connection, entrance::logged, planted::Planted};

pub(super) struct Session {
    service: Arc<Pop3Service>,
    machine: Server,
    connection: Connection,
    maildrop: Option<Maildrop>,
    /// Boxed: a session rarely has one.
    reading: Option<Box<Reading>>,
}

impl Session {
    pub(super) fn new(service: Arc<Pop3Service>, config: Config, connection: Connection) -> Self {
        let mut machine = Server::new(config);
        machine.set_channel(connection.channel(service.logins.takes_tokens()));
        Self { service, machine, connection, maildrop: None, reading: None }
    }

    /// Futures that are large and seldom needed are boxed, so that a waiting session stays small.
    pub(super) async fn run(mut self) {
        loop {
            let done = match self.machine.poll(self.service.clock.now()) {
                Step::Event(event) => {
                    Box::pin(self.answer(event)).await;
                    Ok(())
                }
                Step::Write(octets) => Box::pin(self.connection.write(&octets)).await,
                Step::NeedInput => self.wait().await,
                Step::StartTls => {
                    let tokens = self.service.logins.takes_tokens();
                    Box::pin(self.connection.start_tls(&mut self.machine, tokens)).await;
                    Ok(())
                }
                Step::Close => break,
            };
            if let Err(error) = done {
                tracing::debug!(client = %self.connection.peer().ip(), %error, "the POP3 connection broke");
                return;
            }
        }
        // The maildrop is free before the client learns that the session is over.
        self.maildrop = None;
        Box::pin(self.connection.close()).await;
    }

    async fn wait(&mut self) -> io::Result<()> {
        self.reading = None;
        self.connection.wait(&mut self.machine, future::pending()).await?;
        if self.connection.shutdown_seen() {
            self.machine.handle_shutdown();
        }
        Ok(())
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
        let login = self.service.log_in(self.connection.peer(), credentials).await;
        self.answer_login(&credentials.authentication_id, login).await;
    }

    async fn find_verifier(&mut self, user: &ScramUser) {
        match self.service.logins.scram_verifier(client(self.connection.peer()), user).await {
            Ok((verifier, nonce)) => self.machine.answer_scram_verifier(verifier, &nonce),
            Err(outcome) => self.answer_login(&user.authentication_id, Login::Refused(outcome)).await,
        }
    }

    async fn log_in_by_token(&mut self, token: &BearerToken) {
        match self.service.log_in_by_token(self.connection.peer(), token).await {
            Login::Refused(Outcome::Refused { after }) => {
                let hint = self.service.logins.token_hint();
                self.connection.refuse_token(&mut self.machine, after, &hint).await;
            }
            login => self.answer_login(&token.authorization_id, login).await,
        }
    }

    async fn log_in_externally(&mut self, authorization_id: &str) {
        let login = self
            .service
            .log_in_externally(self.connection.peer(), self.connection.client_addresses(), authorization_id)
            .await;
        let name = self.connection.client_addresses().first().cloned().unwrap_or_default();
        self.answer_login(&name, login).await;
    }

    async fn finish_scram(&mut self, outcome: &ScramOutcome) {
        let login = self.service.finish_scram(self.connection.peer(), outcome).await;
        self.answer_login(&outcome.user.authentication_id, login).await;
    }

    async fn answer_login(&mut self, name: &str, login: Login) {
        let client = self.connection.peer().ip();
        let user = logged(name);
        match login {
            Login::Opened(maildrop, listing) => {
                tracing::info!(%client, %user, messages = listing.entries.len(), "POP3 login");
                self.maildrop = Some(maildrop);
                self.machine.answer_authenticated(&listing);
            }
            Login::Refused(outcome) => {
                self.connection.refuse_login(&mut self.machine, &outcome).await;
            }
            Login::InUse => self.machine.answer_locked(),
            Login::Unavailable(error) => {
                tracing::error!(%user, %error, "a maildrop could not be opened");
                self.machine.answer_unavailable();
            }
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
        if self.service.has(Planted::QuitsBeforeSync) {
            let (deleted, now) = (deleted.to_vec(), self.service.clock.wall());
            tokio::spawn(async move { maildrop.expunge(&deleted, now).await });
            return self.machine.answer_committed();
        }
        match maildrop.expunge(deleted, self.service.clock.wall()).await {
            Ok(removed) => {
                tracing::info!(client = %self.connection.peer().ip(), removed, "POP3 session ended");
                self.machine.answer_committed();
            }
            Err(error) => {
                tracing::error!(%error, "messages could not be removed");
                self.machine.answer_commit_failed();
            }
        }
    }
}
