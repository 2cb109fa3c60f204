//! Deadlines and priorities of messages that wait, and what their senders are told (RFC 2852 §4.1, RFC 6710 §5).

use std::{sync::Arc, time::Duration};

use mail::MtPriority;
use store::{mailbox::Uid, spool::EntryStatus};
use tokio::net::TcpListener;

use crate::{
    Config,
    route::{NextHost, Route, RouteTls, Via},
    testing::{Site, config},
};

/// A site whose next hop for there.example takes no connections, and that tries it only once an hour.
async fn unreachable() -> Config {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let smarthost =
        NextHost { host: "127.0.0.1".to_owned(), port, tls: RouteTls::None, login: None, lmtp: false };
    let route = Route { recipient: "*@there.example".parse().unwrap(), via: Via::Smtp(Arc::new(smarthost)) };
    Config { retry_delays: vec![Duration::from_hours(1)], ..config(vec![route]) }
}

async fn send(site: &Site, parameters: &str, rcpts: &[&str]) {
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(&format!("C: MAIL FROM:<bob@here.example> {parameters}\nS: 250 2.1.0")).await;
    for rcpt in rcpts {
        wire.dialog(&format!("C: RCPT TO:{rcpt}\nS: 250 2.1.5")).await;
    }
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: the body\nC: .\nS: 250").await;
}

async fn reports(site: &Site) -> usize {
    let bob = site.stores.directory.account(&"bob@here.example".parse().unwrap()).await.unwrap().unwrap();
    site.stores.mailboxes.messages(bob.inbox, Uid(1), 100).await.unwrap().len()
}

/// C278: the next try would be in an hour; the deadline wakes it.
#[tokio::test]
async fn a_message_that_is_late_goes_back_if_its_sender_wants_that() {
    let site = Site::new(unreachable().await).await;
    let rcpts = ["<carol@there.example> NOTIFY=FAILURE", "<dave@there.example> NOTIFY=NEVER"];
    send(&site, "BY=1;R MT-PRIORITY=4", &rcpts).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("\r\nAction: failed\r\nStatus: 5.4.7\r\n"), "{report}");
    assert!(report.contains("\r\nDeliver-By-Date: "), "{report}");
    assert!(report.contains("cannot be reached") && !report.contains("dave@there.example"), "{report}");
    assert!(site.stores.spool.list(None, 9).await.unwrap().is_empty(), "delivery stops");
    let id = site.stores.ledger.find("carol@there.example", 1).await.unwrap()[0];
    let history = format!("{:?}", site.stores.ledger.events(id).await.unwrap());
    assert!(history.contains("Expired") && history.contains("its deadline has passed"), "{history}");
}

/// C278
#[tokio::test]
async fn a_message_that_is_late_is_told_of_once_and_tried_on() {
    let site = Site::new(unreachable().await).await;
    send(&site, "BY=1;N", &["<carol@there.example>", "<dave@there.example> NOTIFY=FAILURE"]).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("\r\nAction: delayed\r\nStatus: 4.4.7\r\n"), "{report}");
    assert!(!report.contains("dave@there.example"), "{report}");
    let entries = site.stores.spool.list(None, 9).await.unwrap();
    assert_eq!((entries.len(), entries[0].recipients.len()), (1, 2), "delivery goes on");
    assert_eq!(entries[0].attempts, 1, "a dead site is not tried for it");
    assert!(entries[0].deadline.unwrap().told);
    site.mta.dispatcher.tell(&site.mta, |lanes| lanes.handle_kick(&entries[0].lane));
    site.mta.operate(entries[0].id(), &crate::queue::Operation::Retry.into()).await.unwrap();
    while site.stores.spool.list(None, 9).await.unwrap()[0].attempts < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(reports(&site).await, 1, "once");
}

/// C278: RFC 2852 has nothing against NOTIFY.
#[tokio::test]
async fn who_wants_no_report_of_a_missed_deadline_gets_none() {
    let site = Site::new(unreachable().await).await;
    send(&site, "BY=1;R", &["<carol@there.example> NOTIFY=NEVER"]).await;
    while !site.stores.spool.list(None, 9).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(reports(&site).await, 0);
}

/// C282
#[tokio::test]
async fn a_report_matters_as_much_as_its_message() {
    let held = Route { recipient: "bob@away.example".parse().unwrap(), via: Via::Hold };
    let mut config = unreachable().await;
    config.routes.insert(0, held);
    let site = Site::new(config).await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(
        "C: MAIL FROM:<bob@away.example> BY=1;R MT-PRIORITY=-4
         S: 250
         C: RCPT TO:<carol@there.example>
         S: 250
         C: DATA
         S: 354
         C: .
         S: 250",
    )
    .await;
    let report = loop {
        let entries = site.stores.spool.list(None, 9).await.unwrap();
        if let Some(entry) = entries.into_iter().find(|entry| entry.status == EntryStatus::Held) {
            break entry;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(report.reverse_path.is_null());
    assert_eq!(report.mail.priority, MtPriority::new(-4));
}

/// C286: expiry and the notice of a delay count from the release.
#[tokio::test]
async fn the_clock_of_a_held_message_starts_when_it_leaves() {
    let mut config = unreachable().await;
    config.expire_after = Duration::from_millis(500);
    config.retry_delays = vec![Duration::from_millis(50)];
    let site = Site::new(config).await;
    let mut wire = site.connect_to("127.0.0.1", proto::smtp::server::Flavour::Submission).await;
    wire.dialog(
        "C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0
         S: 235
         C: MAIL FROM:<bob@here.example> HOLDFOR=1
         S: 250
         C: RCPT TO:<carol@there.example>
         S: 250
         C: DATA
         S: 354
         C: From: <bob@here.example>
         C: 
         C: .
         S: 250",
    )
    .await;
    let entry = site.stores.spool.list(None, 9).await.unwrap().remove(0);
    assert!(entry.release_at > entry.accepted_at.plus(Duration::from_millis(900)));
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Status: 4.4.7"), "{report}");
    let events = site.stores.ledger.events(entry.queue_id).await.unwrap();
    let attempts = events
        .iter()
        .filter(|(at, event)| matches!(event, store::ledger::Event::Attempt(_)) && *at >= entry.release_at);
    assert!(attempts.count() >= 2, "it was tried again and again after the release: {events:?}");
}
