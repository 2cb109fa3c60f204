//! What senders are told, as they get it (RFC 3461 §5.2).

use std::{sync::Arc, time::Duration};

use proto::smtp::server::Flavour;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    route::{NextHost, Route, RouteTls, Via},
    testing::{Site, config},
};

/// A message from bob; the lines between MAIL and DATA are given.
async fn send(site: &Site, mail: &str, rcpts: &[&str]) {
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog(&format!("C: MAIL FROM:{mail}\nS: 250 2.1.0")).await;
    for rcpt in rcpts {
        wire.dialog(&format!("C: RCPT TO:{rcpt}\nS: 250 2.1.5")).await;
    }
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: the body\nC: .\nS: 250").await;
}

async fn settled(site: &Site) {
    while !site.stores.spool.list(None, 1).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn count(site: &Site, address: &str) -> usize {
    let account = site.stores.directory.account(&address.parse().unwrap()).await.unwrap().unwrap();
    site.stores.mailboxes.messages(account.inbox, store::mailbox::Uid(1), 100).await.unwrap().len()
}

async fn alias(site: &Site, name: &str, targets: &[&str]) {
    let targets = targets.iter().map(|target| target.parse().unwrap()).collect();
    site.stores.directory.add_alias(name, targets, mail::Timestamp::from_millis(1)).await.unwrap();
}

/// A next host for everybody elsewhere, whose mailboxes are full.
async fn full_host() -> Route {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(refuse_for_now(BufReader::new(stream)));
        }
    });
    let (host, tls) = ("127.0.0.1".to_owned(), RouteTls::Opportunistic);
    let next = NextHost { host, port, tls, login: None, lmtp: false };
    Route { recipient: "*".parse().unwrap(), via: Via::Smtp(Arc::new(next)) }
}

async fn refuse_for_now(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    stream.write_all(b"220 there.example\r\n").await?;
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let refused = line.starts_with("RCPT");
        let reply = if refused { "450 4.2.2 the mailbox is full" } else { "250 there.example" };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

async fn carol(site: &Site, quota: Option<u64>) {
    let world = world::World::system();
    let carol = "carol@here.example".parse().unwrap();
    let now = world.clock.wall();
    site.stores.directory.add_account(&carol, "secret", quota, &*world.entropy, now).await.unwrap();
}

#[tokio::test]
async fn a_delivery_is_told_to_who_asked_and_with_the_header_only() {
    let site = Site::new(config(vec![])).await;
    carol(&site, None).await;
    send(
        &site,
        "<bob@here.example> RET=FULL ENVID=QQ+2B1",
        &["<carol@here.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Caro+2Bl@else.example"],
    )
    .await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.starts_with("Return-Path: <>\r\n"), "{report}");
    assert!(report.contains("Subject: Your mail was delivered\r\n"), "{report}");
    assert!(report.contains("\r\nOriginal-Envelope-Id: QQ+1\r\n"), "{report}");
    assert!(
        report.contains(
            "\r\nOriginal-Recipient: rfc822; Caro+l@else.example\r\nFinal-Recipient: rfc822; carol@here.example\r\n\
             Action: delivered\r\nStatus: 2.0.0\r\n"
        ),
        "{report}"
    );
    assert!(report.contains("text/rfc822-headers") && !report.contains("the body"), "{report}");
    settled(&site).await;
    for parameters in ["", " NOTIFY=NEVER", " NOTIFY=FAILURE,DELAY"] {
        send(&site, "<bob@here.example>", &[&format!("<carol@here.example>{parameters}")]).await;
    }
    send(&site, "<>", &["<carol@here.example> NOTIFY=SUCCESS"]).await;
    settled(&site).await;
    assert_eq!(count(&site, "carol@here.example").await, 5);
    assert_eq!(count(&site, "bob@here.example").await, 1, "nobody else asked");
}

