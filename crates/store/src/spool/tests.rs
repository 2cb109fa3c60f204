use bytes::Bytes;

use super::*;
use crate::{
    CommitError,
    memory::MemoryEngine,
    testing::{add_body, at, entry, keys},
};

fn spool() -> (Spool, Arc<dyn Engine>) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    (Spool::new(engine.clone()), engine)
}

fn id(number: u64) -> QueueId {
    QueueId::from_u64(number)
}

/// One message with an entry for each lane and due time.
async fn accept(
    spool: &Spool,
    engine: &Arc<dyn Engine>,
    number: u64,
    lanes: &[(&str, i64)],
) -> Vec<QueueEntry> {
    let mut batch = Batch::new();
    let blob = add_body(engine, &mut batch, &Bytes::from_static(b"body")).await;
    let entries: Vec<_> =
        (0..).zip(lanes).map(|(part, (lane, due))| entry(id(number), part, lane, *due, blob)).collect();
    for entry in &entries {
        spool.add(&mut batch, entry);
    }
    engine.commit(batch).await.unwrap();
    entries
}

async fn change(engine: &Arc<dyn Engine>, stage: impl FnOnce(&mut Batch)) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    stage(&mut batch);
    engine.commit(batch).await.map(drop)
}

#[tokio::test]
async fn an_entry_is_read_back_and_its_id_is_taken() {
    let (spool, engine) = spool();
    let entries = accept(&spool, &engine, 1, &[("local", 10), ("smtp:a:25", 10)]).await;
    assert_eq!(spool.entry(entries[1].id()).await.unwrap().as_ref(), Some(&entries[1]));
    assert_eq!(spool.entry(EntryId { queue_id: id(1), part: 2 }).await.unwrap(), None);
    let taken = change(&engine, |batch| spool.add(batch, &entries[0])).await;
    assert!(matches!(taken, Err(CommitError::Conflict(_))));
}

#[tokio::test]
async fn the_body_goes_with_the_last_entry() {
    let (spool, engine) = spool();
    let entries = accept(&spool, &engine, 1, &[("local", 10), ("smtp:a:25", 10)]).await;
    change(&engine, |batch| spool.remove(batch, &entries[0])).await.unwrap();
    assert_eq!(engine.blob_read(entries[0].blob, 0..9).await.unwrap(), "body");
    let again = change(&engine, |batch| spool.remove(batch, &entries[0])).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))), "an entry is settled once");
    change(&engine, |batch| spool.remove(batch, &entries[1])).await.unwrap();
    assert!(matches!(engine.blob_read(entries[0].blob, 0..9).await, Err(StoreError::NotFound)));
    assert!(keys(&engine, QUEUE_ENTRY).await.is_empty() && keys(&engine, DUE).await.is_empty());
}

#[tokio::test]
async fn a_changed_entry_moves_in_its_lane_and_the_old_one_no_longer_counts() {
    let (spool, engine) = spool();
    let old = accept(&spool, &engine, 1, &[("a", 10)]).await.remove(0);
    let new = QueueEntry { due: at(99), attempts: 1, lane: LaneId("b".into()), ..old.clone() };
    change(&engine, |batch| spool.replace(batch, &old, &new)).await.unwrap();
    assert_eq!(spool.lanes(None, 9).await.unwrap(), [(LaneId("b".into()), at(99))]);
    for stale in [
        change(&engine, |batch| spool.replace(batch, &old, &new)).await,
        change(&engine, |batch| spool.remove(batch, &old)).await,
    ] {
        assert!(matches!(stale, Err(CommitError::Conflict(_))));
    }
}

#[tokio::test]
async fn entries_of_earlier_versions_are_read_and_can_be_settled() {
    let (spool, engine) = spool();
    for (version, number) in [(1, 1), (2, 2), (3, 3), (4, 4)] {
        let entry = accept(&spool, &engine, number, &[("a", 10)]).await.remove(0);
        let octets = encoded_as(version, &entry);
        change(&engine, |batch| batch.put(entry_key(entry.id()).key(), octets.clone())).await.unwrap();
        assert_eq!(spool.entry(entry.id()).await.unwrap(), Some(entry.clone()));
        change(&engine, |batch| batch.put(entry_key(entry.id()).key(), octets.clone())).await.unwrap();
        assert_eq!(spool.list(None, 9).await.unwrap(), std::slice::from_ref(&entry));
        change(&engine, |batch| spool.remove(batch, &entry)).await.unwrap();
    }
}

