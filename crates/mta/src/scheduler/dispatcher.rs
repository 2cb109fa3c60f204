//! Carries out what [`Lanes`] decides: starts workers, loads due entries, keeps the time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::Timestamp;
use store::spool::{DueEntry, EntryId, LaneId};
use tokio::sync::{Notify, Semaphore};

use super::lanes::{Action, Item, Lanes, Turn};
use crate::{Mta, deliver, planted::Planted};

/// After a load that failed.
const LOAD_RETRY_DELAY: Duration = Duration::from_secs(5);
/// The longest the timer sleeps, so that a wall clock that was set does not stop the queue.
const TIMER_MAX: Duration = Duration::from_secs(30);
/// Lanes that are read from the store at once.
const LOADS_MAX: usize = 16;
/// Lanes that a search looks up before it lets others go on.
const SEARCH_LANES: usize = 128;

/// The scheduler at work.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    lanes: Mutex<Lanes>,
    /// The timer looks again.
    timer: Notify,
    /// Workers that wait for an item, by lane.
    waiting: Mutex<HashMap<LaneId, Arc<Notify>>>,
    /// Something finished.
    progress: Notify,
    loads: Semaphore,
}

impl Dispatcher {
    pub(crate) fn new(connections_max: usize) -> Self {
        Self {
            lanes: Mutex::new(Lanes::new(connections_max)),
            timer: Notify::new(),
            waiting: Mutex::default(),
            progress: Notify::new(),
            loads: Semaphore::new(LOADS_MAX),
        }
    }

    /// Starts the timer; what is stored is taken up behind it, so that the length of the queue holds no start up.
    pub(crate) fn start(&self, mta: &Arc<Mta>) {
        self.tell(mta, Lanes::handle_start);
        tokio::spawn(keep_time(mta.clone()));
    }

    /// Tells the lanes something and carries out what they decide.
    pub(crate) fn tell<T>(&self, mta: &Arc<Mta>, say: impl FnOnce(&mut Lanes) -> T) -> T {
        let now = mta.world.clock.wall();
        let mut lanes = self.lanes();
        let deadline = lanes.deadline();
        lanes.handle_now(now);
        let answer = say(&mut lanes);
        let actions: smallvec::SmallVec<[Action; 4]> = std::iter::from_fn(|| lanes.poll()).collect();
        let earlier = lanes.deadline() != deadline;
        drop(lanes);
        if earlier {
            self.timer.notify_one();
        }
        for action in actions {
            carry_out(mta, action);
        }
        answer
    }

    /// A new entry that is due at once.
    pub(crate) fn added(&self, mta: &Arc<Mta>, lane: &LaneId, item: Item) {
        self.tell(mta, |lanes| lanes.handle_added(lane, item));
    }

    /// A new entry that is due later.
    pub(crate) fn deferred(&self, mta: &Arc<Mta>, lane: &LaneId, due: Timestamp) {
        self.tell(mta, |lanes| lanes.handle_deferred(lane, due));
    }

    /// The next item for a worker; none when it has to end.
    pub(crate) fn take(&self, mta: &Arc<Mta>, lane: &LaneId) -> Option<Item> {
        match self.next(mta, lane) {
            Turn::Item(item) => Some(item),
            Turn::Wait | Turn::Leave => {
                self.tell(mta, |lanes| lanes.handle_worker_leaving(lane));
                None
            }
        }
    }

    fn next(&self, mta: &Arc<Mta>, lane: &LaneId) -> Turn {
        if mta.shutdown.is_given() {
            return Turn::Leave;
        }
        self.tell(mta, |lanes| lanes.take(lane))
    }

    /// As [`take`](Self::take), but waits up to `patience` for one.
    pub(crate) async fn take_within(
        &self,
        mta: &Arc<Mta>,
        lane: &LaneId,
        patience: Duration,
    ) -> Option<Item> {
        let turn = match self.next(mta, lane) {
            Turn::Wait => self.wait(mta, lane, patience).await,
            turn => turn,
        };
        match turn {
            Turn::Item(item) => Some(item),
            Turn::Wait | Turn::Leave => {
                self.tell(mta, |lanes| lanes.handle_worker_leaving(lane));
                None
            }
        }
    }

    async fn wait(&self, mta: &Arc<Mta>, lane: &LaneId, patience: Duration) -> Turn {
        let until = mta.world.clock.now() + patience;
        let work = self.waiting(lane);
        self.tell(mta, |lanes| lanes.handle_worker_idle(lane, true));
        let turn = loop {
            let mut shutdown = mta.shutdown.clone();
            tokio::select! {
                biased;
                () = work.notified() => {}
                () = shutdown.given() => break Turn::Leave,
                () = mta.world.clock.sleep_until(until) => break self.next(mta, lane),
            }
            match self.next(mta, lane) {
                Turn::Wait => {}
                turn => break turn,
            }
        };
        self.tell(mta, |lanes| lanes.handle_worker_idle(lane, false));
        turn
    }

