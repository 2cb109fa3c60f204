//! Who waits for which keys.

use std::sync::{Arc, Mutex, Weak};

use tokio::sync::Notify;

use crate::engine::Key;

/// Wakes after commits that touched keys of one prefix.
#[derive(Debug)]
pub struct Changes {
    subscription: Arc<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    prefix: Key,
    notify: Notify,
}

/// An engine's list of subscribers.
#[derive(Debug, Default)]
pub struct ChangeHub {
    subscriptions: Mutex<Vec<Weak<Subscription>>>,
}

impl Changes {
    /// Returns once something changed since the last call (or since subscribing).
    pub async fn changed(&self) {
        self.subscription.notify.notified().await;
    }
}

impl ChangeHub {
    pub fn subscribe(&self, prefix: Key) -> Changes {
        let subscription = Arc::new(Subscription { prefix, notify: Notify::new() });
        let mut list = self.subscriptions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        list.retain(|one| one.strong_count() > 0);
        list.push(Arc::downgrade(&subscription));
        Changes { subscription }
    }

    /// Call after the commit is visible.
    pub fn publish<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let list = self.subscriptions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for subscription in list.iter().filter_map(Weak::upgrade) {
            if keys.clone().any(|key| key.starts_with(subscription.prefix.as_slice())) {
                subscription.notify.notify_one();
            }
        }
    }
}
