//! What happened to a message, from its ledger.

use std::collections::HashMap;

use mail::{QueueId, Timestamp};
use store::{
    StoreError,
    ledger::Event,
    spool::{LaneId, QueueEntry},
};

use super::{
    Admin,
    explain::{self, Waits},
    protocol::{AdminResponse, EventView, HistoryView},
    queue::view,
    sites,
};

/// Messages shown for one address or Message-ID.
const FOUND_MAX: usize = 20;

/// Histories by queue ID, address or Message-ID; the newest message last.
pub async fn trace(admin: &Admin, term: &str, follow: bool) -> Result<AdminResponse, StoreError> {
    let mut histories = Vec::new();
    for id in ids(admin, term).await? {
        histories.push(history(admin, id).await?);
    }
    histories.retain(|history| !history.events.is_empty() || !history.queued.is_empty());
    histories.reverse();
    if histories.is_empty() && !(follow && term.parse::<QueueId>().is_err()) {
        return Ok(AdminResponse::error(format_args!(
            "nothing is known of {term:?}: give a queue ID, an address or a Message-ID; \
             the oldest histories are forgotten after a time"
        )));
    }
    Ok(AdminResponse::Histories { histories })
}

/// One sentence: where the message is, why, what happens next, what to do.
pub async fn why(admin: &Admin, term: &str) -> Result<AdminResponse, StoreError> {
    let unknown = || {
        AdminResponse::error(format_args!(
            "nothing is known of {term:?}; `postrider trace ADDRESS` finds the IDs of an address, \
             and the oldest histories are forgotten after a time"
        ))
    };
    let Some(id) = ids(admin, term).await?.into_iter().next() else { return Ok(unknown()) };
    let entries = admin.stores.spool.entries_of(id).await?;
    let events = admin.stores.ledger.events(id).await?;
    let waits = waits(admin, &entries).await?;
    Ok(match explain::why(id, &entries, &events, &waits, admin.world.clock.wall()) {
        Some(sentence) => AdminResponse::Why { sentence },
        None => unknown(),
    })
}

/// The same for its sender, as long as it is on its way.
pub async fn waits_for(admin: &Admin, id: QueueId) -> Result<Option<String>, StoreError> {
    let entries = admin.stores.spool.entries_of(id).await?;
    let waits = waits(admin, &entries).await?;
    Ok(explain::waits_for(&entries, &waits, admin.world.clock.wall()))
}

async fn waits(admin: &Admin, entries: &[QueueEntry]) -> Result<Waits, StoreError> {
    let sites =
        entries.iter().filter_map(|entry| Some((entry.lane.clone(), sites::wait(admin, entry)?.words)));
    Ok(Waits { sites: sites.collect(), fetchers: fetchers(admin, entries).await? })
}

/// Who fetches what waits in each lane that is fetched.
async fn fetchers(admin: &Admin, entries: &[QueueEntry]) -> Result<HashMap<LaneId, String>, StoreError> {
    let mut fetchers = HashMap::new();
    for entry in entries {
        let domain = mta::route::pickup_domain(&entry.lane).and_then(|name| name.parse().ok());
        if let Some(domain) = domain
            && let Some(found) = admin.stores.directory.turn_domain(&domain).await?
        {
            fetchers.insert(entry.lane.clone(), found.address.to_string());
        }
    }
    Ok(fetchers)
}

async fn ids(admin: &Admin, term: &str) -> Result<Vec<QueueId>, StoreError> {
    if let Ok(id) = term.parse::<QueueId>() {
        return Ok(vec![id]);
    }
    let bare = term.trim().trim_start_matches('<').trim_end_matches('>');
    admin.stores.ledger.find(bare, FOUND_MAX).await
}

async fn history(admin: &Admin, id: QueueId) -> Result<HistoryView, StoreError> {
    let now = admin.world.clock.wall();
    let events = admin.stores.ledger.events(id).await?;
    let queued = admin.stores.spool.entries_of(id).await?;
    Ok(HistoryView {
        id: id.to_string(),
        events: events.iter().flat_map(|(at, event)| event_views(*at, event)).collect(),
        queued: queued.iter().map(|entry| view(admin, entry, now)).collect(),
    })
}

/// One view each, but policy's verdicts apart.
fn event_views(at: Timestamp, event: &Event) -> Vec<EventView> {
    let Event::Verdicts { verdicts } = event else { return vec![event_view(at, event)] };
    let view = |verdict| EventView {
        at: at.rfc3339(),
        kind: "verdict".to_owned(),
        text: explain::verdict(verdict),
        notes: Vec::new(),
        details: serde_json::to_value(verdict).unwrap_or_default(),
    };
    verdicts.iter().map(view).collect()
}

fn event_view(at: Timestamp, event: &Event) -> EventView {
    let (kind, text) = explain::event(event);
    // The stored form names its kind first: {"Deferred": {…}}.
    let mut details = match serde_json::to_value(event) {
        Ok(serde_json::Value::Object(outer)) => {
            outer.into_iter().next().map(|(_, inner)| inner).unwrap_or_default()
        }
        _ => serde_json::Value::Null,
    };
    if let (Event::Deferred { until, .. } | Event::Suppressed { until, .. }, Some(object)) =
        (event, details.as_object_mut())
    {
        object.insert("until".to_owned(), until.rfc3339().into());
    }
    if let (Some((key, id)), Some(object)) = (reports(event), details.as_object_mut()) {
        object.insert(key.to_owned(), id.to_string().into());
    }
    EventView { at: at.rfc3339(), kind: kind.to_owned(), text, notes: explain::notes(event), details }
}

/// Queue IDs inside an event, which people know by their written form.
fn reports(event: &Event) -> Option<(&'static str, QueueId)> {
    match event {
        Event::Bounced { report, .. } | Event::Expired { report, .. } => report.map(|id| ("report", id)),
        Event::Told { report, .. } | Event::Returned { report, .. } => Some(("report", *report)),
        Event::ReportOn { original } => Some(("original", *original)),
        _ => None,
    }
}
