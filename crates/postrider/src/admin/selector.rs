//! Which queue entries a command means.

use std::time::Duration;

use mail::{Address, QueueId, Timestamp};
use serde::{Deserialize, Serialize};
use store::spool::{EntryStatus, QueueEntry};

/// Entries that fulfil every condition given. Addresses may hold `*` for any run of characters; case does not count.
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
    pub status: Option<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Waiting,
    Held,
}

impl Selector {
    /// No condition: every entry is meant.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    pub fn matches(&self, entry: &QueueEntry, now: Timestamp) -> bool {
        self.matches_id(entry.queue_id)
            && self.status.is_none_or(|status| status == Status::of(entry, now))
            && self.older_than_s.is_none_or(|age| now.since(entry.accepted_at) >= Duration::from_secs(age))
            && self.sender.as_deref().is_none_or(|wanted| matches_sender(wanted, &entry.reverse_path))
            && entry.recipients.iter().any(|recipient| self.matches_recipient(&recipient.address))
    }

    /// The entry has no recipient besides those selected, so that nobody else is touched.
    pub fn covers(&self, entry: &QueueEntry) -> bool {
        entry.recipients.iter().all(|recipient| self.matches_recipient(&recipient.address))
    }

    fn matches_id(&self, id: QueueId) -> bool {
        self.ids.is_empty() || self.ids.contains(&id)
    }

    fn matches_recipient(&self, address: &Address) -> bool {
        self.recipient.as_deref().is_none_or(|wanted| glob(wanted, &address.to_string()))
            && self
                .domain
                .as_deref()
                .is_none_or(|wanted| address.domain().is_some_and(|domain| glob(wanted, domain.as_str())))
    }
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

fn matches_sender(wanted: &str, path: &mail::ReversePath) -> bool {
    let wanted = if wanted == "<>" { "" } else { wanted };
    glob(wanted, &path.to_string())
}

/// Whether `text` is what `pattern` says, `*` standing for any run of characters. Linear in pattern times text.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{
        BlobId,
        spool::{LaneId, QueuedRecipient},
    };

    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in
            [("*", ""), ("*", "a"), ("*@B.c", "a@b.C"), ("a*c*e", "abcde"), ("abc", "abc"), ("", "")]
        {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("*@b", "a@bc"), ("a*b*c", "acb"), ("ab*ba", "aba")] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

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
        }
    }

    #[test]
    fn every_condition_must_hold() {
        let entry = entry(&["x@b.example", "y@c.example"]);
        let now = Timestamp::from_millis(1_060_000);
        let matches = |change: fn(&mut Selector)| {
            let mut selector = Selector::default();
            change(&mut selector);
            selector.matches(&entry, now)
        };
        assert!(matches(|_| ()));
        assert!(matches(|s| s.ids = vec![QueueId::from_u64(7)]));
        assert!(!matches(|s| s.ids = vec![QueueId::from_u64(8)]));
        assert!(matches(|s| s.sender = Some("SENDER@*".to_owned())));
        assert!(!matches(|s| s.sender = Some("<>".to_owned())));
        assert!(matches(|s| s.domain = Some("C.example".to_owned())));
        assert!(matches(|s| s.older_than_s = Some(60)));
        assert!(!matches(|s| s.older_than_s = Some(61)));
        assert!(!matches(|s| s.status = Some(Status::Held)));
        assert!(!matches(
            |s| (s.recipient, s.domain) = (Some("x@*".to_owned()), Some("c.example".to_owned()))
        ));
    }

    #[test]
    fn a_shared_entry_is_not_covered() {
        let selector = Selector { recipient: Some("x@b.example".to_owned()), ..Selector::default() };
        assert!(selector.covers(&entry(&["x@b.example"])));
        assert!(!selector.covers(&entry(&["x@b.example", "y@c.example"])));
    }
}
