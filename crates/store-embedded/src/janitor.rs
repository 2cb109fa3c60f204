//! The thread that gives space back: it removes files, and moves what is still alive out of segments that are mostly
//! dead.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use tokio::sync::mpsc::WeakSender;

use crate::{
    committer::Request,
    compaction::{Compaction, Progress, candidate},
    index::Usage,
    shared::{Counters, Shared},
};

/// Between two steps of a compaction.
const PACE: Duration = Duration::from_millis(10);

/// Gives the thread work; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Janitor(Sender<Job>);

#[derive(Debug)]
pub(crate) enum Job {
    /// A body's file that nothing refers to.
    RemoveFile(PathBuf),
    /// Everything before `segment` is in the index, which says so of the segments.
    Checkpointed {
        segment: u64,
        usage: Usage,
    },
    /// The last snapshot was dropped.
    Released,
    Stop,
}

impl Janitor {
    pub fn new() -> (Self, Receiver<Job>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }

    pub fn send(&self, job: Job) {
        if let Err(mpsc::SendError(Job::RemoveFile(path))) = self.0.send(job) {
            remove_file(&path);
        }
    }
}

#[derive(Debug)]
pub(crate) struct JanitorThread {
    pub shared: Arc<Shared>,
    pub requests: WeakSender<Request>,
    pub jobs: Receiver<Job>,
    pub compaction: Option<Compaction>,
    /// The last segment that was compacted or could not be.
    pub compacted: Option<u64>,
    pub waiting: Waiting,
}

/// What is removed once no snapshot may need it. What a crash leaves of it, opening the store removes.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    files: Vec<PathBuf>,
    segments: Vec<u64>,
}

impl JanitorThread {
    pub fn run(mut self) {
        loop {
            let job = match &self.compaction {
                Some(_) => self.jobs.recv_timeout(PACE),
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match job {
                Ok(Job::RemoveFile(path)) if self.is_held() => self.waiting.files.push(path),
                Ok(Job::RemoveFile(path)) => remove_file(&path),
                Ok(Job::Checkpointed { segment, usage }) => self.checkpointed(segment, &usage),
                Ok(Job::Released) => self.released(),
                Err(RecvTimeoutError::Timeout) => self.step(),
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn checkpointed(&mut self, segment: u64, usage: &Usage) {
        for (number, _) in usage.range(..segment).filter(|(_, sizes)| sizes.live_bytes == 0) {
            // Its file may be written over at once.
            self.compaction.take_if(|compaction| compaction.segment() == *number);
            if self.is_held() {
                self.waiting.segments.push(*number);
            } else {
                self.remove_segment(*number);
            }
        }
        if self.compaction.is_none() && self.shared.stopped().is_none() {
            let damage = self.shared.damage();
            let found = candidate(usage, segment, |number| {
                Some(number) != self.compacted && !damage.has_segment(number)
            });
            drop(damage);
            self.compaction = found.and_then(|number| Compaction::begin(&self.shared, number));
        }
    }

    /// A snapshot counts itself before it looks, and what it sees is given up by a job that comes after that.
    fn is_held(&self) -> bool {
        self.shared.snapshots.load(Ordering::SeqCst) > 0
    }

    fn released(&mut self) {
        if self.is_held() {
            return;
        }
        let Waiting { files, segments } = std::mem::take(&mut self.waiting);
        for path in files {
            remove_file(&path);
        }
        for number in segments {
            self.remove_segment(number);
        }
    }

    fn remove_segment(&self, number: u64) {
        if self.shared.damage().has_segment(number) {
            return;
        }
        match self.shared.segments.retire(number) {
            Ok(()) => Counters::add(&self.shared.counters.segments_removed, 1),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(number, %error, "a segment that is not needed cannot be removed"),
        }
    }

    fn step(&mut self) {
        let Some(compaction) = &mut self.compaction else { return };
        match compaction.step(&self.shared, &self.requests) {
            Progress::More => {}
            Progress::Done => {
                self.compacted = Some(compaction.segment());
                self.compaction = None;
                // The segment can go once a checkpoint has seen that it is empty.
                if let Some(requests) = self.requests.upgrade() {
                    let _ = requests.try_send(Request::Checkpoint);
                }
            }
        }
    }
}

fn remove_file(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a file that is not needed cannot be removed");
    }
}
