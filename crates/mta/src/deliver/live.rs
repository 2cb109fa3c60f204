//! To terminals: SEND, SOML and SAML (RFC 821 §3.4). The lane tells which, so that it outlives a restart.
//!
//! What is on a terminal cannot be committed with the queue. After a crash in between, a message is shown or delivered
//! once more rather than lost; a terminal that takes it too late may have it beside the mailbox.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use mail::{
    Delivery,
    terminal::{MESSAGE_BYTES_MAX, Notice},
};
use store::{
    StoreError,
    spool::{LaneId, QueueEntry, QueuedRecipient},
};

use super::{guard::guarded, local};
use crate::{
    Mta,
    outcome::{self, Fate, Success, Trouble},
};

/// Recipients shown to at a time: one whose terminal hangs holds up few others.
const SHOWN_AT_ONCE: usize = 64;

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId, delivery: Delivery) {
    while let Some(item) = mta.dispatcher.take(mta, lane) {
        let Some(entry) = super::entry_of(mta, lane, item).await else { continue };
        guarded(mta, &entry, settle(mta, &entry, delivery)).await;
    }
}

async fn settle(mta: &Arc<Mta>, entry: &Arc<QueueEntry>, delivery: Delivery) {
    let notice = notice(mta, entry).await;
    let fates = entry.recipients.iter();
    let fates: Vec<_> =
        fates.map(|recipient| fate(mta, entry, recipient, delivery, notice.as_ref())).collect();
    let fates = stream::iter(fates).buffered(SHOWN_AT_ONCE).collect().await;
    outcome::settle(mta, entry, fates, None).await;
}

async fn notice(mta: &Mta, entry: &QueueEntry) -> Result<Arc<Notice>, StoreError> {
    let start = mta.stores.engine.blob_read(entry.blob, 0..MESSAGE_BYTES_MAX).await?;
    Ok(Arc::new(Notice::of(&start, entry.blob_bytes, &entry.reverse_path)))
}

async fn fate(
    mta: &Mta,
    entry: &QueueEntry,
    recipient: &QueuedRecipient,
    delivery: Delivery,
    notice: Result<&Arc<Notice>, &StoreError>,
) -> Fate {
    let notice = match notice {
        Ok(notice) => notice,
        Err(error) => {
            return Fate::Deferred(Trouble::new((4, 3, 0), format!("the message cannot be read: {error}")));
        }
    };
    let account = match local::account_of(mta, recipient).await {
        Ok(account) => account,
        Err(fate) => return fate,
    };
    // A mailbox that is full for now must not have the terminal told again at each try.
    let is_first_try = entry.attempts == 0;
    match delivery {
        Delivery::Send if !notice.is_whole() => Fate::Failed(Trouble::new(
            (5, 6, 3),
            "the message holds more than the text of a few pages, which is all that a terminal shows",
        )),
        Delivery::Send if mta.show(&recipient.address, notice).await => on_terminal(recipient),
        Delivery::Send => {
            Fate::Failed(Trouble::new((5, 2, 1), "the user is at no terminal that takes messages any more"))
        }
        Delivery::SendOrMail if notice.is_whole() && mta.show(&recipient.address, notice).await => {
            on_terminal(recipient)
        }
        Delivery::SendAndMail if is_first_try => {
            mta.show(&recipient.address, notice).await;
            local::deliver(mta, entry, &local::Content::default(), recipient, &account).await
        }
        // The mailbox has what the terminal shows in part.
        Delivery::SendOrMail if !notice.is_whole() && is_first_try => {
            mta.show(&recipient.address, notice).await;
            local::deliver(mta, entry, &local::Content::default(), recipient, &account).await
        }
        _ => local::deliver(mta, entry, &local::Content::default(), recipient, &account).await,
    }
}

fn on_terminal(recipient: &QueuedRecipient) -> Fate {
    Fate::delivered(format!("the terminal of {}", recipient.address), None, Success::Final)
}
