//! The queue as the scheduler sees it: one lane a destination site, a bounded window of each in memory.
//!
//! Methods are sorted by direction: `handle_*` tell the machine what happened, `poll` says what to do. Time is an
//! argument. Whatever does not fit into a lane's window stays in the store's due index and is loaded when room is. So do
//! lanes: those with nothing due sleep ([`sleepers`]), and no more than [`ACTIVE_MAX`] are awake at once.
//!
//! Within a lane the higher priority goes first (RFC 6710), and yet nothing waits for ever: of what is in the window the
//! oldest gets its turn ([`ready`]), and of what is in the store no more than [`JUMPS_MAX`] newer
//! entries go ahead between two loads.

mod ready;
mod sleepers;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use mail::{MtPriority, Timestamp};
use store::spool::{EntryId, LaneId, QueueEntry};

use ready::Ready;
use sleepers::Sleepers;

/// Entries of one lane that wait in memory; the rest waits in the store.
pub const WINDOW_MAX: usize = 1024;
/// Lanes that have something to do, or come to it as others are done.
pub const ACTIVE_MAX: usize = 4096;
/// Entries of all lanes that wait in memory: where many lanes are awake, each has a smaller window.
const ITEMS_MAX: usize = 64 * ACTIVE_MAX;
/// New entries of higher priority than the usual that pass by those in the store, from one load to the next.
pub const JUMPS_MAX: usize = 256;

/// Workers a lane may have at once.
const WORKERS_MAX_LOCAL: usize = 64;
const WORKERS_MAX_REMOTE: usize = 20;

/// An entry that is due.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: EntryId,
    pub priority: MtPriority,
    /// The entry itself if it was just accepted, so that it need not be read again.
    pub entry: Option<Arc<QueueEntry>>,
}

/// What the dispatcher is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start one more worker; it takes items until there are none and then reports with [`Lanes::handle_worker_gone`].
    StartWorker(LaneId),
    /// Wake one worker that waits for an item of this lane.
    WakeWorker(LaneId),
    /// Read the lane's due entries from the store, at most `limit`, and report with [`Lanes::handle_loaded`].
    Load { lane: LaneId, limit: usize },
    /// Look through the store's lanes: report them with [`Lanes::handle_stored`], and the end with
    /// [`Lanes::handle_searched`].
    Search,
}

/// All lanes that have something to do.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Those that are awake.
    by_id: HashMap<LaneId, Lane>,
    sleepers: Sleepers,
    /// The latest time told.
    now: Timestamp,
    searching: bool,
    actions: VecDeque<Action>,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Lane {
    ready: Ready,
    /// Entries in `ready` or being delivered.
    known: HashSet<EntryId>,
    workers: usize,
    /// Workers that wait for an item.
    idle_workers: usize,
    /// Workers that take no more, and still have to close their connection.
    leaving_workers: usize,
    loading: bool,
    /// Entries that are due stand in the store only.
    overflow: bool,
    /// Entries that passed by them since the last load.
    jumps: usize,
}

impl Lanes {
    /// A start-up: whatever the store holds is to be found.
    pub fn handle_start(&mut self) {
        self.search();
    }

    /// A search found a lane in the store, its first entry due then.
    pub fn handle_stored(&mut self, now: Timestamp, lane: &LaneId, first_due: Timestamp) {
        self.handle_deferred(now, lane, first_due);
    }

    /// A search is at its end.
    pub fn handle_searched(&mut self, now: Timestamp) {
        self.searching = false;
        self.handle_time(now);
    }

    /// An entry was added to the store and is due at once.
    pub fn handle_added(&mut self, lane: &LaneId, mut item: Item) {
        let window = self.window();
        let Some(state) = self.awake(lane) else { return self.sleepers.sleep(lane, self.now) };
        // Where others wait in the store already, a new entry waits behind them.
        let has_turn = !state.overflow && !state.loading && state.ready.len() < window;
        if state.ready.len() >= window / 4 {
            // It is read again when its turn comes: entries are much larger than what names them.
            item.entry = None;
        }
        let jumps = !has_turn && item.priority > MtPriority::NORMAL && state.jumps < JUMPS_MAX;
        state.jumps += usize::from(jumps);
        if !has_turn && !jumps {
            state.overflow = true;
        } else if state.known.insert(item.id) {
            state.ready.push(item);
            self.wake(lane, 1);
        }
        self.decide(lane);
    }

