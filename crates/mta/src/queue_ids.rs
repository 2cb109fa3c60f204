use std::sync::atomic::{AtomicU32, Ordering};

use mail::{QueueId, Timestamp};
use world::Entropy;

/// Gives out queue IDs. The sequence starts anywhere, so that two runs within one millisecond hardly meet; should they,
/// the commit conflicts and the session takes the next ID.
#[derive(Debug)]
pub(crate) struct QueueIds {
    sequence: AtomicU32,
}

impl QueueIds {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self { sequence: AtomicU32::new((entropy.u64() >> 32) as u32) }
    }

    pub(crate) fn next(&self, now: Timestamp) -> QueueId {
        QueueId::new(now, self.sequence.fetch_add(1, Ordering::Relaxed))
    }
}
