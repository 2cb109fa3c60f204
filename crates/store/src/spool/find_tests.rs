use std::sync::Arc;

use bytes::Bytes;
use mail::QueueId;

use super::{tests::encoded_as, *};
use crate::{
    keys,
    memory::MemoryEngine,
    testing::{add_body, at, entry},
};

/// Entries with sender, recipients and lane as given; every one of an hour of its own.
async fn queue_of(envelopes: &[(&str, &[&str], &str)]) -> (Spool, Arc<dyn Engine>, Vec<QueueEntry>) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let spool = Spool::new(engine.clone());
    let mut batch = Batch::new();
    let blob = add_body(&engine, &mut batch, &Bytes::from_static(b"body")).await;
    let mut entries = Vec::new();
    for (number, (sender, recipients, lane)) in (1..).zip(envelopes) {
        let accepted_at = at(number * 3_600_000);
        let mut queued = entry(QueueId::new(accepted_at, 0), 0, lane, 10, blob);
        (queued.accepted_at, queued.release_at) = (accepted_at, accepted_at);
        if !sender.is_empty() {
            queued.reverse_path = ReversePath::Address(sender.parse().unwrap());
        }
        let rcpt = queued.recipients.remove(0);
        let to = |address: &&str| QueuedRecipient { address: address.parse().unwrap(), ..rcpt.clone() };
        queued.recipients = recipients.iter().map(to).collect();
        spool.add(&mut batch, &queued);
        entries.push(queued);
    }
    engine.commit(batch).await.unwrap();
    assert!(!spool.is_indexed().await.unwrap());
    renew(&spool).await;
    (spool, engine, entries)
}

async fn renew(spool: &Spool) {
    let mut renewal = Renewal::default();
    while !renewal.is_over() {
        renewal = spool.renew(renewal).await.unwrap();
    }
}

/// Their hours, found one key a page.
async fn found(spool: &Spool, criteria: &[Criterion]) -> Vec<i64> {
    let (mut hours, mut place) = (Vec::new(), None);
    loop {
        let path = spool.shortest_path(criteria, place.as_ref()).await.unwrap();
        let page = spool.find(&path, place.as_ref(), 1).await.unwrap();
        hours.extend(page.entries.iter().map(|entry| entry.accepted_at.millis() / 3_600_000));
        place = page.next;
        if place.is_none() {
            hours.sort_unstable();
            return hours;
        }
    }
}

async fn replace(spool: &Spool, engine: &Arc<dyn Engine>, old: &QueueEntry, new: &QueueEntry) {
    let mut batch = Batch::new();
    spool.replace(&mut batch, old, new);
    engine.commit(batch).await.unwrap();
}

const MIXED: &[(&str, &[&str], &str)] = &[
    ("a@x.example", &["r@b.example", "s@B.example"], "mx:b"),
    ("A@X.Example", &["r@sub.b.example"], "mx:b"),
    ("b@x.example", &["R@b.example"], "local"),
    ("", &["r@c.example", "t@[192.0.2.1]"], "mx:c"),
    ("a@y.example", &["s@b.example", "u@c.example"], "mx:c"),
];

#[tokio::test]
async fn entries_are_found_by_what_they_have_in_common_each_once() {
    let (spool, _, _) = queue_of(MIXED).await;
    let recipient = |address: &str| Criterion::Recipient(address.parse().unwrap());
    let sender = |address: &str| Criterion::Sender(ReversePath::Address(address.parse().unwrap()));
    let domain = |name: &str| name.parse().unwrap();
    let cases = [
        (recipient("r@B.example"), vec![1, 3]),
        (recipient("s@b.example"), vec![1, 5]),
        (recipient("t@[192.0.2.1]"), vec![4]),
        (recipient("q@b.example"), vec![]),
        (Criterion::RecipientDomain(domain("b.example")), vec![1, 3, 5]),
        (Criterion::RecipientsBelow(domain("b.example")), vec![2]),
        (sender("a@x.example"), vec![1, 2]),
        (Criterion::SenderDomain(domain("X.example")), vec![1, 2, 3]),
        (Criterion::Sender(ReversePath::Null), vec![4]),
        (Criterion::Lane(LaneId("mx:b".into())), vec![1, 2]),
        (Criterion::Waiting, vec![1, 2, 3, 4, 5]),
        (Criterion::Held, vec![]),
        (Criterion::Accepted { from: None, until: Some(at(2 * 3_600_000)) }, vec![1, 2]),
    ];
    for (criterion, hours) in cases {
        assert_eq!(found(&spool, std::slice::from_ref(&criterion)).await, hours, "{criterion:?}");
    }
    assert_eq!(found(&spool, &[]).await, [1, 2, 3, 4, 5]);
    let late = Criterion::Accepted { from: Some(at(100 * 3_600_000)), until: None };
    assert!(found(&spool, &[late]).await.is_empty(), "no message takes days to come");
}

