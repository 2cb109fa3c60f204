use super::{
    crash::{Chance, CrashModel, Stop},
    state::{Record, State},
};
use crate::{
    apply::evaluate,
    batch::Batch,
    engine::{CommitError, StoreError},
};

/// What was written, and how much of it a crash would spare.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Everything written; batches are evaluated against it.
    pub(super) written: State,
    pub(super) model: Option<Modelled>,
    /// Written and not synced, oldest first.
    pub(super) unsynced: Vec<Record>,
    pub(super) written_count: u64,
    pub(super) synced_count: u64,
    pub(super) stopped: Option<Stop>,
    pub(super) full: bool,
    pub(super) fail_next_sync: bool,
}

#[derive(Debug)]
pub(super) struct Modelled {
    pub(super) model: CrashModel,
    pub(super) chance: Chance,
    /// Everything synced; what readers see.
    pub(super) synced: State,
}

/// A batch that is written and waits for a sync.
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) slots: Vec<u64>,
}

impl Disk {
    pub(super) fn is_crashed(&self) -> bool {
        self.stopped == Some(Stop::Crashed)
    }

    fn refuses(&self) -> Result<(), CommitError> {
        match self.stopped {
            Some(stop) => Err(CommitError::Poisoned(stop.to_string())),
            None => Ok(()),
        }
    }

    /// What readers may see: never what a crash could take back.
    pub(super) fn visible(&self) -> Result<&State, StoreError> {
        match &self.model {
            _ if self.is_crashed() => Err(StoreError::Io(Stop::Crashed.to_string())),
            Some(modelled) if modelled.model.fault.is_none() => Ok(&modelled.synced),
            _ => Ok(&self.written),
        }
    }

    pub(super) fn write(&mut self, batch: Batch) -> Result<Ticket, CommitError> {
        self.refuses()?;
        self.maybe_crash()?;
        let mut evaluated = evaluate(batch, &self.written)?;
        if self.full || self.model.as_mut().is_some_and(|it| it.chance.one_in(it.model.full_one_in)) {
            return Err(CommitError::Full);
        }
        let slots = std::mem::take(&mut evaluated.slots);
        let record = Record::new(evaluated);
        self.written.apply(&record);
        self.unsynced.push(record);
        self.written_count += 1;
        self.maybe_crash()?;
        Ok(Ticket { number: self.written_count, slots })
    }

    /// Makes everything written durable and visible, and returns it; nothing if batch `number` already is.
    pub(super) fn sync(&mut self, number: u64) -> Result<Vec<Record>, CommitError> {
        if self.is_crashed() {
            self.refuses()?;
        }
        if self.synced_count >= number {
            return Ok(Vec::new());
        }
        self.refuses()?;
        self.maybe_crash()?;
        let fails = self.model.as_mut().is_some_and(|it| it.chance.one_in(it.model.sync_error_one_in));
        if fails || self.fail_next_sync {
            self.stopped = Some(Stop::SyncFailed);
            self.refuses()?;
        }
        let records = std::mem::take(&mut self.unsynced);
        if let Some(modelled) = &mut self.model {
            for record in &records {
                modelled.synced.apply(record);
            }
        }
        self.synced_count = self.written_count;
        Ok(records)
    }

    /// The last point to crash at: synced, but nobody was told.
    pub(super) fn acknowledge(&mut self) -> Result<(), CommitError> {
        if self.is_crashed() {
            return self.refuses();
        }
        self.maybe_crash()
    }

    fn maybe_crash(&mut self) -> Result<(), CommitError> {
        if self.model.as_mut().is_some_and(|it| it.chance.one_in(it.model.crash_one_in)) {
            self.stopped = Some(Stop::Crashed);
        }
        if self.is_crashed() { self.refuses() } else { Ok(()) }
    }

    /// The tear falls on any octet of what was not synced. The batch it hits fails its checksum and is cut off with
    /// everything after it.
    pub(super) fn after_crash(&mut self) -> State {
        let Some(modelled) = &mut self.model else { return self.written.clone() };
        let octets: u64 = self.unsynced.iter().map(Record::octets).sum();
        let mut left = modelled.chance.below(octets + 1);
        let mut state = modelled.synced.clone();
        for record in &self.unsynced {
            let Some(rest) = left.checked_sub(record.octets()) else { break };
            left = rest;
            state.apply(record);
        }
        state
    }
}
