//! The one thread that writes the log: it takes what waits, writes it at once, syncs once, and answers all.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use store::{
    Batch, CommitError, Committed, StoreError,
    apply::{self, Reader},
};
use tokio::sync::{mpsc::Receiver, oneshot};

use crate::{
    checkpoint::Checkpoints,
    codec::{BlobRow, NewHeader, Writes, encode_record},
    group::{Group, Pending, Reply},
    index::{Mark, Usage},
    janitor::{Janitor, Job},
    log::LogEnd,
    memtable::Memtable,
    shared::{Counters, Shared},
};

/// Requests that wait at most; beyond, callers wait.
pub(crate) const QUEUE_MAX: usize = 1024;
/// A group is closed at this size; larger appends are slower per octet.
const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// A buffer that a huge batch has blown up is not kept.
const BUFFER_KEPT_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) enum Request {
    Commit {
        batch: Batch,
        reply: oneshot::Sender<Result<Committed, CommitError>>,
    },
    /// Bodies that are to be appended anew if they are still where they were.
    Move {
        bodies: Vec<MovedBody>,
        reply: oneshot::Sender<()>,
    },
    Checkpoint,
    Close {
        reply: oneshot::Sender<()>,
    },
}

#[derive(Debug)]
pub(crate) struct MovedBody {
    pub id: u64,
    /// Where it was found.
    pub row: BlobRow,
    pub octets: Bytes,
}

#[derive(Debug)]
pub(crate) struct Committer {
    pub shared: Arc<Shared>,
    pub requests: Receiver<Request>,
    pub checkpoints: Arc<Checkpoints>,
    pub janitor: Janitor,
    pub log: LogEnd,
    pub usage: Usage,
    /// Where replay starts by the last checkpoint asked for.
    pub marked: (u64, u64),
    pub waiting: VecDeque<Request>,
    pub buffer: Vec<u8>,
}

/// What batches are evaluated against.
struct Source<'a>(&'a Shared);

impl Reader for Source<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.view().pair(key)
    }
}

/// What ended a group besides its size.
#[derive(Default)]
struct Asked {
    checkpoint: bool,
    close: Option<oneshot::Sender<()>>,
}

impl Committer {
    /// Returns when the engine is dropped or closed.
    pub fn run(mut self) {
        while self.take_waiting() {
            let asked = self.commit_group();
            if let Some(reply) = asked.close {
                return self.close(reply);
            }
            self.maybe_checkpoint(asked.checkpoint);
        }
    }

    fn take_waiting(&mut self) -> bool {
        if !self.waiting.is_empty() {
            return true;
        }
        let mut taken = Vec::new();
        let count = self.requests.blocking_recv_many(&mut taken, QUEUE_MAX);
        self.waiting.extend(taken);
        count > 0
    }

    fn commit_group(&mut self) -> Asked {
        let shared = Arc::clone(&self.shared);
        let mut group = Group::new(self.log.sequence);
        let ready = match shared.stopped() {
            Some(reason) => Err(CommitError::Poisoned(reason.to_owned())),
            None => self.log.prepare(&shared.segments),
        };
        let mut asked = Asked::default();
        let source = Source(&shared);
        let mut state = apply::Group::new(&source);
        while asked.close.is_none() && self.buffer.len() < GROUP_BYTES_MAX {
            let Some(request) = self.waiting.pop_front() else { break };
            match request {
                Request::Checkpoint => asked.checkpoint = true,
                Request::Close { reply } => asked.close = Some(reply),
                Request::Commit { batch, reply } => match &ready {
                    Ok(()) => self.add_batch(&mut group, &mut state, batch, reply),
                    Err(error) => answer(reply, Err(error.clone())),
                },
                Request::Move { bodies, reply } => {
                    if ready.is_ok() {
                        self.add_moves(&mut group, &bodies, reply);
                    }
                }
            }
        }
        if let Err(CommitError::Poisoned(reason)) = &ready {
            shared.poison(reason);
        }
        if !group.is_empty() {
            self.write(group);
        }
        asked
    }

    fn add_batch(
        &mut self,
        group: &mut Group,
        state: &mut apply::Group<'_, Source<'_>>,
        batch: Batch,
        reply: oneshot::Sender<Result<Committed, CommitError>>,
    ) {
        if let Err(error) = self.admit(&batch) {
            return answer(reply, Err(error));
        }
        let evaluated = match state.evaluate(batch) {
            Ok(evaluated) => evaluated,
            Err(error) => return answer(reply, Err(error)),
        };
        let slots = evaluated.slots;
        let shared = Arc::clone(&self.shared);
        let mut pending = Pending::new(Reply::Commit { reply, committed: Committed::new(slots) });
        pending.writes.pairs = evaluated.writes;
        let staged = pending.stage(group, &shared, self.log.segment, evaluated.blobs, evaluated.references);
        self.encode(group, pending, staged);
    }

    /// New bodies are refused while only the reserve is left, so that deliveries and deletions can go on.
    fn admit(&self, batch: &Batch) -> Result<(), CommitError> {
        crate::group::check(batch)?;
        if batch.blobs.is_empty() {
            return Ok(());
        }
        let octets = batch.blobs.iter().map(|blob| blob.bytes).sum();
        match self.shared.space.check(octets) {
            Err(error) if crate::error::is_full(&error) => Err(CommitError::Full),
            _ => Ok(()),
        }
    }

