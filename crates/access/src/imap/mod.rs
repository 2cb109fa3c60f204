//! IMAP over the mailboxes.
//!
//! [`ImapService`] serves connections; [`session`] drives the protocol machine of one; [`view`] is what its client
//! knows of the mailbox it has selected; [`commands`] leads each command to the file of its name.

mod acl;
mod append;
mod catenate;
mod commands;
mod fetch;
mod flags;
mod list;
mod login;
mod mailboxes;
mod metadata;
mod news;
mod notify;
mod outbox;
mod progress;
mod quota;
mod reach;
mod refusal;
mod search;
mod select;
mod session;
mod status;
mod store;
mod transfer;
mod uid_list;
mod urlauth;
mod urls;
mod view;
mod watch;

use std::{sync::Arc, time::Duration};

use ::login::Logins;
use ::store::Stores;
use proto::imap::server::{Config, Extension, Extensions, IDLE_TIMEOUT_MIN};
use world::{BoxStream, Clock, Entropy, Listener, Peer, Shutdown, tls::TlsMode};

pub use outbox::Outgoing;
pub use search::indexing::SearchIndexer;
use session::Session;
pub use urls::{UrlContent, UrlError, open_for_submission};

use crate::{Offer, connection::Connection};

/// Serves IMAP on any number of listeners.
pub struct ImapService {
    logins: Arc<Logins>,
    stores: Stores,
    clock: Arc<dyn Clock>,
    outgoing: Option<Arc<dyn Outgoing>>,
    entropy: Arc<dyn Entropy>,
    #[cfg(feature = "planted")]
    pub(crate) planted: Option<crate::planted::Planted>,
}

/// What one listener offers.
#[derive(Clone, Debug)]
pub struct ImapListener {
    /// Its timeout counts after the login, and is at least [`IDLE_TIMEOUT_MIN`], which is also the default.
    pub offer: Offer,
    /// From the greeting to the login.
    pub login_timeout: Duration,
    /// The longest message that is taken, in octets.
    pub append_bytes_max: u64,
}

impl ImapListener {
    pub fn new(hostname: &str, tls: TlsMode, append_bytes_max: u64) -> Self {
        let offer = Offer::new(hostname, tls, IDLE_TIMEOUT_MIN);
        Self { offer, login_timeout: LOGIN_TIMEOUT, append_bytes_max }
    }
}

const LOGIN_TIMEOUT: Duration = Duration::from_mins(2);

impl std::fmt::Debug for ImapService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImapService")
    }
}

impl ImapService {
    pub fn new(
        logins: Arc<Logins>,
        stores: Stores,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            logins,
            stores,
            clock,
            entropy,
            outgoing: None,
            #[cfg(feature = "planted")]
            planted: None,
        }
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
        let (clock, sessions_max) = (self.clock.clone(), options().offer.sessions_max);
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
        let begun = Connection::begin(stream, peer, &listener.offer.tls, self.clock.clone(), shutdown).await;
        let Some((connection, tls)) = begun else { return };
        let Offer { hostname, idle_timeout, .. } = &listener.offer;
        let config = Config {
            hostname: hostname.clone(),
            tls,
            allow_plaintext_auth: listener.offer.allows_plaintext_auth(peer),
            idle_timeout: *idle_timeout,
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
        Extension::Acl,
        Extension::Catenate,
        Extension::Compress,
        Extension::CondStore,
        Extension::CreateSpecialUse,
        Extension::ESort,
        Extension::InProgress,
        Extension::ListMetadata,
        Extension::ListMyRights,
        Extension::Metadata,
        Extension::MultiAppend,
        Extension::Notify,
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
        Extension::UrlAuth,
        Extension::Utf8Accept,
        Extension::Within,
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests;
