//! The queue as the scheduler sees it: one lane a destination site, a bounded window of each in memory.
//!
//! Methods are sorted by direction: `handle_*` tell the machine what happened, `poll` says what to do. Time is an
//! argument. Whatever does not fit into a lane's window stays in the store's due index and is loaded when room is. So do
//! lanes: those with nothing due sleep ([`sleepers`]), and no more than [`ACTIVE_MAX`] are awake at once.
//!
//! Within a lane the higher priority goes first (RFC 6710), and yet nothing waits for ever: of what is in the window the
//! oldest gets its turn ([`ready`]), and of what is in the store no more than [`JUMPS_MAX`] newer
//! entries go ahead between two loads.
//!
//! How many workers a lane has, and how fast they are, is up to its site ([`site`]) and to what all lanes share
//! ([`slots`]). A site that cannot be reached closes its lane: its entries wait in the store, untouched, and one of them
//! goes as a probe now and then ([`sites`]).

mod holds;
mod lane;
mod pace;
mod ready;
mod site;
mod sites;
mod sleepers;
mod slots;
mod timers;
mod workers;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use mail::{MtPriority, Timestamp};
use store::spool::{EntryId, LaneId, QueueEntry};

pub use holds::Holds;
use lane::{Kind, Lane};
pub use site::{RulePlace, SiteLimits, SiteState, SiteTrouble, Unreachable};
use sites::Away;
pub use sites::SiteView;
use sleepers::Sleepers;
use slots::Slots;
use timers::Timers;

/// Entries of one lane that wait in memory; the rest waits in the store.
pub const WINDOW_MAX: usize = 1024;
/// Lanes that have something to do, or come to it as others are done.
pub const ACTIVE_MAX: usize = 4096;
/// Entries of all lanes that wait in memory: where many lanes are awake, each has a smaller window.
const ITEMS_MAX: usize = 64 * ACTIVE_MAX;
/// So long after an operator had an entry in hand new ones are read again before they are delivered: between commit and
/// hand-over one may have been changed.
const CLAIM_MEMORY: Duration = Duration::from_mins(1);
/// New entries of higher priority than the usual that pass by those in the store, from one load to the next.
pub const JUMPS_MAX: usize = 256;

/// Domains whose sites are looked up at once.
const LOOKUPS_MAX: usize = 200;

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
    /// Tell senders what is to be told while the lane's entries wait, and report with [`Lanes::handle_told`].
    Tell(LaneId),
}

/// What a worker that asks for its next item gets.
#[derive(Clone, Debug)]
pub enum Turn {
    Item(Item),
    /// There is none now.
    Wait,
    /// Its place is wanted, or the site is to have fewer.
    Leave,
}

/// All lanes that have something to do.
#[derive(Debug)]
pub struct Lanes {
    /// Those that are awake.
    by_id: HashMap<LaneId, Lane>,
    sleepers: Sleepers,
    /// What is to be remembered of the sites of lanes that sleep.
    away: HashMap<LaneId, Away>,
    /// When something changes for the sites of lanes that are awake.
    timers: Timers,
    /// Connections to all sites.
    connections: Slots,
    lookups: Slots,
    /// Lanes with workers that wait for an item.
    idle: BTreeSet<LaneId>,
    /// The latest time told.
    now: Timestamp,
    searching: bool,
    /// Entries in an operator's hand.
    claimed: HashSet<EntryId>,
    /// When an operator last had one.
    claimed_at: Option<Timestamp>,
    actions: VecDeque<Action>,
    stopping: bool,
}

impl Lanes {
    /// With so many connections to all sites at once.
    pub fn new(connections_max: usize) -> Self {
        Self {
            by_id: HashMap::new(),
            sleepers: Sleepers::default(),
            away: HashMap::new(),
            timers: Timers::default(),
            connections: Slots::new(connections_max),
            lookups: Slots::new(LOOKUPS_MAX),
            idle: BTreeSet::new(),
            now: Timestamp::default(),
            searching: false,
            claimed: HashSet::new(),
            claimed_at: None,
            actions: VecDeque::new(),
            stopping: false,
        }
    }

