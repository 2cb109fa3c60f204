//! Sessions over a stream in memory, against the stores on the memory engine.

mod changes;
mod closed;
mod fetching;
mod listed;
mod long;
mod mail_programs;
mod mailboxes;
mod metadata;
mod notifying;
mod outbox;
mod replacing;
mod searching;
mod sessions;
mod sharing;
mod signing;

use world::SystemEntropy;

use super::*;
use crate::testing::{Base, Client};

pub(super) struct House {
    base: Base,
    service: Arc<ImapService>,
}

impl std::ops::Deref for House {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl House {
    fn new() -> Self {
        let base = Base::new();
        let clock = base.clock.clone();
        Self::of(base, clock)
    }

    /// With a clock of the sessions' own.
    fn of(base: Base, clock: Arc<dyn Clock>) -> Self {
        let service =
            ImapService::new(base.logins.clone(), base.stores.clone(), clock, Arc::new(SystemEntropy));
        Self { base, service: Arc::new(service) }
    }

    pub(super) async fn with_alice() -> Self {
        let house = Self::new();
        house.add_alice().await;
        house
    }

    fn connect(&self, tls: TlsMode, peer: &str) -> Client {
        let listener = Arc::new(ImapListener::new("mx.example.org", tls, 1_000_000));
        Base::connect(peer, |stream, peer| {
            self.service.clone().serve(listener, stream, peer, self.shutdown.clone())
        })
    }

    async fn logged_in(&self) -> Client {
        self.logged_in_as("alice").await
    }

    async fn logged_in_as(&self, name: &str) -> Client {
        let mut client = self.connect(TlsMode::None, "127.0.0.1:4711");
        client.converse(&format!("S: * OK [CAPABILITY…\nC: l LOGIN {name}@example.org {{11+}}")).await;
        client.converse("C: open sesame\nS: l OK [CAPABILITY…").await;
        client
    }

    /// With INBOX selected.
    pub(super) async fn in_inbox(&self) -> Client {
        let mut client = self.logged_in().await;
        client.say("s SELECT INBOX").await;
        while !client.hear().await.starts_with("s OK [READ-WRITE]") {}
        client
    }
}
