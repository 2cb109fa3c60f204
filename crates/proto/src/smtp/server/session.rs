//! What a session knows: the client, and the transaction it is in.

use std::time::Instant;

use mail::Envelope;

use super::{Abort, Limits};
use crate::smtp::{attributes::ForwardedClient, bdat::TextScanner, data::Violation};

/// What the client told about itself. STARTTLS forgets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// From EHLO, HELO or LHLO: printable ASCII, otherwise as it came.
    pub helo: Option<Box<str>>,
    /// EHLO or LHLO, so that extensions count.
    pub esmtp: bool,
    pub tls: bool,
    /// Who authenticated.
    pub identity: Option<Box<str>>,
    /// From XFORWARD, until the end of the message.
    pub forwarded: Option<Box<ForwardedClient>>,
}

/// From an accepted MAIL to the final reply.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) envelope: Envelope,
    /// RCPTs beyond the limit.
    pub(super) recipients_excess: usize,
    /// There once content was accepted for a start.
    pub(super) content: Option<Content>,
}

/// Content on its way in.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) octets: u64,
    pub(super) chunks: u32,
    pub(super) scanner: TextScanner,
    /// What the driver was told, so that the rest is discarded.
    pub(super) aborted: Option<Abort>,
    pub(super) violation: Option<Violation>,
    ends_by: Option<Instant>,
    progress: Option<(Instant, u64)>,
}

/// What a client did since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub commands: u32,
    /// Commands that should not have come, refused recipients, words before their time.
    pub faults: u32,
}

/// What a session has used up since the last accepted message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) commands: u32,
    pub(super) errors: u32,
    pub(super) refused_recipients: u32,
    pub(super) auth_failures: u32,
    pub(super) transactions: u32,
}

impl Transaction {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self { envelope, recipients_excess: 0, content: None }
    }
}

impl Content {
    pub(super) fn new() -> Self {
        Self {
            octets: 0,
            chunks: 0,
            scanner: TextScanner::default(),
            aborted: None,
            violation: None,
            ends_by: None,
            progress: None,
        }
    }

    /// Counts one more BDAT or BURL.
    pub(super) fn is_one_too_many(&mut self, chunks_max: u32) -> bool {
        self.chunks = self.chunks.saturating_add(1);
        self.chunks > chunks_max
    }

    /// When the session has waited long enough for more. Slow content is worth no more patience than none.
    pub(super) fn deadline(&mut self, limits: &Limits, now: Instant) -> Instant {
        let ends_by = *self.ends_by.get_or_insert(now + limits.content_timeout);
        let (progress_by, octets) = self.progress.get_or_insert((now + limits.progress_timeout, self.octets));
        if self.octets.saturating_sub(*octets) >= limits.progress_bytes_min {
            (*progress_by, *octets) = (now + limits.progress_timeout, self.octets);
        }
        ends_by.min(*progress_by)
    }
}
