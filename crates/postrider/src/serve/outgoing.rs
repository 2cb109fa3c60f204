//! What IMAP sessions ask of the queue: each account's Outbox shows what it has submitted and that is still on its way.

use std::sync::Arc;

use access::imap::Outgoing;
use async_trait::async_trait;
use mail::QueueId;
use mta::Mta;
use store::{Batch, CommitError, StoreError, Stores, spool::Cancelled};
use world::World;

use crate::admin::{Admin, QueueHand, history};

pub struct Underway {
    mta: Arc<Mta>,
    /// As an operator sees it.
    admin: Admin,
}

impl Underway {
    pub fn new(mta: &Arc<Mta>, stores: &Stores, world: &World) -> Self {
        let queue = QueueHand::Running(mta.clone());
        let (stores, world) = (stores.clone(), world.clone());
        Self { mta: mta.clone(), admin: Admin { stores, world, queue, listeners: Vec::new(), config: None } }
    }
}

#[async_trait]
impl Outgoing for Underway {
    async fn waits_for(&self, id: QueueId) -> Result<Option<String>, StoreError> {
        history::waits_for(&self.admin, id).await
    }

    async fn cancel(&self, id: QueueId, whole: bool, also: Batch) -> Result<Cancelled, CommitError> {
        self.mta.cancel(id, whole, also).await
    }
}
