//! Reports that come in: tied to the message that they are about, and noted in its history.
//!
//! Nobody signs a report. One is believed if it came to a return address that names the message ([`mail::verp`]), or if
//! it knows the Message-ID of a message of whom it came to; and of recipients that the message had. What is not believed
//! is mail like other mail, and changes nothing.

use std::sync::Arc;

use mail::{
    Address, QueueId, ReversePath, Timestamp,
    report::{
        Action,
        read::{self, Bounce, Outcome, READ_BYTES_MAX},
    },
    srs, verp,
};
use store::{
    Batch, StoreError,
    directory::{Resolution, Target},
    ledger::Event,
    spool::QueueEntry,
    suppressions::Source,
};

use crate::{
    Mta, notice,
    suppression::{self, Failure},
};

/// Messages of one Message-ID that are looked at.
const CANDIDATES_MAX: usize = 5;

/// The sender under which a message of ours goes abroad: with `[reports] verp` one that names the message, if that leads
/// back to whoever sent it.
pub(crate) async fn return_path(mta: &Mta, entry: &QueueEntry) -> Result<ReversePath, StoreError> {
    let sender =
        entry.reverse_path.address().filter(|sender| mta.config().verp && !srs::is_rewritten(sender));
    if let Some(sender) = sender
        && let Some(seal) = mta.stores.directory.seal().await?
        && let Some(named) = verp::address(&seal, sender, entry.queue_id)
        && let Resolution::Targets(targets) = mta.stores.directory.resolve(&named).await?
        && !targets.iter().any(|target| matches!(target, Target::List(_)))
    {
        return Ok(ReversePath::Address(named));
    }
    Ok(entry.reverse_path.clone())
}

/// A message that a report may be about.
struct Original {
    id: QueueId,
    events: Vec<(Timestamp, Event)>,
    sender: String,
    recipients: Vec<String>,
    /// The report came to an address that only this message's recipients know.
    named: bool,
}

/// Adds to the histories what an entry tells if it is a report of somebody else; each report is noted once.
pub(crate) async fn note(
    mta: &Arc<Mta>,
    batch: &mut Batch,
    entry: &QueueEntry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(Event::Accepted { service, .. }) = mta.stores.ledger.first(entry.queue_id).await? else {
        return Ok(());
    };
    if [notice::REPORT, notice::DEAD_LETTER, "list"].contains(&service.as_str()) {
        return Ok(());
    }
    let beginning = mta.stores.engine.blob_read(entry.blob, 0..READ_BYTES_MAX).await?;
    let Some(bounce) = read::read(&beginning) else { return Ok(()) };
    let Some(original) = find(mta, entry, &bounce, now).await? else { return Ok(()) };
    let mut noted = Vec::new();
    for outcome in &bounce.recipients {
        let Some(recipient) = original.recipient_of(outcome) else { continue };
        let is_known = original.knows(&recipient, outcome.action) || noted.contains(&recipient);
        if is_known {
            continue;
        }
        let classified = outcome.classified();
        let event = Event::Returned {
            recipient: recipient.clone(),
            action: outcome.action.word().to_owned(),
            status: outcome.status.map(|status| status.to_string()),
            diagnostic: outcome.diagnostic.clone(),
            cause: classified.cause,
            report: entry.queue_id,
        };
        mta.stores.ledger.append(batch, original.id, now, &event);
        if original.is_proven() && outcome.action == Action::Failed {
            let failure = Failure {
                cause: classified.cause,
                source: Source::Report,
                detail: outcome.diagnostic.as_deref(),
                message: original.id,
            };
            if let (Ok(sender), Ok(failed)) = (original.sender.parse(), recipient.parse()) {
                suppression::count(mta, batch, &sender, &failed, &failure, now).await?;
            }
        }
        noted.push(recipient);
    }
    if !noted.is_empty() {
        mta.stores.ledger.append(batch, entry.queue_id, now, &Event::ReportOn { original: original.id });
    }
    Ok(())
}

async fn find(
    mta: &Mta,
    entry: &QueueEntry,
    bounce: &Bounce,
    now: Timestamp,
) -> Result<Option<Original>, StoreError> {
    if let Some(seal) = mta.stores.directory.seal().await? {
        for recipient in &entry.recipients {
            let came_to = recipient.original.as_ref().unwrap_or(&recipient.address);
            if let Ok(named) = verp::read(&seal, came_to, now)
                && let Some(original) = read_original(mta, named.id, true).await?
                && is_same(&original.sender, &named.sender)
            {
                return Ok(Some(original));
            }
        }
    }
    let Some(message_id) = &bounce.message_id else { return Ok(None) };
    for id in mta.stores.ledger.find(message_id, CANDIDATES_MAX).await? {
        let Some(original) = read_original(mta, id, false).await? else { continue };
        // To whom a sender that we rewrote stands for, it came by two addresses.
        let came_to = entry
            .recipients
            .iter()
            .flat_map(|recipient| std::iter::once(&recipient.address).chain(recipient.original.as_ref()));
        let is_whose = came_to.into_iter().any(|address| is_same(&original.sender, address));
        if is_whose && bounce.recipients.iter().any(|outcome| original.recipient_of(outcome).is_some()) {
            return Ok(Some(original));
        }
    }
    Ok(None)
}

async fn read_original(mta: &Mta, id: QueueId, named: bool) -> Result<Option<Original>, StoreError> {
    let events = mta.stores.ledger.events(id).await?;
    let accepted = events.iter().find_map(|(_, event)| match event {
        Event::Accepted { reverse_path, recipients, .. } => Some((reverse_path.clone(), recipients.clone())),
        _ => None,
    });
    let Some((sender, mut recipients)) = accepted else { return Ok(None) };
    // Whom an alias led to.
    recipients.extend(events.iter().filter_map(|(_, event)| match event {
        Event::Delivered { recipient, .. } => Some(recipient.clone()),
        _ => None,
    }));
    Ok(Some(Original { id, events, sender, recipients, named }))
}

impl Original {
    /// Whom of the message's recipients a report tells of.
    fn recipient_of(&self, outcome: &Outcome) -> Option<String> {
        let told = [&outcome.original, &outcome.recipient];
        let mut told = told.into_iter().filter_map(Option::as_ref);
        let known = told.find_map(|told| self.recipients.iter().find(|known| is_same(known, told)).cloned());
        known.or_else(|| self.only_recipient().filter(|_| self.named))
    }

    /// A report that calls it by another name (it was forwarded there) can be about nobody else.
    fn only_recipient(&self) -> Option<String> {
        let first = self.recipients.first()?;
        let is_only = self.recipients.iter().all(|other| other.eq_ignore_ascii_case(first));
        is_only.then(|| first.clone())
    }

    /// That was told before.
    fn knows(&self, recipient: &str, action: Action) -> bool {
        self.events.iter().any(|(_, event)| {
            matches!(event, Event::Returned { recipient: told, action: word, .. }
                if told == recipient && word == action.word())
        })
    }

    /// One recipient must not have another suppressed: of several each knows the Message-ID, and a return address that
    /// names the message.
    fn is_proven(&self) -> bool {
        self.only_recipient().is_some()
    }
}

fn is_same(written: &str, address: &Address) -> bool {
    written.parse::<Address>().is_ok_and(|written| written.to_lookup() == address.to_lookup())
}