#[tokio::test]
async fn the_history_knows_of_the_report_and_the_report_of_the_message() {
    let site = Site::new(config(vec![])).await;
    carol(&site, None).await;
    send(&site, "<bob@here.example>", &["<carol@here.example> NOTIFY=SUCCESS"]).await;
    site.mail("bob@here.example", 1).await;
    let [original] = site.stores.ledger.find("carol@here.example", 9).await.unwrap()[..] else { panic!() };
    let events = site.stores.ledger.events(original).await.unwrap();
    let told = events.iter().find_map(|(_, event)| match event {
        store::ledger::Event::Told { recipients, action, report } => {
            assert_eq!(
                (recipients.as_slice(), action.as_str()),
                (&["carol@here.example".to_owned()][..], "delivered")
            );
            Some(*report)
        }
        _ => None,
    });
    let events = site.stores.ledger.events(told.unwrap()).await.unwrap();
    assert!(events.iter().any(|(_, event)| *event == store::ledger::Event::ReportOn { original }));
}

#[tokio::test]
async fn notify_decides_about_failures() {
    let site = Site::new(config(vec![])).await;
    carol(&site, None).await;
    alias(&site, "team@here.example", &["gone@here.example", "carol@here.example"]).await;
    for notify in ["NEVER", "DELAY"] {
        send(&site, "<bob@here.example>", &[&format!("<team@here.example> NOTIFY={notify}")]).await;
    }
    settled(&site).await;
    assert_eq!(count(&site, "bob@here.example").await, 0);
    send(&site, "<bob@here.example> RET=HDRS", &["<team@here.example> NOTIFY=FAILURE"]).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(
        report.contains("Original-Recipient: rfc822; team@here.example\r\nFinal-Recipient: rfc822; gone@"),
        "{report}"
    );
    let words = report.replace("\r\n", " ");
    assert!(
        words.contains("Mail to team@here.example (which leads to gone@here.example) could not"),
        "{report}"
    );
    assert!(report.contains("text/rfc822-headers") && !report.contains("the body"), "{report}");
    send(&site, "<bob@here.example> RET=FULL", &["<team@here.example> NOTIFY=FAILURE"]).await;
    assert!(site.mail("bob@here.example", 2).await.contains("the body"));
}

#[tokio::test]
async fn an_alias_keeps_what_was_asked_for() {
    let site = Site::new(config(vec![])).await;
    carol(&site, None).await;
    alias(&site, "caro@here.example", &["carol@here.example"]).await;
    send(&site, "<bob@here.example>", &["<caro@here.example> NOTIFY=SUCCESS"]).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Original-Recipient: rfc822; caro@here.example\r\n"), "{report}");
    assert!(report.contains("Action: delivered\r\n"), "{report}");
}

#[tokio::test]
async fn an_alias_with_several_targets_tells_that_step_and_no_further_one() {
    let site = Site::new(config(vec![])).await;
    carol(&site, None).await;
    alias(&site, "team@here.example", &["gone@here.example", "carol@here.example"]).await;
    let asked = "<team@here.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Team@else.example";
    send(&site, "<bob@here.example> ENVID=7", &[asked]).await;
    site.mail("bob@here.example", 2).await;
    settled(&site).await;
    let mails = [site.mail("bob@here.example", 1).await, site.mail("bob@here.example", 2).await];
    assert_eq!(count(&site, "bob@here.example").await, 2, "no word of carol, who has got hers");
    let expanded = mails.iter().find(|mail| mail.contains("\r\nAction: expanded\r\n")).unwrap();
    assert!(expanded.contains("\r\nOriginal-Envelope-Id: 7\r\n"), "{expanded}");
    assert!(
        expanded.contains(
            "\r\nOriginal-Recipient: rfc822; Team@else.example\r\nFinal-Recipient: rfc822; team@here.example\r\n"
        ),
        "{expanded}"
    );
    assert!(!expanded.contains("carol") && !expanded.contains("the body"), "{expanded}");
    assert!(mails.iter().any(|mail| mail.contains("\r\nFinal-Recipient: rfc822; gone@here.example\r\n")));
}

#[tokio::test]
async fn strangers_get_no_content_sent_to_anybody() {
    let site = Site::new(config(vec![])).await;
    carol(&site, None).await;
    alias(&site, "team@here.example", &["gone@here.example", "carol@here.example"]).await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(
        "C: MAIL FROM:<bob@here.example> RET=FULL\nS: 250\nC: RCPT TO:<team@here.example>\nS: 250\nC: DATA\nS: 354\n\
         C: Subject: x\nC: \nC: the body\nC: .\nS: 250",
    )
    .await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("text/rfc822-headers") && !report.contains("the body"), "{report}");
}

