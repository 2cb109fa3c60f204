//! What goes on of RRVS, SOLICIT and MTRK, what is dropped, and what fails for want of it.

use super::tests::{NextHop, queue_is_empty};
use crate::{
    Config,
    testing::{Site, config},
};

const ALL: &str = "S: 220 next.example ESMTP
    C: EHLO mx.here.example
    S: 250-next.example
    S: 250-DSN
    S: 250-RRVS
    S: 250-NO-SOLICITING
    S: 250 MTRK
";
const NONE: &str = "S: 220 next.example ESMTP
    C: EHLO mx.here.example
    S: 250-next.example
    S: 250 DSN
";
const SINCE: &str = "2014-04-03T23:01:00Z";

fn willing(hop: &NextHop) -> Config {
    let no_soliciting = "net.example:ADLT".parse().unwrap();
    Config { tracking: true, no_soliciting, ..config(vec![hop.route()]) }
}

async fn site(script: String) -> (Site, NextHop) {
    let hop = NextHop::new(vec![Box::leak(script.into_boxed_str())]).await;
    (Site::new(willing(&hop)).await, hop)
}

async fn send(site: &Site, mail: &str, rcpt: &str) {
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(&format!("C: MAIL FROM:<bob@here.example>{mail}\nS: 250\nC: RCPT TO:{rcpt}\nS: 250")).await;
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: the body\nC: .\nS: 250").await;
}

/// The promises in the history, as `RRVS kept`.
async fn promises(site: &Site, address: &str) -> Vec<String> {
    let id = site.stores.ledger.find(address, 1).await.unwrap()[0];
    let events = site.stores.ledger.events(id).await.unwrap();
    let promise = |event: store::ledger::Event| match event {
        store::ledger::Event::Promise { promise, state, .. } => Some(format!("{promise} {state}")),
        _ => None,
    };
    events.into_iter().filter_map(|(_, event)| promise(event)).collect()
}

/// C304, C307: what the next host knows goes on.
#[tokio::test]
async fn a_host_that_knows_them_gets_all() {
    let (site, hop) = site(format!(
        "{ALL}C: MAIL FROM:<bob@here.example> ENVID=x SOLICIT=net.example:ADV MTRK=QUJD:60$
         S: 250 ok
         C: RCPT TO:<a@there.example> RRVS={SINCE};R$
         S: 250 ok
         C: DATA
         S: 354 go
         C: .
         S: 250 taken"
    ))
    .await;
    let rcpt = format!("<a@there.example> RRVS={SINCE}");
    send(&site, " ENVID=x MTRK=QUJD:60 SOLICIT=net.example:ADV", &rcpt).await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
    let told = promises(&site, "a@there.example").await;
    assert_eq!(told, ["SOLICIT asked", "MTRK asked", "RRVS asked", "RRVS kept"]);
}

/// C293, C307: to a host that knows none, it goes without, unless RRVS says otherwise.
#[tokio::test]
async fn a_host_that_knows_none_gets_the_message() {
    let (site, hop) = site(format!(
        "{NONE}C: MAIL FROM:<bob@here.example> ENVID=x$
         S: 250 ok
         C: RCPT TO:<a@there.example>$
         S: 250 ok
         C: DATA
         S: 354 go
         C: .
         S: 250 taken"
    ))
    .await;
    let rcpt = format!("<a@there.example> RRVS={SINCE};C");
    send(&site, " ENVID=x MTRK=QUJD:60 SOLICIT=net.example:ADV", &rcpt).await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
    let told = promises(&site, "a@there.example").await;
    assert_eq!(told[3..], ["SOLICIT dropped", "MTRK dropped", "RRVS dropped"]);
}

/// C293
#[tokio::test]
async fn a_host_that_cannot_tell_gets_nothing_if_the_sender_says_so() {
    let (site, _hop) = site(NONE.to_owned()).await;
    send(&site, "", &format!("<a@there.example> RRVS={SINCE}")).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("\r\nStatus: 5.7.19\r\n"), "{report}");
    assert_eq!(promises(&site, "a@there.example").await, ["RRVS asked", "RRVS failed"]);
}

/// C293: it was asked of the alias, which is ours to judge; what stands behind it is somebody else's.
#[tokio::test]
async fn an_alias_answers_for_itself() {
    let (site, hop) = site(format!(
        "{ALL}C: MAIL FROM:<bob@here.example>$
         S: 250 ok
         C: RCPT TO:<a@there.example> ORCPT=rfc822;near@old.example$
         S: 250 ok
         C: DATA
         S: 354 go
         C: .
         S: 250 taken"
    ))
    .await;
    let (early, late) = (mail::Timestamp::from_millis(1), "2014-04-04T00:00:00Z".parse().unwrap());
    let directory = &site.stores.directory;
    directory.add_domain(&"old.example".parse().unwrap(), early).await.unwrap();
    for (name, made) in [("near@old.example", early), ("late@old.example", late)] {
        directory.add_alias(name, vec!["a@there.example".parse().unwrap()], made).await.unwrap();
    }
    directory.add_alias("@old.example", vec!["a@there.example".parse().unwrap()], early).await.unwrap();
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(&format!(
        "C: MAIL FROM:<bob@here.example>
         S: 250
         C: RCPT TO:<late@old.example> RRVS={SINCE}
         S: 550 5.7.17
         C: RCPT TO:<bob@here.example> RRVS={SINCE}
         S: 550 5.7.18
         C: RCPT TO:<any@old.example> RRVS={SINCE}
         S: 550 5.7.19
         C: RSET
         S: 250"
    ))
    .await;
    send(&site, "", &format!("<near@old.example> RRVS={SINCE}")).await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
}

/// C289: a route that insists on TLS is the operator's word, and no header field sets that aside.
#[tokio::test]
async fn a_waiver_is_noted_and_changes_no_route() {
    let (site, hop) =
        site(format!("{NONE}C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nC: .\nS: 250 ok"))
            .await;
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(
        "C: MAIL FROM:<bob@here.example>
         S: 250
         C: RCPT TO:<a@there.example>
         S: 250
         C: DATA
         S: 354
         C: tls-required: NO
         C: 
         C: .
         S: 250",
    )
    .await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
    assert_eq!(promises(&site, "a@there.example").await, ["TLS-Required: No asked"]);
}
