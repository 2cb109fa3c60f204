//! The selected mailbox is deleted.

use super::*;

async fn with_box(house: &House, client: &mut Client) {
    client.converse("C: a CREATE box\nS: a OK …\nC: b APPEND box {3+}\\r\\nabc\nS: b OK …").await;
    open(client).await;
    let mut other = house.logged_in().await;
    other.converse("C: a DELETE box\nS: a OK deleted").await;
}

async fn open(client: &mut Client) {
    client.say("c SELECT box").await;
    while !client.hear().await.starts_with("c OK") {}
}

#[tokio::test]
async fn a_command_is_answered_and_then_the_session_ends() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    with_box(&house, &mut client).await;
    client
        .converse(
            "C: d APPEND INBOX {3+}\\r\\nabc
             S: d OK [APPENDUID …
             S: * BYE the mailbox was deleted",
        )
        .await;
    client.session.await.unwrap();
}

#[tokio::test]
async fn who_idles_is_told_at_once() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client.converse("C: a CREATE box\nS: a OK …").await;
    open(&mut client).await;
    client.converse("C: d IDLE\nS: + idling").await;
    let mut other = house.logged_in().await;
    other.converse("C: a DELETE box\nS: a OK deleted").await;
    client.expect("* BYE the mailbox was deleted").await;
    client.session.await.unwrap();
}

#[tokio::test]
async fn clients_of_imap4rev2_go_on_without_it() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client.converse("C: a ENABLE IMAP4rev2\nS: * ENABLED IMAP4rev2\nS: a OK enabled").await;
    with_box(&house, &mut client).await;
    client
        .converse(
            "C: d FETCH 1 FLAGS
             S: d NO [EXPUNGEISSUED] some of the messages are not there any more
             S: * OK [CLOSED] the mailbox was deleted
             C: e FETCH 1 FLAGS
             S: e BAD select a mailbox first
             C: f IDLE
             S: + idling
             C: DONE
             S: f OK idle no more",
        )
        .await;
}

#[tokio::test]
async fn who_deletes_it_himself_goes_on() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client.converse("C: a CREATE box\nS: a OK …").await;
    open(&mut client).await;
    client
        .converse(
            "C: b DELETE box
             S: * OK [CLOSED] it was the one that is selected
             S: b OK deleted
             C: c NOOP
             S: c OK nothing else is new
             C: d CHECK
             S: d BAD select a mailbox first",
        )
        .await;
}

#[tokio::test]
async fn a_mailbox_that_never_had_a_message_is_not_taken_for_a_deleted_one() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client.converse("C: a CREATE box\nS: a OK …").await;
    open(&mut client).await;
    let mut other = house.logged_in().await;
    other.converse("C: a RENAME box new\nS: a OK renamed").await;
    client
        .converse(
            "C: d NOOP
             S: d OK nothing else is new
             C: e APPEND new {3+}\\r\\nabc
             S: * 1 EXISTS
             S: e OK [APPENDUID …",
        )
        .await;
}
