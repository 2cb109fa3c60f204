//! What the next hop is told of deadlines and priorities, and what the sender (RFC 2852 §4.1, RFC 6710 §4.2, RFC 6758).

use super::tests::{NextHop, queue_is_empty};
use crate::testing::{Site, config};

const WITHOUT: &str = "S: 220 next.example ESMTP
    C: EHLO mx.here.example
    S: 250-next.example
    S: 250 DSN
";

fn announcing(keywords: &str) -> String {
    format!("{}S: 250 {keywords}\n", WITHOUT.replace("S: 250 DSN", "S: 250-DSN"))
}

/// A message with these parameters of MAIL, and what the next hop has to see.
async fn relay(script: String, parameters: &str, rcpt: &str) -> Site {
    let hop = NextHop::new(vec![Box::leak(script.into_boxed_str())]).await;
    let site = Site::new(config(vec![hop.route()])).await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(&format!(
        "C: MAIL FROM:<bob@here.example> {parameters}
         S: 250
         C: RCPT TO:<far@there.example>{rcpt}
         S: 250
         C: DATA
         S: 354
         C: Subject: x
         C: \n\
         C: the body
         C: .
         S: 250"
    ))
    .await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
    site
}

fn taking(hello: &str, mail: &str, content: &str) -> String {
    format!(
        "{hello}C: {mail}\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\n{content}C: .\nS: 250 2.6.0 taken"
    )
}

async fn told(site: &Site) -> usize {
    let bob = site.stores.directory.account(&"bob@here.example".parse().unwrap()).await.unwrap().unwrap();
    site.stores.mailboxes.messages(bob.inbox, store::mailbox::Uid(1), 9).await.unwrap().len()
}

/// C279: some of the time is gone, and none is won.
#[tokio::test]
async fn a_host_with_deliverby_is_told_what_is_left() {
    for (by, begins) in [("900;R", "8"), ("900;N", "8"), ("0;N", "-")] {
        let mail = format!("MAIL FROM:<bob@here.example> BY={begins}");
        let site = relay(taking(&announcing("DELIVERBY 60"), &mail, ""), &format!("BY={by}"), "").await;
        assert_eq!(told(&site).await, 0, "the next host watches over it");
    }
}

/// C279
#[tokio::test]
async fn what_is_to_come_back_in_time_goes_to_nobody_who_does_not_promise_that() {
    for (hello, by) in [(WITHOUT.to_owned(), "900;R"), (announcing("DELIVERBY 901"), "900;R")] {
        let site = relay(format!("{hello}C: QUIT"), &format!("BY={by}"), "").await;
        let report = site.mail("bob@here.example", 1).await;
        assert!(report.contains("\r\nAction: failed\r\nStatus: 5.4.7\r\n"), "{report}");
        assert!(report.contains("DELIVERBY"), "{report}");
    }
}

/// C279: from there on nobody tells of a missed deadline, so we tell of that.
#[tokio::test]
async fn a_host_without_deliverby_gets_what_may_be_late_and_the_sender_knows() {
    let script = || taking(WITHOUT, "MAIL FROM:<bob@here.example>$", "");
    let site = relay(script(), "BY=900;N", "").await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("\r\nAction: relayed\r\nStatus: 2.0.0\r\n"), "{report}");
    assert!(
        report.contains("\r\nDeliver-By-Date: ")
            && report.replace("\r\n", " ").contains("knows of no deadlines"),
        "{report}"
    );
    let site = relay(script(), "BY=900;N", " NOTIFY=NEVER").await;
    assert_eq!(told(&site).await, 0);
}

/// C277: RFC 2852 §4, by-trace.
#[tokio::test]
async fn each_step_is_told_to_who_wants_a_trace() {
    let script = taking(&announcing("DELIVERBY"), "MAIL FROM:<bob@here.example> BY=8", "");
    let site = relay(script, "BY=900;RT", "").await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(
        report.contains("\r\nAction: relayed\r\n")
            && report.replace("\r\n", " ").contains("keeps to your deadline"),
        "{report}"
    );
}

/// C283
#[tokio::test]
async fn a_host_with_priorities_gets_the_parameter() {
    let mail = "MAIL FROM:<bob@here.example> MT-PRIORITY=-3$";
    relay(taking(&announcing("MT-PRIORITY"), mail, "C: Received: \n"), "MT-PRIORITY=-3", "").await;
}

/// C283: RFC 6758
#[tokio::test]
async fn a_host_without_priorities_gets_a_header_field_once() {
    for (parameter, content) in [
        ("MT-PRIORITY=3", "C: MT-Priority: 3$\nC: Received: \n"),
        ("MT-PRIORITY=0", "C: Received: \n"),
        ("", "C: Received: \n"),
    ] {
        relay(taking(WITHOUT, "MAIL FROM:<bob@here.example>$", content), parameter, "").await;
    }
}
