//! Sessions over a stream in memory, against the stores on the memory engine.

mod beside_imap;
mod logins;
mod maildrops;
mod wire;

use mail::Address;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use world::{SystemClock, SystemEntropy, tls::TlsSummary};

use super::*;
use crate::testing::{Base, Client};

struct House {
    base: Base,
    service: Arc<Pop3Service>,
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
        let mailboxes = base.stores.mailboxes.clone();
        let service = Pop3Service::new(base.logins.clone(), mailboxes, base.clock.clone());
        Self { base, service: Arc::new(service) }
    }

    async fn with_alice() -> Self {
        let house = Self::new();
        house.add_alice().await;
        house
    }

    fn connect(&self, tls: TlsMode, peer: &str) -> Client {
        let listener = Arc::new(Pop3Listener::new("mx.example.org", tls));
        Base::connect(peer, |stream, peer| {
            self.service.clone().serve(listener, stream, peer, self.shutdown.clone())
        })
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
