//! Workers that wait, leave and are gone: each holds a place of its lane's, and of what all lanes share.

use store::spool::LaneId;

use super::{Action, Lanes, lane::Kind};

impl Lanes {
    /// A worker waits for more (and holds its connection open), or has stopped waiting.
    pub fn handle_worker_idle(&mut self, lane: &LaneId, idle: bool) {
        let now = self.now;
        let Some(state) = self.by_id.get_mut(lane) else { return };
        state.idle_workers = if idle { state.idle_workers + 1 } else { state.idle_workers.saturating_sub(1) };
        // What came since it asked had nobody to wake.
        if idle && !state.ready.is_empty() && state.site.may_take(now) {
            self.actions.push_back(Action::WakeWorker(lane.clone()));
        }
        match (state.kind, state.idle_workers) {
            (Kind::Site, 0) => drop(self.idle.remove(lane)),
            (Kind::Site, _) => drop(self.idle.insert(lane.clone())),
            _ => {}
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
        let left = state.workers;
        let slots = match state.kind {
            Kind::Inside => None,
            Kind::Lookup => Some(&mut self.lookups),
            Kind::Site => Some(&mut self.connections),
        };
        if let Some(next) = slots.and_then(|slots| slots.release(left)) {
            self.decide(&next);
        }
        self.decide(lane);
        self.forget_if_idle(lane);
    }
}
