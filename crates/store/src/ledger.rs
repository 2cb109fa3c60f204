//! The history of every message: each step is committed in the same batch as the state it explains.

use std::sync::{Arc, atomic::AtomicU32};

use mail::{QueueId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    batch::Batch,
    engine::{CommitError, Engine, StoreError},
    value::Value,
};

/// The ledger over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    engine: Arc<dyn Engine>,
    sequence: Arc<AtomicU32>,
}

/// One step of a message. Texts from peers are cleaned before they get here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Accepted {
        /// `smtp`, `submission`, `local` for our own reports, …
        service: String,
        client_ip: Option<String>,
        helo: Option<String>,
        tls: Option<String>,
        /// The authenticated account.
        identity: Option<String>,
        reverse_path: String,
        recipients: Vec<String>,
        bytes: u64,
        message_id: Option<String>,
    },
    /// A policy's word with the rule that decided.
    Verdict {
        rule: String,
        outcome: String,
    },
    /// One try at one lane.
    Attempt {
        lane: String,
        host: Option<String>,
        address: Option<String>,
        tls: Option<String>,
        duration_ms: u64,
        outcome: String,
    },
    Delivered {
        recipient: String,
        to: String,
        reply: Option<String>,
    },
    Deferred {
        recipients: Vec<String>,
        reason: String,
        until: Timestamp,
    },
    /// Failed for good; `report` is the message that told the sender.
    Bounced {
        recipients: Vec<String>,
        reason: String,
        report: Option<QueueId>,
    },
    Expired {
        recipients: Vec<String>,
        reason: String,
        report: Option<QueueId>,
    },
    /// An operator's hand: `hold`, `release`, `retry`, `delete`.
    Operator {
        action: String,
        recipients: Vec<String>,
    },
    /// This message reports on that one.
    ReportOn {
        original: QueueId,
    },
}

impl Value for Event {
    const NAME: &'static str = "ledger event";
    const VERSION: u8 = 1;
}

impl Ledger {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, sequence: Arc::default() }
    }

    pub fn append(&self, _batch: &mut Batch, _id: QueueId, _at: Timestamp, _event: &Event) {
        todo!()
    }

    /// Makes the message findable by this address (any case) or Message-ID (without angle brackets).
    pub fn index(&self, _batch: &mut Batch, _id: QueueId, _term: &str) {
        todo!()
    }

    /// Every event of a message in order.
    pub async fn events(&self, _id: QueueId) -> Result<Vec<(Timestamp, Event)>, StoreError> {
        todo!()
    }

    /// The latest messages that a term was indexed for, newest first.
    pub async fn find(&self, _term: &str, _limit: usize) -> Result<Vec<QueueId>, StoreError> {
        todo!()
    }

    /// Deletes the history of messages accepted before `before`, at most `limit` keys in one batch; returns how many.
    pub async fn prune(&self, _before: Timestamp, _limit: usize) -> Result<usize, CommitError> {
        todo!()
    }
}
