//! Taking responsibility: a message with its envelope becomes queue entries, history and body in one batch.

use std::{collections::BTreeMap, sync::Arc};

use mail::{Address, ByMode, MailParameters, QueueId, RcptParameters, ReversePath, Timestamp};
use store::{
    Batch, CommitError, PendingBlob, StoreError,
    ledger::{Event, Verdict},
    mailbox::AccountId,
    spool::{Deadline, EntryStatus, LaneId, QueueEntry, QueuedRecipient},
};

use crate::{
    Config, Mta, forward, outcome, promise,
    route::{self, Way},
    scheduler::Item,
};

/// A message that is about to be accepted.
#[derive(Debug)]
pub struct Acceptance {
    pub queue_id: QueueId,
    pub at: Timestamp,
    pub reverse_path: ReversePath,
    pub mail: MailParameters,
    pub recipients: Vec<AcceptedRecipient>,
    pub body: PendingBlob,
    pub origin: Origin,
}

/// A recipient that RCPT accepted and where it leads.
#[derive(Clone, Debug)]
pub struct AcceptedRecipient {
    /// As RCPT said it.
    pub original: Address,
    pub rcpt: RcptParameters,
    pub ways: Vec<Way>,
    /// Under which the message goes on where an alias leads abroad; none: its own.
    forward_sender: Option<Address>,
}

impl AcceptedRecipient {
    pub fn new(original: Address, rcpt: RcptParameters, ways: Vec<Way>) -> Self {
        Self { original, rcpt, ways, forward_sender: None }
    }
}

/// How the message came, for its history.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub service: &'static str,
    pub client_ip: Option<String>,
    pub helo: Option<String>,
    pub tls: Option<String>,
    pub identity: Option<String>,
    /// The account of that name, whose Outbox shows the message.
    pub submitter: Option<AccountId>,
    pub message_id: Option<String>,
    /// What policy said.
    pub verdicts: Vec<Verdict>,
}

/// Commits the message and hands its entries to the scheduler. Once this returns, it is on stable storage.
pub async fn accept(mta: &Arc<Mta>, mut acceptance: Acceptance) -> Result<(), CommitError> {
    choose_senders(mta, &mut acceptance).await?;
    let mut batch = Batch::new();
    let mut entries = outcome::expanded::tell(mta, &mut batch, &mut acceptance).await?;
    entries.extend(add_to_batch(mta, &mut batch, acceptance));
    mta.stores.engine.commit(batch).await?;
    hand_over(mta, entries);
    Ok(())
}

async fn choose_senders(mta: &Mta, acceptance: &mut Acceptance) -> Result<(), StoreError> {
    let (config, directory, at) = (mta.config(), &mta.stores.directory, acceptance.at);
    for recipient in &mut acceptance.recipients {
        if recipient.ways.iter().any(|way| way.forwarded) {
            let forwarder = &recipient.original;
            recipient.forward_sender =
                forward::sender(directory, &config, &acceptance.reverse_path, forwarder, at).await?;
        }
    }
    Ok(())
}

/// Adds everything that accepting means to a batch; after its commit [`hand_over`] the entries.
pub(crate) fn add_to_batch(mta: &Mta, batch: &mut Batch, mut acceptance: Acceptance) -> Vec<QueueEntry> {
    let stores = &mta.stores;
    let (id, at) = (acceptance.queue_id, acceptance.at);
    let event = accepted_event(&acceptance);
    stores.ledger.append(batch, id, at, &event);
    let mut verdicts = std::mem::take(&mut acceptance.origin.verdicts);
    verdicts.extend(promised(&acceptance));
    if !verdicts.is_empty() {
        stores.ledger.append(batch, id, at, &Event::Verdicts { verdicts });
    }
    for asked in promise::asked(&acceptance.mail, &acceptance.recipients) {
        stores.ledger.append(batch, id, at, &asked);
    }
    if let Event::Accepted { reverse_path, recipients, message_id, .. } = &event {
        let terms =
            recipients.iter().chain(message_id).chain((!reverse_path.is_empty()).then_some(reverse_path));
        terms.for_each(|term| stores.ledger.index(batch, id, term));
    }
    let entries = entries(&mta.config(), &acceptance);
    batch.blob(acceptance.body);
    for entry in &entries {
        stores.spool.add(batch, entry);
    }
    entries
}

/// Gives committed entries to the scheduler, in memory; those that are due later by their time.
pub(crate) fn hand_over(mta: &Arc<Mta>, entries: Vec<QueueEntry>) {
    let (config, now) = (mta.config(), mta.world.clock.wall());
    for entry in entries {
        if entry.status != EntryStatus::Waiting {
            continue;
        }
        let lane = entry.lane.clone();
        if let outcome::waiting::Turn::At(Some(at)) = outcome::waiting::Turn::of(mta, &entry, &config, now) {
            mta.dispatcher.tell_at(mta, &lane, at);
        }
        if entry.due > now {
            mta.dispatcher.deferred(mta, &lane, entry.due);
        } else {
            let item = Item { id: entry.id(), priority: entry.priority(), entry: Some(Arc::new(entry)) };
            mta.dispatcher.added(mta, &lane, item);
        }
    }
}

