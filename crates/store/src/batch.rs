use bytes::Bytes;
use smallvec::SmallVec;

use crate::engine::{BlobId, Key, PendingBlob};

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    pub ops: Vec<Op>,
    pub blobs: Vec<PendingBlob>,
    slots: usize,
}

/// One step of a batch. Checks look at the state before the batch; the rest applies in order.
#[derive(Debug)]
pub enum Op {
    Check {
        key: Key,
        expect: Expect,
    },
    Put {
        key: Template,
        value: Template,
    },
    Delete {
        key: Key,
    },
    /// Adds to an unsigned counter (8 octets, big endian; absent is 0); the result fills `slot`. Saturates at 0. A sum
    /// that rises above `max` is a conflict.
    Add {
        key: Key,
        delta: i64,
        max: Option<u64>,
        slot: Slot,
    },
    /// Adds to the references of a body; at 0 it is reclaimed. A batch's own blobs start at 0.
    References {
        blob: BlobId,
        delta: i64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    Absent,
    Present,
    Equals(Bytes),
}

/// A number that the engine fills in at commit time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(crate) usize);

impl Slot {
    /// For engines: its place in [`crate::Committed`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Octets with holes for slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub octets: Vec<u8>,
    pub holes: SmallVec<[Hole; 1]>,
}

/// `width` octets at `at`, to be overwritten with the slot's value, big endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub at: usize,
    pub width: HoleWidth,
    pub slot: Slot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoleWidth {
    Four,
    Eight,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn check(&mut self, key: Key, expect: Expect) {
        self.ops.push(Op::Check { key, expect });
    }

    pub fn put(&mut self, key: impl Into<Template>, value: impl Into<Template>) {
        self.ops.push(Op::Put { key: key.into(), value: value.into() });
    }

    pub fn delete(&mut self, key: Key) {
        self.ops.push(Op::Delete { key });
    }

    /// The counter's next number (the first is 1), without conflict loops.
    pub fn next(&mut self, counter: Key) -> Slot {
        self.add(counter, 1)
    }

    pub fn add(&mut self, counter: Key, delta: i64) -> Slot {
        self.add_within(counter, delta, None)
    }

    /// As [`add`](Self::add); the batch conflicts on the counter if that would then rise above `max`.
    pub fn add_within(&mut self, counter: Key, delta: i64, max: Option<u64>) -> Slot {
        let slot = Slot(self.slots);
        self.slots += 1;
        self.ops.push(Op::Add { key: counter, delta, max, slot });
        slot
    }

    /// Makes a finished body visible; give it references in the same batch.
    pub fn blob(&mut self, blob: PendingBlob) {
        self.blobs.push(blob);
    }

    pub fn references(&mut self, blob: BlobId, delta: i64) {
        self.ops.push(Op::References { blob, delta });
    }

    /// How many slots the batch has given out.
    pub fn slot_count(&self) -> usize {
        self.slots
    }
}

impl Template {
    /// Appends a hole for `slot`.
    pub fn hole(mut self, width: HoleWidth, slot: Slot) -> Self {
        let at = self.octets.len();
        let zeros = match width {
            HoleWidth::Four => 4,
            HoleWidth::Eight => 8,
        };
        self.octets.resize(at + zeros, 0);
        self.holes.push(Hole { at, width, slot });
        self
    }

    pub fn octets(mut self, more: &[u8]) -> Self {
        self.octets.extend_from_slice(more);
        self
    }

    /// For engines: the octets with every hole filled from `slots` (a `Four` hole takes the low 32 bits).
    pub fn fill(mut self, slots: &[u64]) -> Vec<u8> {
        for hole in &self.holes {
            let number = slots.get(hole.slot.0).copied().unwrap_or_default().to_be_bytes();
            let source = match hole.width {
                HoleWidth::Four => number.get(4..),
                HoleWidth::Eight => number.get(..),
            };
            if let (Some(source), Some(target)) = (source, self.octets.get_mut(hole.at..)) {
                target.iter_mut().zip(source).for_each(|(to, from)| *to = *from);
            }
        }
        self.octets
    }
}

impl From<Vec<u8>> for Template {
    fn from(octets: Vec<u8>) -> Self {
        Self { octets, holes: SmallVec::new() }
    }
}

impl From<Key> for Template {
    fn from(key: Key) -> Self {
        Vec::from(key.0).into()
    }
}
