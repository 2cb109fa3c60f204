//! Batches on their way into the log together.

use std::{any::Any, collections::HashMap};

use bytes::Bytes;
use store::{Batch, BlobId, BlobPayload, CommitError, Committed, Op, PendingBlob, StoreError};
use tokio::sync::oneshot;

use crate::{
    blob::{StagedBody, StagedFile},
    codec::{BlobRow, OFFSET_UNKNOWN, PART_BYTES_MAX, Place, Writes},
    committer::MovedBody,
    index::Usage,
    shared::{RecentBodies, Shared},
    view::Changes,
};

#[derive(Debug)]
pub(crate) struct Group {
    pending: Vec<Pending>,
    /// Bodies as the batches so far leave them.
    rows: HashMap<u64, Option<BlobRow>>,
    sequence: u64,
    failure: Option<String>,
}

/// One batch, evaluated.
#[derive(Debug)]
pub(crate) struct Pending {
    pub writes: Writes,
    pub changes: Option<Changes>,
    /// What each of `writes.blobs` was before.
    before: Vec<Option<BlobRow>>,
    inline: Vec<(u64, Bytes)>,
    files: Vec<StagedFile>,
    reply: Reply,
}

#[derive(Debug)]
pub(crate) enum Reply {
    Commit { reply: oneshot::Sender<Result<Committed, CommitError>>, committed: Committed },
    Move(oneshot::Sender<()>),
}

/// Refuses what a record cannot hold.
pub(crate) fn check(batch: &Batch) -> Result<(), CommitError> {
    let foreign = |blob: &PendingBlob| match &blob.payload {
        BlobPayload::Memory(_) => false,
        BlobPayload::Staged(staged) => !(&**staged as &dyn Any).is::<StagedBody>(),
    };
    if batch.blobs.iter().any(foreign) {
        return Err(CommitError::Read(StoreError::Value("a body is of another engine".to_owned())));
    }
    let op_bytes = |op: &Op| match op {
        Op::Put { key, value } => 64 + key.octets.len() + value.octets.len(),
        Op::Delete { key } | Op::Add { key, .. } => 64 + key.0.len(),
        Op::Check { .. } | Op::References { .. } => 64,
    };
    let bodies: u64 =
        batch.blobs.iter().map(|blob| blob.bytes.min(crate::blob::INLINE_BYTES_MAX as u64)).sum();
    let writes: usize = batch.ops.iter().map(op_bytes).sum();
    if writes.max(usize::try_from(bodies).unwrap_or(usize::MAX)) > PART_BYTES_MAX / 2 {
        return Err(CommitError::Read(StoreError::Value("a batch is too large".to_owned())));
    }
    Ok(())
}

impl Group {
    pub fn new(sequence: u64) -> Self {
        Self { pending: Vec::new(), rows: HashMap::new(), sequence, failure: None }
    }

    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub fn len(&self) -> usize {
        self.pending.len()
    }

    pub fn next_sequence(&mut self) -> u64 {
        let next = self.sequence;
        self.sequence += 1;
        next
    }

    pub fn end_sequence(&self) -> u64 {
        self.sequence
    }

    /// Adds a batch whose bodies have their places.
    pub fn add(&mut self, pending: Pending) {
        self.rows.extend(pending.writes.blobs.iter().copied());
        self.pending.push(pending);
    }

    /// The group must not be written.
    pub fn fail(&mut self, reason: &str) {
        self.failure.get_or_insert_with(|| reason.to_owned());
    }

    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn row(&self, shared: &Shared, id: u64) -> Result<Option<BlobRow>, StoreError> {
        match self.rows.get(&id) {
            Some(row) => Ok(*row),
            None => shared.blob(id),
        }
    }

    /// Moves octets between the segments' accounts.
    pub fn account(&self, usage: &mut Usage) {
        for pending in &self.pending {
            for ((_, after), before) in pending.writes.blobs.iter().zip(&pending.before) {
                account(usage, before.as_ref(), after.as_ref());
            }
        }
    }

    pub fn remember_bodies(&mut self, recent: &mut RecentBodies) {
        for pending in &mut self.pending {
            for (id, octets) in pending.inline.drain(..) {
                recent.insert(id, octets);
            }
            for (id, _) in pending.writes.blobs.iter().filter(|(_, row)| row.is_none()) {
                recent.remove(*id);
            }
        }
    }

    pub fn take_changes(&mut self) -> Vec<Changes> {
        self.pending.iter_mut().filter_map(|pending| pending.changes.take()).collect()
    }

    pub fn keys(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.pending.iter().flat_map(|pending| pending.writes.pairs.iter().map(|(key, _)| key.as_slice()))
    }

