//! What became of an attempt: settled, to be tried again, or bounced — committed in one batch with its history.

pub(crate) mod deadline;
pub(crate) mod expanded;
mod fate;
mod given_back;
mod noted;
mod promises;
mod report;
mod returned;
mod schedule;
pub(crate) mod waiting;

use std::{sync::Arc, time::Duration};

use mail::{ByMode, Timestamp};
use store::{
    Batch, CommitError, StoreError,
    ledger::{self, Event},
    mailbox::is_over_quota,
    spool::{EntryStatus, QueueEntry, QueuedRecipient},
};

use crate::{Mta, accept, bounce, planted::Planted, route, suppression};
pub(crate) use fate::{Append, Attempt, Fate, Success, Trouble};
pub(crate) use given_back::give_back;
pub(crate) use noted::note;
use report::Reporter;
use schedule::next_due;
pub(crate) use schedule::{pickup_due, retry_delay};

/// Commits that met a change made by an operator are decided anew this often.
const CONFLICT_RETRIES_MAX: usize = 5;
/// An entry whose outcome cannot be committed is tried again after this.
const COMMIT_RETRY_DELAY: Duration = Duration::from_secs(30);
/// How often it is looked whether a full disk has room again.
const ROOM_WAIT: Duration = Duration::from_secs(1);

/// Commits the fates of an entry's recipients (in their order) and tells the scheduler. On a full disk it waits for room:
/// what a host has taken must not go to it again only because that could not be noted.
pub(crate) async fn settle(
    mta: &Arc<Mta>,
    entry: &Arc<QueueEntry>,
    mut fates: Vec<Fate>,
    attempt: Option<Attempt>,
) {
    if mta.has(Planted::NotesLate) {
        mta.world.clock.sleep_until(mta.world.clock.now() + Duration::from_secs(10)).await;
    }
    let mut current = entry.clone();
    let (mut conflicts, mut waited) = (0, false);
    while conflicts < CONFLICT_RETRIES_MAX {
        match try_settle(mta, &current, &fates, attempt.as_ref(), Batch::new(), Vec::new()).await {
            Ok(due_again) => return mta.dispatcher.finished(mta, &entry.lane, entry.id(), due_again),
            Err(Unsettled::Commit(CommitError::Full) | Unsettled::Store(StoreError::Full)) => {
                if !std::mem::replace(&mut waited, true) {
                    tracing::warn!(id = %entry.queue_id, "an outcome waits for room on the full disk");
                }
                if !wait_for_room(mta).await {
                    break;
                }
            }
            // Others filled the mailbox since it was asked.
            Err(Unsettled::Commit(error)) if put_off_over_quota(&mut fates, &error) => {}
            Err(Unsettled::Commit(CommitError::Conflict(_))) => {
                conflicts += 1;
                match mta.stores.spool.entry(entry.id()).await {
                    // An operator changed it under our hands: the fates hold, the operator's word on the rest too.
                    Ok(Some(changed)) if changed.recipients == entry.recipients => {
                        current = Arc::new(changed);
                    }
                    // A part was noted before the delivery broke off: what is left waits as it stands.
                    Ok(Some(left)) => return too_late(mta, entry, &fates, Some(left.due)).await,
                    _ => return too_late(mta, entry, &fates, None).await,
                }
            }
            // With its entry the body went that a report was to quote.
            Err(Unsettled::Store(_)) if matches!(mta.stores.spool.entry(entry.id()).await, Ok(None)) => {
                return too_late(mta, entry, &fates, None).await;
            }
            Err(error) => {
                tracing::error!(id = %entry.queue_id, %error, "an outcome cannot be committed; trying again");
                break;
            }
        }
    }
    let again_at = mta.world.clock.wall().plus(COMMIT_RETRY_DELAY);
    mta.dispatcher.finished(mta, &entry.lane, entry.id(), Some(again_at));
}

/// The deliveries that failed because the account would exceed its quota; false if that is not why.
fn put_off_over_quota(fates: &mut [Fate], error: &CommitError) -> bool {
    let mut found = false;
    for fate in fates {
        if let Fate::Delivered { append: Some(append), .. } = fate
            && is_over_quota(error, append.mailbox.account())
        {
            *fate = Fate::Deferred(Trouble::mailbox_full());
            found = true;
        }
    }
    found
}

