//! Connections arrive here: counted, refused politely if there are too many, and given a session each.

use std::{io, sync::Arc, time::Duration};

use mail::Reply;
use proto::smtp::server::{self, Flavour};
use tokio::io::AsyncWriteExt;
use world::{BoxStream, ListenAddress, Listener, Peer, SessionGuard, tls::ServerTls};

use crate::{
    Mta,
    config::{Config, ListenerConfig, TlsMode},
    planted::Planted,
    policy::{Client, Judge, Verdict, connections::Admission, names_patience},
    session::{self, Arrival, Security},
};

impl Mta {
    pub async fn listen(&self, address: &ListenAddress) -> io::Result<Box<dyn Listener>> {
        self.world.net.listen(address).await
    }

    /// Serves a listener until shutdown, then waits for its sessions to end.
    pub async fn serve(self: Arc<Self>, listener: Box<dyn Listener>, config: ListenerConfig) {
        let mut protocols = Protocols::new(&self, config);
        let (clock, shutdown) = (self.world.clock.clone(), self.shutdown.clone());
        world::serve_connections(listener, clock, shutdown, u32::MAX, |stream, peer, guard| {
            self.begin(stream, peer, guard, &mut protocols);
        })
        .await;
    }

    fn begin(
        self: &Arc<Self>,
        stream: BoxStream,
        peer: Peer,
        guard: Option<SessionGuard>,
        protocols: &mut Protocols,
    ) {
        let flavour = protocols.listener.flavour;
        let (admission, verdicts) = match self.admit(peer, flavour) {
            Ok(admitted) => admitted,
            Err(reply) => {
                tokio::spawn(async move {
                    refuse(stream, &reply).await;
                    drop(guard);
                });
                return;
            }
        };
        let protocol = protocols.for_peer(self, peer);
        let tls = protocols.listener.tls.clone();
        let refusal = protocols.listener.refusal.clone();
        let mta = self.clone();
        tokio::spawn(async move {
            let secured = match tls {
                TlsMode::None => Some((stream, Security::None)),
                TlsMode::Starttls(tls) => Some((stream, Security::OnRequest(tls))),
                // RFC 8314 §3.3: implicit TLS comes before the first octet of SMTP.
                TlsMode::Implicit(tls) => Box::pin(secure(&tls, stream, peer)).await,
            };
            if let Some((stream, security)) = secured {
                let arrival = Arrival { peer, security, admission: Some(admission), verdicts, refusal };
                session::run(mta, stream, arrival, protocol).await;
            }
            drop(guard);
        });
    }

    fn admit(&self, peer: Peer, flavour: Flavour) -> Result<(Admission, Vec<Verdict>), Reply> {
        let config = self.config();
        let client = Client { ip: peer.ip(), flavour, identity: None };
        let mut judge = self.judge(&config, client);
        let admission = judge.connect()?;
        if self.has(Planted::ForgetsToLetGo) {
            std::mem::forget(self.memory.connections.admit(client.ip, &config.clients));
        }
        Ok((admission, judge.verdicts))
    }

    /// To ask what policy would say to this client.
    pub fn rehearsal<'a>(&'a self, config: &'a Config, client: Client<'a>) -> Judge<'a> {
        Judge { rehearsal: true, ..self.judge(config, client) }
    }

    /// For one phase of a session with this client.
    pub(crate) fn judge<'a>(&'a self, config: &'a Config, client: Client<'a>) -> Judge<'a> {
        let now = self.world.clock.now();
        let (stores, memory) = (&self.stores, &self.memory);
        Judge {
            stores,
            config,
            memory,
            world: &self.world,
            client,
            now,
            patience: names_patience(Duration::ZERO),
            rehearsal: false,
            verdicts: Vec::new(),
        }
    }
}

async fn secure(tls: &ServerTls, stream: BoxStream, peer: Peer) -> Option<(BoxStream, Security)> {
    match tls.accept(stream).await {
        Ok((stream, summary)) => Some((stream, Security::Active(summary))),
        Err(error) => {
            tracing::info!(client = %peer.ip(), %error, "the TLS handshake failed");
            None
        }
    }
}

/// What a listener's sessions speak, shared by all of them until the configuration changes.
struct Protocols {
    listener: ListenerConfig,
    config: Arc<Config>,
    loopback: Arc<server::Config>,
    others: Arc<server::Config>,
}

impl Protocols {
    fn new(mta: &Mta, listener: ListenerConfig) -> Self {
        let config = mta.config();
        let protocol = |loopback| Arc::new(session::protocol(&config, &listener, loopback));
        let (loopback, others) = (protocol(true), protocol(false));
        Self { listener, config, loopback, others }
    }

    fn for_peer(&mut self, mta: &Mta, peer: Peer) -> Arc<server::Config> {
        if !Arc::ptr_eq(&self.config, &mta.config()) {
            *self = Self::new(mta, self.listener.clone());
        }
        if peer.ip().is_loopback() { self.loopback.clone() } else { self.others.clone() }
    }
}

/// RFC 5321 §3.8: 421 when the service cannot be given.
async fn refuse(mut stream: BoxStream, reply: &Reply) {
    let mut farewell = Vec::with_capacity(128);
    reply.write(&mut farewell);
    drop(tokio::time::timeout(Duration::from_secs(5), stream.write_all(&farewell)).await);
}
