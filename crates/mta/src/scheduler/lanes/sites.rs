//! What workers tell of the sites they speak to, and what people are told of them.

use std::time::Duration;

use mail::Timestamp;
use store::spool::{EntryId, LaneId};

use super::{
    Action, Lanes,
    lane::{Kind, Lane},
    site::{RulePlace, SiteControl, SiteLimits, SiteState, SiteTrouble, Unreachable},
};

/// A site has to be out of reach for so long before it is looked for senders to tell.
const TELL_DELAY: Duration = Duration::from_secs(1);
/// Looked for at most so often.
const TELL_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// A lane that leads to a site, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteView {
    pub lane: LaneId,
    pub state: SiteState,
    /// Entries on their way.
    pub in_delivery: usize,
    /// Connections, also those that are being made or closed.
    pub connections: usize,
    /// How many it may have now, and at most.
    pub connections_allowed: usize,
    /// None before its rule is known.
    pub connections_max: Option<usize>,
    pub trouble: Option<SiteTrouble>,
}

impl SiteView {
    pub fn is_open(&self) -> bool {
        self.state == SiteState::Open
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.state, SiteState::Closed { .. })
    }
}

/// Sites remembered while their lanes sleep; one more is probed anew.
const AWAY_MAX: usize = 65_536;

/// What is remembered of a site whose lane sleeps.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) site: SiteControl,
    pub(super) tell_at: Option<Timestamp>,
}

impl Lanes {
    /// See [`SiteControl::handle_rule`](super::site::SiteControl::handle_rule).
    pub fn handle_rule(&mut self, lane: &LaneId, rule: RulePlace, limits: &SiteLimits) -> RulePlace {
        let now = self.now;
        let Some(state) = self.by_id.get_mut(lane) else { return rule };
        let holds = state.site.handle_rule(now, rule, limits);
        self.decide(lane);
        holds
    }

    /// A worker's connection is past greeting, TLS and login.
    pub fn handle_reached(&mut self, lane: &LaneId) {
        if let Some(state) = self.by_id.get_mut(lane) {
            state.site.handle_reached();
        }
        self.decide(lane);
    }

    /// One that was is closed.
    pub fn handle_disconnected(&mut self, lane: &LaneId) {
        if let Some(state) = self.by_id.get_mut(lane) {
            state.site.handle_disconnected();
        }
        self.decide(lane);
    }

    /// A transaction came to its end, or an entry found its site.
    pub fn handle_transaction(&mut self, lane: &LaneId, took: Duration) {
        let now = self.now;
        if let Some(state) = self.by_id.get_mut(lane) {
            state.site.handle_transaction(now, took);
        }
        self.decide(lane);
    }

    /// The site has too much.
    pub fn handle_strain(&mut self, lane: &LaneId, reason: &str) {
        let now = self.now;
        if let Some(state) = self.by_id.get_mut(lane) {
            state.site.handle_strain(now, reason);
        }
        self.decide(lane);
    }

    /// See [`SiteControl::handle_unreachable`](super::site::SiteControl::handle_unreachable).
    pub fn handle_unreachable(
        &mut self,
        lane: &LaneId,
        reason: &str,
        wait: impl FnOnce(u32) -> Duration,
    ) -> Unreachable {
        let now = self.now;
        let Some(state) = self.by_id.get_mut(lane) else { return Unreachable::Strained };
        let meaning = state.site.handle_unreachable(now, reason, wait);
        if state.site.is_closed() {
            state.shelve();
            state.tell_at.get_or_insert(now.plus(TELL_DELAY));
        }
        self.decide(lane);
        meaning
    }

    /// Senders of waiting entries were told what there was to tell; the next is to be told something then.
    pub fn handle_told(&mut self, lane: &LaneId, next: Option<Timestamp>) {
        if let Some(next) = next {
            self.handle_tell_at(lane, next);
        }
    }

    /// If an entry still waits then, its sender is to be told something.
    pub fn handle_tell_at(&mut self, lane: &LaneId, at: Timestamp) {
        let at = at.max(self.now.plus(TELL_INTERVAL_MIN));
        if let Some(away) = self.away.get_mut(lane) {
            away.tell_at = Some(away.tell_at.map_or(at, |before| before.min(at)));
            self.sleepers.sleep(lane, at);
        } else if let Some(state) = self.by_id.get_mut(lane).filter(|state| !state.site.is_open()) {
            state.tell_at = Some(state.tell_at.map_or(at, |before| before.min(at)));
            self.decide(lane);
        }
    }

    /// Nobody delivers this entry, and nobody begins to until [`handle_finished`](Self::handle_finished).
    pub fn claim(&mut self, lane: &LaneId, id: EntryId) -> bool {
        self.awake(lane).is_some_and(|state| state.known.insert(id))
    }

