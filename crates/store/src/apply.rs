//! What a batch means: the one evaluation that every engine uses.
//!
//! An engine hands its batches, one at a time and in the order it commits them, to a [`Group`] over its state. Each
//! comes back as plain writes, or as a conflict. Batches of one group see each other's writes, so that a group can be
//! written and synced at once.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::{
    batch::{Batch, Expect, Op},
    engine::{BlobId, CommitError, Key, PendingBlob, StoreError},
};

/// The state that batches are evaluated against.
pub trait Reader {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;
}

/// A batch whose preconditions hold, with its counters counted and its templates filled.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// Each key once, in key order; none is a deletion.
    pub writes: Vec<(Key, Option<Bytes>)>,
    /// The counters' new values, for [`crate::Committed::new`].
    pub slots: Vec<u64>,
    pub blobs: Vec<PendingBlob>,
    /// Each body once, in order, sums of zero left out. The batch's own bodies start at 0 and are reclaimed if they
    /// stay there, so one of `blobs` that has no positive sum here need not be written at all.
    pub references: Vec<(BlobId, i64)>,
}

/// Batches that are written together; each sees the ones before it.
#[derive(Debug)]
pub struct Group<'a, R> {
    state: &'a R,
    written: HashMap<Key, Option<Bytes>>,
}

/// Evaluates a batch that is written alone.
pub fn evaluate<R: Reader>(batch: Batch, state: &R) -> Result<Evaluated, CommitError> {
    Group::new(state).evaluate_last(batch)
}

impl<'a, R: Reader> Group<'a, R> {
    pub fn new(state: &'a R) -> Self {
        Self { state, written: HashMap::new() }
    }

    /// A batch that fails leaves no trace in the group.
    pub fn evaluate(&mut self, batch: Batch) -> Result<Evaluated, CommitError> {
        let evaluated = self.evaluate_last(batch)?;
        self.written.extend(evaluated.writes.iter().cloned());
        Ok(evaluated)
    }

    /// As [`evaluate`](Self::evaluate) for a group's last batch, whose writes nobody needs to see.
    pub fn evaluate_last(&self, batch: Batch) -> Result<Evaluated, CommitError> {
        let slots = vec![0; batch.slot_count()];
        let Batch { ops, blobs, .. } = batch;
        self.check(&ops)?;
        let mut step = Step { group: self, writes: BTreeMap::new(), slots, references: BTreeMap::new() };
        for op in ops {
            step.apply(op)?;
        }
        Ok(Evaluated {
            writes: step.writes.into_iter().collect(),
            slots: step.slots,
            blobs,
            references: step.references.into_iter().filter(|&(_, delta)| delta != 0).collect(),
        })
    }

    fn check(&self, ops: &[Op]) -> Result<(), CommitError> {
        for op in ops {
            if let Op::Check { key, expect } = op {
                let found = self.get(key)?;
                let holds = match expect {
                    Expect::Absent => found.is_none(),
                    Expect::Present => found.is_some(),
                    Expect::Equals(value) => found.as_ref() == Some(value),
                };
                if !holds {
                    return Err(CommitError::Conflict(key.clone()));
                }
            }
        }
        Ok(())
    }

    fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        match self.written.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.state.get(key.as_slice()),
        }
    }
}

/// A batch half way through.
struct Step<'a, R> {
    group: &'a Group<'a, R>,
    writes: BTreeMap<Key, Option<Bytes>>,
    slots: Vec<u64>,
    references: BTreeMap<BlobId, i64>,
}

impl<R: Reader> Step<'_, R> {
    fn apply(&mut self, op: Op) -> Result<(), CommitError> {
        match op {
            Op::Check { .. } => {}
            Op::Put { key, value } => {
                let (key, value) = (key.fill(&self.slots), value.fill(&self.slots));
                self.writes.insert(key.into(), Some(value.into()));
            }
            Op::Delete { key } => {
                self.writes.insert(key, None);
            }
            Op::Add { key, delta, max, slot } => {
                let value = self.counter(&key)?.saturating_add_signed(delta);
                if delta > 0 && max.is_some_and(|max| value > max) {
                    return Err(CommitError::Conflict(key));
                }
                if let Some(place) = self.slots.get_mut(slot.index()) {
                    *place = value;
                }
                self.writes.insert(key, Some(Bytes::copy_from_slice(&value.to_be_bytes())));
            }
            Op::References { blob, delta } => {
                let sum = self.references.entry(blob).or_default();
                *sum = sum.saturating_add(delta);
            }
        }
        Ok(())
    }

    fn counter(&self, key: &Key) -> Result<u64, StoreError> {
        let stored = match self.writes.get(key) {
            Some(value) => value.clone(),
            None => self.group.get(key)?,
        };
        counter_value(stored.as_ref())
    }
}

