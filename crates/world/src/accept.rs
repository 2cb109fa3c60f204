use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{BoxStream, Clock, Listener, Peer, Shutdown};

/// After `accept` failed for want of descriptors or memory: trying again at once would only burn the processor.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);
/// How long sessions may go on after shutdown was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Held by a session for as long as it lasts.
#[derive(Debug)]
pub struct SessionGuard(#[expect(dead_code, reason = "given back when dropped")] OwnedSemaphorePermit);

/// Accepts connections until shutdown, then waits for their sessions to end. `begin` starts a session (and returns at
/// once); it gets no guard when there are `sessions_max` already, and then refuses.
pub async fn serve_connections(
    listener: Box<dyn Listener>,
    clock: Arc<dyn Clock>,
    mut shutdown: Shutdown,
    sessions_max: u32,
    mut begin: impl FnMut(BoxStream, Peer, Option<SessionGuard>) + Send,
) {
    let sessions_max = sessions_max.min(1 << 24);
    let sessions = Arc::new(Semaphore::new(usize::try_from(sessions_max).unwrap_or_default()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.given() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                begin(stream, peer, sessions.clone().try_acquire_owned().ok().map(SessionGuard));
            }
            Err(error) => {
                tracing::warn!(%error, listener = %listener.local(), "a connection could not be accepted");
                clock.sleep_until(clock.now() + ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    drop(listener);
    let deadline = clock.now() + DRAIN_TIMEOUT;
    tokio::select! {
        biased;
        _ = sessions.acquire_many(sessions_max) => {}
        () = clock.sleep_until(deadline) => {
            tracing::warn!("some sessions did not end in time and are cut off");
        }
    }
}
