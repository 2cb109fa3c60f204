//! What the next hop is given of what the sender asked for (RFC 3461 §5.2.1, §5.2.2).

use super::tests::{NextHop, queue_is_empty};
use crate::testing::{Site, config};

const WITH_DSN: &str = "S: 220 next.example ESMTP
    C: EHLO mx.here.example
    S: 250-next.example
    S: 250 DSN
";
const WITHOUT_DSN: &str = "S: 220 next.example ESMTP
    C: EHLO mx.here.example
    S: 250-next.example
    S: 250 8BITMIME
";

async fn relay(hello: &str, envelope: &str, then: &str) -> Site {
    let script = format!("{hello}{then}\nC: DATA\nS: 354 go\nC: .\nS: 250 2.6.0 taken");
    let hop = NextHop::new(vec![Box::leak(script.into_boxed_str())]).await;
    let site = Site::new(config(vec![hop.route()])).await;
    let targets = vec!["far@there.example".parse().unwrap()];
    let now = mail::Timestamp::from_millis(1);
    site.stores.directory.add_alias("Near@here.example", targets, now).await.unwrap();
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(envelope).await;
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: the body\nC: .\nS: 250").await;
    hop.task.await.unwrap();
    site
}

#[tokio::test]
async fn a_host_with_dsn_gets_all_that_was_asked_for_and_tells() {
    let site = relay(
        WITH_DSN,
        "C: MAIL FROM:<bob@here.example> RET=hdrs ENVID=Q+2BQ3
         S: 250
         C: RCPT TO:<far@there.example> NOTIFY=success,DELAY ORCPT=rfc822;A+2Bb@C.example
         S: 250
         C: RCPT TO:<two@there.example>
         S: 250
         C: RCPT TO:<three@there.example> NOTIFY=NEVER
         S: 250",
        "C: MAIL FROM:<bob@here.example> RET=HDRS ENVID=Q+2BQ3$
         S: 250 ok
         C: RCPT TO:<far@there.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A+2Bb@C.example$
         S: 250 ok
         C: RCPT TO:<two@there.example>$
         S: 250 ok
         C: RCPT TO:<three@there.example> NOTIFY=NEVER$
         S: 250 ok",
    )
    .await;
    queue_is_empty(&site).await;
    assert!(site.stores.spool.list(None, 9).await.unwrap().is_empty());
    let bob = site.stores.directory.account(&"bob@here.example".parse().unwrap()).await.unwrap().unwrap();
    let told = site.stores.mailboxes.messages(bob.inbox, store::mailbox::Uid(1), 9).await.unwrap();
    assert!(told.is_empty(), "the next host tells");
}

#[tokio::test]
async fn the_address_that_an_alias_changed_goes_along() {
    relay(
        WITH_DSN,
        "C: MAIL FROM:<bob@here.example>
         S: 250
         C: RCPT TO:<Near@here.example>
         S: 250",
        "C: MAIL FROM:<bob@here.example>$
         S: 250 ok
         C: RCPT TO:<far@there.example> ORCPT=rfc822;Near@here.example$
         S: 250 ok",
    )
    .await;
}

#[tokio::test]
async fn that_a_host_without_dsn_took_the_message_is_told_by_us() {
    let site = relay(
        WITHOUT_DSN,
        "C: MAIL FROM:<bob@here.example> RET=FULL ENVID=7
         S: 250
         C: RCPT TO:<far@there.example> NOTIFY=SUCCESS
         S: 250
         C: RCPT TO:<two@there.example> NOTIFY=FAILURE
         S: 250",
        "C: MAIL FROM:<bob@here.example>$
         S: 250 ok
         C: RCPT TO:<far@there.example>$
         S: 250 ok
         C: RCPT TO:<two@there.example>$
         S: 250 ok",
    )
    .await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("\r\nOriginal-Envelope-Id: 7\r\n"), "{report}");
    assert!(
        report.contains(
            "\r\nFinal-Recipient: rfc822; far@there.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n\
             Remote-MTA: dns; 127.0.0.1\r\nDiagnostic-Code: smtp; 250 2.6.0 taken\r\n"
        ),
        "{report}"
    );
    assert!(!report.contains("two@there.example") && !report.contains("the body"), "{report}");
}
