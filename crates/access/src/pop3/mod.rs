//! POP3 over the mailboxes: the maildrop of an account is its INBOX.
//!
//! [`Pop3Service`] serves connections; [`session`] drives the protocol machine of one; [`login`] decides who may
//! in; [`lock`] keeps a maildrop to one session.

mod lock;
mod login;
mod maildrop;
mod session;

use std::{sync::Arc, time::Duration};

use ::login::Logins;
use proto::pop3::{Config, IDLE_TIMEOUT_MIN};
use store::Mailboxes;
use world::{BoxStream, Clock, Listener, Peer, Shutdown, tls::TlsMode};

use lock::MaildropLocks;
use session::Session;

use crate::connection::Connection;

/// Serves POP3 on any number of listeners. One for all of them, as it holds the locks on the maildrops.
pub struct Pop3Service {
    logins: Arc<Logins>,
    mailboxes: Mailboxes,
    clock: Arc<dyn Clock>,
    locks: MaildropLocks,
}

/// What one listener offers. Built anew for a reload; sessions keep the one they began with.
#[derive(Clone, Debug)]
pub struct Pop3Listener {
    /// Our name in the greeting.
    pub hostname: Arc<str>,
    pub tls: TlsMode,
    /// Passwords in clear for everybody. Peers on this host may always send them so.
    pub allow_plaintext_auth: bool,
    /// At least [`IDLE_TIMEOUT_MIN`], which is also the default.
    pub idle_timeout: Duration,
    /// Connections at a time; further ones are closed at once.
    pub sessions_max: usize,
}

impl Pop3Listener {
    pub fn new(hostname: &str, tls: TlsMode) -> Self {
        Self {
            hostname: hostname.into(),
            tls,
            allow_plaintext_auth: false,
            idle_timeout: IDLE_TIMEOUT_MIN,
            sessions_max: 12_000,
        }
    }
}

impl std::fmt::Debug for Pop3Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pop3Service").field("locks", &self.locks).finish_non_exhaustive()
    }
}

impl Pop3Service {
    pub fn new(logins: Arc<Logins>, mailboxes: Mailboxes, clock: Arc<dyn Clock>) -> Self {
        Self { logins, mailboxes, clock, locks: MaildropLocks::default() }
    }

    /// Serves a listener until shutdown, then waits for its sessions to end. `options` is asked for each
    /// connection, so that a reload shows at once; `sessions_max` counts as it is at the start.
    pub async fn listen(
        self: Arc<Self>,
        listener: Box<dyn Listener>,
        options: impl Fn() -> Arc<Pop3Listener> + Send + Sync,
        shutdown: Shutdown,
    ) {
        let (clock, sessions_max) = (self.clock.clone(), options().sessions_max);
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
        let begun = Connection::begin(stream, peer, &listener.tls, self.clock.clone(), shutdown).await;
        let Some((connection, tls)) = begun else { return };
        let config = Config {
            hostname: listener.hostname.clone(),
            tls,
            // Nobody listens between us and ourselves.
            allow_plaintext_auth: listener.allow_plaintext_auth || peer.ip().is_loopback(),
            idle_timeout: listener.idle_timeout,
        };
        drop(listener);
        Session::new(self, config, connection).run().await;
    }
}

#[cfg(test)]
mod tests;
