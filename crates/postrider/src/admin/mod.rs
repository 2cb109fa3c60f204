//! Administration: one piece that executes requests, for the running server (over its control socket) and for commands
//! that open the store themselves because no server runs.

mod app_passwords;
mod attach;
pub mod attached;
mod client;
mod directory;
pub mod explain;
pub mod history;
mod lists;
mod pattern;
pub mod protocol;
mod queue;
mod route;
pub mod selector;
mod session;
mod sharing;
mod sites;
mod snapshot;
pub mod socket;
mod suppressions;
mod tls_reports;
mod transfer;
mod undelete;

use std::sync::Arc;

use store::Stores;
use world::World;

pub use client::Session;
use protocol::{AdminRequest, AdminResponse, ListenerView};
pub use queue::QueueHand;
pub use snapshot::SessionSnapshot;

/// What requests are executed on.
#[derive(Clone, Debug)]
pub struct Admin {
    pub stores: Stores,
    pub world: World,
    pub queue: QueueHand,
    /// What the running server serves.
    pub listeners: Vec<ListenerView>,
    /// What is in force, if no server runs to tell.
    pub config: Option<Arc<mta::Config>>,
}

impl Admin {
    /// The running server's configuration, or the one the command was given.
    fn config(&self) -> Option<Arc<mta::Config>> {
        match &self.queue {
            QueueHand::Running(mta) => Some(mta.config()),
            QueueHand::Offline => self.config.clone(),
        }
    }

    /// Executes one request; whatever goes wrong is in the response.
    pub async fn execute(&self, request: AdminRequest) -> AdminResponse {
        match request {
            AdminRequest::Status => AdminResponse::Status {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                listeners: self.listeners.clone(),
            },
            AdminRequest::Queue(request) => {
                queue::execute(self, &request).await.map_or_else(AdminResponse::error, AdminResponse::Queue)
            }
            AdminRequest::QueueSites => sites::list(self).await.unwrap_or_else(AdminResponse::error),
            AdminRequest::Trace { term, follow } => {
                history::trace(self, &term, follow).await.unwrap_or_else(AdminResponse::error)
            }
            AdminRequest::Why { id } => history::why(self, &id).await.unwrap_or_else(AdminResponse::error),
            AdminRequest::AppPassword { address, action } => {
                app_passwords::execute(self, &address, action).await.unwrap_or_else(AdminResponse::error)
            }
            AdminRequest::ListAdd { .. }
            | AdminRequest::ListSet { .. }
            | AdminRequest::ListList
            | AdminRequest::ListShow { .. }
            | AdminRequest::ListSubscribe { .. }
            | AdminRequest::ListUnsubscribe { .. }
            | AdminRequest::ListRemove { .. } => {
                lists::execute(self, request).await.unwrap_or_else(AdminResponse::error)
            }
            AdminRequest::TlsReports { action } => tls_reports::execute(self, action).await,
            AdminRequest::Suppression { action } => {
                suppressions::execute(self, action).await.unwrap_or_else(AdminResponse::error)
            }
            AdminRequest::MailboxAdd(settings) => transfer::add_mailbox(self, &settings).await,
            AdminRequest::MailboxContents { address, mailbox, after } => {
                transfer::contents(self, &address, &mailbox, after).await
            }
            AdminRequest::ImportKnown { address, marks } => transfer::known(self, &address, &marks).await,
            AdminRequest::MailboxList { address } => transfer::mailboxes(self, &address).await,
            AdminRequest::Sharing { address, action } => {
                sharing::execute(self, &address, action).await.unwrap_or_else(AdminResponse::error)
            }
            AdminRequest::Undelete(request) => {
                undelete::execute(self, request).await.unwrap_or_else(AdminResponse::error)
            }
            AdminRequest::Session { visitor } => session::rehearse(self, &visitor).await,
            AdminRequest::Route { address } => {
                route::route(self, &address).await.unwrap_or_else(AdminResponse::error)
            }
            request => directory::execute(self, request).await.unwrap_or_else(AdminResponse::error),
        }
    }
}

#[cfg(test)]
mod tests;
