use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Lists of those who wait, so that a thousand sessions do not queue for one lock.
const LISTS: usize = 8;

/// A signal that is given once and stays given; cheap to clone and to wait for. Nothing about the order of waking is left
/// to chance, so that a simulated stop repeats itself.
#[derive(Debug)]
pub struct Shutdown {
    signal: Arc<Signal>,
    list: usize,
}

/// The hand that gives the [`Shutdown`] signal; dropping it gives the signal too.
#[derive(Debug)]
pub struct ShutdownTrigger(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    given: AtomicBool,
    waiting: [Notify; LISTS],
    clones: AtomicUsize,
}

impl ShutdownTrigger {
    pub fn new() -> (Self, Shutdown) {
        let signal = Arc::<Signal>::default();
        (Self(signal.clone()), Shutdown { signal, list: 0 })
    }

    pub fn give(&self) {
        self.0.given.store(true, Ordering::Release);
        self.0.waiting.iter().for_each(Notify::notify_waiters);
    }
}

impl Drop for ShutdownTrigger {
    fn drop(&mut self) {
        self.give();
    }
}

impl Clone for Shutdown {
    fn clone(&self) -> Self {
        let signal = self.signal.clone();
        let list = signal.clones.fetch_add(1, Ordering::Relaxed) % LISTS;
        Self { signal, list }
    }
}

impl Shutdown {
    pub fn is_given(&self) -> bool {
        self.signal.given.load(Ordering::Acquire)
    }

    /// Returns once the signal was given, at once if it already was.
    pub async fn given(&mut self) {
        let Some(list) = self.signal.waiting.get(self.list) else { return };
        // It is on the list from here on, so that a signal between the look and the wait is not missed.
        let woken = list.notified();
        if !self.is_given() {
            woken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_signal_reaches_those_who_wait_and_those_who_come_late() {
        let (trigger, shutdown) = ShutdownTrigger::new();
        let mut early = shutdown.clone();
        let waiting = tokio::spawn(async move { early.given().await });
        tokio::task::yield_now().await;
        assert!(!shutdown.is_given() && !waiting.is_finished());
        trigger.give();
        waiting.await.unwrap();
        shutdown.clone().given().await;
    }

    #[tokio::test]
    async fn without_its_hand_the_signal_is_given() {
        let (trigger, mut shutdown) = ShutdownTrigger::new();
        drop(trigger);
        shutdown.given().await;
        assert!(shutdown.is_given());
    }
}
