//! A maildrop that is open in one session is a mailbox like any other for IMAP.

use super::*;
use crate::imap::{ImapListener, ImapService};
use world::SystemEntropy;

/// An IMAP session of alice's with INBOX selected.
async fn in_inbox(house: &House) -> Client {
    let service = ImapService::new(
        house.logins.clone(),
        house.stores.clone(),
        house.clock.clone(),
        Arc::new(SystemEntropy),
    );
    let listener = Arc::new(ImapListener::new("mx.example.org", TlsMode::None, 1_000_000));
    let mut client = Base::connect("127.0.0.1:4711", |stream, peer| {
        Arc::new(service).serve(listener, stream, peer, house.shutdown.clone())
    });
    client.converse("S: * OK [CAPABILITY…\nC: l LOGIN alice@example.org \"open sesame\"\nS: l OK …").await;
    select(&mut client, "INBOX").await;
    client
}

async fn select(client: &mut Client, mailbox: &str) {
    client.say(&format!("s SELECT {mailbox}")).await;
    while !client.hear().await.starts_with("s OK [READ-WRITE]") {}
}

#[tokio::test]
async fn imap_changes_what_a_session_has_locked_and_neither_takes_the_others_messages() {
    let house = House::with_alice().await;
    for _ in 0..3 {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let mut imap = in_inbox(&house).await;
    let mut pop = house.logged_in().await;
    imap.converse(
        "C: a STORE 1 +FLAGS.SILENT (\\Deleted)
         S: a OK stored
         C: b EXPUNGE
         S: * 1 EXPUNGE
         S: b OK expunged
         C: c MOVE 1 Trash
         S: * OK [COPYUID …
         S: * 1 EXPUNGE
         S: c OK moved
         C: d STORE 1 +FLAGS.SILENT (\\Seen)
         S: d OK stored",
    )
    .await;
    house.deliver(b"Subject: later\r\n\r\n").await;
    pop.converse(
        "C: STAT
         S: +OK 3 93
         C: RETR 1
         S: -ERR the message was removed meanwhile
         C: TOP 2 0
         S: -ERR the message was removed meanwhile
         C: RETR 3
         S: +OK 31 octets
         S: Return-Path: <>
         S: Subject: x
         S: \n         S: .
         C: RETR 4
         S: -ERR no such message
         C: DELE 2
         S: +OK message 2 deleted
         C: DELE 3
         S: +OK message 3 deleted
         C: QUIT
         S: +OK bye",
    )
    .await;
    pop.expect_end().await;
    imap.converse("C: e NOOP\nS: * 1 EXPUNGE\nS: * 1 EXISTS\nS: e OK …").await;
    imap.converse("C: f FETCH 1 UID\nS: * 1 FETCH (UID 4)\nS: f OK fetched").await;
    imap.converse("C: g STATUS Trash (MESSAGES)\nS: * STATUS Trash (MESSAGES 1)\nS: g OK …").await;
}

#[tokio::test]
async fn what_imap_moves_to_junk_leaves_the_maildrop_and_comes_back_as_another_message() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    let mut pop = house.logged_in().await;
    pop.say("UIDL 1").await;
    let before = pop.hear().await;
    pop.converse("C: QUIT\nS: +OK bye").await;
    pop.expect_end().await;
    let mut imap = in_inbox(&house).await;
    imap.converse("C: a STORE 1 +FLAGS.SILENT ($Junk)\nS: a OK stored").await;
    let mut pop = house.logged_in().await;
    pop.converse("C: STAT\nS: +OK 1 31\nC: QUIT\nS: +OK bye").await;
    pop.expect_end().await;
    imap.converse("C: b MOVE 1 Junk\nS: * OK [COPYUID …\nS: * 1 EXPUNGE\nS: b OK moved").await;
    let mut pop = house.logged_in().await;
    pop.converse("C: STAT\nS: +OK 0 0\nC: QUIT\nS: +OK bye").await;
    pop.expect_end().await;
    select(&mut imap, "Junk").await;
    imap.converse(
        "C: c FETCH 1 FLAGS
         S: * 1 FETCH (FLAGS ($Junk))
         S: c OK fetched
         C: d STORE 1 FLAGS.SILENT ($NotJunk)
         S: d OK stored
         C: e MOVE 1 INBOX
         S: * OK [COPYUID …
         S: * 1 EXPUNGE
         S: e OK moved",
    )
    .await;
    let mut pop = house.logged_in().await;
    pop.say("UIDL 1").await;
    assert_ne!(pop.hear().await, before, "no program passes over it as one that it has");
}
