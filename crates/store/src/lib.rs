//! Everything Postrider remembers goes through one interface, [`Engine`]; written once on top of it stand the
//! [`spool`], the [`mailbox`], the [`directory`] and the [`ledger`].

pub mod apply;
pub mod batch;
pub mod changes;
pub mod contract;
pub mod directory;
pub mod engine;
pub mod keys;
pub mod ledger;
pub mod mailbox;
pub mod memory;
pub mod search_index;
pub mod sharing;
pub mod snapshot;
pub mod spool;
pub mod sts;
pub mod suppressions;
#[cfg(test)]
mod testing;
pub mod tls_received;
pub mod tls_reports;
pub mod value;

use std::sync::Arc;

pub use batch::{Batch, Expect, Op, Slot, Template};
pub use changes::{ChangeHub, Changes};
pub use directory::{Directory, PasswordCost};
pub use engine::{
    BlobId, BlobPayload, BlobWriter, CommitError, Committed, Engine, Key, KeyRange, Order, PendingBlob,
    StoreError,
};
pub use ledger::Ledger;
pub use mailbox::Mailboxes;
pub use search_index::SearchIndex;
pub use sharing::Sharing;
pub use snapshot::{Body, Snapshot};
pub use spool::Spool;
use sts::StsPolicies;
pub use suppressions::Suppressions;
pub use tls_reports::TlsReports;

/// How often what read, decided and met a conflict reads and decides anew before it gives up.
const CONFLICTS_MAX: usize = 16;

/// The stores over one engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stores {
    pub engine: Arc<dyn Engine>,
    pub spool: Spool,
    pub mailboxes: Mailboxes,
    pub directory: Directory,
    pub sharing: Sharing,
    pub ledger: Ledger,
    pub search_index: SearchIndex,
    pub sts: StsPolicies,
    pub tls_reports: TlsReports,
    pub suppressions: Suppressions,
}

impl Stores {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self::with_password_cost(engine, PasswordCost::default())
    }

    /// As [`new`](Self::new), where passwords cost something else to set and to check.
    pub fn with_password_cost(engine: Arc<dyn Engine>, cost: PasswordCost) -> Self {
        let mailboxes = Mailboxes::new(engine.clone());
        let directory = Directory::with_password_cost(engine.clone(), cost);
        Self {
            spool: Spool::new(engine.clone()),
            sharing: Sharing::new(directory.clone(), mailboxes.clone()),
            mailboxes,
            directory,
            ledger: Ledger::new(engine.clone()),
            search_index: SearchIndex::new(engine.clone()),
            sts: StsPolicies::new(engine.clone()),
            tls_reports: TlsReports::new(engine.clone()),
            suppressions: Suppressions::new(engine.clone()),
            engine,
        }
    }
}