    /// What is told next happens now.
    pub fn handle_now(&mut self, now: Timestamp) {
        if now < self.now {
            self.handle_set_back(self.now.since(now));
        }
        self.now = now;
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A start-up: whatever the store holds is to be found.
    pub fn handle_start(&mut self) {
        self.search();
    }

    /// A search found a lane in the store, its first entry due then.
    pub fn handle_stored(&mut self, lane: &LaneId, first_due: Timestamp) {
        self.handle_deferred(lane, first_due);
    }

    /// A search is at its end.
    pub fn handle_searched(&mut self) {
        self.searching = false;
        self.handle_time();
    }

    /// An entry was added to the store and is due at once.
    pub fn handle_added(&mut self, lane: &LaneId, mut item: Item) {
        let window = self.window();
        let is_watched = self.claimed_at.is_some_and(|at| self.now.since(at) < CLAIM_MEMORY);
        let is_claimed = self.claimed.contains(&item.id);
        let Some(state) = self.awake(lane) else { return self.sleepers.sleep(lane, self.now) };
        // Where others wait in the store already, a new entry waits behind them.
        let has_turn = !state.overflow && !state.loading && state.ready.len() < window;
        if state.ready.len() >= window / 4 || is_watched {
            // It is read again when its turn comes: entries are much larger than what names them, and an operator may have
            // changed it since.
            item.entry = None;
        }
        let jumps = !has_turn && item.priority > MtPriority::NORMAL && state.jumps < JUMPS_MAX;
        state.jumps += usize::from(jumps);
        if is_claimed || state.site.is_closed() || (!has_turn && !jumps) {
            state.overflow = true;
        } else if state.known.insert(item.id) {
            state.ready.push(item);
            self.wake(lane, 1);
        }
        self.decide(lane);
        self.forget_if_idle(lane);
    }

    /// An entry of this lane stands in the store, due then.
    pub fn handle_deferred(&mut self, lane: &LaneId, due: Timestamp) {
        if due <= self.now {
            self.kick(lane);
            self.forget_if_idle(lane);
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
        for item in due {
            if !state.known.contains(&item.id) && !self.claimed.contains(&item.id) {
                state.push(item, window);
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
    pub fn handle_finished(&mut self, lane: &LaneId, id: EntryId, due_again: Option<Timestamp>) {
        if let Some(state) = self.by_id.get_mut(lane) {
            state.known.remove(&id);
            state.site.handle_finished(id);
        }
        match due_again {
            Some(due) => self.handle_deferred(lane, due),
            None => self.decide(lane),
        }
        self.forget_if_idle(lane);
    }

    /// A worker could not begin with an item, which waits for another.
    pub fn handle_given_back(&mut self, lane: &LaneId, item: Item) {
        let window = self.window();
        if let Some(state) = self.by_id.get_mut(lane) {
            state.known.remove(&item.id);
            state.site.handle_finished(item.id);
            state.push(item, window);
        }
        self.wake(lane, 1);
        self.decide(lane);
    }

    /// An operator takes an entry in hand: no worker gets it until [`handle_put_back`](Self::handle_put_back). False if one
    /// has it, or another operator.
    pub fn handle_claim(&mut self, lane: &LaneId, id: EntryId) -> bool {
        self.claimed_at = Some(self.now);
        if let Some(state) = self.by_id.get_mut(lane)
            && state.known.contains(&id)
        {
            if !state.ready.remove(id) {
                return false;
            }
            state.known.remove(&id);
            self.forget_if_idle(lane);
        }
        self.claimed.insert(id)
    }

    /// The entry is in the store as the operator left it; [`handle_deferred`](Self::handle_deferred) follows if it waits.
    pub fn handle_put_back(&mut self, lane: &LaneId, id: EntryId) {
        self.claimed.remove(&id);
        self.kick(lane);
        self.forget_if_idle(lane);
    }

    /// An operator wants the lane's stored entries looked at now.
    pub fn handle_kick(&mut self, lane: &LaneId) {
        if let Some(state) = self.awake(lane) {
            state.site.handle_kick();
        }
        self.kick(lane);
        self.forget_if_idle(lane);
    }

    /// Time has passed.
    pub fn handle_time(&mut self) {
        for lane in self.timers.take_due(self.now) {
            self.look(&lane);
            self.forget_if_idle(&lane);
        }
        self.wake_sleepers();
    }

    /// Nothing new is begun from here on; what waits stays in the store for the next start.
    pub fn handle_shutdown(&mut self) {
        self.stopping = true;
    }

    /// A worker asks for its next item.
    pub fn take(&mut self, lane: &LaneId) -> Turn {
        if self.stopping {
            return Turn::Leave;
        }
        let turn = self.turn(lane).unwrap_or(Turn::Leave);
        self.decide(lane);
        turn
    }

    fn turn(&mut self, id: &LaneId) -> Option<Turn> {
        let now = self.now;
        let Self { by_id, connections, lookups, .. } = self;
        let lane = by_id.get_mut(id)?;
        let slots = match lane.kind {
            Kind::Inside => None,
            Kind::Lookup => Some(lookups),
            Kind::Site => Some(connections),
        };
        let is_wanted = slots.as_ref().is_some_and(|slots| slots.wants_back(lane.staying(), lane.taken));
        if lane.has_too_many() || is_wanted {
            return Some(Turn::Leave);
        }
        let item = if lane.site.may_take(now) { lane.ready.pop() } else { None };
        Some(match item {
            Some(item) => {
                lane.taken += 1;
                lane.site.handle_taken(now, item.id);
                Turn::Item(item)
            }
            // Who has nothing to do holds no place that another wants.
            None if slots.is_some_and(|slots| slots.is_scarce()) => Turn::Leave,
            None => Turn::Wait,
        })
    }

    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle_time`](Self::handle_time) next.
    pub fn deadline(&self) -> Option<Timestamp> {
        // What is due and has no room waits for a lane to fall asleep, not for a time.
        let wakes = self.sleepers.first().filter(|at| *at > self.now || self.by_id.len() < ACTIVE_MAX);
        let search = self.sleepers.search_at().filter(|_| !self.searching);
        [wakes, search, self.timers.first()].into_iter().flatten().min()
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
            let state = Lane::new(lane, self.away.remove(lane));
            self.by_id.insert(lane.clone(), state);
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
                self.look(lane);
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
            // Its site may be left alone still.
            self.sleep_if_idle(&lane);
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
        if self.sleep_if_idle(lane) {
            self.wake_sleepers();
        }
    }

    fn sleep_if_idle(&mut self, lane: &LaneId) -> bool {
        let is_idle = self.by_id.get(lane).is_some_and(Lane::is_idle);
        if is_idle {
            self.fall_asleep(lane);
        }
        is_idle
    }

    fn wake(&mut self, id: &LaneId, items: usize) {
        let now = self.now;
        let Some(lane) = self.by_id.get_mut(id) else { return };
        let wanted = items.min(lane.site.permits(now));
        for _ in 0..lane.idle_workers.min(wanted) {
            self.actions.push_back(Action::WakeWorker(id.clone()));
        }
    }

    fn decide(&mut self, id: &LaneId) {
        if self.stopping {
            return;
        }
        let (window, now) = (self.window(), self.now);
        let Self { by_id, actions, connections, lookups, timers, idle, .. } = self;
        let Some(lane) = by_id.get_mut(id) else { return };
        if lane.site.is_open() {
            lane.tell_at = None;
        }
        if let Some(limit) = lane.load_now(window) {
            actions.push_back(Action::Load { lane: id.clone(), limit });
        }
        let mut slots = match lane.kind {
            Kind::Inside => None,
            Kind::Lookup => Some(lookups),
            Kind::Site => Some(connections),
        };
        while lane.wants_worker(now) {
            if slots.as_mut().is_some_and(|slots| !slots.claim(id, lane.workers)) {
                // Somebody who has nothing to do gives up his place.
                actions.extend(idle.pop_first().map(Action::WakeWorker));
                break;
            }
            lane.workers += 1;
            lane.taken = 0;
            actions.push_back(Action::StartWorker(id.clone()));
        }
        timers.set(id, lane.next_look(now));
    }
}

#[cfg(test)]
mod site_tests;
#[cfg(test)]
mod tests;