/// The number in a counter's value; absent is 0.
pub fn counter_value(stored: Option<&Bytes>) -> Result<u64, StoreError> {
    stored.map_or(Ok(0), |octets| {
        <[u8; 8]>::try_from(octets.as_ref())
            .map(u64::from_be_bytes)
            .map_err(|_| StoreError::Damaged("a counter does not have 8 octets".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{HoleWidth, Template};

    #[derive(Default)]
    struct State(BTreeMap<Vec<u8>, Bytes>);

    impl Reader for State {
        fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
            Ok(self.0.get(key).cloned())
        }
    }

    fn key(text: &str) -> Key {
        text.as_bytes().to_vec().into()
    }

    #[test]
    fn checks_see_the_state_before_the_batch_wherever_they_stand() {
        let mut batch = Batch::new();
        batch.put(key("a"), b"1".to_vec());
        batch.check(key("a"), Expect::Absent);
        let evaluated = evaluate(batch, &State::default()).unwrap();
        assert_eq!(evaluated.writes, [(key("a"), Some(Bytes::from_static(b"1")))]);
    }

    #[test]
    fn the_last_write_of_a_key_wins() {
        let mut batch = Batch::new();
        batch.put(key("b"), b"1".to_vec());
        batch.put(key("a"), b"1".to_vec());
        batch.delete(key("b"));
        let evaluated = evaluate(batch, &State::default()).unwrap();
        assert_eq!(evaluated.writes, [(key("a"), Some(Bytes::from_static(b"1"))), (key("b"), None)]);
    }

    #[test]
    fn batches_of_a_group_see_each_other_and_a_failed_one_leaves_no_trace() {
        let state = State::default();
        let mut group = Group::new(&state);
        let next = || {
            let mut batch = Batch::new();
            let slot = batch.next(key("n"));
            batch.put(Template::from(b"k".to_vec()).hole(HoleWidth::Four, slot), Vec::new());
            batch
        };
        assert_eq!(group.evaluate(next()).unwrap().slots, [1]);
        let mut failing = next();
        failing.check(key("n"), Expect::Absent);
        assert!(matches!(group.evaluate(failing), Err(CommitError::Conflict(at)) if at == key("n")));
        let second = group.evaluate(next()).unwrap();
        assert_eq!(second.slots, [2]);
        assert!(second.writes.iter().any(|(key, _)| key.as_slice() == b"k\0\0\0\x02"));
    }

    #[test]
    fn counters_saturate_and_count_within_a_batch() {
        let mut batch = Batch::new();
        let down = batch.add(key("n"), -5);
        let up = batch.add(key("n"), 3);
        let evaluated = evaluate(batch, &State::default()).unwrap();
        assert_eq!((evaluated.slots[down.index()], evaluated.slots[up.index()]), (0, 3));
        assert_eq!(evaluated.writes.len(), 1);
    }

    #[test]
    fn a_counter_that_would_rise_above_its_limit_is_a_conflict() {
        let state = State(BTreeMap::from([(b"n".to_vec(), Bytes::copy_from_slice(&7_u64.to_be_bytes()))]));
        let add = |delta, max| {
            let mut batch = Batch::new();
            let slot = batch.add_within(key("n"), delta, max);
            evaluate(batch, &state).map(|evaluated| evaluated.slots[slot.index()])
        };
        assert_eq!(add(3, Some(10)).unwrap(), 10);
        assert!(matches!(add(4, Some(10)), Err(CommitError::Conflict(at)) if at == key("n")));
        assert_eq!(add(-1, Some(5)).unwrap(), 6, "whoever is above it may go down");
        assert_eq!(add(0, Some(5)).unwrap(), 7);
        assert_eq!(add(4, None).unwrap(), 11);
    }

    #[test]
    fn references_are_summed() {
        let mut batch = Batch::new();
        for (blob, delta) in [(1, 1), (2, 1), (1, 1), (2, -1)] {
            batch.references(BlobId(blob), delta);
        }
        assert_eq!(evaluate(batch, &State::default()).unwrap().references, [(BlobId(1), 2)]);
    }
}