/// As [`settle`] in one try, together with what is in the batch already, and the entries that it adds. After a conflict the
/// entry comes back at once, to be decided anew.
pub(crate) async fn settle_with(
    mta: &Arc<Mta>,
    entry: &Arc<QueueEntry>,
    fates: &[Fate],
    batch: Batch,
    entries: Vec<QueueEntry>,
) {
    let now = mta.world.clock.wall();
    let due_again = match try_settle(mta, entry, fates, None, batch, entries).await {
        Ok(due_again) => due_again,
        Err(Unsettled::Commit(CommitError::Conflict(_))) => Some(now),
        Err(error) => {
            tracing::error!(id = %entry.queue_id, %error, "an outcome cannot be committed; trying again");
            Some(now.plus(COMMIT_RETRY_DELAY))
        }
    };
    mta.dispatcher.finished(mta, &entry.lane, entry.id(), due_again);
}

/// [`Planted::DeliversInTwoBatches`]
async fn append_alone(mta: &Mta, fates: &[Fate]) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    for fate in fates {
        if let Fate::Delivered { append: Some(append), .. } = fate {
            append.stage(&mta.stores.mailboxes, &mut batch);
        }
    }
    mta.stores.engine.commit(batch).await.map(drop)
}

/// False if the server stops first.
async fn wait_for_room(mta: &Mta) -> bool {
    let mut shutdown = mta.shutdown.clone();
    tokio::select! {
        biased;
        () = mta.world.clock.sleep_until(mta.world.clock.now() + ROOM_WAIT) => true,
        () = shutdown.given() => false,
    }
}

#[derive(Debug, thiserror::Error)]
enum Unsettled {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One try, together with what the batch holds already; returns when the entry is due again, if it stays.
async fn try_settle(
    mta: &Arc<Mta>,
    entry: &QueueEntry,
    fates: &[Fate],
    attempt: Option<&Attempt>,
    mut batch: Batch,
    mut entries: Vec<QueueEntry>,
) -> Result<Option<Timestamp>, Unsettled> {
    let config = mta.config();
    let now = mta.wall();
    record_attempt(mta, &mut batch, entry, now, attempt);
    if mta.has(Planted::DeliversInTwoBatches) {
        append_alone(mta, fates).await?;
    }
    record_deliveries(mta, &mut batch, entry, fates, now);
    promises::record(mta, &mut batch, entry, fates, attempt, now);
    if entry.reverse_path.is_null() && entry.attempts == 0 {
        bounce::note(mta, &mut batch, entry, now).await?;
    }
    let missed = entry.missed_deadline(now);
    let end = if missed == Some(ByMode::Return) {
        Some(End::Late)
    } else {
        let age = mta.clock_jumps.age(entry.release_at, now);
        let is_over = age >= config.lifetime(&entry.reverse_path);
        (is_over && !mta.has(Planted::NeverExpires)).then_some(End::Expired)
    };
    let (lost, kept) = lost_and_kept(entry, fates, end.is_some());
    let mut reporter = Reporter { mta, config: &config, entry, now, entries: Vec::new() };
    reporter.tell_successes(&mut batch, fates).await?;
    suppression::count_refusals(mta, &mut batch, entry, &lost, now).await?;
    if !lost.is_empty() {
        reporter.tell_failures(&mut batch, &lost, end).await?;
        if mta.has(Planted::BouncesTwice) {
            mta.stores.engine.commit(std::mem::take(&mut batch)).await?;
        }
    }
    let forgets = mta.has(Planted::DropsTheDeferred) && kept.len() < fates.len();
    let due_again = if kept.is_empty() || forgets {
        mta.stores.spool.remove(&mut batch, entry);
        if mta.has(Planted::KeepsBodies) {
            batch.references(entry.blob, 1);
        }
        None
    } else {
        if missed.is_some() || is_delayed(mta, entry, &config, now) {
            reporter.tell_delay(&mut batch, &kept).await?;
        }
        let due = next_due(mta, &config, entry, &kept, now);
        // Whoever waits to be fetched was not tried.
        let tried = attempt.is_some() || !route::is_pickup(&entry.lane);
        defer(mta, &config, &mut batch, entry, &kept, (now, due, tried));
        Some(due)
    };
    entries.append(&mut reporter.entries);
    mta.stores.engine.commit(batch).await?;
    accept::hand_over(mta, entries);
    Ok(due_again.filter(|_| entry.status == EntryStatus::Waiting))
}

/// Why recipients that could be tried again are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Expired,
    /// RFC 2852: its sender wants it back.
    Late,
}

/// The sender is to be told of the delay, and was not yet.
fn is_delayed(mta: &Mta, entry: &QueueEntry, config: &crate::Config, now: Timestamp) -> bool {
    !entry.delay_told && mta.clock_jumps.age(entry.release_at, now) >= config.delay_notice_after
}

