//! Connections arrive here and get a session each.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use world::{Listener, Shutdown};

use super::{Pop3Listener, Pop3Service};

/// After accepting failed for want of descriptors or memory: trying again at once would only burn the processor.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);
/// How long sessions may go on after shutdown was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

impl Pop3Service {
    /// Serves a listener until shutdown, then waits for its sessions to end. `options` is asked for each
    /// connection, so that a reload shows at once; `sessions_max` counts as it is at the start.
    pub async fn listen(
        self: Arc<Self>,
        listener: Box<dyn Listener>,
        options: impl Fn() -> Arc<Pop3Listener> + Send,
        mut shutdown: Shutdown,
    ) {
        let sessions_max = u32::try_from(options().sessions_max).unwrap_or(u32::MAX).min(1 << 24);
        let sessions = Arc::new(Semaphore::new(usize::try_from(sessions_max).unwrap_or_default()));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.given() => break,
            };
            match (accepted, sessions.clone().try_acquire_owned()) {
                (Ok((stream, peer)), Ok(permit)) => {
                    let session = self.clone().serve(options(), stream, peer, shutdown.clone());
                    tokio::spawn(async move {
                        session.await;
                        drop(permit);
                    });
                }
                (Ok((_, peer)), Err(_)) => {
                    tracing::warn!(client = %peer.ip(), "too many POP3 sessions; this one is closed");
                }
                (Err(error), _) => {
                    tracing::warn!(%error, listener = %listener.local(), "a connection could not be accepted");
                    let retry_at = self.clock.now().checked_add(ACCEPT_RETRY_DELAY);
                    self.clock.sleep_until(retry_at.unwrap_or_else(|| self.clock.now())).await;
                }
            }
        }
        drop(listener);
        self.drain(&sessions, sessions_max).await;
    }

    async fn drain(&self, sessions: &Semaphore, sessions_max: u32) {
        let now = self.clock.now();
        tokio::select! {
            _ = sessions.acquire_many(sessions_max) => {}
            () = self.clock.sleep_until(now.checked_add(DRAIN_TIMEOUT).unwrap_or(now)) => {
                tracing::warn!("some POP3 sessions did not end in time and are cut off");
            }
        }
    }
}
