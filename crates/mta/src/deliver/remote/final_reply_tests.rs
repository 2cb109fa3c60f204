//! RFC 5321 §4.2.5: the reply to the content is about every recipient that was taken.

use super::tests::{NextHop, queue_is_empty, submit};
use crate::testing::{Site, config};

fn transaction(reply: &str) -> &'static str {
    let script = format!(
        "S: 220 next.example ESMTP
        C: EHLO mx.here.example
        S: 250-next.example
        S: 250 PIPELINING
        C: MAIL FROM:<bob@here.example>
        C: RCPT TO:<a@there.example>$
        C: RCPT TO:<b@there.example>$
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: .
        S: {reply}"
    );
    Box::leak(script.into_boxed_str())
}

#[tokio::test]
async fn a_temporary_reply_to_the_content_brings_all_back_and_a_permanent_one_fails_all() {
    let hop =
        NextHop::new(vec![transaction("451 4.3.0 not now"), transaction("554 5.6.0 not this one")]).await;
    let site = Site::new(config(vec![hop.route()])).await;
    submit(&site, &["a@there.example", "b@there.example"]).await;
    let report = site.mail("bob@here.example", 1).await;
    for recipient in ["a@there.example", "b@there.example"] {
        assert!(report.contains(&format!("Final-Recipient: rfc822; {recipient}")), "{report}");
    }
    assert!(report.contains("554 5.6.0 not this one"), "{report}");
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
}