    /// Files of bodies that were reclaimed.
    pub fn files_to_remove(&self) -> impl Iterator<Item = u64> {
        self.pending.iter().flat_map(|pending| {
            pending.writes.blobs.iter().zip(&pending.before).filter_map(|((id, after), before)| {
                let had_file = before.is_some_and(|row| row.place == Place::File);
                (had_file && after.is_none()).then_some(*id)
            })
        })
    }

    pub fn acknowledge(self) {
        for pending in self.pending {
            pending.files.into_iter().for_each(StagedFile::keep);
            match pending.reply {
                Reply::Commit { reply, committed } => drop(reply.send(Ok(committed))),
                Reply::Move(reply) => drop(reply.send(())),
            }
        }
    }

    pub fn refuse(self, error: &CommitError) {
        let uncertain = matches!(error, CommitError::Poisoned(_));
        for pending in self.pending {
            if uncertain {
                // Perhaps the log refers to them; opening the store will tell.
                pending.files.into_iter().for_each(StagedFile::keep);
            }
            if let Reply::Commit { reply, .. } = pending.reply {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}

pub(crate) fn account(usage: &mut Usage, before: Option<&BlobRow>, after: Option<&BlobRow>) {
    if before.map(|row| row.place) == after.map(|row| row.place) {
        return;
    }
    if let Some(BlobRow { place: Place::Log { segment, .. }, bytes, .. }) = before
        && let Some(sizes) = usage.get_mut(segment)
    {
        sizes.live_bytes = sizes.live_bytes.saturating_sub(*bytes);
    }
    if let Some(BlobRow { place: Place::Log { segment, .. }, bytes, .. }) = after {
        usage.entry(*segment).or_default().live_bytes += bytes;
    }
}

impl Pending {
    pub fn new(reply: Reply) -> Self {
        Self {
            writes: Writes::default(),
            changes: None,
            before: Vec::new(),
            inline: Vec::new(),
            files: Vec::new(),
            reply,
        }
    }

    /// The octets that the record carries.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.inline.iter().map(|(_, octets)| octets.clone()).collect()
    }

    /// Works out what becomes of the bodies. New ones without a reference are dropped here.
    pub fn stage(
        &mut self,
        group: &Group,
        shared: &Shared,
        segment: u64,
        blobs: Vec<PendingBlob>,
        references: Vec<(BlobId, i64)>,
    ) -> Result<(), StoreError> {
        let mut new: HashMap<u64, PendingBlob> = blobs.into_iter().map(|blob| (blob.id.0, blob)).collect();
        for (BlobId(id), delta) in references {
            if let Some(blob) = new.remove(&id) {
                if let Ok(references @ 1..) = u64::try_from(delta) {
                    self.stage_new(segment, blob, references)?;
                }
                continue;
            }
            let Some(before) = group.row(shared, id)? else { continue };
            let references = before.references.saturating_add_signed(delta);
            let after = (references > 0).then_some(BlobRow { references, ..before });
            self.change(id, Some(before), after);
        }
        Ok(())
    }

    fn stage_new(&mut self, segment: u64, blob: PendingBlob, references: u64) -> Result<(), StoreError> {
        let (id, bytes) = (blob.id.0, blob.bytes);
        let foreign = || StoreError::Value("the body is not of this engine".to_owned());
        let (place, checksum) = match StagedBody::of(blob.payload).ok_or_else(foreign)? {
            StagedBody::Memory { octets, checksum } => {
                self.inline.push((id, octets));
                (Place::Log { segment, offset: OFFSET_UNKNOWN }, checksum)
            }
            StagedBody::File { file, checksum } => {
                self.files.push(file);
                (Place::File, checksum)
            }
        };
        self.change(id, None, Some(BlobRow { place, bytes, checksum, references }));
        Ok(())
    }

    pub fn stage_moves(
        &mut self,
        group: &Group,
        shared: &Shared,
        segment: u64,
        bodies: &[MovedBody],
    ) -> Result<(), StoreError> {
        for body in bodies {
            let before = group.row(shared, body.id)?;
            if let Some(row) = before.filter(|row| row.place == body.row.place) {
                let after = BlobRow { place: Place::Log { segment, offset: OFFSET_UNKNOWN }, ..row };
                self.inline.push((body.id, body.octets.clone()));
                self.change(body.id, before, Some(after));
            }
        }
        Ok(())
    }

    fn change(&mut self, id: u64, before: Option<BlobRow>, after: Option<BlobRow>) {
        self.writes.blobs.push((id, after));
        self.before.push(before);
    }
}