/// Recipients that failed for good (with what went wrong), and those to try again.
type LostAndKept<'a> = (Vec<(&'a QueuedRecipient, &'a Trouble)>, Vec<(&'a QueuedRecipient, &'a Trouble)>);

fn lost_and_kept<'a>(entry: &'a QueueEntry, fates: &'a [Fate], is_over: bool) -> LostAndKept<'a> {
    let troubled = entry.recipients.iter().zip(fates).filter_map(|(recipient, fate)| match fate {
        Fate::Delivered { .. } => None,
        Fate::Failed(trouble) => Some((recipient, trouble, true)),
        Fate::Deferred(trouble) => Some((recipient, trouble, is_over)),
    });
    let (mut lost, mut kept) = (Vec::new(), Vec::new());
    for (recipient, trouble, is_lost) in troubled {
        if is_lost { lost.push((recipient, trouble)) } else { kept.push((recipient, trouble)) }
    }
    (lost, kept)
}

fn record_attempt(
    mta: &Mta,
    batch: &mut Batch,
    entry: &QueueEntry,
    now: Timestamp,
    attempt: Option<&Attempt>,
) {
    if let Some(attempt) = attempt {
        let told = ledger::Attempt { lane: entry.lane.0.to_string(), ..attempt.told.clone() };
        let event = Event::Attempt(Box::new(told));
        mta.stores.ledger.append(batch, entry.queue_id, now, &event);
    }
}

fn record_deliveries(mta: &Mta, batch: &mut Batch, entry: &QueueEntry, fates: &[Fate], now: Timestamp) {
    for (recipient, fate) in entry.recipients.iter().zip(fates) {
        if let Fate::Delivered { to, reply, append, .. } = fate {
            if let Some(append) = append.as_ref().filter(|_| !mta.has(Planted::DeliversInTwoBatches)) {
                append.stage(&mta.stores.mailboxes, batch);
            }
            let recipient = recipient.address.to_string();
            let event = Event::Delivered { recipient, to: to.clone(), reply: reply.clone() };
            mta.stores.ledger.append(batch, entry.queue_id, now, &event);
        }
    }
}

/// Puts the entry back with the recipients that remain.
fn defer(
    mta: &Mta,
    config: &crate::Config,
    batch: &mut Batch,
    entry: &QueueEntry,
    kept: &[(&QueuedRecipient, &Trouble)],
    (now, due, tried): (Timestamp, Timestamp, bool),
) {
    let attempts = entry.attempts.saturating_add(u32::from(tried));
    let reason = kept.first().map(|(_, trouble)| trouble.reason.clone()).unwrap_or_default();
    let changed = QueueEntry {
        recipients: kept.iter().map(|(recipient, _)| (*recipient).clone()).collect(),
        due,
        attempts,
        last_error: Some(reason.clone()),
        delay_told: entry.delay_told
            || is_delayed(mta, entry, config, now)
            || entry.missed_deadline(now).is_some(),
        deadline: deadline::passed(entry, now),
        ..entry.clone()
    };
    mta.stores.spool.replace(batch, entry, &changed);
    let recipients = changed.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let event = Event::Deferred { recipients, reason, until: due };
    mta.stores.ledger.append(batch, entry.queue_id, now, &event);
}

/// The entry went away while it was being delivered, or is another now, due then: what did happen belongs into its history.
async fn too_late(mta: &Arc<Mta>, entry: &QueueEntry, fates: &[Fate], due: Option<Timestamp>) {
    let now = mta.world.clock.wall();
    let happened = entry.recipients.iter().zip(fates).filter_map(|(recipient, fate)| match fate {
        // Without its entry a final delivery was not committed, so it did not happen.
        Fate::Delivered { to, reply, append: None, .. } => Some(Event::Delivered {
            recipient: recipient.address.to_string(),
            to: to.clone(),
            reply: reply.clone(),
        }),
        _ => None,
    });
    let happened: Vec<_> = happened.collect();
    loop {
        let mut batch = Batch::new();
        for event in &happened {
            mta.stores.ledger.append(&mut batch, entry.queue_id, now, event);
        }
        match mta.stores.engine.commit(batch).await {
            Err(CommitError::Full) if wait_for_room(mta).await => {}
            Ok(_) => break,
            Err(error) => {
                tracing::error!(id = %entry.queue_id, %error, "a delivery is missing from the history");
                break;
            }
        }
    }
    mta.dispatcher.finished(mta, &entry.lane, entry.id(), due);
}

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod deadline_tests;
#[cfg(test)]
mod report_tests;
#[cfg(test)]
mod waiting_tests;
