use store::{
    Batch,
    ledger::Event,
    spool::{Cancelled, QueueEntry},
};

use super::{
    CANCEL,
    tests::{Host, entries, held, listener, routed_to, send},
};
use crate::testing::Site;

async fn cancel(site: &Site, entry: &QueueEntry, whole: bool) -> Cancelled {
    site.mta.cancel(entry.queue_id, whole, Batch::new()).await.unwrap()
}

#[tokio::test]
async fn who_sent_a_message_calls_it_off_and_its_history_says_so() {
    let site = Site::new(held()).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    assert!(matches!(cancel(&site, &entry, true).await, Cancelled::Whole(_)));
    assert_eq!(entries(&site).await, [], "and nobody is told");
    let events = site.stores.ledger.events(entry.queue_id).await.unwrap();
    let Some((_, Event::Operator { action, recipients, .. })) = events.last() else { panic!("{events:?}") };
    assert_eq!((&**action, &recipients[..]), (CANCEL, &["carol@there.example".to_owned()][..]));
    assert!(matches!(cancel(&site, &entry, true).await, Cancelled::Gone));
}

#[tokio::test]
async fn what_a_worker_has_is_not_called_off_and_the_rest_is() {
    let (next, port) = listener().await;
    let site = Site::new(routed_to(port)).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    let mut host = Host::take(&next).await;
    // Another lane of the same message, which nobody has in hand.
    let lane = store::spool::LaneId("smtp:127.0.0.1:9".into());
    let other = QueueEntry { part: 1, lane, status: store::spool::EntryStatus::Held, ..entry.clone() };
    let mut batch = Batch::new();
    site.stores.spool.add(&mut batch, &other);
    site.stores.engine.commit(batch).await.unwrap();
    assert!(matches!(cancel(&site, &entry, true).await, Cancelled::Busy));
    assert_eq!(entries(&site).await.len(), 2, "as a whole or not at all");
    assert!(matches!(cancel(&site, &entry, false).await, Cancelled::Busy));
    assert_eq!(entries(&site).await.iter().map(|entry| entry.part).collect::<Vec<_>>(), [0]);
    host.say("451 not now").await;
    let tried =
        super::tests::until(async || entries(&site).await.pop().filter(|one| one.attempts == 1)).await;
    // It is put back into nobody's hand a moment after that was noted.
    super::tests::until(async || match cancel(&site, &tried, true).await {
        Cancelled::Whole(_) => Some(()),
        Cancelled::Busy | Cancelled::Gone => None,
    })
    .await;
    assert_eq!(entries(&site).await, []);
}

/// RFC 2645: a lane that is fetched from is in one hand as a whole.
#[tokio::test]
async fn what_waits_to_be_fetched_is_called_off_unless_somebody_fetches_it_now() {
    let site = Site::new(held()).await;
    let entry = send(&site, "bob@here.example", "carol@there.example").await;
    let lane = crate::route::pickup_lane(&"there.example".parse().unwrap());
    for part in 1..=2 {
        let waiting = QueueEntry { part, lane: lane.clone(), ..entry.clone() };
        let mut batch = Batch::new();
        site.stores.spool.add(&mut batch, &waiting);
        site.stores.engine.commit(batch).await.unwrap();
    }
    let call = site.mta.pickups.claim(&lane).unwrap();
    assert!(matches!(cancel(&site, &entry, true).await, Cancelled::Busy));
    drop(call);
    assert!(matches!(cancel(&site, &entry, true).await, Cancelled::Whole(_)));
    assert_eq!(entries(&site).await, []);
    assert!(site.mta.pickups.claim(&lane).is_ok(), "and the lane is free again");
}
