//! Connections arrive here: counted, refused politely if there are too many, and given a session each.

use std::{io, sync::Arc, time::Duration};

use proto::smtp::server;
use tokio::io::AsyncWriteExt;
use world::{BoxStream, ListenAddress, Listener, Peer, SessionGuard, tls::TlsSummary};

use crate::{
    Mta,
    config::{Config, ListenerConfig, TlsMode},
    policy::limits::Connections,
    session,
};

impl Mta {
    pub async fn listen(&self, address: &ListenAddress) -> io::Result<Box<dyn Listener>> {
        self.world.net.listen(address).await
    }

    /// Serves a listener until shutdown, then waits for its sessions to end.
    pub async fn serve(
        self: Arc<Self>,
        listener: Box<dyn Listener>,
        config: ListenerConfig,
        connections: Connections,
    ) {
        let mut protocols = Protocols::new(&self, config);
        let (clock, shutdown) = (self.world.clock.clone(), self.shutdown.clone());
        world::serve_connections(listener, clock, shutdown, u32::MAX, |stream, peer, guard| {
            self.begin(stream, peer, guard, &mut protocols, &connections);
        })
        .await;
    }

    fn begin(
        self: &Arc<Self>,
        stream: BoxStream,
        peer: Peer,
        guard: Option<SessionGuard>,
        protocols: &mut Protocols,
        connections: &Connections,
    ) {
        let Some(admission) = connections.admit(peer.ip(), &self.config().connections) else {
            tokio::spawn(async move {
                refuse(stream).await;
                drop(guard);
            });
            return;
        };
        let protocol = protocols.for_peer(self, peer);
        let implicit_tls = protocols.listener.tls == TlsMode::Implicit;
        let mta = self.clone();
        tokio::spawn(async move {
            // RFC 8314 §3.3: implicit TLS comes before the first octet of SMTP.
            if implicit_tls {
                if let Some((stream, tls)) = Box::pin(mta.secure(stream, peer)).await {
                    session::run(mta, stream, peer, protocol, Some(tls)).await;
                }
            } else {
                session::run(mta, stream, peer, protocol, None).await;
            }
            drop((admission, guard));
        });
    }

    async fn secure(&self, stream: BoxStream, peer: Peer) -> Option<(BoxStream, TlsSummary)> {
        match self.config().tls.clone()?.accept(stream).await {
            Ok(secured) => Some(secured),
            Err(error) => {
                tracing::info!(client = %peer.ip(), %error, "the TLS handshake failed");
                None
            }
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
async fn refuse(mut stream: BoxStream) {
    let farewell = stream.write_all(b"421 4.7.0 too many connections, try again later\r\n");
    drop(tokio::time::timeout(Duration::from_secs(5), farewell).await);
}
