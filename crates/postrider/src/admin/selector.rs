//! Which queue entries a command means.

use mail::{Address, QueueId, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};
use store::spool::{Criterion, EntryStatus, LaneId, QueueEntry};

use super::pattern::{Indexed, Pattern};

/// Entries that fulfil every condition given. Addresses and domains are [`Pattern`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Any of these messages.
    pub ids: Vec<QueueId>,
    /// The reverse-path; `<>` or the empty text for reports.
    pub sender: Option<String>,
    /// Any recipient.
    pub recipient: Option<String>,
    /// The domain of any recipient.
    pub domain: Option<String>,
    /// Accepted at least so many seconds ago.
    pub older_than_s: Option<u64>,
    /// Accepted at most so many seconds ago.
    pub younger_than_s: Option<u64>,
    /// The lane it waits in.
    pub lane: Option<String>,
    pub status: Option<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Waiting,
    Held,
}

/// A selector at one moment, ready to be held against many entries.
#[derive(Debug)]
pub struct Matcher<'a> {
    selector: &'a Selector,
    now: Timestamp,
    sender: Option<SenderPattern>,
    recipient: Option<Pattern>,
    domain: Option<Pattern>,
    /// What the index can be asked for; all of it has to hold.
    pub criteria: Vec<Criterion>,
}

#[derive(Debug)]
enum SenderPattern {
    Null,
    Address(Pattern),
}

impl Selector {
    /// No condition: every entry is meant.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    pub fn at(&self, now: Timestamp) -> Matcher<'_> {
        let mut matcher = Matcher {
            selector: self,
            now,
            sender: None,
            recipient: None,
            domain: None,
            criteria: Vec::new(),
        };
        matcher.take_addresses();
        matcher.take_state();
        matcher
    }

    fn matches_id(&self, id: QueueId) -> bool {
        self.ids.is_empty() || self.ids.contains(&id)
    }
}

impl Matcher<'_> {
    /// The more exact stand first: where conditions lead to as many keys as are counted, the first is followed.
    fn take_addresses(&mut self) {
        if let Some(text) = &self.selector.recipient {
            let (pattern, indexed) = Pattern::of_address(text);
            self.recipient = Some(pattern);
            self.criteria.extend(match indexed {
                Indexed::One(address) => Some(Criterion::Recipient(address)),
                Indexed::Under(domain) => Some(Criterion::RecipientDomain(domain)),
                Indexed::No => None,
            });
        }
        match self.selector.sender.as_deref() {
            Some("" | "<>") => {
                self.sender = Some(SenderPattern::Null);
                self.criteria.push(Criterion::Sender(ReversePath::Null));
            }
            Some(text) => {
                let (pattern, indexed) = Pattern::of_address(text);
                self.sender = Some(SenderPattern::Address(pattern));
                self.criteria.extend(match indexed {
                    Indexed::One(address) => Some(Criterion::Sender(ReversePath::Address(address))),
                    Indexed::Under(domain) => Some(Criterion::SenderDomain(domain)),
                    Indexed::No => None,
                });
            }
            None => {}
        }
        if let Some(text) = &self.selector.domain {
            let (pattern, indexed) = Pattern::of_domain(text);
            self.domain = Some(pattern);
            self.criteria.extend(match indexed {
                Indexed::One(domain) => Some(Criterion::RecipientDomain(domain)),
                Indexed::Under(domain) => Some(Criterion::RecipientsBelow(domain)),
                Indexed::No => None,
            });
        }
    }

    fn take_state(&mut self) {
        let Selector { lane, status, older_than_s, younger_than_s, .. } = self.selector;
        self.criteria.extend(lane.as_deref().map(|lane| Criterion::Lane(LaneId(lane.into()))));
        self.criteria.extend(status.map(|status| match status {
            Status::Waiting => Criterion::Waiting,
            Status::Held => Criterion::Held,
        }));
        let [until, from] = [older_than_s, younger_than_s].map(|age| age.map(|age| ago(self.now, age)));
        if from.is_some() || until.is_some() {
            self.criteria.push(Criterion::Accepted { from, until });
        }
    }

    pub fn matches(&self, entry: &QueueEntry) -> bool {
        let Selector { status, lane, older_than_s, younger_than_s, .. } = self.selector;
        self.selector.matches_id(entry.queue_id)
            && status.is_none_or(|status| status == Status::of(entry, self.now))
            && lane.as_deref().is_none_or(|lane| *entry.lane.0 == *lane)
            && older_than_s.is_none_or(|age| entry.accepted_at <= ago(self.now, age))
            && younger_than_s.is_none_or(|age| entry.accepted_at >= ago(self.now, age))
            && self.matches_sender(&entry.reverse_path)
            && entry.recipients.iter().any(|recipient| self.matches_recipient(&recipient.address))
    }

    /// The entry has no recipient besides those selected, so that nobody else is touched.
    pub fn covers(&self, entry: &QueueEntry) -> bool {
        entry.recipients.iter().all(|recipient| self.matches_recipient(&recipient.address))
    }

    fn matches_sender(&self, path: &ReversePath) -> bool {
        match (&self.sender, path) {
            (None, _) | (Some(SenderPattern::Null), ReversePath::Null) => true,
            (Some(SenderPattern::Address(pattern)), ReversePath::Address(address)) => {
                pattern.matches_address(address)
            }
            (Some(_), _) => false,
        }
    }

    fn matches_recipient(&self, address: &Address) -> bool {
        self.recipient.as_ref().is_none_or(|pattern| pattern.matches_address(address))
            && self
                .domain
                .as_ref()
                .is_none_or(|pattern| address.domain().is_some_and(|domain| pattern.matches_domain(domain)))
    }
}

