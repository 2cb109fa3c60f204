//! A defect of ours that breaks a delivery off costs one entry its turn, and neither the lane its worker nor other mail
//! its way. What does so twice running is parked, lest it do so for ever.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use store::{
    Batch, CommitError,
    ledger::Event,
    spool::{EntryStatus, QueueEntry},
};

use crate::{
    Mta,
    outcome::{self, Fate, Trouble},
};

/// Marks the entry from the first time on, also over a restart.
const BROKEN_OFF: &str = "delivery broke off by a defect of Postrider, which its log tells; please report it";

/// None if the work panicked. Then the entry is tried again, or on hold.
pub(super) async fn guarded<T>(
    mta: &Arc<Mta>,
    entry: &Arc<QueueEntry>,
    work: impl Future<Output = T>,
) -> Option<T> {
    if let Ok(done) = AssertUnwindSafe(Box::pin(work)).catch_unwind().await {
        return Some(done);
    }
    if entry.last_error.as_deref() != Some(BROKEN_OFF) {
        tracing::error!(id = %entry.queue_id, lane = %entry.lane.0, "a delivery broke off");
        let fate = Fate::Deferred(Trouble::new((4, 3, 0), BROKEN_OFF));
        let fates = entry.recipients.iter().map(|_| fate.clone()).collect();
        outcome::settle(mta, entry, fates, None).await;
        return None;
    }
    tracing::error!(id = %entry.queue_id, lane = %entry.lane.0, "a delivery broke off again; it is on hold");
    if let Err(error) = park(mta, entry).await {
        tracing::error!(id = %entry.queue_id, %error, "it cannot be put on hold");
    }
    mta.dispatcher.finished(mta, &entry.lane, entry.id(), None);
    None
}

/// As an operator's hold.
async fn park(mta: &Mta, entry: &QueueEntry) -> Result<(), CommitError> {
    let parked =
        QueueEntry { status: EntryStatus::Held, attempts: entry.attempts.saturating_add(1), ..entry.clone() };
    let recipients = parked.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let event = Event::Operator { action: "park".to_owned(), recipients, reason: None };
    let mut batch = Batch::new();
    mta.stores.spool.replace(&mut batch, entry, &parked);
    mta.stores.ledger.append(&mut batch, entry.queue_id, mta.world.clock.wall(), &event);
    mta.stores.engine.commit(batch).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use store::{Batch, KeyRange, Order, engine::Engine, keys::QUEUE_ENTRY, spool::EntryStatus};
    use world::World;

    use crate::{
        route::{NextHost, Route, RouteTls, Via},
        testing::{Names, Site, Wire, config},
    };

    fn route(recipient: &str, host: &str) -> Route {
        let host = NextHost {
            host: host.to_owned(),
            port: 25,
            tls: RouteTls::Opportunistic,
            login: None,
            lmtp: false,
        };
        Route { recipient: recipient.parse().unwrap(), via: Via::Smtp(Arc::new(host)) }
    }

    /// One host's name breaks the resolver, the other has no address.
    async fn site() -> Site {
        let world = World { dns: Arc::new(Names::new("poison.example PANICS")), ..World::system() };
        let routes = vec![route("*@poison.example", "poison.example"), route("*", "nobody.example")];
        Site::in_world(config(routes), world).await
    }

    async fn send(wire: &mut Wire, to: &str) {
        wire.dialog(&format!("C: MAIL FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<{to}>\nS: 250")).await;
        wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: body\nC: .\nS: 250").await;
    }

    async fn until(mut ready: impl AsyncFnMut() -> bool) {
        while !ready().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_message_that_breaks_its_worker_twice_is_parked_and_the_rest_flows() {
        let site = site().await;
        let mut wire = site.connect("127.0.0.1").await;
        send(&mut wire, "x@poison.example").await;
        until(async || site.stores.spool.list(None, 1).await.unwrap()[0].status == EntryStatus::Held).await;
        let parked = site.stores.spool.list(None, 1).await.unwrap().remove(0);
        assert_eq!(parked.attempts, 2);
        assert!(parked.last_error.unwrap().contains("a defect of Postrider"));
        send(&mut wire, "bob@here.example").await;
        site.mail("bob@here.example", 1).await;
        // Its lane has its workers still: the next one comes as far.
        send(&mut wire, "y@poison.example").await;
        until(async || {
            let entries = site.stores.spool.list(None, 9).await.unwrap();
            entries.iter().filter(|entry| entry.status == EntryStatus::Held).count() == 2
        })
        .await;
    }

    /// Its value is not one, or of a release to come.
    #[tokio::test]
    async fn an_entry_that_cannot_be_read_stops_nothing() {
        let site = site().await;
        let mut wire = site.connect("127.0.0.1").await;
        for (number, poison) in [vec![], vec![0xFF; 40], vec![3], vec![200, 1, 2, 3]].into_iter().enumerate()
        {
            send(&mut wire, "x@other.example").await;
            until(async || site.stores.spool.list(None, 1).await.unwrap()[0].attempts > 0).await;
            let range = KeyRange::prefix(&[QUEUE_ENTRY]);
            let found = site.engine.scan(range, Order::Descending, 1).await.unwrap();
            let mut batch = Batch::new();
            batch.put(found[0].0.clone(), poison.clone());
            site.engine.commit(batch).await.unwrap();
            send(&mut wire, "bob@here.example").await;
            site.mail("bob@here.example", number + 1).await;
            tokio::time::sleep(Duration::from_millis(120)).await;
            assert!(site.stores.spool.list(None, 9).await.unwrap().is_empty(), "listings go on without it");
            assert_eq!(site.engine.get(&found[0].0).await.unwrap().unwrap(), poison, "it is kept");
        }
        send(&mut wire, "y@other.example").await;
        until(async || site.stores.spool.list(None, 9).await.unwrap().iter().any(|entry| entry.attempts > 0))
            .await;
    }
}
