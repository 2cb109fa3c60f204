//! What has to change in a store that was put back to an earlier state: the world went on since.

use mail::Timestamp;
use store::{
    Batch, CommitError, KeyRange, Order, Stores,
    keys::TLS_DAY,
    ledger::Event,
    spool::{EntryStatus, QueueEntry},
};

use crate::error::Error;

const PAGE: usize = 500;

/// How a store is put to use.
#[derive(Clone, Debug)]
pub struct Adoption {
    pub now: Timestamp,
    /// For the history of what is held.
    pub reason: String,
    /// What waited then goes on its way, also if it was delivered since.
    pub release_queue: bool,
    /// The backup is the last state that anybody saw: clients may rely on what they know.
    pub keep_uid_validity: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Queue entries that wait for an operator now.
    pub held: u64,
    /// Queue entries there are.
    pub queued: u64,
    /// Mailboxes with a new UIDVALIDITY.
    pub mailboxes: usize,
}

/// Nothing is sent twice unasked, and no client mistakes a message for another.
pub async fn adopt(stores: &Stores, adoption: &Adoption) -> Result<Adopted, Error> {
    stores.mailboxes.renew().await?;
    let mut adopted = Adopted::default();
    hold(stores, adoption, &mut adopted).await?;
    if !adoption.release_queue {
        forget_days(stores).await?;
    }
    if !adoption.keep_uid_validity {
        adopted.mailboxes = stores.mailboxes.begin_anew(adoption.now).await?;
    }
    Ok(adopted)
}

async fn hold(stores: &Stores, adoption: &Adoption, adopted: &mut Adopted) -> Result<(), Error> {
    let mut after = None;
    loop {
        let entries = stores.spool.list(after, PAGE).await?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = Some(last.id());
        adopted.queued += entries.len() as u64;
        let waiting = entries.iter().filter(|entry| entry.status == EntryStatus::Waiting);
        let mut batch = Batch::new();
        for entry in waiting.filter(|_| !adoption.release_queue) {
            let held = QueueEntry { status: EntryStatus::Held, due: adoption.now, ..entry.clone() };
            stores.spool.replace(&mut batch, entry, &held);
            let recipients = entry.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
            let reason = Some(adoption.reason.clone());
            let event = Event::Operator { action: "hold".to_owned(), recipients, reason };
            stores.ledger.append(&mut batch, entry.queue_id, adoption.now, &event);
            adopted.held += 1;
        }
        stores.engine.commit(batch).await?;
    }
}

/// Sessions of days that may have been reported since.
async fn forget_days(stores: &Stores) -> Result<(), CommitError> {
    loop {
        let days = stores.engine.scan(KeyRange::prefix(&[TLS_DAY]), Order::Ascending, PAGE).await?;
        if days.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for (key, _) in days {
            batch.delete(key);
        }
        stores.engine.commit(batch).await?;
    }
}
