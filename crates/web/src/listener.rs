//! Connections arrive here: counted, under TLS where that is served, and one request each.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use world::{BoxStream, Listener, Peer, tls::TlsMode};

use crate::Web;

/// From the first octet of the request to the last of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Octets of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const FIELDS_MAX: usize = 64;
/// Connections at once on one listener.
const CONNECTIONS_MAX: u32 = 1000;

impl Web {
    /// Serves a listener until shutdown, then waits for what was begun.
    pub async fn listen(self: Arc<Self>, listener: Box<dyn Listener>, tls: TlsMode) {
        let (clock, shutdown) = (self.world.clock.clone(), self.shutdown.clone());
        world::serve_connections(listener, clock, shutdown, CONNECTIONS_MAX, |stream, peer, guard| {
            let (Some(guard), Some(visit)) = (guard, self.visitors.admit(peer.ip())) else {
                tracing::info!(client = %peer.ip(), "too many HTTP connections; this one is closed");
                return;
            };
            let (web, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                web.serve(stream, peer, &tls).await;
                drop((guard, visit));
            });
        })
        .await;
    }

    async fn serve(&self, stream: BoxStream, peer: Peer, tls: &TlsMode) {
        let stream = match tls {
            TlsMode::Implicit(tls) => match Box::pin(tls.accept(stream)).await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(client = %peer.ip(), %error, "the TLS handshake failed");
                    return;
                }
            },
            TlsMode::None | TlsMode::Starttls(_) => stream,
        };
        let clock = &self.world.clock;
        tokio::select! {
            biased;
            () = self.converse(stream, peer) => {}
            () = clock.sleep_until(clock.now() + REQUEST_TIMEOUT) => {
                tracing::debug!(client = %peer.ip(), "an HTTP client took too long");
            }
        }
    }

    pub(crate) async fn converse(&self, stream: BoxStream, peer: Peer) {
        let service = service_fn(|request: Request<Incoming>| async {
            // The path may be a secret.
            let method = request.method().clone();
            let reply = self.answer(request).await;
            tracing::debug!(client = %peer.ip(), %method, status = reply.status(), "HTTP");
            Ok::<_, Infallible>(reply.into_response())
        });
        let connection = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(FIELDS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(client = %peer.ip(), %error, "an HTTP connection broke off");
        }
    }
}
