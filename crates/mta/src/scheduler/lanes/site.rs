//! How much of us one site gets: connections at once, messages over time, and single tries while it cannot be reached.
//!
//! The limit on connections begins small, grows by one with each message that the site takes, and shrinks when the site
//! shows that it has too much, as TCP does with segments (slow start, additive increase, multiplicative decrease).

use std::time::Duration;

use mail::Timestamp;
use store::spool::EntryId;

use super::pace::Pace;
use crate::policy::limits::Rate;

/// Connections to a site that nothing is known of yet.
const CONNECTIONS_FIRST: usize = 2;
/// Answers that take longer than this are no reason for more connections.
const SLOW: Duration = Duration::from_secs(10);
/// What troubles a site troubles all connections to it: it counts once in this time.
const STRAIN_INTERVAL: Duration = Duration::from_secs(5);
/// After a site had too much, it gets one connection more in this time.
const CALM: Duration = Duration::from_secs(30);

/// What a site may get, by the rule that holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteLimits {
    /// At least 1.
    pub connections_max: usize,
    /// Messages.
    pub rate: Option<Rate>,
}

/// Which rule was found: of which configuration, and at which place there. Of one configuration the first place holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulePlace {
    pub version: u64,
    pub place: usize,
}

/// What happened last, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteTrouble {
    pub at: Timestamp,
    pub reason: String,
}

