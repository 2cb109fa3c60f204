//! What a lane takes next: the highest priority (RFC 6710), in order of arrival; but never the others too late.

use std::collections::{BTreeMap, VecDeque};

use mail::MtPriority;
use store::spool::EntryId;

use super::Item;

/// After so many items that were taken ahead of the oldest, the oldest is next, whatever its priority. With `n` items
/// before it an item waits for `(n + 1) * (FAVOURED_MAX + 1)` others at most, however urgent what comes after it.
pub const FAVOURED_MAX: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Each with its number of arrival.
    by_priority: BTreeMap<MtPriority, VecDeque<(u64, Item)>>,
    len: usize,
    arrivals: u64,
    /// Items taken since the oldest was.
    favoured: u32,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn push(&mut self, item: Item) {
        self.by_priority.entry(item.priority).or_default().push_back((self.arrivals, item));
        self.arrivals += 1;
        self.len += 1;
    }

    /// False if it is not here.
    pub(super) fn remove(&mut self, id: EntryId) -> bool {
        for (priority, items) in &mut self.by_priority {
            let Some(at) = items.iter().position(|(_, item)| item.id == id) else { continue };
            items.remove(at);
            self.len = self.len.saturating_sub(1);
            if items.is_empty() {
                let priority = *priority;
                self.by_priority.remove(&priority);
            }
            return true;
        }
        false
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let highest = *self.by_priority.last_key_value()?.0;
        let oldest = self.oldest().unwrap_or(highest);
        self.favoured =
            if oldest == highest || self.favoured >= FAVOURED_MAX { 0 } else { self.favoured + 1 };
        let item = self.take(if self.favoured == 0 { oldest } else { highest })?;
        self.len = self.len.saturating_sub(1);
        Some(item)
    }

    /// The priority of what waits longest.
    fn oldest(&self) -> Option<MtPriority> {
        let fronts =
            self.by_priority.iter().filter_map(|(priority, items)| Some((items.front()?.0, *priority)));
        fronts.min().map(|(_, priority)| priority)
    }

    fn take(&mut self, priority: MtPriority) -> Option<Item> {
        let items = self.by_priority.get_mut(&priority)?;
        let (_, item) = items.pop_front()?;
        if items.is_empty() {
            self.by_priority.remove(&priority);
        }
        Some(item)
    }
}
