//! One lane: what of it is in memory, who works on it, and its site.

use std::collections::HashSet;

use mail::Timestamp;
use store::spool::{EntryId, LaneId};

use super::{Item, ready::Ready, site::SiteControl, sites::Away};
use crate::route;

/// Workers of a lane that leads to no site.
const LOCAL_WORKERS_MAX: usize = 64;
const GATEWAY_WORKERS_MAX: usize = 20;
/// Workers that find out where a domain's mail goes.
const LOOKUPS_MAX: usize = 4;
/// Entries loaded for a probe: if one turns out to go elsewhere the next is there.
const PROBES_LOADED_MAX: usize = 8;

/// What limits the workers of a lane beside its own control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: it is served on this machine.
    Inside,
    /// A domain whose site is not known yet.
    Lookup,
    /// Hosts that we connect to.
    Site,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) kind: Kind,
    pub(super) site: SiteControl,
    pub(super) ready: Ready,
    /// Entries in `ready` or being delivered.
    pub(super) known: HashSet<EntryId>,
    pub(super) workers: usize,
    /// Workers that wait for an item.
    pub(super) idle_workers: usize,
    /// Workers that take no more, and still have to close their connection.
    pub(super) leaving_workers: usize,
    /// Sockets beside those of the workers, which race for the first to answer.
    pub(super) spare_sockets: usize,
    /// Items taken since it got a worker's place last.
    pub(super) taken: usize,
    pub(super) loading: bool,
    /// Entries that are due stand in the store only.
    pub(super) overflow: bool,
    /// Entries that passed by them since the last load.
    pub(super) jumps: usize,
    /// When senders of entries that wait for the site are to be told something.
    pub(super) tell_at: Option<Timestamp>,
}

impl Lane {
    /// One that wakes, with what is remembered of its site.
    pub(super) fn new(id: &LaneId, away: Option<Away>) -> Self {
        let (kind, site) = if &*id.0 == route::LOCAL_LANE {
            (Kind::Inside, SiteControl::fixed(LOCAL_WORKERS_MAX))
        } else if route::is_pickup(id) {
            // It has the lane in hand, alone.
            (Kind::Inside, SiteControl::fixed(1))
        } else if id.0.starts_with(route::DOMAIN_LANE) {
            (Kind::Lookup, SiteControl::fixed(LOOKUPS_MAX))
        } else if route::is_site(id) {
            (Kind::Site, SiteControl::unknown())
        } else {
            (Kind::Inside, SiteControl::fixed(GATEWAY_WORKERS_MAX))
        };
        let (site, tell_at) = away.map_or((site, None), |away| (away.site, away.tell_at));
        Self {
            kind,
            site,
            ready: Ready::default(),
            known: HashSet::new(),
            workers: 0,
            idle_workers: 0,
            leaving_workers: 0,
            spare_sockets: 0,
            taken: 0,
            loading: false,
            overflow: false,
            jumps: 0,
            tell_at,
        }
    }

    /// Workers that come back for more.
    pub(super) fn staying(&self) -> usize {
        self.workers.saturating_sub(self.leaving_workers)
    }

    /// How many entries to load now, if some are to be.
    pub(super) fn load_now(&mut self, window: usize) -> Option<usize> {
        let is_low = self.ready.len() <= window / 4;
        if !self.overflow || self.loading || self.site.is_closed() || !is_low {
            return None;
        }
        self.overflow = false;
        self.loading = true;
        let wanted = if self.site.is_open() { window } else { PROBES_LOADED_MAX };
        // Entries we know of still stand in the due index and come back with the load.
        Some(wanted + self.known.len())
    }

    /// One worker for each entry in hand: those that are busy with one come back for the next.
    pub(super) fn wants_worker(&mut self, now: Timestamp) -> bool {
        let in_delivery = self.known.len().saturating_sub(self.ready.len());
        let may_begin = self.ready.len().min(self.site.permits(now));
        may_begin > 0
            && self.staying() < in_delivery + may_begin
            && self.workers + self.spare_sockets < self.site.workers_max()
    }

    /// More workers than the site may have.
    pub(super) fn has_too_many(&self) -> bool {
        self.staying() > self.site.workers_max()
    }

    /// Nobody is to deliver now: what waits in memory goes on waiting in the store.
    pub(super) fn shelve(&mut self) {
        while let Some(item) = self.ready.pop() {
            self.known.remove(&item.id);
            self.overflow = true;
        }
    }

    /// If there is no room it has its place in the store.
    pub(super) fn push(&mut self, item: Item, window: usize) {
        if self.ready.len() < window && !self.site.is_closed() {
            self.known.insert(item.id);
            self.ready.push(item);
        } else {
            self.overflow = true;
        }
    }

    /// When something changes for its site.
    pub(super) fn next_look(&mut self, now: Timestamp) -> Option<Timestamp> {
        let tell_at = self.tell_at.filter(|_| !self.site.is_open());
        [tell_at, self.site.next_change(now)].into_iter().flatten().min()
    }

    /// Nobody is at work, and nobody is to begin now.
    pub(super) fn is_idle(&self) -> bool {
        let is_at_work = self.workers > 0 || !self.known.is_empty() || self.loading;
        !is_at_work && (!self.overflow || self.site.is_closed())
    }
}
