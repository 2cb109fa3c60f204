//! LMTP as a way out (RFC 2033).

use std::sync::Arc;

use super::tests::{NextHop, queue_is_empty, submit};
use crate::{
    route::{NextHost, Route, Via},
    testing::{Site, config},
};

const HELLO: &str = "S: 220 store.example LMTP
    C: LHLO mx.here.example
    S: 250-store.example
    S: 250 PIPELINING
";

async fn store(dialogs: &[&str]) -> (NextHop, Site) {
    let scripts = dialogs.iter().map(|dialog| &*Box::leak(format!("{HELLO}{dialog}").into_boxed_str()));
    let hop = NextHop::new(scripts.collect()).await;
    let mut route: Route = hop.route();
    if let Via::Smtp(host) = &mut route.via {
        *host = Arc::new(NextHost { lmtp: true, ..(**host).clone() });
    }
    let site = Site::new(config(vec![route])).await;
    (hop, site)
}

/// C407
#[tokio::test]
async fn a_connection_lost_between_the_replies_settles_those_who_were_answered() {
    let (hop, site) = store(&[
        "C: MAIL FROM:<bob@here.example>
        C: RCPT TO:<a@there.example>
        C: RCPT TO:<b@there.example>
        C: RCPT TO:<c@there.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: .
        S: 250 2.1.5 delivered for a
        S: 550 5.2.1 b is disabled",
        "C: MAIL FROM:<bob@here.example>
        C: RCPT TO:<c@there.example>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: .
        S: 250 2.1.5 delivered for c",
    ])
    .await;
    submit(&site, &["a@there.example", "b@there.example", "c@there.example"]).await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Final-Recipient: rfc822; b@there.example"), "{report}");
    assert!(report.contains("550 5.2.1 b is disabled"), "{report}");
    assert!(
        !report.contains("a@there.example") || !report.contains("Final-Recipient: rfc822; a@"),
        "{report}"
    );
    let id = site.stores.ledger.find("a@there.example", 1).await.unwrap()[0];
    let history = format!("{:?}", site.stores.ledger.events(id).await.unwrap());
    for (recipient, times) in [("a", 1), ("b", 0), ("c", 1)] {
        let delivered = format!("Delivered {{ recipient: \"{recipient}@there.example\"");
        assert_eq!(history.matches(&delivered).count(), times, "{recipient}: {history}");
    }
    assert!(history.contains("Deferred { recipients: [\"c@there.example\"]"), "{history}");
}

#[tokio::test]
async fn what_an_lmtp_host_took_is_delivered_and_not_relayed() {
    let (hop, site) = store(&["C: MAIL
        C: RCPT
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: .
        S: 250 2.1.5 delivered"])
    .await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(
        "C: MAIL FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<a@there.example> NOTIFY=SUCCESS\nS: 250",
    )
    .await;
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: body\nC: .\nS: 250").await;
    hop.task.await.unwrap();
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Action: delivered") && !report.contains("relayed"), "{report}");
    queue_is_empty(&site).await;
}

/// What a host of last resort takes from strangers is no relaying.
#[tokio::test]
async fn mail_for_an_lmtp_host_is_taken_from_anybody() {
    let (hop, site) = store(&["C: MAIL\nC: RCPT\nC: DATA\nS: 250\nS: 250\nS: 354\nC: .\nS: 250 ok"]).await;
    let mut wire = site.connect("192.0.2.77").await;
    wire.dialog("C: MAIL FROM:<s@client.example>\nS: 250\nC: RCPT TO:<a@there.example>\nS: 250").await;
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: body\nC: .\nS: 250").await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
}
