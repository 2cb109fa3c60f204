//! Connections arrive here and get a session each.

use std::sync::Arc;

use world::{BoxStream, Clock, Listener, Peer, Shutdown};

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
