//! What one attempt meets on its way, for the history: who gave no connection, and how long each stage took.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use store::ledger::{self, Timing, UNREACHED_MAX, Unreached};
use world::Clock;

use super::{connect::Connection, send::Sent};
use crate::outcome::Attempt;

/// A stage of [`Timing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Dns,
    Connect,
    Greeting,
    Tls,
    Envelope,
    Content,
    Reply,
}

pub(super) struct Trail {
    clock: Arc<dyn Clock>,
    began: Instant,
    timing: Timing,
    unreached: Vec<Unreached>,
}

impl Trail {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        let (clock, began) = (clock.clone(), clock.now());
        Self { clock, began, timing: Timing::default(), unreached: Vec::new() }
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The stage began then and has just ended.
    pub(super) fn ended(&mut self, span: Span, began: Instant) {
        self.took(span, self.now().saturating_duration_since(began));
    }

    pub(super) fn took(&mut self, span: Span, length: Duration) {
        let timing = &mut self.timing;
        let sum = match span {
            Span::Dns => &mut timing.dns_ms,
            Span::Connect => &mut timing.connect_ms,
            Span::Greeting => &mut timing.greeting_ms,
            Span::Tls => &mut timing.tls_ms,
            Span::Envelope => &mut timing.envelope_ms,
            Span::Content => &mut timing.content_ms,
            Span::Reply => &mut timing.reply_ms,
        };
        *sum = Some(sum.unwrap_or_default().saturating_add(millis(length)));
    }

    /// No connection came of this host, which was turned to then.
    pub(super) fn unreached(
        &mut self,
        host: &str,
        address: Option<SocketAddr>,
        reason: &str,
        began: Instant,
    ) {
        if self.unreached.len() < UNREACHED_MAX {
            self.unreached.push(Unreached {
                host: host.to_owned(),
                address: address.map(|address| address.to_string()),
                reason: reason.to_owned(),
                duration_ms: millis(self.now().saturating_duration_since(began)),
            });
        }
    }

    /// The attempt is over; `host` is told if nobody was reached.
    pub(super) fn attempt(
        mut self,
        sent: &Sent,
        host: Option<&str>,
        connection: Option<&Connection>,
    ) -> Attempt {
        let duration = self.now().saturating_duration_since(self.began);
        let (mut host, mut address) = (host.map(str::to_owned), None);
        if let Some(connection) = connection {
            host = Some(connection.host.clone());
            address = connection.address.map(|address| address.to_string());
        } else if let Some(last) = self.unreached.pop_if(|last| last.reason == sent.summary) {
            (host, address) = (Some(last.host), last.address);
        }
        let told = ledger::Attempt {
            lane: String::new(),
            host,
            address,
            tls: connection.and_then(Connection::tls_words),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            outcome: sent.summary.clone(),
            verified: connection.is_some_and(|connection| connection.verified),
            policy: connection.and_then(Connection::policy_words),
            timing: self.timing,
            unreached: self.unreached,
        };
        Attempt { told, dropped: sent.dropped.clone() }
    }
}

fn millis(length: Duration) -> u32 {
    u32::try_from(length.as_millis()).unwrap_or(u32::MAX)
}
