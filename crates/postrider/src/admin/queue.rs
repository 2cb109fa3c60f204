//! Queue entries: looked at and changed a page at a time, so that a queue of any length costs bounded memory.

use std::sync::Arc;

use futures_util::future::join_all;
use mail::{ByMode, Timestamp, text};
use mta::{
    Mta,
    queue::{self, Done, Operation, OperationError, Order},
};
use store::{
    Key, StoreError, Stores,
    spool::{LaneId, QueueEntry},
};

use super::{
    Admin, explain,
    protocol::{
        Cursor, EntryDetails, EntryView, QUEUE_PAGE_ENTRIES_MAX, QueueAction, QueuePage, QueueRequest,
    },
    selector::{Matcher, Selector, Status},
    sites,
};

/// Entries that are changed at once, so that they share the store's syncs.
const AT_ONCE: usize = 64;
/// Entries that a dry run shows of a page.
const SAMPLE_ENTRIES: usize = 10;
/// With header sections.
const SHOW_PAGE_ENTRIES_MAX: usize = 50;
const HEADER_BYTES_MAX: u64 = 64 * 1024;
const REASON_BYTES_MAX: usize = 500;

/// Who carries out changes: the server that runs on these stores, or nobody if none does.
#[derive(Clone, Debug)]
pub enum QueueHand {
    Running(Arc<Mta>),
    Offline,
}

/// Why a page could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueFailure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Operation(#[from] OperationError),
    #[error("{0}")]
    Refused(&'static str),
}

/// Looks at one page and does to its matching entries what the request says.
pub async fn execute(admin: &Admin, request: &QueueRequest) -> Result<QueuePage, QueueFailure> {
    let order = order(request)?;
    let now = admin.world.clock.wall();
    let matcher = request.selector.at(now);
    let (mut entries, next) = page(&admin.stores, request, &matcher).await?;
    entries.retain(|entry| matcher.matches(entry));
    let mut page = QueuePage { next, ..QueuePage::default() };
    let Some(order) = order else {
        page.count = entries.len() as u64;
        page.entries = views(admin, request.action, &entries, now).await?;
        return Ok(page);
    };
    if takes_all_recipients(&order.operation) {
        let before = entries.len();
        entries.retain(|entry| matcher.covers(entry));
        page.shared = (before - entries.len()) as u64;
    }
    if request.dry_run {
        entries.retain(|entry| queue::applies(entry, now, &order.operation));
        page.count = entries.len() as u64;
        page.entries = entries.iter().take(SAMPLE_ENTRIES).map(|entry| view(admin, entry, now)).collect();
        return Ok(page);
    }
    carry_out(&admin.hand()?, &entries, &order, &mut page).await?;
    Ok(page)
}

async fn carry_out(
    mta: &Arc<Mta>,
    entries: &[QueueEntry],
    order: &Order,
    page: &mut QueuePage,
) -> Result<(), OperationError> {
    for some in entries.chunks(AT_ONCE) {
        let done = join_all(some.iter().map(|entry| mta.operate(entry.id(), order))).await;
        for (entry, done) in some.iter().zip(done) {
            match done? {
                Done::Changed { told, .. } => {
                    page.count += 1;
                    page.untold += u64::from(order.operation == Operation::Bounce && !told);
                }
                Done::Unchanged => {}
                Done::Busy => page.busy.push(entry.queue_id),
            }
        }
    }
    Ok(())
}