    /// One socket more for a worker that tries two addresses at once, if the site and all of them may have it;
    /// [`handle_spare_closed`](Self::handle_spare_closed) follows.
    pub fn claim_spare(&mut self, lane: &LaneId) -> bool {
        let Self { by_id, connections, .. } = self;
        let Some(state) = by_id.get_mut(lane).filter(|state| state.kind == Kind::Site) else { return false };
        let has_room = state.workers + state.spare_sockets < state.site.connections_max();
        let is_claimed = has_room && connections.claim_spare();
        state.spare_sockets += usize::from(is_claimed);
        is_claimed
    }

    pub fn handle_spare_closed(&mut self, lane: &LaneId) {
        if let Some(state) = self.by_id.get_mut(lane) {
            state.spare_sockets = state.spare_sockets.saturating_sub(1);
        }
        if let Some(next) = self.connections.release_spare() {
            self.decide(&next);
        }
        self.decide(lane);
    }

    /// Other routes and limits hold: what waits for a site may go to another.
    pub fn handle_reload(&mut self, connections_max: usize) {
        self.connections.set_max(connections_max);
        let closed = self.by_id.iter().filter(|(_, lane)| lane.site.is_closed());
        let closed = closed.map(|(id, _)| id).chain(self.away.keys());
        for lane in closed.cloned().collect::<Vec<_>>() {
            self.handle_kick(&lane);
        }
    }

    /// The clock was set back by so much: no site has to wait longer for that.
    pub(super) fn handle_set_back(&mut self, back: Duration) {
        let sites = self.by_id.values_mut().map(|lane| &mut lane.site);
        sites.chain(self.away.values_mut().map(|away| &mut away.site)).for_each(|site| {
            site.handle_set_back(back);
        });
        let changes: Vec<_> = self.away.iter().map(|(id, away)| (id.clone(), away.site.state())).collect();
        for (id, state) in changes {
            if let SiteState::Closed { until, .. } = state {
                self.sleepers.sleep(&id, until);
            }
        }
        for id in self.by_id.keys().cloned().collect::<Vec<_>>() {
            self.decide(&id);
        }
    }

    /// The time has come that its site waited for.
    pub(super) fn look(&mut self, lane: &LaneId) {
        let now = self.now;
        let Some(state) = self.by_id.get_mut(lane) else { return };
        if !state.site.is_open() && state.tell_at.is_some_and(|at| at <= now) {
            state.tell_at = None;
            self.actions.push_back(Action::Tell(lane.clone()));
        }
        let permits = if state.site.handle_time(now) { state.site.permits(now) } else { 0 };
        self.wake(lane, permits);
        self.decide(lane);
    }

    /// A lane with nothing to do leaves memory, but for what is to be remembered of its site.
    pub(super) fn fall_asleep(&mut self, lane: &LaneId) {
        let Some(mut state) = self.by_id.remove(lane) else { return };
        self.timers.set(lane, None);
        let next_look = state.next_look(self.now);
        if state.site.is_closed()
            && let Some(at) = next_look
        {
            self.sleepers.sleep(lane, at);
        }
        if !state.site.is_forgettable(self.now) && self.away.len() < AWAY_MAX {
            self.away.insert(lane.clone(), Away { site: state.site, tell_at: state.tell_at });
            if let Some(at) = next_look {
                self.sleepers.sleep(lane, at);
            }
        }
    }

    /// Lanes that lead to sites, or look for them; of those that sleep the ones with something to tell.
    pub fn sites(&self) -> Vec<SiteView> {
        let awake = self.by_id.iter().filter(|(_, lane)| lane.kind != Kind::Inside);
        let away = self.away.iter().map(|(id, away)| away.view(id));
        let mut views: Vec<SiteView> = awake.map(|(id, lane)| view(id, lane)).chain(away).collect();
        views.sort_by(|left, right| left.lane.cmp(&right.lane));
        views
    }

    pub fn site(&self, lane: &LaneId) -> Option<SiteView> {
        let awake = self.by_id.get(lane).filter(|state| state.kind != Kind::Inside);
        let awake = awake.map(|state| view(lane, state));
        awake.or_else(|| self.away.get(lane).map(|away| away.view(lane)))
    }
}

impl Away {
    fn view(&self, id: &LaneId) -> SiteView {
        SiteView {
            lane: id.clone(),
            state: self.site.state(),
            in_delivery: 0,
            connections: 0,
            connections_allowed: self.site.workers_max(),
            connections_max: self.site.is_known().then(|| self.site.connections_max()),
            trouble: self.site.trouble().cloned(),
        }
    }
}

fn view(id: &LaneId, lane: &Lane) -> SiteView {
    let nobody = Away { site: lane.site.clone(), tell_at: None };
    SiteView {
        in_delivery: lane.known.len().saturating_sub(lane.ready.len()),
        connections: lane.workers + lane.spare_sockets,
        ..nobody.view(id)
    }
}
