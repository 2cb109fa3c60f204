//! Queue entries: looked at and changed a page at a time, so that a queue of any length costs bounded memory.

use std::sync::Arc;

use mail::{ByMode, Timestamp};
use mta::{
    Mta,
    queue::{Operation, OperationError},
};
use store::{
    StoreError, Stores,
    spool::{EntryId, EntryStatus, QueueEntry},
};

use super::{
    Admin,
    protocol::{Cursor, EntryView, QUEUE_PAGE_ENTRIES_MAX, QueueAction, QueuePage},
    selector::{Selector, Status},
    sites,
};

/// Who carries out changes: the server that runs on these stores, or nobody if none does.
#[derive(Clone, Debug)]
pub enum QueueHand {
    Running(Arc<Mta>),
    Offline,
}

/// Looks at one page after `after` and does to its matching entries what `action` says.
pub async fn execute(
    admin: &Admin,
    action: QueueAction,
    selector: &Selector,
    dry_run: bool,
    after: Option<Cursor>,
) -> Result<QueuePage, OperationError> {
    let (entries, next) = page(&admin.stores, selector, after).await?;
    let now = admin.world.clock.wall();
    let mut page = QueuePage { next, ..QueuePage::default() };
    for entry in entries.iter().filter(|entry| selector.matches(entry, now)) {
        match operation(action) {
            None => page.entries.push(view(admin, entry, now)),
            Some(Operation::Delete) if !selector.covers(entry) => {
                page.shared += 1;
                continue;
            }
            Some(operation) if dry_run && !applies(operation, entry, now) => continue,
            Some(_) if dry_run => {}
            Some(operation) if admin.operate(entry.id(), operation).await?.is_none() => continue,
            Some(_) => {}
        }
        page.count += 1;
    }
    Ok(page)
}

/// Entries to look at: those of the IDs if the selector names some, else the next in order.
async fn page(
    stores: &Stores,
    selector: &Selector,
    after: Option<Cursor>,
) -> Result<(Vec<QueueEntry>, Option<Cursor>), StoreError> {
    if !selector.ids.is_empty() {
        let mut entries = Vec::new();
        for id in &selector.ids {
            entries.extend(stores.spool.entries_of(*id).await?);
        }
        return Ok((entries, None));
    }
    let after = after.map(|cursor| EntryId { queue_id: cursor.id, part: cursor.part });
    let entries = stores.spool.list(after, QUEUE_PAGE_ENTRIES_MAX).await?;
    let full = entries.len() >= QUEUE_PAGE_ENTRIES_MAX;
    let last = entries.last().filter(|_| full).map(|entry| Cursor { id: entry.queue_id, part: entry.part });
    Ok((entries, last))
}

fn operation(action: QueueAction) -> Option<Operation> {
    match action {
        QueueAction::List => None,
        QueueAction::Retry => Some(Operation::Retry),
        QueueAction::Hold => Some(Operation::Hold),
        QueueAction::Release => Some(Operation::Release),
        QueueAction::Delete => Some(Operation::Delete),
    }
}

/// Held entries can be released, waiting ones held or tried; both can be deleted.
fn applies(operation: Operation, entry: &QueueEntry, now: Timestamp) -> bool {
    match operation {
        Operation::Delete => true,
        Operation::Hold => entry.status == EntryStatus::Waiting,
        Operation::Retry | Operation::Etrn => Status::of(entry, now) == Status::Waiting,
        Operation::Release => Status::of(entry, now) == Status::Held,
    }
}

pub fn view(admin: &Admin, entry: &QueueEntry, now: Timestamp) -> EntryView {
    let held = Status::of(entry, now) == Status::Held;
    let site = sites::wait(admin, entry).filter(|_| !held);
    let next_probe_at = site.as_ref().and_then(|site| site.next_probe_at);
    let fetched = mta::route::pickup_domain(&entry.lane).filter(|_| !held);
    let if_late = entry.mail.deliver_by.map(|by| match by.mode {
        ByMode::Return => "returned".to_owned(),
        ByMode::Notify => "told".to_owned(),
    });
    EntryView {
        id: entry.queue_id.to_string(),
        part: entry.part,
        status: match Status::of(entry, now) {
            Status::Waiting => "waiting".to_owned(),
            Status::Held => "held".to_owned(),
        },
        sender: entry.reverse_path.to_string(),
        recipients: entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect(),
        bytes: entry.blob_bytes,
        lane: entry.lane.0.to_string(),
        attempts: entry.attempts,
        accepted_at: entry.accepted_at.rfc3339(),
        next_attempt_at: (!held && fetched.is_none())
            .then(|| entry.due.max(next_probe_at.unwrap_or(entry.due)).rfc3339()),
        waits_for: fetched.map(|domain| format!("ATRN from {domain}")),
        waits_for_site: site.map(|site| site.words),
        held_until: entry.is_ahead_of_time(now).then(|| entry.release_at.rfc3339()),
        deliver_by: entry.deadline.map(|deadline| deadline.at.rfc3339()),
        if_late,
        priority: entry.priority().level(),
        last_error: entry.last_error.clone(),
    }
}

impl Admin {
    async fn operate(&self, id: EntryId, operation: Operation) -> Result<Option<QueueEntry>, OperationError> {
        match &self.queue {
            QueueHand::Running(mta) => mta.operate(id, operation).await,
            QueueHand::Offline => {
                mta::queue::operate(&self.stores, self.world.clock.wall(), id, operation).await
            }
        }
    }
}
