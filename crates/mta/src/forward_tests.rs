//! Mail that aliases lead abroad, and what comes back (RFC 7208 §7, RFC 5321 §3.9.1).

use mail::Timestamp;
use store::spool::QueueEntry;

use crate::{
    route::{Route, Via},
    testing::{Site, config},
};

/// What goes abroad is held in the queue, to be looked at.
async fn site(srs_domain: Option<&str>) -> Site {
    let held = Route { recipient: "*".parse().unwrap(), via: Via::Hold };
    let mut config = config(vec![held]);
    config.forward.srs_domain = srs_domain.map(|domain| domain.parse().unwrap());
    let site = Site::new(config).await;
    let target = vec!["friend@far.example".parse().unwrap()];
    let directory = &site.stores.directory;
    directory.add_alias("away@here.example", target, Timestamp::from_millis(1)).await.unwrap();
    site
}

async fn held_from(site: &Site, from: &str, to: &str) -> QueueEntry {
    let before = site.stores.spool.list(None, 100).await.unwrap();
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(&format!(
        "C: MAIL FROM:<{from}>\nS: 250\nC: RCPT TO:<{to}>\nS: 250\nC: DATA\nS: 354\nC: x\nC: .\nS: 250"
    ))
    .await;
    let after = site.stores.spool.list(None, 100).await.unwrap();
    after.into_iter().find(|entry| !before.iter().any(|old| old.id() == entry.id())).unwrap()
}

#[tokio::test]
async fn a_foreign_sender_is_rewritten_and_its_bounce_comes_back() {
    let site = site(None).await;
    let forwarded = held_from(&site, "ann@there.example", "away@here.example").await;
    let sender = forwarded.reverse_path.to_string();
    assert!(sender.starts_with("SRS0=") && sender.ends_with("=there.example=ann@here.example"), "{sender}");
    assert_eq!(forwarded.recipients[0].address.to_string(), "friend@far.example");
    let returned = held_from(&site, "", &sender).await;
    assert!(returned.reverse_path.is_null(), "RFC 5321 §4.5.5");
    assert_eq!(returned.recipients[0].address.to_string(), "ann@there.example");
}

#[tokio::test]
async fn our_own_senders_and_the_null_one_stay() {
    let site = site(None).await;
    for sender in ["bob@here.example", ""] {
        let forwarded = held_from(&site, sender, "away@here.example").await;
        assert_eq!(forwarded.reverse_path.to_string(), sender);
    }
    // What is relayed as it came is no forwarding.
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: MAIL FROM:<ann@there.example>\nS: 250\nC: RCPT TO:<x@far.example>\nS: 250\nC: DATA\nS: 354\nC: x\nC: .\nS: 250").await;
    let entries = site.stores.spool.list(None, 100).await.unwrap();
    let relayed = entries.iter().find(|entry| entry.recipients[0].address.to_string() == "x@far.example");
    assert_eq!(relayed.unwrap().reverse_path.to_string(), "ann@there.example");
}

#[tokio::test]
async fn what_we_did_not_make_leads_nowhere() {
    let site = site(None).await;
    let sender = held_from(&site, "ann@there.example", "away@here.example").await.reverse_path.to_string();
    let forged = sender.replace("=ann@", "=victim@");
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(&format!("C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<{forged}>\nS: 550 5.1.1")).await;
    wire.dialog(&format!("C: RCPT TO:<{}>\nS: 550 5.7.1", sender.replace("@here.", "@elsewhere."))).await;
    let seal = site.stores.directory.seal().await.unwrap().unwrap();
    let (ann, ours) = ("ann@there.example".parse().unwrap(), "here.example".parse().unwrap());
    let old = mail::srs::rewrite(&seal, &ann, &ours, Timestamp::from_millis(0)).unwrap();
    wire.dialog(&format!(
        "C: RCPT TO:<{old}>\nS: 550 5.1.1 this return address of forwarded mail has expired"
    ))
    .await;
}

#[tokio::test]
async fn a_domain_of_its_own_for_rewritten_senders() {
    let site = site(Some("srs.example")).await;
    let forwarded = held_from(&site, "ann@there.example", "away@here.example").await;
    let sender = forwarded.reverse_path.to_string();
    assert!(sender.ends_with("@srs.example"), "{sender}");
    let returned = held_from(&site, "", &sender).await;
    assert_eq!(returned.recipients[0].address.to_string(), "ann@there.example");
}
