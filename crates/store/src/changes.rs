//! Who waits for which keys.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::Notify;

use crate::engine::Key;

/// Wakes after commits that touched keys of one prefix.
#[derive(Debug)]
pub struct Changes {
    notify: Arc<Notify>,
}

/// An engine's list of subscribers. Publishing costs a look-up for each key and length of prefix in use, however many
/// wait.
#[derive(Debug, Default)]
pub struct ChangeHub {
    subscribers: Mutex<Subscribers>,
}

#[derive(Debug, Default)]
struct Subscribers {
    by_prefix: HashMap<Key, Vec<Weak<Notify>>>,
    /// Lengths of the prefixes in use.
    lengths: BTreeSet<usize>,
    /// Entries in `by_prefix` when those that nobody holds any more are next looked for.
    sweep_at: usize,
    entries: usize,
}

const SWEEP_ENTRIES_MIN: usize = 64;

impl Changes {
    /// Returns once something changed since the last call (or since subscribing).
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Whether something changed since the last call of this or [`changed`](Self::changed); does not wait.
    pub fn take(&self) -> bool {
        std::pin::pin!(self.notify.notified()).enable()
    }
}

impl ChangeHub {
    pub fn subscribe(&self, prefix: Key) -> Changes {
        let notify = Arc::new(Notify::new());
        let mut subscribers = self.subscribers();
        if subscribers.entries >= subscribers.sweep_at {
            subscribers.sweep();
        }
        subscribers.add(prefix, Arc::downgrade(&notify));
        Changes { notify }
    }

    /// Call after the commit is visible.
    pub fn publish<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let subscribers = self.subscribers();
        if subscribers.entries == 0 {
            return;
        }
        let mut touched = BTreeSet::new();
        for key in keys {
            touched.extend(subscribers.lengths.iter().map_while(|length| key.get(..*length)));
        }
        let waiting = touched.into_iter().filter_map(|prefix| subscribers.by_prefix.get(prefix)).flatten();
        waiting.filter_map(Weak::upgrade).for_each(|notify| notify.notify_one());
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscribers {
    fn add(&mut self, prefix: Key, subscriber: Weak<Notify>) {
        self.lengths.insert(prefix.0.len());
        self.by_prefix.entry(prefix).or_default().push(subscriber);
        self.entries += 1;
    }

    fn sweep(&mut self) {
        self.by_prefix.retain(|_, waiting| {
            waiting.retain(|one| one.strong_count() > 0);
            !waiting.is_empty()
        });
        self.lengths = self.by_prefix.keys().map(|prefix| prefix.0.len()).collect();
        self.entries = self.by_prefix.values().map(Vec::len).sum();
        self.sweep_at = (2 * self.entries).max(SWEEP_ENTRIES_MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(octets: &[u8]) -> Key {
        octets.to_vec().into()
    }

    #[test]
    fn subscribers_that_went_away_are_forgotten() {
        let hub = ChangeHub::default();
        let kept = hub.subscribe(key(b"kept"));
        for number in 0..1000_u32 {
            drop(hub.subscribe(key(&number.to_be_bytes())));
        }
        let subscribers = hub.subscribers();
        assert!(subscribers.entries <= 2 * SWEEP_ENTRIES_MIN);
        assert!(subscribers.by_prefix.contains_key(&key(b"kept")));
        drop((subscribers, kept));
    }

    #[tokio::test]
    async fn every_subscriber_of_every_prefix_of_a_key_wakes() {
        let hub = ChangeHub::default();
        let woken: Vec<_> = [&b""[..], b"a", b"ab", b"ab"].map(|prefix| hub.subscribe(key(prefix))).into();
        hub.publish([&b"ab"[..], b"abc"].into_iter());
        for changes in woken {
            changes.changed().await;
        }
    }
}
