//! ATRN and TURN: the client becomes the server, and gets the mail that waits for it (RFC 2645 §5.3).

use std::{net::SocketAddr, time::Duration};

use mail::{Domain, Reply};
use proto::smtp::server::Decision;
use world::{BoxStream, Peer};

use super::Session;
use crate::{
    deliver::{self, Caller},
    pickup,
};

/// Once shutdown was given, a message on its way has so long to arrive.
const LAST_MESSAGE_TIMEOUT: Duration = Duration::from_secs(15);

impl Session {
    pub(super) async fn turn(&mut self, domains: &[Domain]) -> Decision {
        // The last transaction may have ended without a word.
        self.transaction = None;
        let Some(identity) = &self.identity else {
            return Decision::Reject(Reply::new(530, (5, 7, 0), "authentication required"));
        };
        match pickup::call(&self.mta, identity, domains).await {
            Ok(claim) => {
                self.claim = Some(claim);
                Decision::ACCEPT
            }
            Err(reply) => Decision::Reject(reply),
        }
    }

    /// The rest of the connection. A call that is cut off by shutdown leaves what was not taken in the queue.
    pub(super) async fn hand_over(mut self, stream: BoxStream) {
        let (Some(claim), Some(identity)) = (self.claim.take(), self.identity.take()) else { return };
        let address = match self.peer {
            Peer::Tcp { remote, .. } => remote,
            Peer::Unix => SocketAddr::new(self.peer.ip(), 0),
        };
        tracing::info!(client = %self.peer.ip(), %identity, "fetches its mail");
        let caller = Caller { stream, tls: self.tls.take(), address };
        let clock = &self.mta.world.clock;
        let mut shutdown = self.mta.shutdown.clone();
        let cut_off = async {
            shutdown.given().await;
            clock.sleep_until(clock.now() + LAST_MESSAGE_TIMEOUT).await;
        };
        tokio::select! {
            biased;
            () = deliver::to_caller(&self.mta, caller, &claim.lanes) => {}
            () = cut_off => {}
        }
    }
}