/// As the release wrote it that had this version.
pub(super) fn encoded_as(version: u8, entry: &QueueEntry) -> Vec<u8> {
    let mut octets = vec![version];
    if version >= 3 {
        octets.extend(postcard::to_allocvec(entry).unwrap());
        assert_eq!(octets.pop(), Some(0), "submitter stands last");
        if version == 3 {
            assert_eq!(octets.pop(), Some(0), "rerouted stood last");
        }
        return octets;
    }
    octets.extend(postcard::to_allocvec(&old::EntryV2::from(entry)).unwrap());
    if version == 1 {
        assert_eq!(octets.pop(), Some(0), "delay_told stood last");
    }
    octets
}

#[tokio::test]
async fn the_due_index_tells_priorities() {
    let (spool, engine) = spool();
    let mut batch = Batch::new();
    let blob = add_body(&engine, &mut batch, &Bytes::from_static(b"body")).await;
    for (number, level) in [(1, None), (2, Some(9)), (3, Some(-9)), (4, Some(0))] {
        let mut entry = entry(id(number), 0, "a", 10, blob);
        entry.mail.priority = level.and_then(MtPriority::new);
        spool.add(&mut batch, &entry);
    }
    engine.commit(batch).await.unwrap();
    let due = spool.due(&LaneId("a".into()), None, at(10), 9).await.unwrap();
    assert_eq!(due.iter().map(|due| due.priority.level()).collect::<Vec<_>>(), [0, 9, -9, 0]);
}

#[tokio::test]
async fn held_entries_are_listed_but_never_due() {
    let (spool, engine) = spool();
    let waiting = accept(&spool, &engine, 1, &[("a", 10)]).await.remove(0);
    let held = QueueEntry { status: EntryStatus::Held, ..waiting.clone() };
    change(&engine, |batch| spool.replace(batch, &waiting, &held)).await.unwrap();
    assert!(spool.lanes(None, 9).await.unwrap().is_empty());
    assert_eq!(spool.list(None, 10).await.unwrap(), std::slice::from_ref(&held));
    change(&engine, |batch| spool.replace(batch, &held, &waiting)).await.unwrap();
    assert_eq!(spool.next_due(&waiting.lane, at(0)).await.unwrap(), Some(at(10)));
    assert!(change(&engine, |batch| spool.remove(batch, &waiting)).await.is_ok());
}

#[tokio::test]
async fn a_lane_gives_its_entries_in_order_of_due_time_page_by_page() {
    let (spool, engine) = spool();
    for (number, due) in [(1, 30), (2, -5), (3, 20), (4, 20), (5, 40)] {
        accept(&spool, &engine, number, &[("a", due), ("ab", due)]).await;
    }
    let lane = LaneId("a".into());
    let page = async |after, until| -> Vec<(i64, u64)> {
        let found = spool.due(&lane, after, at(until), 2).await.unwrap();
        found.iter().map(|due| (due.at.millis(), due.id.queue_id.as_u64())).collect()
    };
    assert_eq!(page(None, 30).await, [(-5, 2), (20, 3)]);
    let last = (at(20), EntryId { queue_id: id(3), part: 0 });
    assert_eq!(page(Some(last), 30).await, [(20, 4), (30, 1)]);
    assert_eq!(page(Some(last), 20).await, [(20, 4)]);
    assert_eq!(page(None, -6).await, []);
    assert_eq!(spool.next_due(&lane, at(20)).await.unwrap(), Some(at(30)));
    assert_eq!(spool.next_due(&lane, at(40)).await.unwrap(), None);
}

#[tokio::test]
async fn lanes_are_told_with_their_first_due_time() {
    let (spool, engine) = spool();
    accept(&spool, &engine, 1, &[("a", 30), ("a.b", 20), ("ab", 10)]).await;
    accept(&spool, &engine, 2, &[("a", 5), ("z", i64::MAX)]).await;
    let lanes = spool.lanes(None, 9).await.unwrap();
    let told: Vec<_> = lanes.iter().map(|(lane, due)| (&*lane.0, due.millis())).collect();
    assert_eq!(told, [("a", 5), ("a.b", 20), ("ab", 10), ("z", i64::MAX)]);
    let page = spool.lanes(Some(&LaneId("a".into())), 2).await.unwrap();
    assert_eq!(page, lanes[1..3]);
}

#[tokio::test]
async fn entries_are_listed_by_message_and_page() {
    let (spool, engine) = spool();
    for number in [1, 2, 3] {
        accept(&spool, &engine, number, &[("a", 1), ("b", 1)]).await;
    }
    let parts = |entries: Vec<QueueEntry>| -> Vec<(u64, u16)> {
        entries.iter().map(|entry| (entry.queue_id.as_u64(), entry.part)).collect()
    };
    assert_eq!(parts(spool.entries_of(id(2)).await.unwrap()), [(2, 0), (2, 1)]);
    let after = EntryId { queue_id: id(2), part: 0 };
    assert_eq!(parts(spool.list(Some(after), 2).await.unwrap()), [(2, 1), (3, 0)]);
    assert_eq!(parts(spool.list(None, 9).await.unwrap()).len(), 6);
}

