//! What a session waits for while its client idles.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use store::{Changes, Stores, mailbox::Mailbox};
use world::Clock;

/// What moves in the queue is looked at so much later: most messages are on their way for less, and a burst of them is one
/// look.
const QUEUE_SETTLES: Duration = Duration::from_secs(1);

pub(super) enum Watch {
    Stored(Changes),
    Outbox {
        /// Other sessions changed something of it.
        shown: Changes,
        queue: Changes,
        /// The queue has moved, and nobody has looked since.
        moved: AtomicBool,
    },
}

impl Watch {
    pub(super) fn new(stores: &Stores, mailbox: &Mailbox) -> Self {
        let shown = stores.mailboxes.watch(mailbox.id);
        if mailbox.id.is_outbox() {
            let queue = stores.spool.watch_submitted(mailbox.account);
            Self::Outbox { shown, queue, moved: AtomicBool::new(false) }
        } else {
            Self::Stored(shown)
        }
    }

    /// Returns once there may be something new to see.
    pub(super) async fn changed(&self, clock: &dyn Clock) {
        let (shown, queue, moved) = match self {
            Self::Stored(changes) => return changes.changed().await,
            Self::Outbox { shown, queue, moved } => (shown, queue, moved),
        };
        let settled = async {
            queue.changed().await;
            moved.store(true, Ordering::Relaxed);
            let now = clock.now();
            clock.sleep_until(now.checked_add(QUEUE_SETTLES).unwrap_or(now)).await;
        };
        tokio::select! {
            biased;
            () = shown.changed() => {}
            () = settled => {}
        }
    }

    /// Whether the queue has moved since the last call of this.
    pub(super) fn take_queue_moved(&self) -> bool {
        match self {
            Self::Stored(_) => false,
            Self::Outbox { queue, moved, .. } => queue.take() | moved.swap(false, Ordering::Relaxed),
        }
    }
}
