//! The engine's threads: committer, checkpointer, janitor.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::sync::mpsc::{Sender, channel};

use crate::{
    blob::WriterContext,
    checkpoint::{Checkpointer, Checkpoints},
    committer::{Committer, QUEUE_MAX, Request},
    error::{Context, OpenError},
    janitor::{Janitor, JanitorThread, Job, Waiting},
    recovery::Opened,
    shared::Shared,
};

/// Dropped, the threads end, as after a crash: nothing is written that was not asked for.
#[derive(Debug)]
pub(crate) struct Threads {
    requests: Option<Sender<Request>>,
    checkpoints: Arc<Checkpoints>,
    janitor: Janitor,
    committer: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    /// Released last.
    _lock: File,
}

pub(crate) fn start(opened: Opened) -> Result<(Arc<Shared>, Threads), OpenError> {
    let Opened { shared, index, log, mark, marked, indexed_usage, lock } = opened;
    let shared = Arc::new(shared);
    let (requests, receiver) = channel(QUEUE_MAX);
    let (janitor, jobs) = Janitor::new();
    let checkpoints = Arc::new(Checkpoints::default());
    let mut threads = Threads {
        requests: Some(requests.clone()),
        checkpoints: Arc::clone(&checkpoints),
        janitor: janitor.clone(),
        committer: None,
        others: Vec::new(),
        _lock: lock,
    };
    janitor.send(Job::Checkpointed { segment: marked.0, usage: indexed_usage.clone() });
    if log.replay_from() != marked {
        checkpoints.note_work();
    }
    let committer = Committer {
        shared: Arc::clone(&shared),
        requests: receiver,
        checkpoints: Arc::clone(&checkpoints),
        janitor: janitor.clone(),
        log,
        usage: mark.usage,
        marked,
        waiting: VecDeque::new(),
        buffer: Vec::new(),
    };
    let checkpointer = Checkpointer {
        shared: Arc::clone(&shared),
        checkpoints,
        index,
        janitor,
        requests: requests.downgrade(),
        usage: indexed_usage,
    };
    let cleaner = JanitorThread {
        shared: Arc::clone(&shared),
        requests: requests.downgrade(),
        jobs,
        compaction: None,
        compacted: None,
        waiting: Waiting::default(),
    };
    let started = (|| {
        threads.others.push(spawn("store-checkpoint", || checkpointer.run())?);
        threads.others.push(spawn("store-janitor", || cleaner.run())?);
        threads.committer = Some(spawn("store-commit", || committer.run())?);
        Ok(())
    })();
    started.while_("starting the threads for", shared.segments.dir())?;
    Ok((shared, threads))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

impl Threads {
    pub fn requests(&self) -> Option<&Sender<Request>> {
        self.requests.as_ref()
    }

    pub fn janitor(&self) -> Janitor {
        self.janitor.clone()
    }

    pub fn writer_context(&self, shared: &Shared) -> WriterContext {
        WriterContext {
            files: Arc::clone(&shared.blobs),
            space: Arc::clone(&shared.space),
            janitor: self.janitor.clone(),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(committer) = self.committer.take() {
            let _ = committer.join();
        }
        self.checkpoints.stop();
        self.janitor.send(Job::Stop);
        for thread in self.others.drain(..) {
            let _ = thread.join();
        }
    }
}