fn to(addresses: &[&str], entry: &QueueEntry) -> QueueEntry {
    let recipient =
        |address: &&str| QueuedRecipient { address: address.parse().unwrap(), ..entry.recipients[0].clone() };
    QueueEntry { recipients: addresses.iter().map(recipient).collect(), ..entry.clone() }
}

async fn walked(spool: &Spool, node: &str, below: bool) -> Vec<u64> {
    let mut walk = NodeWalk::new(&node.parse().unwrap(), below);
    let mut found = std::collections::BTreeSet::new();
    loop {
        // Two at a time, so that the walk has to remember its place.
        let page = spool.walk(&mut walk, 2).await.unwrap();
        if page.is_empty() {
            return found.into_iter().collect();
        }
        found.extend(page.iter().map(|id| id.queue_id.as_u64()));
    }
}

#[tokio::test]
async fn entries_are_found_by_the_domains_they_wait_for() {
    let (spool, engine) = spool();
    let sets =
        [&["a@b.example"][..], &["a@B.Example", "c@b.example"], &["a@sub.b.example"], &["a@xb.example"]];
    let mut entries = Vec::new();
    for (number, addresses) in (1..).zip(sets) {
        let [first]: [QueueEntry; 1] =
            accept(&spool, &engine, number, &[("smtp:relay:25", 10)]).await.try_into().unwrap();
        let meant = to(addresses, &first);
        change(&engine, |batch| spool.replace(batch, &first, &meant)).await.unwrap();
        entries.push(meant);
    }
    assert_eq!(walked(&spool, "b.example", false).await, [1, 2]);
    assert_eq!(walked(&spool, "B.example", true).await, [1, 2, 3]);
    assert_eq!(walked(&spool, "example", true).await, [1, 2, 3, 4]);
    assert_eq!(walked(&spool, "example", false).await, Vec::<u64>::new());
    assert_eq!(
        walked(&spool, "example.org", true).await,
        Vec::<u64>::new(),
        "the domain of the draft is gone"
    );
    let held = QueueEntry { status: EntryStatus::Held, ..entries[0].clone() };
    change(&engine, |batch| spool.replace(batch, &entries[0], &held)).await.unwrap();
    assert_eq!(walked(&spool, "b.example", false).await, [2], "what is held does not wait for the node");
    change(&engine, |batch| spool.replace(batch, &held, &entries[0])).await.unwrap();
    for entry in &entries {
        change(&engine, |batch| spool.remove(batch, entry)).await.unwrap();
    }
    assert_eq!(keys(&engine, crate::keys::QUEUE_RECIPIENT).await, []);
}

#[tokio::test]
async fn what_stays_here_waits_for_no_node() {
    let (spool, engine) = spool();
    accept(&spool, &engine, 1, &[("local", 10), ("hold", 10), ("odmr:example.org", 10)]).await;
    assert!(walked(&spool, "example.org", true).await.is_empty());
}

/// It is what an Outbox is made of.
#[tokio::test]
async fn an_account_finds_what_it_submitted_and_hears_of_every_change() {
    let (spool, engine) = spool();
    let watch = spool.watch_submitted(AccountId(7));
    let mut entries = Vec::new();
    for (number, submitter) in [(1, Some(7)), (2, None), (3, Some(8)), (4, Some(7))] {
        let mut batch = Batch::new();
        let blob = add_body(&engine, &mut batch, &Bytes::from_static(b"body")).await;
        for part in 0..2 {
            let submitter = submitter.map(AccountId);
            let entry = QueueEntry { submitter, ..entry(id(number), part, "a", 10, blob) };
            spool.add(&mut batch, &entry);
            entries.push(entry);
        }
        engine.commit(batch).await.unwrap();
    }
    let mine = [&entries[0], &entries[1], &entries[6], &entries[7]].map(Clone::clone);
    assert_eq!(spool.submitted_by(AccountId(7), 9).await.unwrap(), mine);
    assert_eq!(spool.submitted_by(AccountId(7), 1).await.unwrap(), mine[..2]);
    watch.changed().await;
    let tried = QueueEntry { attempts: 1, ..entries[0].clone() };
    change(&engine, |batch| spool.replace(batch, &entries[0], &tried)).await.unwrap();
    watch.changed().await;
    change(&engine, |batch| spool.remove(batch, &tried)).await.unwrap();
    watch.changed().await;
    assert_eq!(spool.submitted_by(AccountId(7), 9).await.unwrap(), mine[1..]);
}
