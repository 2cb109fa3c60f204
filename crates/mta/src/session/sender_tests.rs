//! RFC 6409 §6.1: whose address a submission may carry.

use proto::smtp::server::Flavour;

use crate::{
    Config,
    config::SenderCheck,
    testing::{Site, Wire, config},
};

/// `bob@here.example`, and the aliases `sales@` (his and another's) and `info@` (another's).
async fn site(rule: SenderCheck) -> Site {
    let site = Site::new(Config { sender_check: rule, ..config(vec![]) }).await;
    let directory = &site.stores.directory;
    let (now, entropy) = (site.mta.world.clock.wall(), &*site.mta.world.entropy);
    let [bob, eve] =
        ["bob", "eve"].map(|name| format!("{name}@here.example").parse::<mail::Address>().unwrap());
    directory.add_account(&eve, "secret", None, entropy, now).await.unwrap();
    directory.add_alias("sales@here.example", vec![bob, eve.clone()], now).await.unwrap();
    directory.add_alias("info@here.example", vec![eve], now).await.unwrap();
    site
}

async fn logged_in(site: &Site) -> Wire {
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog(
        "C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0
         S: 235",
    )
    .await;
    wire
}

/// Submits a message with this header section, which is answered so.
async fn submit(wire: &mut Wire, from: &str, header: &str, reply: &str) {
    let from =
        format!("C: MAIL FROM:<{from}>\nS: 250\nC: RCPT TO:<bob@here.example>\nS: 250\nC: DATA\nS: 354");
    wire.dialog(&from).await;
    wire.say(&format!("{header}\r\n\r\nbody\r\n.")).await;
    wire.expect(reply).await;
}

#[tokio::test]
async fn from_and_sender_are_the_accounts_own() {
    let site = site(SenderCheck::Header).await;
    let mut wire = logged_in(&site).await;
    for (header, reply) in [
        ("From: Bob <BOB@here.example>", "250"),
        ("From: bob+news@here.example", "250"),
        ("From: \"eve@here.example\" <sales@here.example> (eve@here.example)", "250"),
        ("From: =?utf-8?q?eve=40here.example?= <bob@here.example>", "250"),
        ("From: bob@here.example, sales@here.example\r\nSender: bob@here.example", "250"),
        ("From: eve@here.example", "550 5.7.1"),
        ("From: info@here.example", "550 5.7.1"),
        ("From: bob@elsewhere.example", "550 5.7.1"),
        ("From: nobody@here.example", "550 5.7.1"),
        ("From: Bob <bob@here.example>, eve@here.example", "550 5.7.1"),
        ("From: bob@here.example\r\nSender: eve@here.example", "550 5.7.1"),
        ("From: bob@here.example\r\nFrom: eve@here.example", "550 5.6.0"),
        ("From: bob@here.example\r\nno field\r\nFrom: eve@here.example", "550 5.6.0"),
        ("From: us: bob@here.example;", "250"),
        ("From: nobody:;", "550 5.6.0"),
        ("From: <@eve.example:bob@here.example>", "550 5.6.0"),
        ("From: bob", "550 5.6.0"),
        ("From:\r\n", "550 5.6.0"),
    ] {
        submit(&mut wire, "bob@here.example", header, reply).await;
    }
    let long = format!(
        "X: {}\r\n{}From: bob@here.example",
        "x".repeat(900),
        format!("X: {}\r\n", "x".repeat(900)).repeat(300)
    );
    submit(&mut wire, "bob@here.example", &long, "550 5.6.0").await;
}

#[tokio::test]
async fn a_submission_without_from_gets_the_accounts_address() {
    let site = site(SenderCheck::Header).await;
    let mut wire = logged_in(&site).await;
    submit(&mut wire, "", "Subject: a notification", "250").await;
    let mail = site.mail("bob@here.example", 1).await;
    assert!(mail.starts_with("Return-Path: <>"), "{mail}");
    assert_eq!(mail.matches("\r\nFrom: bob@here.example\r\n").count(), 1, "{mail}");
}

#[tokio::test]
async fn the_check_can_be_for_the_envelope_alone_or_off() {
    let envelope = site(SenderCheck::Envelope).await;
    let mut wire = logged_in(&envelope).await;
    submit(&mut wire, "sales@here.example", "From: eve@here.example", "250").await;
    wire.dialog(
        "C: MAIL FROM:<eve@here.example>
         S: 550 5.7.1",
    )
    .await;
    let off = site(SenderCheck::Off).await;
    let mut wire = logged_in(&off).await;
    submit(&mut wire, "eve@elsewhere.example", "From: eve@here.example", "250").await;
}
