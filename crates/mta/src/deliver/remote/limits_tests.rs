//! RFC 9422 §5: the limits that a host announces are kept by further transactions and connections, in the same attempt
//! (C292).

use store::ledger::Event;

use super::tests::{NextHop, queue_is_empty, submit};
use crate::testing::{Site, config};

fn hello(limits: &str) -> String {
    format!(
        "S: 220 next.example ESMTP\nC: EHLO mx.here.example\nS: 250-next.example\nS: 250 LIMITS {limits}\n"
    )
}

/// A whole transaction with these recipients.
fn takes(recipients: &[&str]) -> String {
    let rcpts: Vec<_> =
        recipients.iter().map(|recipient| format!("C: RCPT TO:<{recipient}>$\nS: 250 ok\n")).collect();
    let rcpts = rcpts.concat();
    format!("C: MAIL\nS: 250 ok\n{rcpts}C: DATA\nS: 354 go\nC: .\nS: 250 2.0.0 taken\n")
}

async fn delivers(scripts: Vec<String>, recipients: &[&str]) -> Site {
    let scripts = scripts.into_iter().map(|script| &*Box::leak(script.into_boxed_str())).collect();
    let hop = NextHop::new(scripts).await;
    let site = Site::new(config(vec![hop.route()])).await;
    submit(&site, recipients).await;
    hop.task.await.unwrap();
    queue_is_empty(&site).await;
    let id = site.stores.ledger.find("a@there.example", 1).await.unwrap()[0];
    let history = format!("{:?}", site.stores.ledger.events(id).await.unwrap());
    assert!(!history.contains("Deferred"), "all goes in one attempt: {history}");
    assert_eq!(history.matches("Delivered").count(), recipients.len(), "{history}");
    site
}

const RECIPIENTS: [&str; 3] = ["a@there.example", "b@there.example", "c@there.example"];

#[tokio::test]
async fn recipients_beyond_rcptmax_go_in_further_transactions() {
    let script = [hello("RCPTMAX=2"), takes(&RECIPIENTS[..2]), takes(&RECIPIENTS[2..])].concat();
    delivers(vec![script], &RECIPIENTS).await;
}

/// A crash between two transactions sends nothing again (found by a simulation, seed 4764).
#[tokio::test]
async fn what_was_taken_is_noted_before_more_is_sent() {
    let script = [hello("RCPTMAX=2"), takes(&RECIPIENTS[..2]), takes(&RECIPIENTS[2..])].concat();
    let site = delivers(vec![script], &RECIPIENTS).await;
    let id = site.stores.ledger.find("a@there.example", 1).await.unwrap()[0];
    let events = site.stores.ledger.events(id).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Attempt(_) => Some("attempt"),
            Event::Delivered { .. } => Some("delivered"),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["attempt", "delivered", "delivered", "attempt", "delivered"]);
}

#[tokio::test]
async fn transactions_beyond_mailmax_go_over_further_connections() {
    let first =
        [&hello("RCPTMAX=2 MAILMAX=1"), takes(&RECIPIENTS[..2]).as_str(), "C: QUIT\nS: 221 bye"].concat();
    let second = [hello("RCPTMAX=2 MAILMAX=1"), takes(&RECIPIENTS[2..])].concat();
    delivers(vec![first, second], &RECIPIENTS).await;
}

#[tokio::test]
async fn domains_beyond_rcptdomainmax_go_over_further_connections() {
    let recipients = ["a@there.example", "b@other.example", "c@There.example"];
    let taken = takes(&["a@there.example", "c@There.example"]);
    let first = [&hello("RCPTDOMAINMAX=1"), taken.as_str(), "C: QUIT\nS: 221 bye"].concat();
    let second = [hello("RCPTDOMAINMAX=1"), takes(&["b@other.example"])].concat();
    delivers(vec![first, second], &recipients).await;
}

/// The next message finds no connection that is used up.
#[tokio::test]
async fn a_connection_is_left_once_it_is_spent() {
    let spent = [&hello("MAILMAX=1"), takes(&["a@there.example"]).as_str(), "C: QUIT\nS: 221 bye"].concat();
    let scripts = [spent.clone(), spent].map(|script| &*Box::leak(script.into_boxed_str()));
    let hop = NextHop::new(scripts.to_vec()).await;
    let site = Site::new(config(vec![hop.route()])).await;
    for _ in 0..2 {
        submit(&site, &["a@there.example"]).await;
        queue_is_empty(&site).await;
    }
    hop.task.await.unwrap();
}