    /// An entry of this lane stands in the store, due then.
    pub fn handle_deferred(&mut self, now: Timestamp, lane: &LaneId, due: Timestamp) {
        self.now = now;
        if due <= now {
            self.kick(lane);
        } else {
            self.sleepers.sleep(lane, due);
        }
    }

    /// What a load found: entries that are due, whether that was all, and when the next after them is due.
    pub fn handle_loaded(
        &mut self,
        lane: &LaneId,
        due: Vec<Item>,
        complete: bool,
        next_due: Option<Timestamp>,
    ) {
        let window = self.window();
        let Some(state) = self.by_id.get_mut(lane) else { return };
        state.loading = false;
        state.jumps = 0;
        // Entries that came while the load ran set `overflow` again themselves; a load that broke off goes on later.
        state.overflow |= !complete;
        for item in due.into_iter().filter(|item| !state.known.contains(&item.id)).collect::<Vec<_>>() {
            if state.ready.len() < window {
                state.known.insert(item.id);
                state.ready.push(item);
            } else {
                state.overflow = true;
            }
        }
        let ready = state.ready.len();
        self.wake(lane, ready);
        if let Some(due) = next_due {
            self.sleepers.sleep(lane, due);
        }
        self.decide(lane);
        self.forget_if_idle(lane);
    }

    /// A load failed: it is tried again at `again_at`.
    pub fn handle_load_failed(&mut self, lane: &LaneId, again_at: Timestamp) {
        if let Some(state) = self.by_id.get_mut(lane) {
            state.loading = false;
        }
        self.sleepers.sleep(lane, again_at);
        self.forget_if_idle(lane);
    }

    /// A worker is done with an item: it is settled, or stands in the store with a new due time.
    pub fn handle_finished(
        &mut self,
        now: Timestamp,
        lane: &LaneId,
        id: EntryId,
        due_again: Option<Timestamp>,
    ) {
        self.now = now;
        if let Some(state) = self.by_id.get_mut(lane) {
            state.known.remove(&id);
        }
        match due_again {
            Some(due) => self.handle_deferred(now, lane, due),
            None => self.decide(lane),
        }
        self.forget_if_idle(lane);
    }

    /// An operator wants the lane's stored entries looked at now.
    pub fn handle_kick(&mut self, lane: &LaneId) {
        self.kick(lane);
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: Timestamp) {
        self.now = now;
        self.wake_sleepers();
    }

    /// Nothing new is begun from here on; what waits stays in the store for the next start.
    pub fn handle_shutdown(&mut self) {
        self.stopping = true;
    }

    /// A worker asks for its next item.
    pub fn take(&mut self, lane: &LaneId) -> Option<Item> {
        if self.stopping {
            return None;
        }
        let item = self.by_id.get_mut(lane)?.ready.pop();
        self.decide(lane);
        item
    }

    /// A worker waits for more (and holds its connection open), or has stopped waiting.
    pub fn handle_worker_idle(&mut self, lane: &LaneId, idle: bool) {
        let Some(state) = self.by_id.get_mut(lane) else { return };
        if idle {
            state.idle_workers += 1;
            // What came since it asked had nobody to wake.
            if !state.ready.is_empty() {
                self.actions.push_back(Action::WakeWorker(lane.clone()));
            }
        } else {
            state.idle_workers = state.idle_workers.saturating_sub(1);
        }
        self.decide(lane);
    }

    /// A worker will ask for no more items; [`handle_worker_gone`](Self::handle_worker_gone) follows.
    pub fn handle_worker_leaving(&mut self, lane: &LaneId) {
        if let Some(state) = self.by_id.get_mut(lane) {
            state.leaving_workers += 1;
        }
        self.decide(lane);
    }

