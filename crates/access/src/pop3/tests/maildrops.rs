use super::*;

#[tokio::test]
async fn mail_is_listed_read_and_removed() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n.dot\r\n").await;
    house.deliver(b"Subject: two\r\n\r\n1\r\n2\r\n").await;
    let mut client = house.logged_in().await;
    client
        .converse(
            "C: STAT
             S: +OK 2 78
             C: RETR 1
             S: +OK 39 octets
             S: Return-Path: <>
             S: Subject: one
             S: 
             S: ..dot
             S: .
             C: TOP 2 1
             S: +OK 39 octets
             S: Return-Path: <>
             S: Subject: two
             S: 
             S: 1
             S: .
             C: DELE 1
             S: +OK message 1 deleted
             C: QUIT
             S: +OK bye",
        )
        .await;
    client.expect_end().await;
    let mut client = house.logged_in().await;
    client.converse("C: STAT\nS: +OK 1 39\nC: LIST 1\nS: +OK 1 39").await;
}

#[tokio::test]
async fn a_large_message_comes_whole() {
    let house = House::with_alice().await;
    let line = b"..0123456789 and some more text to make the line longer\r\n";
    let content: &'static [u8] = Vec::leak(line.repeat(20_000));
    house.deliver(content).await;
    let mut client = house.logged_in().await;
    client.say("RETR 1").await;
    client.expect(&format!("+OK {} octets", content.len() + 17)).await;
    client.expect("Return-Path: <>").await;
    for _ in 0..20_000 {
        client.expect("...0123456789 and some more text to make the line longer").await;
    }
    client.expect(".").await;
}

#[tokio::test]
async fn deletions_without_quit_are_forgotten() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    let mut client = house.logged_in().await;
    client.converse("C: DELE 1\nS: +OK message 1 deleted").await;
    let Client { session, stream } = client;
    drop(stream);
    session.await.unwrap();
    let mut client = house.logged_in().await;
    client.converse("C: STAT\nS: +OK 1 33").await;
}

#[tokio::test]
async fn unique_ids_stay_and_are_not_used_again() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    house.deliver(b"Subject: two\r\n\r\n").await;
    let mut client = house.logged_in().await;
    client.say("UIDL 2").await;
    let second = client.hear().await.replace("+OK 2 ", "");
    client.converse("C: DELE 2\nS: +OK message 2 deleted\nC: QUIT\nS: +OK bye").await;
    client.expect_end().await;
    house.deliver(b"Subject: three\r\n\r\n").await;
    let mut client = house.logged_in().await;
    client.say("UIDL 2").await;
    let third = client.hear().await.replace("+OK 2 ", "");
    assert_ne!(second, third);
    assert_eq!(second.split_once('.').unwrap().0, third.split_once('.').unwrap().0);
}

#[tokio::test]
async fn a_maildrop_is_open_in_one_session() {
    let house = House::with_alice().await;
    let mut first = house.logged_in().await;
    let mut second = house.connect_locally().await;
    second
        .converse(
            "C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAG9wZW4gc2VzYW1l
             S: -ERR [IN-USE] another session has this maildrop open",
        )
        .await;
    // Free as soon as the first has its answer to QUIT.
    first.converse("C: QUIT\nS: +OK bye").await;
    second.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAG9wZW4gc2VzYW1l").await;
    second.expect("+OK 0 messages (0 octets)").await;
}

#[tokio::test]
async fn unknown_user_wrong_password_and_foreign_name_are_refused_alike() {
    let house = House::with_alice().await;
    let mut client = house.connect_locally().await;
    client
        .converse(
            "C: USER nobody@example.org
             S: +OK now the password
             C: PASS open sesame
             S: -ERR [AUTH] the user name or the password is wrong
             C: USER alice@example.org
             S: +OK now the password
             C: PASS wrong
             S: -ERR [AUTH] the user name or the password is wrong
             C: AUTH PLAIN Ym9iAGFsaWNlQGV4YW1wbGUub3JnAG9wZW4gc2VzYW1l
             S: -ERR [AUTH] the user name or the password is wrong",
        )
        .await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_message_removed_elsewhere_is_gone_and_no_other_takes_its_number() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    house.deliver(b"Subject: two\r\n\r\n").await;
    let mut client = house.logged_in().await;
    let alice: Address = "alice@example.org".parse().unwrap();
    let account = house.stores.directory.account(&alice).await.unwrap().unwrap();
    let first = house.stores.mailboxes.messages(account.inbox, store::mailbox::Uid(1), 1).await.unwrap();
    house.stores.mailboxes.expunge(account.inbox, &[first[0].uid], SystemClock.wall()).await.unwrap();
    house.deliver(b"Subject: three\r\n\r\n").await;
    client
        .converse(
            "C: RETR 1
             S: -ERR the message was removed meanwhile
             C: RETR 3
             S: -ERR no such message
             C: DELE 1
             S: +OK message 1 deleted
             C: QUIT
             S: +OK bye",
        )
        .await;
}
