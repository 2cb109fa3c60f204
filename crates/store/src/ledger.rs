//! The history of every message: each step is committed in the same batch as the state it explains.

mod attempt;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use mail::{Address, QueueId, Timestamp, cause::Cause};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    batch::Batch,
    engine::{CommitError, Engine, Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, KeyReader, LEDGER_EVENT, LEDGER_INDEX},
    value::{Value, unknown_version},
};
use attempt::OldAttempt;
pub use attempt::{Attempt, Timing, UNREACHED_MAX, Unreached};

/// Events read of one message; more than any message has unless something runs wild.
const EVENTS_MAX: usize = 100_000;

/// The ledger over an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    engine: Arc<dyn Engine>,
    sequence: Arc<AtomicU32>,
}

/// One step of a message. Texts from peers are cleaned before they get here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Accepted {
        /// `smtp`, `submission`, `local` for our own reports, …
        service: String,
        client_ip: Option<String>,
        helo: Option<String>,
        tls: Option<String>,
        /// The authenticated account.
        identity: Option<String>,
        reverse_path: String,
        recipients: Vec<String>,
        bytes: u64,
        message_id: Option<String>,
    },
    /// What policy said while the message came, in the order it was asked.
    Verdicts {
        verdicts: Vec<Verdict>,
    },
    Attempt(Box<Attempt>),
    Delivered {
        recipient: String,
        to: String,
        reply: Option<String>,
    },
    Deferred {
        recipients: Vec<String>,
        reason: String,
        until: Timestamp,
    },
    /// Failed for good; `report` is the message that told the sender.
    Bounced {
        recipients: Vec<String>,
        reason: String,
        report: Option<QueueId>,
    },
    Expired {
        recipients: Vec<String>,
        reason: String,
        report: Option<QueueId>,
    },
    /// An operator's hand: `hold`, `release`, `retry`, `reroute to …`, `bounce`, `delete`.
    Operator {
        action: String,
        recipients: Vec<String>,
        /// In the operator's words.
        reason: Option<String>,
    },
    /// This message reports on that one.
    ReportOn {
        original: QueueId,
    },
    /// The sender was told of something else than a failure: `delayed`, `delivered`, `relayed`, `expanded`.
    Told {
        recipients: Vec<String>,
        action: String,
        report: QueueId,
    },
    /// What the sender asked for beyond delivery, or what came of it.
    Promise {
        /// `REQUIRETLS`, `TLS-Required: No`, `RRVS`, `SOLICIT`, `MTRK`
        promise: String,
        /// `asked`, `kept`, `failed`, or `dropped`: the next host does not know it.
        state: String,
        detail: String,
    },
    /// A report of somebody else came back: what became of the recipient after it was handed on.
    Returned {
        recipient: String,
        /// `failed`, `delayed`, `delivered`, …
        action: String,
        status: Option<String>,
        diagnostic: Option<String>,
        cause: Cause,
        /// The message that told it.
        report: QueueId,
    },
    /// The recipient had failed often enough to get no more mail from senders that heed the suppression list.
    Suppressed {
        recipient: String,
        until: Timestamp,
    },
}

/// A policy's word: which rule, what it looked at, what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub rule: String,
    /// Names and values.
    pub inputs: Vec<(String, String)>,
    pub outcome: String,
}

impl Value for Event {
    const NAME: &'static str = "ledger event";
    const VERSION: u8 = 3;

    /// Version 1 had one verdict an event, without inputs; until version 3 attempts were shorter, and operators gave no reason.
    /// All else was the same.
    fn decode_old(version: u8, octets: &[u8]) -> Result<Self, StoreError> {
        const VERDICT: u8 = 1;
        const ATTEMPT: u8 = 2;
        const OPERATOR: u8 = 7;
        let decoded = match (version, octets.split_first()) {
            (1, Some((&VERDICT, fields))) => postcard::from_bytes(fields).map(|(rule, outcome)| {
                Self::Verdicts { verdicts: vec![Verdict { rule, inputs: Vec::new(), outcome }] }
            }),
            (1 | 2, Some((&ATTEMPT, fields))) => {
                postcard::from_bytes::<OldAttempt>(fields).map(|old| Self::Attempt(Box::new(old.into())))
            }
            (1 | 2, Some((&OPERATOR, fields))) => postcard::from_bytes(fields)
                .map(|(action, recipients)| Self::Operator { action, recipients, reason: None }),
            (1 | 2, _) => postcard::from_bytes(octets),
            _ => return Err(unknown_version::<Self>(version)),
        };
        decoded.map_err(|error| StoreError::Value(format!("a {} cannot be read: {error}", Self::NAME)))
    }
}