    pub fn handle_worker_gone(&mut self, lane: &LaneId) {
        let Some(state) = self.by_id.get_mut(lane) else { return };
        state.workers = state.workers.saturating_sub(1);
        state.leaving_workers = state.leaving_workers.saturating_sub(1);
        self.decide(lane);
        self.forget_if_idle(lane);
    }

    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle_time`](Self::handle_time) next.
    pub fn deadline(&self) -> Option<Timestamp> {
        // What is due and has no room waits for a lane to fall asleep, not for a time.
        let wakes = self.sleepers.first().filter(|at| *at > self.now || self.by_id.len() < ACTIVE_MAX);
        let search = self.sleepers.search_at().filter(|_| !self.searching);
        wakes.into_iter().chain(search).min()
    }

    /// Items in memory that nobody delivers yet, and workers at work.
    pub fn load(&self) -> (usize, usize) {
        self.by_id.values().fold((0, 0), |(ready, busy), lane| {
            (ready + lane.ready.len(), busy + lane.workers.saturating_sub(lane.idle_workers))
        })
    }

    /// The lane, awake; none if too many are.
    fn awake(&mut self, lane: &LaneId) -> Option<&mut Lane> {
        if !self.by_id.contains_key(lane) {
            if self.by_id.len() >= ACTIVE_MAX {
                return None;
            }
            self.by_id.insert(lane.clone(), Lane::default());
        }
        self.by_id.get_mut(lane)
    }

    /// Entries that one lane may have in memory now.
    fn window(&self) -> usize {
        (ITEMS_MAX / self.by_id.len().max(1)).min(WINDOW_MAX)
    }

    /// Something of this lane is due in the store.
    fn kick(&mut self, lane: &LaneId) {
        match self.awake(lane) {
            Some(state) => {
                state.overflow = true;
                self.decide(lane);
            }
            None => self.sleepers.sleep(lane, self.now),
        }
    }

    /// As many as there is room for.
    fn wake_sleepers(&mut self) {
        while self.by_id.len() < ACTIVE_MAX
            && let Some(lane) = self.sleepers.wake(self.now)
        {
            self.kick(&lane);
        }
        if self.sleepers.search_at().is_some_and(|at| at <= self.now) {
            self.search();
        }
    }

    fn search(&mut self) {
        if !self.searching && !self.stopping {
            self.searching = true;
            self.sleepers.searching();
            self.actions.push_back(Action::Search);
        }
    }

    fn forget_if_idle(&mut self, lane: &LaneId) {
        if self.by_id.get(lane).is_some_and(Lane::is_forgettable) {
            self.by_id.remove(lane);
            self.wake_sleepers();
        }
    }

    fn wake(&mut self, id: &LaneId, items: usize) {
        let idle = self.by_id.get(id).map_or(0, |lane| lane.idle_workers);
        for _ in 0..idle.min(items) {
            self.actions.push_back(Action::WakeWorker(id.clone()));
        }
    }

    fn decide(&mut self, id: &LaneId) {
        if self.stopping {
            return;
        }
        let window = self.window();
        let Some(lane) = self.by_id.get_mut(id) else { return };
        if lane.overflow && !lane.loading && lane.ready.len() <= window / 4 {
            lane.overflow = false;
            lane.loading = true;
            // Entries we know of still stand in the due index and come back with the load.
            let limit = window + lane.known.len();
            self.actions.push_back(Action::Load { lane: id.clone(), limit });
        }
        // One worker for each entry in hand: those that are busy with one come back for the next.
        while lane.workers.saturating_sub(lane.leaving_workers) < lane.known.len()
            && !lane.ready.is_empty()
            && lane.workers < workers_max(id)
        {
            lane.workers += 1;
            self.actions.push_back(Action::StartWorker(id.clone()));
        }
    }
}

impl Lane {
    fn is_forgettable(&self) -> bool {
        self.workers == 0 && self.known.is_empty() && !self.loading && !self.overflow
    }
}

fn workers_max(lane: &LaneId) -> usize {
    if &*lane.0 == crate::route::LOCAL_LANE {
        WORKERS_MAX_LOCAL
    } else if crate::route::is_pickup(lane) {
        // It has the lane in hand, alone.
        1
    } else {
        WORKERS_MAX_REMOTE
    }
}

#[cfg(test)]
mod tests;
