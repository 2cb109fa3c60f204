//! Connections arrive here and get a session each.

use std::{sync::Arc, time::Duration};

use world::{BoxStream, Clock, Listener, Peer, Shutdown, tls::TlsMode};

/// Of one protocol.
const SESSIONS_MAX: usize = 12_000;

/// What one listener offers in every protocol. Built anew for a reload; sessions keep the one they began with.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Our name in the greeting.
    pub hostname: Arc<str>,
    pub tls: TlsMode,
    /// Passwords in clear for everybody. Peers on this host may always send them so.
    pub allow_plaintext_auth: bool,
    /// At least what the protocol says.
    pub idle_timeout: Duration,
    /// Connections at a time; further ones are closed at once.
    pub sessions_max: usize,
}

impl Offer {
    pub(crate) fn new(hostname: &str, tls: TlsMode, idle_timeout: Duration) -> Self {
        Self {
            hostname: hostname.into(),
            tls,
            allow_plaintext_auth: false,
            idle_timeout,
            sessions_max: SESSIONS_MAX,
        }
    }

    /// Nobody listens between us and ourselves.
    pub(crate) fn allows_plaintext_auth(&self, peer: Peer) -> bool {
        self.allow_plaintext_auth || peer.ip().is_loopback()
    }
}

/// Serves a listener until shutdown, then waits for its sessions to end. `protocol`: as the log names it.
pub(crate) async fn listen<S>(
    protocol: &'static str,
    listener: Box<dyn Listener>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    sessions_max: usize,
    serve: impl Fn(BoxStream, Peer) -> S + Send + Sync,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let sessions_max = u32::try_from(sessions_max).unwrap_or(u32::MAX);
    world::serve_connections(listener, clock, shutdown, sessions_max, |stream, peer, guard| {
        let Some(guard) = guard else {
            tracing::warn!(client = %peer.ip(), "too many {protocol} sessions; this one is closed");
            return;
        };
        let session = serve(stream, peer);
        tokio::spawn(async move {
            session.await;
            drop(guard);
        });
    })
    .await;
}