    fn add_moves(&mut self, group: &mut Group, bodies: &[MovedBody], reply: oneshot::Sender<()>) {
        let shared = Arc::clone(&self.shared);
        let mut pending = Pending::new(Reply::Move(reply));
        let staged = pending.stage_moves(group, &shared, self.log.segment, bodies);
        self.encode(group, pending, staged);
    }

    /// Appends the batch to the buffer. What cannot be read now leaves the group's other batches without ground.
    fn encode(&mut self, group: &mut Group, mut pending: Pending, staged: Result<(), StoreError>) {
        let header = NewHeader {
            secret: self.shared.secret,
            segment: self.log.segment,
            sequence: group.next_sequence(),
            group: self.log.sequence,
        };
        let bodies = pending.bodies();
        encode_record(&mut self.buffer, self.log.position, &header, &mut pending.writes, &bodies);
        let prepared = staged.and_then(|()| self.shared.view().prepare(&pending.writes));
        match prepared {
            Ok(changes) => pending.changes = Some(changes),
            Err(error) => group.fail(&format!("reading the index failed: {error}")),
        }
        group.add(pending);
    }

    fn write(&mut self, mut group: Group) {
        let seals = self.log.position + self.buffer.len() as u64 >= self.shared.options.segment_bytes;
        if seals {
            let header = NewHeader {
                secret: self.shared.secret,
                segment: self.log.segment,
                sequence: group.next_sequence(),
                group: self.log.sequence,
            };
            let mut seal = Writes { seals: true, ..Writes::default() };
            encode_record(&mut self.buffer, self.log.position, &header, &mut seal, &[]);
        }
        let written = match group.failure() {
            Some(reason) => Err(CommitError::Poisoned(reason.to_owned())),
            None => self.log.append(&self.shared.segments, &self.buffer),
        };
        match written {
            Ok(()) => self.acknowledge(group, seals),
            Err(error) => {
                if let CommitError::Poisoned(reason) = &error {
                    self.shared.poison(reason);
                }
                group.refuse(&error);
            }
        }
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
    }

    /// The group is on disk: it becomes visible, and all who wait are told.
    fn acknowledge(&mut self, mut group: Group, seals: bool) {
        self.log.sequence = group.end_sequence();
        group.account(&mut self.usage);
        self.usage.entry(self.log.segment).or_default().bytes = self.log.position;
        if seals {
            self.log.seal();
        }
        let counters = &self.shared.counters;
        Counters::add(&counters.groups, 1);
        Counters::add(&counters.commits, group.len() as u64);
        Counters::add(&counters.logged_bytes, self.buffer.len() as u64);
        group.remember_bodies(&mut self.shared.recent());
        let changes = group.take_changes();
        let mut view = self.shared.view_mut();
        for changes in changes {
            view.apply(changes);
        }
        drop(view);
        self.shared.changes.publish(group.keys());
        for id in group.files_to_remove() {
            self.janitor.send(Job::RemoveFile(self.shared.blobs.path(id)));
        }
        group.acknowledge();
        self.checkpoints.note_work();
    }

    /// Hands the table over when it is large, a segment was sealed, or `asked`. While the one before is still being
    /// written commits go on, until memory says no.
    fn maybe_checkpoint(&mut self, asked: bool) {
        let limit = self.shared.options.memtable_bytes;
        let held = self.shared.view().active.bytes();
        let sealed = self.log.replay_from().0 > self.marked.0;
        if !(asked || sealed || held >= limit) {
            return;
        }
        if self.checkpoints.is_busy() {
            if held < limit.saturating_mul(2) {
                return;
            }
            self.checkpoints.wait_idle();
        }
        self.checkpoint();
    }

    /// Only while no other is under way.
    fn checkpoint(&mut self) {
        let from = self.log.replay_from();
        if from == self.marked || self.shared.stopped().is_some() {
            return;
        }
        let mark = Mark {
            secret: self.shared.secret,
            segment: from.0,
            offset: from.1,
            sequence: self.log.sequence,
            next_blob: self.shared.next_blob.load(std::sync::atomic::Ordering::Relaxed),
            usage: self.usage.clone(),
        };
        let mut view = self.shared.view_mut();
        let table = Arc::new(std::mem::take::<Memtable>(&mut view.active));
        view.frozen = Some(Arc::clone(&table));
        drop(view);
        self.checkpoints.submit(table, mark);
        self.marked = from;
        // The janitor removes these once the index says the same; they stay empty.
        self.usage.retain(|number, sizes| *number >= from.0 || sizes.live_bytes > 0);
    }

    fn close(mut self, reply: oneshot::Sender<()>) {
        self.checkpoints.wait_idle();
        self.checkpoint();
        self.checkpoints.wait_idle();
        self.shared.stop("it is closed");
        let _ = reply.send(());
        self.requests.close();
        while self.take_waiting() {
            self.commit_group();
        }
    }
}

fn answer(reply: oneshot::Sender<Result<Committed, CommitError>>, outcome: Result<Committed, CommitError>) {
    let _ = reply.send(outcome);
}