#[tokio::test]
async fn mail_without_a_sender_that_fails_is_told_to_the_postmaster_once() {
    let site = Site::new(config(vec![])).await;
    carol(&site, None).await;
    alias(&site, "team@here.example", &["gone@here.example", "carol@here.example"]).await;
    alias(&site, "postmaster@here.example", &["gone@here.example", "carol@here.example"]).await;
    send(&site, "<>", &["<team@here.example>"]).await;
    let told = site.mail("carol@here.example", 2).await;
    settled(&site).await;
    assert_eq!(count(&site, "carol@here.example").await, 2, "her own copy and the word to the postmaster");
    let first = site.mail("carol@here.example", 1).await;
    let told =
        [first, told].into_iter().find(|mail| mail.contains("Subject: Mail without a sender")).unwrap();
    assert!(told.contains("\r\nFinal-Recipient: rfc822; gone@here.example\r\n"), "{told}");
    assert!(!told.contains("the body"), "{told}");
    assert_eq!(count(&site, "bob@here.example").await, 0);
}

#[test]
fn mail_without_a_sender_is_given_up_sooner() {
    let mut config = config(vec![]);
    config.report_expire_after = Duration::from_mins(5);
    let ordinary = mail::ReversePath::Address("a@b.example".parse().unwrap());
    assert_eq!(config.lifetime(&mail::ReversePath::Null), Duration::from_mins(5));
    assert_eq!(config.lifetime(&ordinary), Duration::from_hours(1));
    config.report_expire_after = Duration::from_hours(9);
    assert_eq!(config.lifetime(&mail::ReversePath::Null), Duration::from_hours(1));
}

#[tokio::test]
async fn a_delay_is_told_once() {
    let mut config = config(vec![full_host().await]);
    config.delay_notice_after = Duration::ZERO;
    let site = Site::new(config).await;
    send(&site, "<bob@here.example>", &["<carol@there.example>"]).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("Subject: Your mail is delayed\r\n"), "{report}");
    assert!(report.contains("\r\nAction: delayed\r\nStatus: 4.2.2\r\n"), "{report}");
    assert!(report.contains("\r\nWill-Retry-Until: ") && !report.contains("the body"), "{report}");
    for _ in 0..500 {
        if site.stores.spool.list(None, 1).await.unwrap()[0].attempts >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let entries = site.stores.spool.list(None, 9).await.unwrap();
    assert!(entries.len() == 1 && entries[0].attempts >= 3 && entries[0].delay_told, "{entries:?}");
    assert_eq!(count(&site, "bob@here.example").await, 1);
}