fn ago(now: Timestamp, seconds: u64) -> Timestamp {
    let millis = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(millis))
}

impl Status {
    /// An entry is held by an operator, or until its sender wants it to leave.
    pub fn of(entry: &QueueEntry, now: Timestamp) -> Self {
        match entry.status {
            EntryStatus::Waiting if !entry.is_ahead_of_time(now) => Self::Waiting,
            EntryStatus::Waiting | EntryStatus::Held => Self::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{
        BlobId,
        spool::{LaneId, QueuedRecipient},
    };

    use super::*;

    fn entry(recipients: &[&str]) -> QueueEntry {
        let recipients = recipients.iter().map(|address| QueuedRecipient {
            address: address.parse().unwrap(),
            original: None,
            rcpt: mail::RcptParameters::default(),
        });
        QueueEntry {
            queue_id: QueueId::from_u64(7),
            part: 0,
            lane: LaneId(Arc::from("local")),
            reverse_path: mail::ReversePath::Address("sender@a.example".parse().unwrap()),
            mail: mail::MailParameters::default(),
            recipients: recipients.collect(),
            blob: BlobId(1),
            blob_bytes: 10,
            accepted_at: Timestamp::from_millis(1_000_000),
            due: Timestamp::from_millis(1_000_000),
            attempts: 0,
            status: EntryStatus::Waiting,
            last_error: None,
            delay_told: false,
            release_at: Timestamp::from_millis(1_000_000),
            deadline: None,
            rerouted: false,
            submitter: None,
        }
    }

    #[test]
    fn every_condition_must_hold() {
        let entry = entry(&["x@b.example", "y@c.example"]);
        let now = Timestamp::from_millis(1_060_000);
        let matches = |change: fn(&mut Selector)| {
            let mut selector = Selector::default();
            change(&mut selector);
            selector.at(now).matches(&entry)
        };
        assert!(matches(|_| ()));
        assert!(matches(|s| s.ids = vec![QueueId::from_u64(7)]));
        assert!(!matches(|s| s.ids = vec![QueueId::from_u64(8)]));
        assert!(matches(|s| s.sender = Some("SENDER@*".to_owned())));
        assert!(!matches(|s| s.sender = Some("<>".to_owned())));
        assert!(matches(|s| s.domain = Some("C.example".to_owned())));
        assert!(matches(|s| s.older_than_s = Some(60)));
        assert!(!matches(|s| s.older_than_s = Some(61)));
        assert!(matches(|s| s.younger_than_s = Some(60)));
        assert!(!matches(|s| s.younger_than_s = Some(59)));
        assert!(matches(|s| s.lane = Some("local".to_owned())));
        assert!(!matches(|s| s.lane = Some("loc".to_owned())));
        assert!(!matches(|s| s.status = Some(Status::Held)));
        assert!(!matches(
            |s| (s.recipient, s.domain) = (Some("x@*".to_owned()), Some("c.example".to_owned()))
        ));
    }

    #[test]
    fn a_shared_entry_is_not_covered() {
        let selector = Selector { recipient: Some("x@b.example".to_owned()), ..Selector::default() };
        let covers = |recipients: &[&str]| selector.at(Timestamp::from_millis(0)).covers(&entry(recipients));
        assert!(covers(&["x@b.example"]));
        assert!(!covers(&["x@b.example", "y@c.example"]));
    }
}
