//! Sites as the lanes see them: what waits for each, and what keeps it.

use std::collections::BTreeMap;

use mail::Timestamp;
use mta::{
    route::{self, limits::DestinationLimits},
    scheduler::{self, SiteState},
};
use store::{
    StoreError,
    spool::{EntryStatus, LaneId, QueueEntry},
};

use super::{
    Admin, QueueHand,
    protocol::{AdminResponse, LimitsView, SiteView},
};
use crate::config::types::Rate;

/// Lanes read at once.
const PAGE_LANES_MAX: usize = 1000;
const PAGE_ENTRIES_MAX: usize = 1000;
const FOREVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Every lane that leads abroad and has something waiting, and every one whose site is in trouble.
pub async fn list(admin: &Admin) -> Result<AdminResponse, StoreError> {
    let mut views: BTreeMap<LaneId, SiteView> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = admin.stores.spool.lanes(after.as_ref(), PAGE_LANES_MAX).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (lane, _) in page.into_iter().filter(|(lane, _)| route::leads_to_hosts(lane)) {
            let view = stored(admin, &lane).await?;
            views.insert(lane, view);
        }
    }
    if let QueueHand::Running(mta) = &admin.queue {
        for site in mta.sites() {
            let waiting = views.get(&site.lane).map_or(0, |view| view.waiting);
            let view = SiteView { waiting, ..awake(&site) };
            views.insert(site.lane, view);
        }
    }
    Ok(AdminResponse::Sites { sites: views.into_values().collect() })
}

/// What the store knows of it.
async fn stored(admin: &Admin, lane: &LaneId) -> Result<SiteView, StoreError> {
    let state = if matches!(admin.queue, QueueHand::Running(_)) { "asleep" } else { "unknown" };
    Ok(SiteView {
        lane: lane.0.to_string(),
        state: state.to_owned(),
        waiting: count(admin, lane).await?,
        in_delivery: 0,
        connections: 0,
        connections_allowed: None,
        connections_max: None,
        closed_since: None,
        next_probe_at: None,
        last_error: None,
        last_error_at: None,
    })
}

async fn count(admin: &Admin, lane: &LaneId) -> Result<u64, StoreError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = admin.stores.spool.due(lane, after, FOREVER, PAGE_ENTRIES_MAX).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some((last.at, last.id));
        count += page.len() as u64;
    }
}

fn awake(site: &scheduler::SiteView) -> SiteView {
    let (state, since, until) = match site.state {
        SiteState::Open => ("open", None, None),
        SiteState::Closed { since, until } => ("closed", Some(since), Some(until)),
        SiteState::Probing { since, .. } => ("probing", Some(since), None),
    };
    SiteView {
        lane: site.lane.0.to_string(),
        state: state.to_owned(),
        waiting: 0,
        in_delivery: site.in_delivery,
        connections: site.connections,
        connections_allowed: site.connections_max.map(|_| site.connections_allowed),
        connections_max: site.connections_max,
        closed_since: since.map(Timestamp::rfc3339),
        next_probe_at: until.map(Timestamp::rfc3339),
        last_error: site.trouble.as_ref().map(|trouble| trouble.reason.clone()),
        last_error_at: site.trouble.as_ref().map(|trouble| trouble.at.rfc3339()),
    }
}

/// What keeps an entry that its site keeps waiting.
#[derive(Clone, Debug)]
pub struct SiteWait {
    /// `the site mx:mx.example, which could not be reached at …: …; the next probe is at …`
    pub words: String,
    /// None: as soon as an entry is due.
    pub next_probe_at: Option<Timestamp>,
}

/// None if the site is open, or no server runs that would know.
pub fn wait(admin: &Admin, entry: &QueueEntry) -> Option<SiteWait> {
    let QueueHand::Running(mta) = &admin.queue else { return None };
    let site = mta.site(&entry.lane).filter(|_| entry.status == EntryStatus::Waiting)?;
    let (since, next_probe_at) = match site.state {
        SiteState::Open => return None,
        SiteState::Closed { since, until } => (since, Some(until)),
        SiteState::Probing { since, .. } => (since, None),
    };
    let last =
        site.trouble.map_or_else(String::new, |trouble| format!(", at {}: {}", trouble.at, trouble.reason));
    let next = match next_probe_at {
        Some(at) => format!("the next probe is at {at}"),
        None => "a probe is due now".to_owned(),
    };
    let words = format!("the site {}, which cannot be reached since {since}{last}; {next}", entry.lane.0);
    Some(SiteWait { words, next_probe_at })
}

/// The limits at this place of the rules.
pub fn limits(config: &mta::Config, place: usize) -> LimitsView {
    let rules = &config.delivery;
    let limits: &DestinationLimits = rules.limits(place);
    let rule = if place < rules.rules.len() {
        format!("[[destination]] number {}", place + 1)
    } else {
        "[delivery]".to_owned()
    };
    let source = limits.source;
    let v4 = source.v4.map(|address| address.to_string());
    LimitsView {
        rule,
        connections_max: limits.connections_max,
        messages_per_connection_max: limits.messages_per_connection_max,
        recipients_per_message_max: limits.recipients_per_message_max,
        rate: limits.rate.map(|rate| Rate(Some(rate)).to_string()),
        source_addresses: v4.into_iter().chain(source.v6.map(|address| address.to_string())).collect(),
    }
}
