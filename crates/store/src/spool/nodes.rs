//! Which entries wait for a domain, for ETRN (RFC 1985): found in time that depends on what is found.

use std::collections::VecDeque;

use mail::Domain;

use super::{EntryId, Spool, index};
use crate::engine::{KeyRange, Order, StoreError};

/// A way through the entries that wait for a node. Holds a place, not the entries.
#[derive(Clone, Debug)]
pub struct NodeWalk(VecDeque<KeyRange>);

impl NodeWalk {
    /// Entries with a recipient at `node`, and with `below` at any domain below it. One that has several recipients there
    /// comes several times.
    pub fn new(node: &Domain, below: bool) -> Self {
        let exact = KeyRange::prefix(&index::abroad_prefix(node).octets());
        let subdomains = KeyRange::prefix(&index::domain_prefix(node).octet(b'.').octets());
        Self(std::iter::once(exact).chain(below.then_some(subdomains)).collect())
    }
}

impl Spool {
    /// The next entries of a walk; none only at its end.
    pub async fn walk(&self, walk: &mut NodeWalk, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        let mut entries = Vec::new();
        while let Some(range) = walk.0.front_mut()
            && entries.len() < limit
        {
            let wanted = limit - entries.len();
            let found = self.engine.scan(range.clone(), Order::Ascending, wanted).await?;
            for (key, _) in &found {
                let (id, abroad) = index::read_recipient_key(key)?;
                entries.extend(abroad.then_some(id));
                range.start = key.successor();
            }
            if found.len() < wanted {
                walk.0.pop_front();
            }
        }
        Ok(entries)
    }
}
