//! Moves the live bodies of a mostly dead segment to the end of the log, in small steps between the commits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc::WeakSender, oneshot};

use crate::{
    codec::BlobRow,
    committer::{MovedBody, Request},
    index::Usage,
    records::{Found, RecordReader, bodies_within},
    segment::SEGMENT_HEADER_BYTES,
    shared::{Counters, Shared},
};

/// Octets of bodies that one step moves, at most one body more.
const STEP_BYTES: u64 = 256 * 1024;
/// Octets of the segment that one step reads, if little of it is alive.
const STEP_READ_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Compaction {
    segment: u64,
    reader: RecordReader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

/// The emptiest of the sealed segments of which less than half is alive.
pub(crate) fn candidate(
    usage: &Usage,
    sealed_before: u64,
    mut allowed: impl FnMut(u64) -> bool,
) -> Option<u64> {
    usage
        .range(..sealed_before)
        .filter(|(number, sizes)| {
            sizes.live_bytes > 0 && sizes.live_bytes < sizes.bytes / 2 && allowed(**number)
        })
        .min_by_key(|(_, sizes)| sizes.live_bytes.saturating_mul(1 << 20) / sizes.bytes.max(1))
        .map(|(number, _)| *number)
}

impl Compaction {
    pub fn begin(shared: &Shared, segment: u64) -> Option<Self> {
        let opened = shared
            .segments
            .get(segment)
            .and_then(|file| RecordReader::new(file, segment, shared.secret, SEGMENT_HEADER_BYTES));
        match opened {
            Ok(reader) => Some(Self { segment, reader }),
            Err(error) => {
                shared.report_damage(segment, 0, format!("it cannot be opened: {error}"));
                None
            }
        }
    }

    pub fn segment(&self) -> u64 {
        self.segment
    }

    pub fn step(&mut self, shared: &Arc<Shared>, requests: &WeakSender<Request>) -> Progress {
        let (bodies, progress) = self.collect(shared);
        if bodies.is_empty() {
            return progress;
        }
        let octets = bodies.iter().map(|body| body.row.bytes).sum();
        let (reply, moved) = oneshot::channel();
        let Some(sender) = requests.upgrade() else { return Progress::Done };
        let sent = sender.blocking_send(Request::Move { bodies, reply });
        drop(sender);
        if sent.is_err() || moved.blocking_recv().is_err() {
            return Progress::Done;
        }
        Counters::add(&shared.counters.moved_bytes, octets);
        progress
    }

    /// The next live bodies of the segment.
    fn collect(&mut self, shared: &Shared) -> (Vec<MovedBody>, Progress) {
        let (mut bodies, mut octets) = (Vec::new(), 0);
        let begin = self.reader.position();
        while octets < STEP_BYTES && self.reader.position() - begin < STEP_READ_BYTES {
            let at = self.reader.position();
            let record = match self.reader.next() {
                Ok(Found::Record(record)) => record,
                Ok(Found::End) => return (bodies, Progress::Done),
                Ok(Found::Bad) => {
                    shared.report_damage(self.segment, at, "a record is not readable".to_owned());
                    return (bodies, Progress::Done);
                }
                Err(error) => {
                    shared.report_damage(self.segment, at, format!("it cannot be read: {error}"));
                    return (bodies, Progress::Done);
                }
            };
            for (id, row, offset) in bodies_within(&record, self.segment) {
                match self.live_body(shared, id, &row, offset) {
                    Some(Ok(octets_of)) => {
                        octets += row.bytes;
                        bodies.push(MovedBody { id, row, octets: octets_of });
                    }
                    Some(Err(reason)) => shared.report_damage(self.segment, offset, reason),
                    None => {}
                }
            }
            if record.writes.seals {
                return (bodies, Progress::Done);
            }
        }
        (bodies, Progress::More)
    }

    /// None if it is gone or elsewhere by now.
    fn live_body(
        &mut self,
        shared: &Shared,
        id: u64,
        row: &BlobRow,
        offset: u64,
    ) -> Option<Result<Bytes, String>> {
        match shared.blob(id) {
            Ok(Some(now)) if now.place == row.place => {}
            Ok(_) => return None,
            Err(error) => return Some(Err(error.to_string())),
        }
        match self.reader.body(row, offset) {
            Ok(Some(octets)) => Some(Ok(octets)),
            Ok(None) => Some(Err(format!("the checksum of body {id} does not match"))),
            Err(error) => Some(Err(error.to_string())),
        }
    }
}
