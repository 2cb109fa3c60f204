//! Connections arrive here and get a session each.

use std::sync::Arc;

use world::{Listener, Shutdown};

use super::{Pop3Listener, Pop3Service};

impl Pop3Service {
    /// Serves a listener until shutdown, then waits for its sessions to end. `options` is asked for each
    /// connection, so that a reload shows at once; `sessions_max` counts as it is at the start.
    pub async fn listen(
        self: Arc<Self>,
        listener: Box<dyn Listener>,
        options: impl Fn() -> Arc<Pop3Listener> + Send + Sync,
        shutdown: Shutdown,
    ) {
        let sessions_max = u32::try_from(options().sessions_max).unwrap_or(u32::MAX);
        let clock = self.clock.clone();
        world::serve_connections(listener, clock, shutdown.clone(), sessions_max, |stream, peer, guard| {
            let Some(guard) = guard else {
                tracing::warn!(client = %peer.ip(), "too many POP3 sessions; this one is closed");
                return;
            };
            let session = self.clone().serve(options(), stream, peer, shutdown.clone());
            tokio::spawn(async move {
                session.await;
                drop(guard);
            });
        })
        .await;
    }
}
