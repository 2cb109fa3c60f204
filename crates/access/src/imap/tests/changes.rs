use super::*;

#[tokio::test]
async fn flags_are_stored_and_other_sessions_hear_of_it() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    let (mut one, mut other) = (house.in_inbox().await, house.in_inbox().await);
    one.converse(
        "C: a STORE 1 +FLAGS (\\Flagged $Forwarded)
         S: * 1 FETCH (FLAGS (\\Flagged $Forwarded))
         S: a OK stored
         C: b STORE 1 -FLAGS (\\Flagged)
         S: * 1 FETCH (FLAGS ($Forwarded))
         S: b OK stored
         C: c STORE 1 FLAGS.SILENT (\\Draft)
         S: c OK stored
         C: d UID STORE 1 +FLAGS (\\Draft)
         S: * 1 FETCH (UID 1 FLAGS (\\Draft))
         S: d OK stored",
    )
    .await;
    other.converse("C: a NOOP\nS: * 1 FETCH (FLAGS (\\Draft))\nS: a OK nothing else is new").await;
    one.converse("C: e STORE 1 FLAGS (new)\nS: * FLAGS (…\nS: * OK [PERMANENTFLAGS (…").await;
    one.converse("S: * 1 FETCH (FLAGS (new))\nS: e OK stored").await;
}

/// RFC 9051 §6.3.2: FLAGS is told whatever the messages have.
#[tokio::test]
async fn flags_are_told_also_where_messages_have_none_but_the_usual() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    let mut client = house.in_inbox().await;
    client.converse("C: a STORE 1 +FLAGS.SILENT ($Junk)\nS: a OK stored\nC: b SELECT INBOX").await;
    if client.hear().await.starts_with("* OK [CLOSED]") {
        client.hear().await;
    }
    client.converse("S: * OK [PERMANENTFLAGS (…\nS: * 1 EXISTS").await;
}

/// A client that wanted to hear nothing of its own change never heard of another's before it.
#[tokio::test]
async fn a_silent_store_tells_what_others_changed_before() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    let (mut one, mut other) = (house.in_inbox().await, house.in_inbox().await);
    other.converse("C: a STORE 1 +FLAGS.SILENT (\\Seen)\nS: a OK stored").await;
    one.converse(
        "C: a STORE 1 +FLAGS.SILENT (\\Flagged)
         S: * 1 FETCH (FLAGS (\\Seen \\Flagged))
         S: a OK stored
         C: b STORE 1 +FLAGS.SILENT (\\Draft)
         S: b OK stored",
    )
    .await;
}

#[tokio::test]
async fn a_conditional_store_leaves_alone_what_changed() {
    let house = House::with_alice().await;
    for _ in 0..3 {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a STORE 2 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\\Seen)
             S: * 2 FETCH (MODSEQ (4))
             S: a OK stored
             C: b UID STORE 1:2 (UNCHANGEDSINCE 3) +FLAGS (\\Deleted)
             S: * 1 FETCH (UID 1 FLAGS (\\Deleted) MODSEQ (5))
             S: b OK [MODIFIED 2] stored
             C: c FETCH 1:* (FLAGS) (CHANGEDSINCE 3)
             S: * 1 FETCH (FLAGS (\\Deleted) MODSEQ (5))
             S: * 2 FETCH (FLAGS (\\Seen) MODSEQ (4))
             S: c OK fetched
             C: d SEARCH MODSEQ 4
             S: * SEARCH 1 2 (MODSEQ 5)
             S: d OK searched",
        )
        .await;
}

#[tokio::test]
async fn new_mail_and_expunges_reach_who_idles() {
    let house = House::with_alice().await;
    let mut client = house.in_inbox().await;
    client.converse("C: a IDLE\nS: + idling").await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    client.expect("* 1 EXISTS").await;
    let mut other = house.in_inbox().await;
    other.converse("C: a STORE 1 +FLAGS (\\Deleted)\nS: * 1 FETCH (FLAGS (\\Deleted))\nS: a OK stored").await;
    client.expect("* 1 FETCH (FLAGS (\\Deleted))").await;
    other.converse("C: b EXPUNGE\nS: * 1 EXPUNGE\nS: b OK expunged").await;
    client.converse("S: * 1 EXPUNGE\nC: DONE\nS: a OK idle no more").await;
    // What follows IDLE without DONE ends it too.
    client.converse("C: b IDLE\nS: + idling\nC: DONE\\r\\nc NOOP\nS: b OK idle no more\nS: c OK …").await;
}

