//! The thread that writes frozen tables to the index.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc::WeakSender;

use crate::{
    committer::Request,
    index::{Index, Mark, Usage},
    janitor::{Janitor, Job},
    memtable::Memtable,
    shared::{Counters, Shared},
};

/// How the committer and the checkpointer talk.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    work: Mutex<Work>,
    wake: Condvar,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    task: Option<Task>,
    /// From the submission of a task until the index has it.
    busy: bool,
    /// The log is longer than the last mark says.
    dirty: bool,
    stop: bool,
}

#[derive(Debug)]
struct Task {
    table: Arc<Memtable>,
    mark: Mark,
}

impl Checkpoints {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log grew: some seconds from now a checkpoint is due.
    pub fn note_work(&self) {
        let mut work = self.work();
        if !work.dirty {
            work.dirty = true;
            self.wake.notify_one();
        }
    }

    pub fn is_busy(&self) -> bool {
        self.work().busy
    }

    pub fn wait_idle(&self) {
        let waited = self.idle.wait_while(self.work(), |work| work.busy);
        drop(waited);
    }

    /// Only while idle.
    pub fn submit(&self, table: Arc<Memtable>, mark: Mark) {
        let mut work = self.work();
        work.task = Some(Task { table, mark });
        work.busy = true;
        work.dirty = false;
        self.wake.notify_one();
    }

    fn finished(&self) {
        self.work().busy = false;
        self.idle.notify_all();
    }

    pub fn stop(&self) {
        self.work().stop = true;
        self.wake.notify_one();
    }
}

#[derive(Debug)]
pub(crate) struct Checkpointer {
    pub shared: Arc<Shared>,
    pub checkpoints: Arc<Checkpoints>,
    pub index: Index,
    pub janitor: Janitor,
    pub requests: WeakSender<Request>,
    /// What the index says of the segments.
    pub usage: Usage,
}

impl Checkpointer {
    pub fn run(mut self) {
        while let Some(task) = self.next_task() {
            self.write(task);
            self.checkpoints.finished();
        }
    }

    fn next_task(&self) -> Option<Task> {
        let mut work = self.checkpoints.work();
        loop {
            if let Some(task) = work.task.take() {
                return Some(task);
            }
            if work.stop {
                return None;
            }
            if !work.dirty {
                work = self.checkpoints.wake.wait(work).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let interval = Duration::from_millis(self.shared.options.checkpoint_interval_ms);
            let nothing_new = |work: &mut Work| work.task.is_none() && !work.stop;
            let (after, waited) = self
                .checkpoints
                .wake
                .wait_timeout_while(work, interval, nothing_new)
                .unwrap_or_else(PoisonError::into_inner);
            work = after;
            if waited.timed_out() {
                drop(work);
                self.ask();
                work = self.checkpoints.work();
            }
        }
    }

    /// Asks the committer for a table. If its queue is full it will come by itself.
    fn ask(&self) {
        if let Some(requests) = self.requests.upgrade() {
            let _ = requests.try_send(Request::Checkpoint);
        }
    }

    fn write(&mut self, task: Task) {
        let written = self.index.write(&task.table, &task.mark, &self.usage);
        let snapshot = written.and_then(|()| self.index.snapshot());
        let snapshot = match snapshot {
            Ok(snapshot) => Arc::new(snapshot),
            Err(error) => return self.shared.poison(&format!("writing the index failed: {error}")),
        };
        let mut view = self.shared.view_mut();
        let replaced = (std::mem::replace(&mut view.base, snapshot), view.frozen.take());
        drop(view);
        drop(replaced);
        Counters::add(&self.shared.counters.checkpoints, 1);
        self.usage.clone_from(&task.mark.usage);
        self.janitor.send(Job::Checkpointed { segment: task.mark.segment, usage: task.mark.usage });
    }
}
