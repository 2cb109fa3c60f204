//! What senders of messages are told that wait untried, because their site cannot be reached.

use std::{sync::Arc, time::Duration};

use mail::Timestamp;
use store::spool::QueueEntry;

use super::{Fate, Trouble, deadline, is_delayed, settle};
use crate::{Config, Mta};

/// When there is something to tell of an entry that nobody tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// None: never, unless somebody tries it.
    At(Option<Timestamp>),
}

impl Turn {
    pub(crate) fn of(mta: &Mta, entry: &QueueEntry, config: &Config, now: Timestamp) -> Self {
        match Self::next(entry, config, mta.clock_jumps.set_forward(entry.release_at, now)) {
            Some(at) if at <= now => Self::Now,
            next => Self::At(next),
        }
    }

    /// `jumped`: what the clock was set forward by since the entry's time began.
    fn next(entry: &QueueEntry, config: &Config, jumped: Duration) -> Option<Timestamp> {
        let began = entry.release_at.plus(jumped);
        let expires_at = began.plus(config.lifetime(&entry.reverse_path));
        let late_at = entry.deadline.filter(|deadline| !deadline.told).map(|deadline| deadline.at);
        let delayed_at = (!entry.delay_told).then(|| began.plus(config.delay_notice_after));
        [Some(expires_at), late_at, delayed_at].into_iter().flatten().min()
    }
}

/// Tells what is due and reports the entry as finished; returns it as it waits on, if it does. The caller has a claim on it.
pub(crate) async fn tell(
    mta: &Arc<Mta>,
    entry: Arc<QueueEntry>,
    reason: Option<String>,
) -> Option<Arc<QueueEntry>> {
    let (config, now) = (mta.config(), mta.wall());
    let reason = reason.or_else(|| entry.last_error.clone());
    let trouble = Trouble::new((4, 4, 1), reason.unwrap_or_else(|| "its site cannot be reached".to_owned()));
    if mta.clock_jumps.age(entry.release_at, now) >= config.lifetime(&entry.reverse_path) {
        let fates = entry.recipients.iter().map(|_| Fate::Deferred(trouble.clone())).collect();
        settle(mta, &entry, fates, None).await;
        return None;
    }
    let mut entry = deadline::meet(mta, entry).await?;
    if is_delayed(mta, &entry, &config, now) {
        match deadline::tell(mta, &entry, trouble, now).await {
            Ok(told) => entry = Arc::new(told),
            Err(error) => tracing::warn!(id = %entry.queue_id, %error, "a delay cannot be told now"),
        }
    }
    mta.dispatcher.finished(mta, &entry.lane, entry.id(), Some(entry.due));
    Some(entry)
}
