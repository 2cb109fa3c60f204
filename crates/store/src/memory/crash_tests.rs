//! A small mail system on the crash model: what was acknowledged is there after every crash, whole and once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use mail::QueueId;
use tokio::task::JoinSet;

use super::{CrashModel, Fault, MemoryEngine};
use crate::{
    Batch, CommitError, Stores,
    ledger::Event,
    mailbox::{AccountId, MailboxId, Uid},
    spool::QueueEntry,
    testing::{add_body, at, entry, record},
};

const LIVES: u64 = 5;
const SENDERS: u64 = 6;
const MESSAGES_EACH: u64 = 5;
const ACCOUNT: AccountId = AccountId(1);

type Acknowledged = Arc<Mutex<Vec<QueueId>>>;

fn body_of(id: QueueId) -> Bytes {
    format!("body of {}", id.as_u64()).repeat(20).into()
}

async fn accept(stores: &Stores, id: QueueId) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    let blob = add_body(&stores.engine, &mut batch, &body_of(id)).await;
    stores.spool.add(&mut batch, &entry(id, 0, "local", 1, blob));
    let event = Event::Verdicts { verdicts: Vec::new() };
    stores.ledger.append(&mut batch, id, at(1), &event);
    stores.engine.commit(batch).await.map(drop)
}

async fn deliver(stores: &Stores, mailbox: MailboxId, entry: &QueueEntry) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    stores.spool.remove(&mut batch, entry);
    let octets = body_of(entry.queue_id).len() as u64;
    stores.mailboxes.append(&mut batch, mailbox, &record(entry.blob, octets, Some(entry.queue_id)));
    stores.engine.commit(batch).await.map(drop)
}

/// Senders and two who deliver, until the messages are through or the engine stops.
async fn live(stores: &Stores, mailbox: MailboxId, life: u64, acknowledged: &Acknowledged) {
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        let (stores, acknowledged) = (stores.clone(), acknowledged.clone());
        tasks.spawn(async move {
            for number in 0..MESSAGES_EACH {
                let id = QueueId::from_u64(life * 10_000 + sender * 100 + number);
                if accept(&stores, id).await.is_ok() {
                    acknowledged.lock().unwrap().push(id);
                }
            }
        });
    }
    for _ in 0..2 {
        let stores = stores.clone();
        tasks.spawn(async move {
            for _ in 0..20 {
                for entry in stores.spool.list(None, 5).await.unwrap_or_default() {
                    let _ = deliver(&stores, mailbox, &entry).await;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    tasks.join_all().await;
}

async fn verify(stores: &Stores, mailbox: MailboxId, acknowledged: &[QueueId]) -> Result<(), String> {
    let mut found: BTreeMap<QueueId, usize> = BTreeMap::new();
    let mut octets = 0;
    let queued = stores.spool.list(None, usize::MAX).await.map_err(|error| error.to_string())?;
    let messages =
        stores.mailboxes.messages(mailbox, Uid(0), usize::MAX).await.map_err(|error| error.to_string())?;
    let in_queue = queued.iter().map(|entry| (entry.queue_id, entry.blob));
    let in_mailbox = messages.iter().filter_map(|it| Some((it.record.queue_id?, it.record.blob)));
    for (id, blob) in in_queue.chain(in_mailbox) {
        *found.entry(id).or_default() += 1;
        let body =
            stores.engine.blob_read(blob, 0..u64::MAX).await.map_err(|error| format!("{id:?}: {error}"))?;
        if body != body_of(id) {
            return Err(format!("{id:?} has another's body"));
        }
        if stores.ledger.events(id).await.map_err(|error| error.to_string())?.len() != 1 {
            return Err(format!("{id:?} has no history"));
        }
    }
    for message in &messages {
        octets += message.record.octets();
    }
    if let Some((id, _)) = found.iter().find(|(_, times)| **times != 1) {
        return Err(format!("{id:?} is there more than once"));
    }
    if let Some(id) = acknowledged.iter().find(|id| !found.contains_key(id)) {
        return Err(format!("{id:?} was acknowledged and is lost"));
    }
    let usage = stores.mailboxes.usage(ACCOUNT).await.map_err(|error| error.to_string())?;
    if usage == (messages.len() as u64, octets) {
        Ok(())
    } else {
        Err(format!("usage is counted as {usage:?}"))
    }
}

/// Some lives with a crash after each. How many crashes the model made, or what a check found.
async fn run(seed: u64, model: CrashModel) -> Result<usize, String> {
    let start = Arc::new(MemoryEngine::new());
    let mailboxes = crate::Mailboxes::new(start.clone());
    let mailbox =
        mailboxes.create(ACCOUNT, "INBOX", None, at(0)).await.map_err(|error| error.to_string())?.id;
    let mut engine = Arc::new(start.crash_into(Some(CrashModel { seed, ..model })));
    let acknowledged = Acknowledged::default();
    let mut stops = 0;
    for life in 0..LIVES {
        let stores = Stores::new(engine.clone());
        live(&stores, mailbox, life, &acknowledged).await;
        stops += usize::from(crate::Engine::poisoned(&*engine).is_some());
        engine = Arc::new(engine.crash());
        let acknowledged = acknowledged.lock().unwrap().clone();
        verify(&Stores::new(engine.clone()), mailbox, &acknowledged).await?;
    }
    Ok(stops)
}

fn stormy() -> CrashModel {
    CrashModel::calm(0).crash_one_in(80).sync_error_one_in(60).full_one_in(30)
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_in_any_crash() {
    let mut stops = 0;
    for seed in 0..300 {
        stops += run(seed, stormy()).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    assert!(stops > 300, "the model crashed {stops} times only");
}

#[tokio::test]
async fn a_reply_before_its_sync_is_found() {
    let mut found = 0;
    for seed in 0..20 {
        if let Err(error) = run(seed, stormy().plant(Fault::ReplyBeforeSync)).await {
            assert!(error.contains("lost"), "{error}");
            found += 1;
        }
    }
    assert!(found >= 10, "found with {found} of 20 seeds only");
}

#[tokio::test]
async fn a_seed_repeats_its_run() {
    for seed in 0..10 {
        let planted = stormy().plant(Fault::ReplyBeforeSync);
        assert_eq!(run(seed, planted).await, run(seed, planted).await);
        assert_eq!(run(seed, stormy()).await, run(seed, stormy()).await);
    }
}
