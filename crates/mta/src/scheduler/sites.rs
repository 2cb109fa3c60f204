//! What workers and people say to and ask of the lanes' sites.

use std::{sync::Arc, time::Duration};

use mail::Timestamp;
use store::spool::{EntryId, LaneId};

use super::{
    Dispatcher,
    lanes::{Item, RulePlace, SiteLimits, SiteView, Unreachable},
};
use crate::{Mta, outcome};

impl Dispatcher {
    /// The rule that holds for the lane's site: this one, or one that other mail to it has brought.
    pub(crate) fn rule(
        &self,
        mta: &Arc<Mta>,
        lane: &LaneId,
        rule: RulePlace,
        limits: &SiteLimits,
    ) -> RulePlace {
        self.tell(mta, |lanes| lanes.handle_rule(lane, rule, limits))
    }

    pub(crate) fn transaction(&self, mta: &Arc<Mta>, lane: &LaneId, took: Duration) {
        self.tell(mta, |lanes| lanes.handle_transaction(lane, took));
    }

    pub(crate) fn strained(&self, mta: &Arc<Mta>, lane: &LaneId, reason: &str) {
        self.tell(mta, |lanes| lanes.handle_strain(lane, reason));
    }

    /// No connection could be had. For how long nothing goes there, or none if others stand.
    pub(crate) fn unreachable(&self, mta: &Arc<Mta>, lane: &LaneId, reason: &str) -> Option<Duration> {
        let (config, random) = (mta.config(), mta.world.entropy.u64());
        let wait = |failures| {
            let delay = outcome::retry_delay(&config.retry_delays, failures, random);
            delay.min(config.delivery.probe_interval_max)
        };
        let (meaning, now) =
            self.tell(mta, |lanes| (lanes.handle_unreachable(lane, reason, wait), lanes.now()));
        match meaning {
            Unreachable::Strained => None,
            Unreachable::Closed(until) => Some(until.since(now)),
        }
    }

    /// A connection past its greeting; it counts until the guard is dropped.
    pub(crate) fn reached(&self, mta: &Arc<Mta>, lane: &LaneId) -> Reached {
        self.tell(mta, |lanes| lanes.handle_reached(lane));
        Reached { mta: mta.clone(), lane: lane.clone() }
    }

    pub(crate) fn given_back(&self, mta: &Arc<Mta>, lane: &LaneId, item: Item) {
        self.tell(mta, |lanes| lanes.handle_given_back(lane, item));
    }

    /// One socket more for a worker, if there may be one.
    pub(crate) fn spare_socket(&self, mta: &Arc<Mta>, lane: &LaneId) -> Option<SpareSocket> {
        let is_claimed = self.tell(mta, |lanes| lanes.claim_spare(lane));
        is_claimed.then(|| SpareSocket { mta: mta.clone(), lane: lane.clone() })
    }

    /// Takes an entry out of the hands of workers until it is [`finished`](Self::finished).
    pub(crate) fn claim(&self, mta: &Arc<Mta>, lane: &LaneId, id: EntryId) -> bool {
        self.tell(mta, |lanes| lanes.claim(lane, id))
    }

    pub(crate) fn told(&self, mta: &Arc<Mta>, lane: &LaneId, next: Option<Timestamp>) {
        self.tell(mta, |lanes| lanes.handle_told(lane, next));
    }

    /// If the entry still waits then, its sender is to be told something.
    pub(crate) fn tell_at(&self, mta: &Arc<Mta>, lane: &LaneId, at: Timestamp) {
        self.tell(mta, |lanes| lanes.handle_tell_at(lane, at));
    }

    pub(crate) fn sites(&self) -> Vec<SiteView> {
        self.lanes().sites()
    }

    pub(crate) fn site(&self, lane: &LaneId) -> Option<SiteView> {
        self.lanes().site(lane)
    }
}

/// A connection that the lanes know of.
pub(crate) struct Reached {
    mta: Arc<Mta>,
    lane: LaneId,
}

impl Drop for Reached {
    fn drop(&mut self) {
        let Self { mta, lane } = self;
        mta.dispatcher.tell(mta, |lanes| lanes.handle_disconnected(lane));
    }
}

/// A place for a second socket.
pub(crate) struct SpareSocket {
    mta: Arc<Mta>,
    lane: LaneId,
}

impl Drop for SpareSocket {
    fn drop(&mut self) {
        let Self { mta, lane } = self;
        mta.dispatcher.tell(mta, |lanes| lanes.handle_spare_closed(lane));
    }
}
