//! Who waits for a site that cannot be reached is not tried, and yet his sender hears in time.

use std::{sync::Arc, time::Duration};

use store::mailbox::Uid;
use tokio::net::TcpListener;

use crate::{
    Config,
    route::{NextHost, Route, RouteTls, Via},
    testing::{Site, config},
};

/// A site whose next hop for there.example takes no connections, and that tries it only once an hour.
async fn unreachable() -> Config {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let host = "127.0.0.1".to_owned();
    let smarthost = NextHost { host, port, tls: RouteTls::None, login: None, lmtp: false };
    let route = Route { recipient: "*@there.example".parse().unwrap(), via: Via::Smtp(Arc::new(smarthost)) };
    Config { retry_delays: vec![Duration::from_hours(1)], ..config(vec![route]) }
}

async fn submit(site: &Site, count: usize) {
    let mut wire = site.connect("127.0.0.1").await;
    for number in 0..count {
        wire.dialog(&format!(
            "C: MAIL FROM:<bob@here.example>
             S: 250
             C: RCPT TO:<carol{number}@there.example>
             S: 250
             C: DATA
             S: 354
             C: .
             S: 250"
        ))
        .await;
    }
}

async fn reports(site: &Site) -> Vec<String> {
    let bob = site.stores.directory.account(&"bob@here.example".parse().unwrap()).await.unwrap().unwrap();
    let count = site.stores.mailboxes.messages(bob.inbox, Uid(1), 100).await.unwrap().len();
    let mut reports = Vec::new();
    for number in 1..=count {
        reports.push(site.mail("bob@here.example", number).await);
    }
    reports
}

#[tokio::test]
async fn what_waits_too_long_for_its_site_goes_back() {
    let site = Site::new(Config { expire_after: Duration::from_secs(2), ..unreachable().await }).await;
    submit(&site, 20).await;
    site.mail("bob@here.example", 20).await;
    let reports = reports(&site).await;
    for number in 0..20 {
        let name = format!("carol{number}@there.example");
        let about = reports.iter().filter(|report| report.contains(&format!("rfc822; {name}\r\n")));
        let about: Vec<_> = about.collect();
        assert!(about.len() == 1 && about[0].contains("Status: 4.4.7"), "{name}: {about:?}");
    }
    assert!(site.stores.spool.list(None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_delay_is_told_once_while_the_message_waits_untried() {
    let notice = Duration::from_millis(1500);
    let site = Site::new(Config { delay_notice_after: notice, ..unreachable().await }).await;
    submit(&site, 10).await;
    let due = |entries: Vec<store::spool::QueueEntry>| -> Vec<_> {
        entries.iter().filter(|entry| entry.attempts == 0).map(|entry| (entry.id(), entry.due)).collect()
    };
    let before = due(site.stores.spool.list(None, 99).await.unwrap());
    site.mail("bob@here.example", 10).await;
    let entries = site.stores.spool.list(None, 99).await.unwrap();
    let attempts: u32 = entries.iter().map(|entry| entry.attempts).sum();
    assert!(attempts <= 2, "one probe, or two at the same time: {attempts}");
    assert!(entries.len() == 10 && entries.iter().all(|entry| entry.delay_told));
    assert_eq!(due(entries), before, "who was not tried has its place in the queue still");
    assert!(reports(&site).await.iter().all(|report| report.contains("Action: delayed")));
}
