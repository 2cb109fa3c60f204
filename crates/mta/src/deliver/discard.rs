//! The lane that throws away.

use std::sync::Arc;

use store::spool::LaneId;

use crate::{
    Mta,
    outcome::{self, Fate, Success},
};

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    while let Some(item) = mta.dispatcher.take(mta, lane) {
        let Some(entry) = super::entry_of(mta, lane, item).await else { continue };
        // Nobody is told that this was a success.
        let fate = Fate::delivered("nowhere: the route discards", None, Success::Confirmed);
        let fates = entry.recipients.iter().map(|_| fate.clone()).collect();
        outcome::settle(mta, &entry, fates, None).await;
    }
}
