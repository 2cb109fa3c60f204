//! POP3 over the mailboxes: the maildrop of an account is its INBOX.
//!
//! [`Pop3Service`] serves connections; [`session`] drives the protocol machine of one; [`login`] decides who may
//! in; [`lock`] keeps a maildrop to one session.

mod listener;
mod lock;
mod login;
mod maildrop;
mod session;

use std::{sync::Arc, time::Duration};

use ::login::Logins;
use proto::pop3::{Config, IDLE_TIMEOUT_MIN, Tls};
use store::Mailboxes;
use world::{BoxStream, Clock, Peer, Shutdown, tls::TlsMode};

use lock::MaildropLocks;
use session::Session;

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

    /// Serves one connection until it ends: by QUIT, by its peer, by a timeout, or soon after `shutdown` was given.
    pub async fn serve(
        self: Arc<Self>,
        listener: Arc<Pop3Listener>,
        stream: BoxStream,
        peer: Peer,
        shutdown: Shutdown,
    ) {
        let mut agreed = None;
        let (stream, tls, stls) = match &listener.tls {
            TlsMode::None => (stream, Tls::Unavailable, None),
            TlsMode::Starttls(tls) => (stream, Tls::Available, Some(tls.clone())),
            TlsMode::Implicit(tls) => match Box::pin(tls.accept(stream)).await {
                Ok((stream, summary)) => {
                    agreed = Some(summary);
                    (stream, Tls::Active, None)
                }
                Err(error) => {
                    tracing::info!(client = %peer.ip(), %error, "the TLS handshake failed");
                    return;
                }
            },
        };
        let config = Config {
            hostname: listener.hostname.clone(),
            tls,
            // Nobody listens between us and ourselves.
            allow_plaintext_auth: listener.allow_plaintext_auth || peer.ip().is_loopback(),
            idle_timeout: listener.idle_timeout,
        };
        drop(listener);
        let mut session = Session::new(self, config, stls, stream, peer, shutdown);
        if let Some(agreed) = agreed {
            session.secured_by(agreed);
        }
        session.run().await;
    }
}

#[cfg(test)]
mod tests;