/// Entries to look at: those of the IDs if the selector names some, else the next on the shortest way.
async fn page(
    stores: &Stores,
    request: &QueueRequest,
    matcher: &Matcher<'_>,
) -> Result<(Vec<QueueEntry>, Option<Cursor>), QueueFailure> {
    let Selector { ids, .. } = &request.selector;
    if !ids.is_empty() {
        let mut entries = Vec::new();
        for id in ids {
            entries.extend(stores.spool.entries_of(*id).await?);
        }
        return Ok((entries, None));
    }
    let most =
        if request.action == QueueAction::Show { SHOW_PAGE_ENTRIES_MAX } else { QUEUE_PAGE_ENTRIES_MAX };
    let limit = request.limit.unwrap_or(most).clamp(1, most);
    let place = request.after.as_ref().map(|cursor| cursor.key().map(Key::from));
    let place = place
        .map(|key| key.ok_or(QueueFailure::Refused("this place is not one that a listing told")))
        .transpose()?;
    let path = stores.spool.shortest_path(&matcher.criteria, place.as_ref()).await?;
    let found = stores.spool.find(&path, place.as_ref(), limit).await?;
    Ok((found.entries, found.next.map(|key| Cursor::new(key.as_slice()))))
}

/// None: they are only looked at.
fn order(request: &QueueRequest) -> Result<Option<Order>, QueueFailure> {
    let operation = match request.action {
        QueueAction::List | QueueAction::Count | QueueAction::Show => return Ok(None),
        QueueAction::Retry => Operation::Retry,
        QueueAction::Hold => Operation::Hold,
        QueueAction::Release => Operation::Release,
        QueueAction::Bounce => Operation::Bounce,
        QueueAction::Delete => Operation::Delete,
        QueueAction::Reroute => Operation::Reroute(request.lane.as_deref().map(|lane| LaneId(lane.into()))),
    };
    if let Operation::Reroute(Some(lane)) = &operation
        && mta::route::host_of(&[], lane).is_none()
    {
        return Err(QueueFailure::Refused(
            "mail can be sent another way to one host only: smtp:HOST:PORT, lmtp:HOST:PORT or lmtp:unix:/PATH",
        ));
    }
    let reason = request.reason.as_ref().map(|text| text::clean_within(text.as_bytes(), REASON_BYTES_MAX));
    Ok(Some(Order { operation, reason }))
}

/// What ends an entry, or sends it elsewhere, would reach recipients that were not selected.
fn takes_all_recipients(operation: &Operation) -> bool {
    matches!(operation, Operation::Delete | Operation::Bounce | Operation::Reroute(_))
}

async fn views(
    admin: &Admin,
    action: QueueAction,
    entries: &[QueueEntry],
    now: Timestamp,
) -> Result<Vec<EntryView>, StoreError> {
    let mut views = Vec::new();
    for entry in entries.iter().filter(|_| action != QueueAction::Count) {
        let details = if action == QueueAction::Show { Some(details(admin, entry).await?) } else { None };
        views.push(EntryView { details, ..view(admin, entry, now) });
    }
    Ok(views)
}

async fn details(admin: &Admin, entry: &QueueEntry) -> Result<EntryDetails, StoreError> {
    let content = match admin.stores.engine.blob_read(entry.blob, 0..HEADER_BYTES_MAX).await {
        // It was settled just now.
        Err(StoreError::NotFound) => bytes::Bytes::new(),
        content => content?,
    };
    let section = content.get(..mail::header::body_start(&content)).unwrap_or_default();
    let lines = section.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end);
    let events = admin.stores.ledger.events(entry.queue_id).await?;
    let expire_after = admin.config().map(|config| config.expire_after);
    Ok(EntryDetails {
        gives_up_at: expire_after.map(|after| entry.release_at.plus(after).rfc3339()),
        settled: explain::settled(&events),
        header: lines.filter(|line| !line.is_empty()).map(text::clean).collect(),
    })
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
        rerouted: entry.rerouted,
        details: None,
    }
}

impl Admin {
    /// The running server, or one that delivers nothing.
    fn hand(&self) -> Result<Arc<Mta>, QueueFailure> {
        match &self.queue {
            QueueHand::Running(mta) => Ok(mta.clone()),
            QueueHand::Offline => {
                let config = self.config.as_ref().map(|config| mta::Config::clone(config));
                let config =
                    config.ok_or(QueueFailure::Refused("no configuration says whose mail this is"))?;
                Ok(Mta::at_rest(config, self.stores.clone(), self.world.clone()))
            }
        }
    }
}