#[tokio::test]
async fn indexes_follow_what_changes_and_go_with_the_entry() {
    let (spool, engine, entries) = queue_of(MIXED).await;
    let lane = |name: &str| Criterion::Lane(LaneId(name.into()));
    let held = QueueEntry { status: EntryStatus::Held, ..entries[0].clone() };
    replace(&spool, &engine, &entries[0], &held).await;
    assert_eq!(found(&spool, &[Criterion::Held]).await, [1]);
    assert_eq!(found(&spool, &[lane("mx:b")]).await, [1, 2], "held ones belong to their lane");
    assert_eq!(found(&spool, &[Criterion::Waiting]).await, [2, 3, 4, 5]);
    let moved = QueueEntry { lane: LaneId("mx:d".into()), ..entries[1].clone() };
    replace(&spool, &engine, &entries[1], &moved).await;
    assert_eq!(
        (found(&spool, &[lane("mx:b")]).await, found(&spool, &[lane("mx:d")]).await),
        (vec![1], vec![2])
    );
    let fewer = QueueEntry { recipients: held.recipients[1..].to_vec(), ..held.clone() };
    replace(&spool, &engine, &held, &fewer).await;
    assert_eq!(found(&spool, &[Criterion::Recipient("r@b.example".parse().unwrap())]).await, [3]);
    for entry in [&fewer, &moved, &entries[2], &entries[3], &entries[4]] {
        let mut batch = Batch::new();
        spool.remove(&mut batch, entry);
        engine.commit(batch).await.unwrap();
    }
    for tag in [keys::DUE, keys::QUEUE_RECIPIENT, keys::QUEUE_SENDER, keys::QUEUE_HELD] {
        assert_eq!(crate::testing::keys(&engine, tag).await, []);
    }
}

#[tokio::test]
async fn of_several_criteria_the_one_that_leads_to_the_fewest_is_followed() {
    let many: Vec<(&str, &[&str], &str)> =
        (0..50).map(|_| ("m@x.example", &["r@b.example"][..], "mx:b")).collect();
    let all = [&many[..], &[("one@y.example", &["r@b.example"], "mx:b")]].concat();
    let (spool, _, _) = queue_of(&all).await;
    let rare = Criterion::Sender(ReversePath::Address("one@y.example".parse().unwrap()));
    let common = Criterion::RecipientDomain("b.example".parse().unwrap());
    let path = spool.shortest_path(&[common, rare], None).await.unwrap();
    let page = spool.find(&path, None, 10).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (1, None));
}

/// A store that the release before wrote: entries of version 3, no index but that of domains.
#[tokio::test]
async fn a_store_of_an_earlier_release_is_searched_whole_until_its_indexes_are_there() {
    let (spool, engine, entries) = queue_of(MIXED).await;
    let mut batch = Batch::new();
    for tag in [keys::QUEUE_RECIPIENT, keys::QUEUE_SENDER, keys::QUEUE_HELD] {
        crate::testing::keys(&engine, tag).await.into_iter().for_each(|key| batch.delete(key));
    }
    batch.delete(KeyBuilder::counter(keys::counter::QUEUE_INDEX).key());
    batch.put(KeyBuilder::new(keys::OLD_QUEUE_NODE).text("example.b").key(), Vec::new());
    for entry in &entries {
        batch.put(entry_key(entry.id()).key(), encoded_as(3, entry));
    }
    engine.commit(batch).await.unwrap();
    let sender = Criterion::Sender(ReversePath::Address("a@y.example".parse().unwrap()));
    let path = spool.shortest_path(std::slice::from_ref(&sender), None).await.unwrap();
    assert_eq!(spool.find(&path, None, 9).await.unwrap().entries.len(), 5, "all, to be looked at");
    renew(&spool).await;
    assert_eq!(found(&spool, std::slice::from_ref(&sender)).await, [5]);
    assert_eq!(crate::testing::keys(&engine, keys::OLD_QUEUE_NODE).await, []);
    assert_eq!(spool.renew(Renewal::default()).await.unwrap().entries, 0, "once");
}