#[tokio::test]
async fn messages_are_appended() {
    let house = House::with_alice().await;
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a APPEND INBOX (\\Seen $Junk) \"17-Jul-1996 02:44:25 -0700\" {15}
             S: + go ahead
             C: Subject: x\\r\\n\\r\\ny
             S: * 1 EXISTS
             S: a OK [APPENDUID …
             C: b FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[TEXT])
             S: * 1 FETCH (FLAGS (\\Seen $Junk) INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" RFC822.SIZE 15 BODY[TEXT] {1}
             S: y)
             S: b OK fetched
             C: c APPEND none {3+}\\r\\nabc
             S: c NO [TRYCREATE] there is no such mailbox
             C: d APPEND INBOX {1000001}
             S: d NO [TOOBIG] …
             C: e APPEND INBOX {0+}\\r\\n
             S: e NO an empty message cancels the command
             C: f APPEND INBOX {3+}\\r\\nabc {4+}\\r\\ndefg
             S: * 3 EXISTS
             S: f OK [APPENDUID …
             C: g FETCH 2:3 RFC822.SIZE
             S: * 2 FETCH (RFC822.SIZE 3)
             S: * 3 FETCH (RFC822.SIZE 4)
             S: g OK fetched",
        )
        .await;
}

#[tokio::test]
async fn an_append_that_breaks_off_leaves_nothing() {
    let house = House::with_alice().await;
    let mut client = house.in_inbox().await;
    client.converse("C: a APPEND INBOX {100}\nS: + go ahead\nC: Subject: x").await;
    let Client { session, stream } = client;
    drop(stream);
    session.await.unwrap();
    let inbox = house.alice().await.inbox;
    assert_eq!(house.stores.mailboxes.status(inbox).await.unwrap().messages, 0);
}