impl Ledger {
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, sequence: Arc::default() }
    }

    pub fn append(&self, batch: &mut Batch, id: QueueId, at: Timestamp, event: &Event) {
        // Sets apart the events of one message in one millisecond, and keeps them in order.
        let [_, _, high, low] = self.sequence.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let key = KeyBuilder::new(LEDGER_EVENT).id(id).time(at).octet(high).octet(low);
        batch.put(key.octets(), event.encode());
    }

    /// Makes the message findable by this address (any case) or Message-ID (without angle brackets). The term should
    /// occur in one of the message's events, as it stands or as an address to be looked up: pruning finds it there.
    pub fn index(&self, batch: &mut Batch, id: QueueId, term: &str) {
        batch.put(index_key(id, term).octets(), Vec::new());
    }

    /// Every event of a message in order.
    pub async fn events(&self, id: QueueId) -> Result<Vec<(Timestamp, Event)>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(LEDGER_EVENT).id(id).octets());
        let found = self.engine.scan(range, Order::Ascending, EVENTS_MAX).await?;
        found
            .iter()
            .map(|(key, value)| {
                let mut reader = KeyReader::new(key)?;
                reader.id()?;
                Ok((reader.time()?, Event::decode(value)?))
            })
            .collect()
    }

    /// How the history of a message begins: as a rule with [`Event::Accepted`].
    pub async fn first(&self, id: QueueId) -> Result<Option<Event>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(LEDGER_EVENT).id(id).octets());
        let found = self.engine.scan(range, Order::Ascending, 1).await?;
        found.first().map(|(_, value)| Event::decode(value)).transpose()
    }

    /// The latest messages that a term was indexed for, newest first.
    pub async fn find(&self, term: &str, limit: usize) -> Result<Vec<QueueId>, StoreError> {
        let range = KeyRange::prefix(&KeyBuilder::new(LEDGER_INDEX).u64(hash(term)).octets());
        let found = self.engine.scan(range, Order::Descending, limit).await?;
        found
            .iter()
            .map(|(key, _)| {
                let mut reader = KeyReader::new(key)?;
                reader.u64()?;
                reader.id()
            })
            .collect()
    }

    /// Deletes the history of messages accepted before `before`, about `limit` keys in one batch; returns how many
    /// events went, 0 once there are no more.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, CommitError> {
        let range = KeyRange {
            start: KeyBuilder::new(LEDGER_EVENT).key(),
            end: KeyBuilder::new(LEDGER_EVENT).id(QueueId::new(before, 0)).key(),
        };
        let found = self.engine.scan(range, Order::Ascending, limit).await?;
        let mut doomed = BTreeSet::new();
        let mut events = 0;
        for (key, value) in found {
            if doomed.len() >= limit {
                break;
            }
            let id = KeyReader::new(&key)?.id()?;
            // A damaged or foreign event has no terms to tell, and goes all the same.
            let terms = Event::decode(&value).map(Event::into_terms).unwrap_or_default();
            doomed.extend(terms.iter().flat_map(|term| index_keys(id, term)));
            doomed.insert(key);
            events += 1;
        }
        if events > 0 {
            let mut batch = Batch::new();
            for key in doomed {
                batch.delete(key);
            }
            self.engine.commit(batch).await?;
        }
        Ok(events)
    }
}

impl Event {
    /// Everything in it that the message may be indexed by.
    fn into_terms(self) -> Vec<String> {
        match self {
            Self::Accepted { identity, reverse_path, mut recipients, message_id, .. } => {
                recipients.push(reverse_path);
                recipients.extend(identity);
                recipients.extend(message_id);
                recipients
            }
            Self::Delivered { recipient, .. }
            | Self::Returned { recipient, .. }
            | Self::Suppressed { recipient, .. } => vec![recipient],
            Self::Deferred { recipients, .. }
            | Self::Bounced { recipients, .. }
            | Self::Expired { recipients, .. }
            | Self::Told { recipients, .. }
            | Self::Operator { recipients, .. } => recipients,
            Self::Verdicts { .. } | Self::Attempt(_) | Self::ReportOn { .. } | Self::Promise { .. } => {
                Vec::new()
            }
        }
    }
}

fn index_key(id: QueueId, term: &str) -> KeyBuilder {
    KeyBuilder::new(LEDGER_INDEX).u64(hash(term)).id(id)
}

/// The keys of a term as it stands and as the address it may be.
fn index_keys(id: QueueId, term: &str) -> impl Iterator<Item = Key> {
    let address = term.parse::<Address>().ok().map(|address| index_key(id, &address.to_lookup()).key());
    std::iter::once(index_key(id, term).key()).chain(address)
}

