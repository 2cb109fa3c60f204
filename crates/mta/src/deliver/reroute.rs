//! An entry in several: its recipients go where the routes lead now, as the configuration or the records changed while it
//! waited, or each where its domain's policy lets it go.

use std::{collections::BTreeMap, sync::Arc};

use mail::ForwardPath;
use store::{
    Batch, StoreError,
    spool::{EntryStatus, LaneId, QueueEntry, QueuedRecipient},
};

use crate::{
    Config, Mta, accept,
    outcome::{self, Fate, Trouble},
    route::{self, DOMAIN_LANE, Destination, Way, site::Site},
};

/// Recipients by lane and whether they are held there.
type Groups = BTreeMap<(LaneId, bool), Vec<QueuedRecipient>>;

/// A lane, whether they are held there, and who.
type Part = (LaneId, bool, Vec<QueuedRecipient>);

pub(super) async fn reroute(mta: &Arc<Mta>, config: &Config, entry: &Arc<QueueEntry>) {
    let (groups, stranded) = match groups(mta, config, entry).await {
        Ok(found) => found,
        Err(error) => (Groups::new(), format!("the directory cannot be read: {error}")),
    };
    if groups.is_empty() || !stranded.is_empty() {
        let trouble = Trouble::new((4, 4, 4), stranded);
        let fates = entry.recipients.iter().map(|_| Fate::Deferred(trouble.clone())).collect();
        return outcome::settle(mta, entry, fates, None).await;
    }
    let groups = groups.into_iter().map(|((lane, held), recipients)| (lane, held, recipients));
    replace(mta, entry, groups.collect()).await;
}

/// Groups of recipients go on as entries of their own, in the same lane.
pub(super) async fn apart(mta: &Arc<Mta>, entry: &Arc<QueueEntry>, groups: Vec<Vec<QueuedRecipient>>) {
    let groups = groups.into_iter().map(|recipients| (entry.lane.clone(), false, recipients));
    replace(mta, entry, groups.collect()).await;
}

async fn replace(mta: &Arc<Mta>, entry: &Arc<QueueEntry>, groups: Vec<Part>) {
    match split(mta, entry, groups).await {
        Ok(entries) => {
            mta.dispatcher.finished(mta, &entry.lane, entry.id(), None);
            accept::hand_over(mta, entries);
        }
        Err(error) => {
            tracing::warn!(id = %entry.queue_id, %error, "an entry cannot be rerouted now; trying again");
            let again_at = mta.world.clock.wall().plus(std::time::Duration::from_mins(1));
            mta.dispatcher.finished(mta, &entry.lane, entry.id(), Some(again_at));
        }
    }
}

/// Where each recipient goes now, or why one has nowhere to go.
async fn groups(mta: &Mta, config: &Config, entry: &QueueEntry) -> Result<(Groups, String), StoreError> {
    let mut groups = Groups::new();
    for recipient in &entry.recipients {
        let path = ForwardPath::Address(recipient.address.clone());
        match route::destination(&mta.stores.directory, &config.routes, &path).await? {
            Destination::Ways { ways, .. } => {
                for way in site_lanes(mta, config, ways).await {
                    let moved = QueuedRecipient { address: way.address, ..recipient.clone() };
                    groups.entry((way.lane, way.held)).or_default().push(moved);
                }
            }
            _ => return Ok((groups, format!("no route leads to {} any more", recipient.address))),
        }
    }
    Ok((groups, String::new()))
}

/// A way by MX waits for its site; in the lane of its domain if that cannot be found.
async fn site_lanes(mta: &Mta, config: &Config, mut ways: Vec<Way>) -> Vec<Way> {
    for way in ways.iter_mut().filter(|way| way.lane.0.starts_with(DOMAIN_LANE)) {
        if let Ok(site) = Site::of(&*mta.world.dns, &config.own, &way.address).await {
            way.lane = site.lane();
        }
    }
    ways
}

async fn split(
    mta: &Mta,
    entry: &QueueEntry,
    groups: Vec<Part>,
) -> Result<Vec<QueueEntry>, Box<dyn std::error::Error + Send + Sync>> {
    let parts = mta.stores.spool.entries_of(entry.queue_id).await?;
    let mut next_part = parts.iter().map(|other| other.part).max().unwrap_or(0).saturating_add(1);
    let mut entries = Vec::with_capacity(groups.len());
    for (lane, held, recipients) in groups {
        let status = if held { EntryStatus::Held } else { EntryStatus::Waiting };
        for together in recipients.chunks(route::recipients_max(&lane)) {
            let part = if entries.is_empty() { entry.part } else { next_part };
            next_part = next_part.saturating_add(u16::from(!entries.is_empty()));
            let (lane, recipients) = (lane.clone(), together.to_vec());
            entries.push(QueueEntry { part, lane, recipients, status, rerouted: false, ..entry.clone() });
        }
    }
    let mut batch = Batch::new();
    for (index, moved) in entries.iter().enumerate() {
        if index == 0 {
            mta.stores.spool.replace(&mut batch, entry, moved);
        } else {
            mta.stores.spool.add(&mut batch, moved);
        }
    }
    mta.stores.engine.commit(batch).await?;
    Ok(entries)
}