/// What it means that a connection could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Others stand: the site wants no more of them, and the message goes over one of those.
    Strained,
    /// Nothing goes there before this time.
    Closed(Timestamp),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteState {
    Open,
    /// Since, until, and how long that is; a clock that is set must not make it longer.
    Closed {
        since: Timestamp,
        until: Timestamp,
    },
    /// One message may go, or is on its way.
    Probing {
        since: Timestamp,
        probe: Option<EntryId>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct SiteControl {
    limits: SiteLimits,
    rule: Option<RulePlace>,
    /// Connections that it may have now.
    allowed: usize,
    /// Up to here the limit grows with each message.
    threshold: usize,
    strained_at: Option<Timestamp>,
    /// Beyond the threshold.
    grown_at: Option<Timestamp>,
    /// Connections that are past their greeting.
    connected: usize,
    state: SiteState,
    /// In a row.
    failures: u32,
    trouble: Option<SiteTrouble>,
    pace: Option<Pace>,
}

impl SiteControl {
    /// A site whose rule is not known: one worker goes and finds it.
    pub(super) fn unknown() -> Self {
        Self::new(1, usize::MAX)
    }

    /// Where no limits are adapted.
    pub(super) fn fixed(workers_max: usize) -> Self {
        Self::new(workers_max, workers_max)
    }

    fn new(allowed: usize, connections_max: usize) -> Self {
        Self {
            limits: SiteLimits { connections_max, rate: None },
            rule: None,
            allowed,
            threshold: usize::MAX,
            strained_at: None,
            grown_at: None,
            connected: 0,
            state: SiteState::Open,
            failures: 0,
            trouble: None,
            pace: None,
        }
    }

    /// Says which rule holds: this one, or one that stands before it and holds for other mail to the site.
    pub(super) fn handle_rule(&mut self, now: Timestamp, rule: RulePlace, limits: &SiteLimits) -> RulePlace {
        if let Some(current) = self.rule
            && (current.version > rule.version
                || (current.version == rule.version && current.place <= rule.place))
        {
            return if current.version == rule.version { current } else { rule };
        }
        if self.rule.is_none() && self.state == SiteState::Open {
            self.allowed = CONNECTIONS_FIRST;
        }
        if self.limits.rate != limits.rate || self.rule.is_none() {
            self.pace = limits.rate.map(|rate| Pace::new(rate, now));
        }
        self.limits = limits.clone();
        self.rule = Some(rule);
        rule
    }

    /// A connection is past greeting, TLS and login.
    pub(super) fn handle_reached(&mut self) {
        self.connected += 1;
        if self.state != SiteState::Open {
            self.state = SiteState::Open;
            self.allowed = 1;
        }
    }

    pub(super) fn handle_disconnected(&mut self) {
        self.connected = self.connected.saturating_sub(1);
    }

    /// A transaction came to its end, whatever that was.
    pub(super) fn handle_transaction(&mut self, now: Timestamp, took: Duration) {
        self.failures = 0;
        self.trouble = None;
        if self.state != SiteState::Open {
            self.state = SiteState::Open;
            self.allowed = 1;
        }
        let is_beyond = self.allowed >= self.threshold;
        let is_calm = self.strained_at.max(self.grown_at).is_none_or(|at| now.since(at) >= CALM);
        if took > SLOW || (is_beyond && !is_calm) {
            return;
        }
        if is_beyond {
            self.grown_at = Some(now);
        }
        self.allowed = self.allowed.saturating_add(1).min(self.limits.connections_max);
    }

    /// The site has too much: it said 421, put off a whole message, or did not answer in time.
    pub(super) fn handle_strain(&mut self, now: Timestamp, reason: &str) {
        self.trouble = Some(SiteTrouble { at: now, reason: reason.to_owned() });
        if self.strained_at.is_none_or(|at| now.since(at) >= STRAIN_INTERVAL) {
            self.allowed = (self.allowed / 2).max(1);
            self.threshold = self.allowed;
            self.strained_at = Some(now);
        }
    }

    /// None of its hosts gave a connection, or one that broke before anything was sent. `wait` is how long to leave it,
    /// by the number of failures in a row.
    pub(super) fn handle_unreachable(
        &mut self,
        now: Timestamp,
        reason: &str,
        wait: impl FnOnce(u32) -> Duration,
    ) -> Unreachable {
        self.trouble = Some(SiteTrouble { at: now, reason: reason.to_owned() });
        if self.connected > 0 {
            self.allowed = self.connected.min(self.allowed).max(1);
            self.threshold = self.allowed;
            self.strained_at = Some(now);
            return Unreachable::Strained;
        }
        let since = match self.state {
            // Others of the same time.
            SiteState::Closed { until, .. } => return Unreachable::Closed(until),
            SiteState::Probing { since, .. } => since,
            SiteState::Open => now,
        };
        self.failures = self.failures.saturating_add(1);
        let until = now.plus(wait(self.failures));
        self.state = SiteState::Closed { since, until };
        Unreachable::Closed(until)
    }

    /// True if something may go now that could not before.
    pub(super) fn handle_time(&mut self, now: Timestamp) -> bool {
        match self.state {
            SiteState::Closed { since, until } if until <= now => {
                self.state = SiteState::Probing { since, probe: None };
                true
            }
            _ => self.pace.as_mut().is_some_and(|pace| pace.permits(now) > 0),
        }
    }

    /// An operator wants it tried now.
    pub(super) fn handle_kick(&mut self) {
        if let SiteState::Closed { since, .. } = self.state {
            self.state = SiteState::Probing { since, probe: None };
        }
    }

    /// The clock was set back by so much.
    pub(super) fn handle_set_back(&mut self, back: Duration) {
        if let SiteState::Closed { until, .. } = &mut self.state {
            let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
            *until = Timestamp::from_millis(until.millis().saturating_sub(back));
        }
    }

    /// Whether a message may go now, if there is one.
    pub(super) fn may_take(&mut self, now: Timestamp) -> bool {
        !matches!(self.state, SiteState::Probing { probe: Some(_), .. }) && self.permits(now) > 0
    }

    pub(super) fn handle_taken(&mut self, now: Timestamp, id: EntryId) {
        if let SiteState::Probing { probe, .. } = &mut self.state {
            *probe = Some(id);
        }
        if let Some(pace) = &mut self.pace {
            pace.use_one(now);
        }
    }

    /// A probe that came to nothing, as its message went another way, tells nothing of the site.
    pub(super) fn handle_finished(&mut self, id: EntryId) {
        if let SiteState::Probing { probe, .. } = &mut self.state
            && *probe == Some(id)
        {
            *probe = None;
        }
    }

    pub(super) fn workers_max(&self) -> usize {
        match self.state {
            SiteState::Open => self.allowed.min(self.limits.connections_max),
            SiteState::Closed { .. } => 0,
            SiteState::Probing { .. } => 1,
        }
    }

    /// Messages that may begin now.
    pub(super) fn permits(&mut self, now: Timestamp) -> usize {
        self.pace.as_mut().map_or(usize::MAX, |pace| pace.permits(now))
    }

    /// When [`handle_time`](Self::handle_time) changes something.
    pub(super) fn next_change(&mut self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            SiteState::Closed { until, .. } => Some(until),
            _ => self.pace.as_mut().and_then(|pace| pace.next_change(now)),
        }
    }

    /// A site that is made anew would do nothing sooner.
    pub(super) fn is_forgettable(&mut self, now: Timestamp) -> bool {
        !self.is_closed() && self.pace.as_mut().is_none_or(|pace| pace.is_full(now))
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, SiteState::Closed { .. })
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == SiteState::Open
    }

    pub(super) fn state(&self) -> SiteState {
        self.state
    }

    pub(super) fn trouble(&self) -> Option<&SiteTrouble> {
        self.trouble.as_ref()
    }

    pub(super) fn is_known(&self) -> bool {
        self.rule.is_some()
    }

    pub(super) fn connections_max(&self) -> usize {
        self.limits.connections_max
    }
}
