//! POP3 over the mailboxes: the maildrop of an account is its INBOX.
//!
//! [`Pop3Service`] serves connections; [`session`] drives the protocol machine of one; [`login`] decides who may
//! in; [`lock`] keeps a maildrop to one session.

mod lock;
mod login;
mod maildrop;
mod session;

use std::sync::Arc;

use ::login::Logins;
use proto::pop3::{Config, IDLE_TIMEOUT_MIN};
use store::Mailboxes;
use world::{BoxStream, Clock, Listener, Peer, Shutdown, tls::TlsMode};

use lock::MaildropLocks;
use session::Session;

use crate::{Offer, connection::Connection};

/// Serves POP3 on any number of listeners. One for all of them, as it holds the locks on the maildrops.
pub struct Pop3Service {
    logins: Arc<Logins>,
    mailboxes: Mailboxes,
    clock: Arc<dyn Clock>,
    locks: MaildropLocks,
    #[cfg(feature = "planted")]
    pub(crate) planted: Option<crate::planted::Planted>,
}

/// What one listener offers.
#[derive(Clone, Debug)]
pub struct Pop3Listener {
    /// Its timeout is at least [`IDLE_TIMEOUT_MIN`], which is also the default.
    pub offer: Offer,
}

impl Pop3Listener {
    pub fn new(hostname: &str, tls: TlsMode) -> Self {
        Self { offer: Offer::new(hostname, tls, IDLE_TIMEOUT_MIN) }
    }
}

impl std::fmt::Debug for Pop3Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pop3Service").field("locks", &self.locks).finish_non_exhaustive()
    }
}

impl Pop3Service {
    pub fn new(logins: Arc<Logins>, mailboxes: Mailboxes, clock: Arc<dyn Clock>) -> Self {
        Self {
            logins,
            mailboxes,
            clock,
            locks: MaildropLocks::default(),
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// Serves a listener until shutdown, then waits for its sessions to end. `options` is asked for each
    /// connection, so that a reload shows at once; `sessions_max` counts as it is at the start.
    pub async fn listen(
        self: Arc<Self>,
        listener: Box<dyn Listener>,
        options: impl Fn() -> Arc<Pop3Listener> + Send + Sync,
        shutdown: Shutdown,
    ) {
        let (clock, sessions_max) = (self.clock.clone(), options().offer.sessions_max);
        crate::listener::listen("POP3", listener, clock, shutdown.clone(), sessions_max, |stream, peer| {
            self.clone().serve(options(), stream, peer, shutdown.clone())
        })
        .await;
    }

    /// Serves one connection until it ends: by QUIT, by its peer, by a timeout, or soon after `shutdown` was given.
    pub async fn serve(
        self: Arc<Self>,
        listener: Arc<Pop3Listener>,
        stream: BoxStream,
        peer: Peer,
        shutdown: Shutdown,
    ) {
        let begun = Connection::begin(stream, peer, &listener.offer.tls, self.clock.clone(), shutdown).await;
        let Some((connection, tls)) = begun else { return };
        let Offer { hostname, idle_timeout, .. } = &listener.offer;
        let config = Config {
            hostname: hostname.clone(),
            tls,
            allow_plaintext_auth: listener.offer.allows_plaintext_auth(peer),
            idle_timeout: *idle_timeout,
        };
        drop(listener);
        Session::new(self, config, connection).run().await;
    }
}

#[cfg(test)]
mod tests;
