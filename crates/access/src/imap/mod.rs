//! IMAP over the mailboxes.
//!
//! [`ImapService`] serves connections; [`session`] drives the protocol machine of one; [`view`] is what its client
//! knows of the mailbox it has selected; [`commands`] leads each command to the file of its name.

mod append;
mod catenate;
mod commands;
mod fetch;
mod flags;
mod list;
mod login;
mod mailboxes;
mod news;
mod outbox;
mod progress;
mod quota;
mod refusal;
mod search;
mod select;
mod session;
mod status;
mod store;
mod transfer;
mod uid_list;
mod view;
mod watch;

use std::{sync::Arc, time::Duration};

use ::login::Logins;
use ::store::Stores;
use proto::imap::server::{Config, Extension, Extensions, IDLE_TIMEOUT_MIN};
use world::{BoxStream, Clock, Listener, Peer, Shutdown, tls::TlsMode};

pub use outbox::Outgoing;
pub use search::indexing::SearchIndexer;
use session::Session;

use crate::connection::Connection;

/// Serves IMAP on any number of listeners.
pub struct ImapService {
    logins: Arc<Logins>,
    stores: Stores,
    clock: Arc<dyn Clock>,
    outgoing: Option<Arc<dyn Outgoing>>,
}

/// What one listener offers. Built anew for a reload; sessions keep the one they began with.
#[derive(Clone, Debug)]
pub struct ImapListener {
    /// Our name in the greeting.
    pub hostname: Arc<str>,
    pub tls: TlsMode,
    /// Passwords in clear for everybody. Peers on this host may always send them so.
    pub allow_plaintext_auth: bool,
    /// After the login; at least [`IDLE_TIMEOUT_MIN`], which is also the default.
    pub idle_timeout: Duration,
    /// From the greeting to the login.
    pub login_timeout: Duration,
    /// The longest message that is taken, in octets.
    pub append_bytes_max: u64,
    /// Connections at a time; further ones are closed at once.
    pub sessions_max: usize,
}

impl ImapListener {
    pub fn new(hostname: &str, tls: TlsMode, append_bytes_max: u64) -> Self {
        Self {
            hostname: hostname.into(),
            tls,
            allow_plaintext_auth: false,
            idle_timeout: IDLE_TIMEOUT_MIN,
            login_timeout: LOGIN_TIMEOUT,
            append_bytes_max,
            sessions_max: 12_000,
        }
    }
}

const LOGIN_TIMEOUT: Duration = Duration::from_mins(2);

impl std::fmt::Debug for ImapService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImapService")
    }
}

impl ImapService {
    pub fn new(logins: Arc<Logins>, stores: Stores, clock: Arc<dyn Clock>) -> Self {
        Self { logins, stores, clock, outgoing: None }
    }

    /// Each account has an Outbox that shows what it has submitted.
    pub fn with_outgoing(self, outgoing: Arc<dyn Outgoing>) -> Self {
        Self { outgoing: Some(outgoing), ..self }
    }

    /// Serves a listener until shutdown, then waits for its sessions to end. `options` is asked for each
    /// connection, so that a reload shows at once; `sessions_max` counts as it is at the start.
    pub async fn listen(
        self: Arc<Self>,
        listener: Box<dyn Listener>,
        options: impl Fn() -> Arc<ImapListener> + Send + Sync,
        shutdown: Shutdown,
    ) {
        let (clock, sessions_max) = (self.clock.clone(), options().sessions_max);
        crate::listener::listen("IMAP", listener, clock, shutdown.clone(), sessions_max, |stream, peer| {
            self.clone().serve(options(), stream, peer, shutdown.clone())
        })
        .await;
    }

    /// Serves one connection until it ends: by LOGOUT, by its peer, by a timeout, or soon after `shutdown` was given.
    pub async fn serve(
        self: Arc<Self>,
        listener: Arc<ImapListener>,
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
            login_timeout: listener.login_timeout,
            append_bytes_max: listener.append_bytes_max,
            message_limit: None,
            extensions: extensions(),
        };
        drop(listener);
        Session::new(self, config, connection).run().await;
    }
}

/// What is done here beyond IMAP4rev2.
fn extensions() -> Extensions {
    [
        Extension::Catenate,
        Extension::Compress,
        Extension::CondStore,
        Extension::CreateSpecialUse,
        Extension::ESort,
        Extension::InProgress,
        Extension::MultiAppend,
        Extension::ObjectId,
        Extension::Partial,
        Extension::Preview,
        Extension::QResync,
        Extension::Quota,
        Extension::Replace,
        Extension::SaveDate,
        Extension::Sort,
        Extension::Thread,
        Extension::Unauthenticate,
        Extension::Utf8Accept,
        Extension::Within,
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests;