    pub(crate) fn finished(&self, mta: &Arc<Mta>, lane: &LaneId, id: EntryId, due_again: Option<Timestamp>) {
        self.tell(mta, |lanes| lanes.handle_finished(lane, id, due_again));
    }

    /// Waits until no worker is at work.
    pub(crate) async fn drained(&self) {
        loop {
            let progress = self.progress.notified();
            if self.lanes().load().1 == 0 {
                return;
            }
            progress.await;
        }
    }

    fn waiting(&self, lane: &LaneId) -> Arc<Notify> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(lane.clone()).or_default().clone()
    }

    /// Forgets the lane's bell once nobody waits for it.
    fn worker_gone(&self, mta: &Arc<Mta>, lane: &LaneId) {
        self.tell(mta, |lanes| lanes.handle_worker_gone(lane));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(lane).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            waiting.remove(lane);
        }
        drop(waiting);
        self.progress.notify_waiters();
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn carry_out(mta: &Arc<Mta>, action: Action) {
    match action {
        Action::StartWorker(lane) => {
            let mta = mta.clone();
            tokio::spawn(async move {
                deliver::work(&mta, &lane).await;
                mta.dispatcher.worker_gone(&mta, &lane);
            });
        }
        Action::WakeWorker(lane) => mta.dispatcher.waiting(&lane).notify_one(),
        Action::Load { lane, limit } => {
            tokio::spawn(load(mta.clone(), lane, limit));
        }
        Action::Search => {
            tokio::spawn(search(mta.clone()));
        }
        Action::Tell(lane) => {
            tokio::spawn(deliver::tell_waiting(mta.clone(), lane));
        }
    }
}

/// Tells every stored lane, a few at a time.
async fn search(mta: Arc<Mta>) {
    let mut after = None;
    while !mta.shutdown.is_given() {
        let page = match mta.stores.spool.lanes(after.as_ref(), SEARCH_LANES).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "the queue cannot be looked through; trying again");
                mta.world.clock.sleep_until(mta.world.clock.now() + LOAD_RETRY_DELAY).await;
                continue;
            }
        };
        let told = |lanes: &mut Lanes| {
            for (lane, first_due) in &page {
                if mta.has(Planted::LosesRetryOnStart) && *first_due > lanes.now() {
                    continue;
                }
                lanes.handle_stored(lane, *first_due);
            }
        };
        mta.dispatcher.tell(&mta, told);
        if page.len() < SEARCH_LANES {
            break;
        }
        after = page.into_iter().next_back().map(|(lane, _)| lane);
        tokio::task::yield_now().await;
    }
    mta.dispatcher.tell(&mta, Lanes::handle_searched);
}

async fn load(mta: Arc<Mta>, lane: LaneId, limit: usize) {
    let Ok(_turn) = mta.dispatcher.loads.acquire().await else { return };
    let now = mta.world.clock.wall();
    let found = async {
        let due = mta.stores.spool.due(&lane, None, now, limit).await?;
        let complete = due.len() < limit;
        let next_due = if complete { mta.stores.spool.next_due(&lane, now).await? } else { None };
        Ok::<_, store::StoreError>((due, complete, next_due))
    };
    match found.await {
        Ok((due, complete, next_due)) => {
            if mta.has(Planted::GivesToTwoWorkers) {
                for entry in &due {
                    mta.dispatcher.finished(&mta, &lane, entry.id, None);
                }
            }
            let item = |due: DueEntry| Item { id: due.id, priority: due.priority, entry: None };
            let items = due.into_iter().map(item).collect();
            mta.dispatcher.tell(&mta, |lanes| lanes.handle_loaded(&lane, items, complete, next_due));
        }
        Err(error) => {
            tracing::error!(lane = %lane.0, %error, "the queue cannot be read; trying again");
            let again_at = now.plus(LOAD_RETRY_DELAY);
            mta.dispatcher.tell(&mta, |lanes| lanes.handle_load_failed(&lane, again_at));
        }
    }
}

async fn keep_time(mta: Arc<Mta>) {
    let mut shutdown = mta.shutdown.clone();
    let mut last = mta.world.clock.wall();
    while !mta.shutdown.is_given() {
        let deadline = mta.dispatcher.lanes().deadline();
        let wait = deadline.map_or(TIMER_MAX, |due| due.since(mta.world.clock.wall()).min(TIMER_MAX));
        let until = mta.world.clock.now() + wait;
        tokio::select! {
            biased;
            () = mta.world.clock.sleep_until(until) => {}
            () = mta.dispatcher.timer.notified() => {}
            () = shutdown.given() => break,
        }
        let now = mta.wall();
        if mta.has(Planted::TimerEndsWhenClockJumps) && now < last {
            return;
        }
        last = now;
        mta.dispatcher.tell(&mta, Lanes::handle_time);
    }
    mta.dispatcher.tell(&mta, Lanes::handle_shutdown);
}