/// Of the term in lower case. Stored: never to be changed.
fn hash(term: &str) -> u64 {
    if term.is_ascii() {
        let mut lower: SmallVec<[u8; 128]> = SmallVec::from_slice(term.as_bytes());
        lower.make_ascii_lowercase();
        xxh3_64(&lower)
    } else {
        xxh3_64(term.to_lowercase().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryEngine;

    fn ledger() -> (Ledger, Arc<dyn Engine>) {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        (Ledger::new(engine.clone()), engine)
    }

    fn accepted(recipient: &str) -> Event {
        Event::Accepted {
            service: "smtp".to_owned(),
            client_ip: Some("192.0.2.1".to_owned()),
            helo: None,
            tls: None,
            identity: None,
            reverse_path: "ann@example.org".to_owned(),
            recipients: vec![recipient.to_owned()],
            bytes: 100,
            message_id: Some("1@example.org".to_owned()),
        }
    }

    fn verdicts(rule: &str, inputs: &[(&str, &str)]) -> Event {
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let verdict = Verdict { rule: rule.to_owned(), inputs, outcome: "passed".to_owned() };
        Event::Verdicts { verdicts: vec![verdict] }
    }

    #[test]
    fn events_of_earlier_versions_are_read() {
        let old = postcard::to_extend(&("relay", "passed"), vec![1, 1]).unwrap();
        assert_eq!(Event::decode(&old).unwrap(), verdicts("relay", &[]));
        let other = accepted("bob@example.org");
        let mut old = other.encode();
        old[0] = 1;
        assert_eq!(Event::decode(&old).unwrap(), other);
        let old = ("mx:a.example", Some("a.example"), Some("192.0.2.1:25"), None::<&str>, 7_u64, "250 ok");
        let old = postcard::to_extend(&old, vec![2, 2]).unwrap();
        let Event::Attempt(attempt) = Event::decode(&old).unwrap() else { panic!("it was an attempt") };
        assert_eq!((attempt.host.as_deref(), attempt.duration_ms), (Some("a.example"), 7));
        assert_eq!((attempt.outcome.as_str(), attempt.timing), ("250 ok", Timing::default()));
        let mut old = postcard::to_extend(&("hold", ["bob@example.org"].as_slice()), vec![2, 7]).unwrap();
        let held = Event::Operator {
            action: "hold".to_owned(),
            recipients: vec!["bob@example.org".to_owned()],
            reason: None,
        };
        assert_eq!(Event::decode(&old).unwrap(), held);
        old[0] = 1;
        assert_eq!(Event::decode(&old).unwrap(), held);
        let judged = verdicts("relay", &[("client", "192.0.2.1")]);
        assert_eq!(Event::decode(&judged.encode()).unwrap(), judged);
        assert!(Event::decode(&[9, 0]).unwrap_err().to_string().contains("newer"));
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[tokio::test]
    async fn events_come_back_in_order() {
        let (ledger, engine) = ledger();
        let id = QueueId::new(at(1000), 1);
        let verdict = |number: u8| verdicts(&number.to_string(), &[]);
        let mut batch = Batch::new();
        ledger.append(&mut batch, id, at(2000), &verdict(3));
        ledger.append(&mut batch, id, at(1000), &verdict(1));
        ledger.append(&mut batch, id, at(1000), &verdict(2));
        ledger.append(&mut batch, QueueId::new(at(1000), 2), at(1000), &verdict(9));
        engine.commit(batch).await.unwrap();
        let expected = [(at(1000), verdict(1)), (at(1000), verdict(2)), (at(2000), verdict(3))];
        assert_eq!(ledger.events(id).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn messages_are_found_by_term_newest_first() {
        let (ledger, engine) = ledger();
        let ids: Vec<_> = (0..5).map(|number| QueueId::new(at(1000 + number), 0)).collect();
        let mut batch = Batch::new();
        for id in &ids {
            ledger.index(&mut batch, *id, "Bob@Example.org");
        }
        ledger.index(&mut batch, QueueId::new(at(9000), 0), "dörte@example.org");
        engine.commit(batch).await.unwrap();
        assert_eq!(ledger.find("bob@example.ORG", 2).await.unwrap(), [ids[4], ids[3]]);
        assert_eq!(ledger.find("DÖRTE@example.org", 2).await.unwrap().len(), 1);
        assert!(ledger.find("bob@example.net", 2).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn pruning_takes_events_and_terms_of_old_messages_in_bounded_steps() {
        let (ledger, engine) = ledger();
        for number in 0..20 {
            let (id, mut batch) = (QueueId::new(at(1000 + number), 0), Batch::new());
            ledger.append(&mut batch, id, at(5000), &accepted("bob@example.org"));
            for term in ["ann@example.org", "BOB@example.org", "1@example.org"] {
                ledger.index(&mut batch, id, term);
            }
            engine.commit(batch).await.unwrap();
        }
        let mut steps = 0;
        while ledger.prune(at(1015), 12).await.unwrap() > 0 {
            steps += 1;
        }
        assert_eq!(steps, 5, "each of the 15 takes its event and three terms");
        assert_eq!(ledger.find("bob@example.org", 100).await.unwrap().len(), 5);
        let all = KeyRange { start: KeyBuilder::new(0).key(), end: KeyBuilder::new(0xFF).key() };
        assert_eq!(engine.scan(all, Order::Ascending, 100).await.unwrap().len(), 20);
    }
}