#[tokio::test]
async fn a_delay_is_not_told_to_who_did_not_ask_nor_before_its_time() {
    let mut soon = config(vec![full_host().await]);
    soon.delay_notice_after = Duration::ZERO;
    for (config, sender, notify) in [
        (soon.clone(), "bob@here.example", " NOTIFY=SUCCESS,FAILURE"),
        (soon.clone(), "bob@here.example", " NOTIFY=NEVER"),
        (soon, "", ""),
        (config(vec![full_host().await]), "bob@here.example", " NOTIFY=DELAY"),
    ] {
        let site = Site::new(config).await;
        send(&site, &format!("<{sender}>"), &[&format!("<carol@there.example>{notify}")]).await;
        while site.stores.spool.list(None, 1).await.unwrap()[0].attempts < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(count(&site, "bob@here.example").await, 0, "{sender}{notify}");
        assert_eq!(site.stores.spool.list(None, 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_given_up_has_expired() {
    let mut config = config(vec![full_host().await]);
    config.expire_after = Duration::from_millis(20);
    config.delay_notice_after = Duration::ZERO;
    let site = Site::new(config).await;
    send(&site, "<bob@here.example>", &["<carol@there.example> NOTIFY=FAILURE"]).await;
    let report = site.mail("bob@here.example", 1).await;
    assert!(report.contains("\r\nAction: failed\r\nStatus: 4.4.7\r\n"), "{report}");
    assert!(
        report.replace("\r\n", " ").contains("tried for too long; at the last try, the mailbox is full"),
        "{report}"
    );
}

#[tokio::test]
async fn nobody_is_told_that_thrown_away_mail_was_delivered() {
    let route = Route { recipient: "*".parse().unwrap(), via: Via::Discard };
    let site = Site::new(config(vec![route])).await;
    send(&site, "<bob@here.example>", &["<x@there.example> NOTIFY=SUCCESS"]).await;
    settled(&site).await;
    assert_eq!(count(&site, "bob@here.example").await, 0);
}

#[tokio::test]
async fn a_full_mailbox_is_told_in_the_session() {
    let site = Site::new(config(vec![])).await;
    carol(&site, Some(400)).await;
    for (text, reply) in
        [("a".repeat(20), "250"), ("b".repeat(20), "452 4.2.2"), ("c".repeat(600), "552 5.2.2")]
    {
        let mut wire = site.connect("127.0.0.1").await;
        wire.dialog("C: MAIL FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<carol@here.example>\nS: 250").await;
        wire.dialog(&format!("C: DATA\nS: 354\nC: {text}\nC: .\nS: {reply}\nC: NOOP\nS: 250")).await;
        settled(&site).await;
    }
    // Who has room gets it; the other is told of in a report, as SMTP has one reply for all.
    let mut wire = site.connect("127.0.0.1").await;
    wire.dialog("C: MAIL FROM:<bob@here.example>\nS: 250\nC: RCPT TO:<carol@here.example>\nS: 250").await;
    wire.dialog("C: RCPT TO:<bob@here.example>\nS: 250\nC: DATA\nS: 354").await;
    wire.dialog(&format!("C: {}\nC: .\nS: 250", "d".repeat(600))).await;
    site.mail("bob@here.example", 1).await;
    assert_eq!(count(&site, "carol@here.example").await, 1);
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    let site = Site::new(config(vec![])).await;
    carol(&site, Some(2_000)).await;
    let tiny = "tiny@here.example".parse().unwrap();
    let world = world::World::system();
    let now = world.clock.wall();
    site.stores.directory.add_account(&tiny, "secret", Some(10), &*world.entropy, now).await.unwrap();
    alias(&site, "all@here.example", &["bob@here.example", "tiny@here.example"]).await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Lmtp).await;
    let filling = "x".repeat(900);
    wire.dialog(&format!(
        "C: MAIL FROM:<a@there.example>
         S: 250
         C: RCPT TO:<carol@here.example>
         S: 250
         C: DATA
         S: 354
         C: {filling}
         C: .
         S: 250 2.0.0 accepted as"
    ))
    .await;
    site.mail("carol@here.example", 1).await;
    wire.dialog(&format!(
        "C: MAIL FROM:<a@there.example>
         S: 250
         C: RCPT TO:<bob@here.example>
         S: 250
         C: RCPT TO:<nobody@here.example>
         S: 550 5.1.1
         C: RCPT TO:<carol@here.example>
         S: 250
         C: RCPT TO:<bob@here.example>
         S: 250
         C: RCPT TO:<tiny@here.example>
         S: 250
         C: RCPT TO:<all@here.example>
         S: 250
         C: DATA
         S: 354
         C: {filling}
         C: .
         S: 250 2.0.0 accepted as
         S: 452 4.2.2
         S: 250 2.0.0 accepted as
         S: 552 5.2.2
         S: 250 2.0.0 accepted as
         C: MAIL FROM:<a@there.example>
         S: 250
         C: RCPT TO:<tiny@here.example>
         S: 250
         C: DATA
         S: 354
         C: {filling}
         C: .
         S: 552 5.2.2
         C: DATA
         S: 503
         C: NOOP
         S: 250"
    ))
    .await;
    site.mail("bob@here.example", 1).await;
    assert_eq!(count(&site, "bob@here.example").await, 1, "a recipient that stands twice gets one copy");
    assert_eq!(count(&site, "carol@here.example").await, 1);
}
