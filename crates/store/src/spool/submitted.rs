//! What an account has submitted and that is still on its way.

use mail::QueueId;

use super::{QueueEntry, Spool, index};
use crate::{
    changes::Changes,
    engine::{Committed, KeyRange, Order, StoreError},
    mailbox::AccountId,
};

/// Read in one go.
const PAGE_ENTRIES: usize = 500;
/// What became of a message that its sender called off.
#[derive(Debug)]
pub enum Cancelled {
    /// Nobody gets it any more who has not got it yet.
    Whole(Committed),
    /// Some recipients are just being delivered to; the others do not get it. If it was to be whole or not at all, nothing
    /// has changed.
    Busy,
    /// It is not on its way any more; nothing has changed.
    Gone,
}

impl Spool {
    /// The entries of the account's messages, oldest message first; of as many messages as `limit` says.
    pub async fn submitted_by(
        &self,
        account: AccountId,
        limit: usize,
    ) -> Result<Vec<QueueEntry>, StoreError> {
        let mut range = KeyRange::prefix(&index::submitter_prefix(account).octets());
        let (mut entries, mut messages, mut last) = (Vec::new(), 0, None::<QueueId>);
        loop {
            let page = self.engine.scan(range.clone(), Order::Ascending, PAGE_ENTRIES).await?;
            for (key, _) in &page {
                let id = index::entry_at_end(key)?;
                if last != Some(id.queue_id) {
                    if messages == limit {
                        return Ok(entries);
                    }
                    (messages, last) = (messages + 1, Some(id.queue_id));
                }
                // It may have been settled since.
                entries.extend(self.entry(id).await?);
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE_ENTRIES => range.start = key.successor(),
                _ => return Ok(entries),
            }
        }
    }

    /// Wakes after each commit that adds, changes or removes an entry of the account's.
    pub fn watch_submitted(&self, account: AccountId) -> Changes {
        self.engine.changes(index::submitter_prefix(account).key())
    }
}