fn accepted_event(acceptance: &Acceptance) -> Event {
    let origin = &acceptance.origin;
    Event::Accepted {
        service: origin.service.to_owned(),
        client_ip: origin.client_ip.clone(),
        helo: origin.helo.clone(),
        tls: origin.tls.clone(),
        identity: origin.identity.clone(),
        reverse_path: acceptance.reverse_path.to_string(),
        recipients: acceptance.recipients.iter().map(|recipient| recipient.original.to_string()).collect(),
        bytes: acceptance.body.bytes,
        message_id: origin.message_id.clone(),
    }
}

/// What was promised about when the message goes, for its history.
fn promised(acceptance: &Acceptance) -> impl Iterator<Item = Verdict> {
    let MailParameters { hold, deliver_by, .. } = acceptance.mail;
    let deliver_by = deliver_by.map(|by| {
        let or_else = match by.mode {
            ByMode::Return => "it goes back",
            ByMode::Notify => "its sender is told",
        };
        Verdict {
            rule: "deliver_by".to_owned(),
            inputs: vec![("BY".to_owned(), by.to_string())],
            outcome: format!("to be delivered by {}, or {or_else}", by.deadline(acceptance.at)),
        }
    });
    let hold = hold.map(|hold| Verdict {
        rule: "release".to_owned(),
        inputs: vec![("MAIL".to_owned(), hold.to_string())],
        outcome: format!("held until {}", hold.release_at(acceptance.at)),
    });
    deliver_by.into_iter().chain(hold)
}

/// What recipients have in common who share an entry: lane, whether it is held, and the reverse-path as written.
type Together = (LaneId, bool, String);

/// Recipients that travel together share an entry; each address is delivered to once.
fn entries(config: &Config, acceptance: &Acceptance) -> Vec<QueueEntry> {
    let mut groups: BTreeMap<Together, (ReversePath, Vec<QueuedRecipient>)> = BTreeMap::new();
    let mut seen = std::collections::HashSet::new();
    for recipient in &acceptance.recipients {
        for way in &recipient.ways {
            // RFC 5321 §4.5.3.1.10 lets a recipient stand twice; two copies would help nobody.
            if seen.insert(way.address.to_lookup()) {
                let sender = recipient.forward_sender.clone().filter(|_| way.forwarded);
                let reverse_path =
                    sender.map_or_else(|| acceptance.reverse_path.clone(), ReversePath::Address);
                let together = (way.lane.clone(), way.held, reverse_path.to_string());
                let group = groups.entry(together).or_insert((reverse_path, Vec::new()));
                group.1.push(QueuedRecipient {
                    address: way.address.clone(),
                    original: (recipient.original != way.address).then(|| recipient.original.clone()),
                    rcpt: recipient.rcpt.clone(),
                });
            }
        }
    }
    let MailParameters { hold, deliver_by, .. } = acceptance.mail;
    // RFC 4865 §4
    let release_at = hold.map_or(acceptance.at, |hold| hold.release_at(acceptance.at));
    // RFC 2852 §4: of a time that was over when the message came its sender has been told.
    let deadline = deliver_by.map(|by| Deadline { at: by.deadline(acceptance.at), told: by.seconds <= 0 });
    let parts = groups.into_iter().flat_map(|((lane, held, _), (reverse_path, recipients))| {
        let status = if held { EntryStatus::Held } else { EntryStatus::Waiting };
        let chunks: Vec<_> = recipients.chunks(route::recipients_max(&lane)).map(<[_]>::to_vec).collect();
        chunks.into_iter().map(move |chunk| (lane.clone(), status, reverse_path.clone(), chunk))
    });
    parts
        .enumerate()
        .map(|(part, (lane, status, reverse_path, recipients))| QueueEntry {
            queue_id: acceptance.queue_id,
            part: u16::try_from(part).unwrap_or(u16::MAX),
            due: first_due(config, &lane, &reverse_path, release_at, deadline),
            lane,
            reverse_path,
            mail: acceptance.mail.clone(),
            recipients,
            blob: acceptance.body.id,
            blob_bytes: acceptance.body.bytes,
            accepted_at: acceptance.at,
            attempts: 0,
            status,
            last_error: None,
            delay_told: false,
            release_at,
            deadline,
            rerouted: false,
            submitter: acceptance.origin.submitter,
        })
        .collect()
}

/// On release; what is fetched from here only when there is something to tell its sender.
fn first_due(
    config: &Config,
    lane: &LaneId,
    reverse_path: &ReversePath,
    release_at: Timestamp,
    deadline: Option<Deadline>,
) -> Timestamp {
    if route::is_pickup(lane) {
        outcome::pickup_due(config, reverse_path, release_at, deadline, release_at)
    } else {
        release_at
    }
}
