//! Which entries wait for a domain, for ETRN (RFC 1985): found in time that depends on what is found.

use std::collections::{BTreeSet, VecDeque};

use mail::Domain;

use super::{EntryId, EntryStatus, LaneId, QueueEntry, Spool};
use crate::{
    batch::Batch,
    engine::{Key, KeyRange, Order, StoreError},
    keys::{KeyBuilder, KeyReader, QUEUE_NODE},
};

/// A way through the entries that wait for a node. Holds a place, not the entries.
#[derive(Clone, Debug)]
pub struct NodeWalk(VecDeque<KeyRange>);

impl NodeWalk {
    /// Entries with a recipient at `node`, and with `below` at any domain below it. One that has recipients at several of
    /// these comes several times.
    pub fn new(node: &Domain, below: bool) -> Self {
        let exact = KeyRange::prefix(&node_prefix(node).octet(0).octets());
        let subdomains = KeyRange::prefix(&node_prefix(node).octet(b'.').octets());
        Self(std::iter::once(exact).chain(below.then_some(subdomains)).collect())
    }
}

impl Spool {
    /// The next entries of a walk; fewer than `limit` only at its end.
    pub async fn walk(&self, walk: &mut NodeWalk, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        let mut entries = Vec::new();
        while let Some(range) = walk.0.front_mut()
            && entries.len() < limit
        {
            let wanted = limit - entries.len();
            let found = self.engine.scan(range.clone(), Order::Ascending, wanted).await?;
            for (key, _) in &found {
                entries.push(read_node_key(key)?);
                range.start = key.successor();
            }
            if found.len() < wanted {
                walk.0.pop_front();
            }
        }
        Ok(entries)
    }
}

impl LaneId {
    /// Its entries go to other hosts, so that ETRN can ask for them.
    pub fn leads_abroad(&self) -> bool {
        matches!(self.0.split_once(':'), Some(("smtp" | "mx" | "domain", _)))
    }
}

/// Brings the index from what stood there to what stands there now.
pub(super) fn index(batch: &mut Batch, old: Option<&QueueEntry>, new: Option<&QueueEntry>) {
    let (old, new) = (old.map(keys).unwrap_or_default(), new.map(keys).unwrap_or_default());
    old.difference(&new).for_each(|key| batch.delete(key.clone()));
    new.difference(&old).for_each(|key| batch.put(key.clone(), Vec::new()));
}

fn keys(entry: &QueueEntry) -> BTreeSet<Key> {
    if entry.status != EntryStatus::Waiting || !entry.lane.leads_abroad() {
        return BTreeSet::new();
    }
    let domains = entry.recipients.iter().filter_map(|recipient| recipient.address.domain());
    domains.map(|domain| node_prefix(domain).octet(0).id(entry.queue_id).u16(entry.part).key()).collect()
}

/// Labels from the right, so that what is below a domain stands behind it.
fn node_prefix(node: &Domain) -> KeyBuilder {
    let lookup = node.to_lookup();
    let labels: Vec<&str> = lookup.rsplit('.').collect();
    KeyBuilder::new(QUEUE_NODE).text(&labels.join("."))
}

fn read_node_key(key: &Key) -> Result<EntryId, StoreError> {
    let mut reader = KeyReader::new(key)?;
    reader.text_to_nul()?;
    Ok(EntryId { queue_id: reader.id()?, part: reader.u16()? })
}
