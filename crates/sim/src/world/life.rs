use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use tokio::{sync::Notify, time::Instant};

/// One run of a process, from its start to its crash.
///
/// Each time the process turns to the outside is a step, and it can die at any step. From then on nothing it waits for
/// ever comes: its tasks stand still where they are. Between two steps a process changes only its own memory, which
/// nobody sees after the crash, so that dying at steps is dying anywhere.
#[derive(Debug)]
pub struct Life {
    dead: AtomicBool,
    died_at: OnceLock<Instant>,
    steps: AtomicU64,
    last_step: AtomicU64,
    died: Notify,
    ailing: Notify,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            dead: AtomicBool::new(false),
            died_at: OnceLock::new(),
            steps: AtomicU64::new(0),
            last_step: AtomicU64::new(u64::MAX),
            died: Notify::new(),
            ailing: Notify::new(),
        }
    }
}

impl Life {
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub fn died_at(&self) -> Option<Instant> {
        self.died_at.get().copied()
    }

    /// Counts a step; false if the process is dead, or dies of it.
    pub fn step(&self) -> bool {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        if step >= self.last_step.load(Ordering::Relaxed) {
            self.kill();
        }
        !self.is_dead()
    }

    pub fn kill(&self) {
        if !self.dead.swap(true, Ordering::Relaxed) {
            let _ = self.died_at.set(Instant::now());
            self.died.notify_one();
        }
    }

    /// It dies at the step after so many more.
    pub fn die_after(&self, steps: u64) {
        let now = self.steps.load(Ordering::Relaxed);
        self.last_step.store(now.saturating_add(steps), Ordering::Relaxed);
    }

    /// Returns once, when it has died.
    pub async fn ended(&self) {
        self.died.notified().await;
    }

    /// Its disk fails.
    pub fn ail(&self) {
        self.ailing.notify_one();
    }

    /// Returns once its disk has failed.
    pub async fn ailed(&self) {
        self.ailing.notified().await;
    }

    /// Does work of the outside for the process, which may die before, meanwhile, and before it learns of the outcome.
    pub async fn guard<T>(&self, work: impl Future<Output = T>) -> T {
        if !self.step() {
            return pending().await;
        }
        let mut work = pin!(work);
        let done =
            poll_fn(|context| if self.is_dead() { Poll::Pending } else { work.as_mut().poll(context) }).await;
        if self.step() { done } else { pending().await }
    }
}