#[tokio::test]
async fn copies_and_moves_tell_the_numbers_on_both_sides() {
    let house = House::with_alice().await;
    for _ in 0..3 {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let mut client = house.in_inbox().await;
    client.converse("C: a CREATE Archive/2026\\r\\nb CREATE Archive/2026").await;
    client.converse("S: a OK [MAILBOXID (…\nS: b NO [ALREADYEXISTS] …").await;
    let status = "C: s STATUS Archive/2026 (MESSAGES UNSEEN UIDNEXT)\nS: * STATUS Archive/2026 ";
    client
        .converse(&format!(
            "C: c COPY 1:2 none
             S: c NO [TRYCREATE] there is no such mailbox
             C: d COPY 2:3 Archive/2026
             S: d OK [COPYUID …
             {status}(MESSAGES 2 UNSEEN 2 UIDNEXT 3)
             S: s OK that is all
             C: e UID MOVE 1,3,77 Archive/2026
             S: * OK [COPYUID …
             S: * 3 EXPUNGE
             S: * 1 EXPUNGE
             S: e OK moved
             {status}(MESSAGES 4 UNSEEN 4 UIDNEXT 5)
             S: s OK that is all
             C: f UID COPY 99 Archive/2026
             S: f OK copied"
        ))
        .await;
}

#[tokio::test]
async fn uid_expunge_and_close_remove_what_is_deleted() {
    let house = House::with_alice().await;
    for _ in 0..4 {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a STORE 1:3 +FLAGS.SILENT (\\Deleted)
             S: a OK stored
             C: b UID EXPUNGE 2,4
             S: * 2 EXPUNGE
             S: b OK expunged
             C: c UNSELECT
             S: c OK …
             C: d STATUS INBOX (MESSAGES DELETED SIZE)
             S: * STATUS INBOX (MESSAGES 3 DELETED 2 SIZE 93)
             S: d OK that is all",
        )
        .await;
    client.say("s SELECT INBOX").await;
    while !client.hear().await.starts_with("s OK [READ-WRITE]") {}
    client
        .converse(
            "C: e CLOSE
             S: e OK the mailbox is closed
             C: f STATUS INBOX (MESSAGES)
             S: * STATUS INBOX (MESSAGES 1)
             S: f OK that is all",
        )
        .await;
}

#[tokio::test]
async fn a_client_comes_back_and_hears_what_changed_alone() {
    let house = House::with_alice().await;
    for _ in 0..4 {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let validity = house.alice().await.inbox_uid_validity;
    let mut client = house.logged_in().await;
    client.converse("C: a SELECT INBOX (QRESYNC (1 1))\nS: a BAD ENABLE QRESYNC comes first").await;
    client.converse("C: b ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: b OK enabled").await;
    let mut other = house.in_inbox().await;
    other.converse("C: a STORE 2 +FLAGS.SILENT (\\Deleted)\nS: a OK stored\nC: b EXPUNGE").await;
    other
        .converse("S: * 2 EXPUNGE\nS: b OK expunged\nC: c STORE 3 +FLAGS.SILENT (\\Seen)\nS: c OK stored")
        .await;
    client.say(&format!("c SELECT INBOX (QRESYNC ({validity} 4 1:4))")).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|line: &String| !line.starts_with("c ")) {
        heard.push(client.hear().await);
    }
    let place =
        |wanted: &str| heard.iter().position(|line| line == wanted).unwrap_or_else(|| panic!("{heard:?}"));
    assert!(place("* VANISHED (EARLIER) 2") < place("* 3 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (7))"));
    assert!(heard.contains(&"* OK [HIGHESTMODSEQ 7] so it is".to_owned()));
    other
        .converse("C: d STORE 1 +FLAGS.SILENT (\\Deleted)\nS: d OK stored\nC: e EXPUNGE\nS: * 1 EXPUNGE")
        .await;
    client.converse("C: d NOOP\nS: * VANISHED 1\nS: d OK …").await;
}

/// The simulation found it (seed 4): a mailbox in which nothing has happened yet has the MODSEQ 1, and so has the first message
/// that comes; a client that had seen it empty was not told of that.
#[tokio::test]
async fn who_saw_a_mailbox_empty_hears_of_the_first_message() {
    let house = House::with_alice().await;
    let validity = house.alice().await.inbox_uid_validity;
    let mut client = house.logged_in().await;
    client.converse("C: b ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: b OK enabled\nC: c EXAMINE INBOX").await;
    while client.hear().await != "* OK [HIGHESTMODSEQ 1] so it is" {}
    while !client.hear().await.starts_with("c OK") {}
    house.deliver(b"Subject: x\r\n\r\n").await;
    client.say(&format!("d SELECT INBOX (QRESYNC ({validity} 1))")).await;
    while client.hear().await != "* 1 FETCH (UID 1 FLAGS () MODSEQ (1))" {}
    client.converse("S: d OK [READ-WRITE] opened").await;
}

#[tokio::test]
async fn a_message_is_made_of_parts_of_others() {
    let house = House::with_alice().await;
    let mixed = "Subject: old\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--\r\n";
    house.deliver(mixed.as_bytes()).await;
    let validity = house.alice().await.inbox_uid_validity;
    let mut client = house.in_inbox().await;
    client
        .converse(&format!(
            "C: a APPEND INBOX (\\Draft) CATENATE (TEXT {{16+}}\\r\\nSubject: new\\r\\n\\r\\n URL \"/INBOX;UIDVALIDITY={validity}/;UID=1/;SECTION=2\" TEXT {{3}}
             S: + go ahead
             C: end)
             S: * 2 EXISTS
             S: a OK [APPENDUID …
             C: b FETCH 2 (FLAGS BODY.PEEK[])
             S: * 2 FETCH (FLAGS (\\Draft) BODY[] {{25}}
             S: Subject: new
             S: 
             S: secondend)
             S: b OK fetched
             C: c APPEND INBOX CATENATE (URL \"/INBOX;UIDVALIDITY=1/;UID=1\" TEXT {{1}}
             S: c NO [BADURL \"/INBOX;UIDVALIDITY=1/;UID=1\"] that URL leads to nothing here
             C: d APPEND INBOX CATENATE (URL \"/INBOX/;UID=9\")
             S: d NO [BADURL …
             C: e APPEND INBOX CATENATE (URL \"imap://other/INBOX/;UID=1\")
             S: e NO [BADURL …
             C: f APPEND INBOX CATENATE (URL \"/INBOX/;UID=1/;SECTION=7\")
             S: f NO [BADURL …
             C: g STATUS INBOX (MESSAGES)
             S: * STATUS INBOX (MESSAGES 2)
             S: g OK that is all"
        ))
        .await;
}
