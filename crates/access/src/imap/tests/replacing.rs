//! REPLACE (RFC 8508).

use super::*;

async fn with_drafts() -> (House, Client) {
    let house = House::with_alice().await;
    for _ in 0..3 {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let client = house.in_inbox().await;
    (house, client)
}

#[tokio::test]
async fn one_message_goes_as_the_other_comes() {
    let (house, mut client) = with_drafts().await;
    let mut other = house.in_inbox().await;
    client
        .converse(
            "C: a REPLACE 2 INBOX (\\Seen \\Draft) {14}
             S: + go ahead
             C: Subject: new\\r\\n
             S: * OK [APPENDUID …
             S: * 2 EXPUNGE
             S: * 3 EXISTS
             S: a OK replaced
             C: b UID FETCH 1:* (FLAGS RFC822.SIZE)
             S: * 1 FETCH (UID 1 FLAGS () RFC822.SIZE 31)
             S: * 2 FETCH (UID 3 FLAGS () RFC822.SIZE 31)
             S: * 3 FETCH (UID 4 FLAGS (\\Seen \\Draft) RFC822.SIZE 14)
             S: b OK fetched",
        )
        .await;
    other.converse("C: a NOOP\nS: * 2 EXPUNGE\nS: * 3 EXISTS\nS: a OK …").await;
}

#[tokio::test]
async fn by_uid_into_another_mailbox_and_made_of_the_old_one() {
    let (house, mut client) = with_drafts().await;
    let validity = house.alice().await.inbox_uid_validity;
    client
        .converse(&format!(
            "C: a UID REPLACE 3 Sent (\\Seen) CATENATE (TEXT {{15+}}\\r\\nX-Sent: today\\r\\n URL \"/INBOX;UIDVALIDITY={validity}/;UID=3\")
             S: * OK [APPENDUID …
             S: * 3 EXPUNGE
             S: a OK replaced
             C: b STATUS Sent (MESSAGES SIZE)
             S: * STATUS Sent (MESSAGES 1 SIZE 46)
             S: b OK that is all"
        ))
        .await;
}

#[tokio::test]
async fn what_cannot_be_replaced_stays_and_nothing_comes() {
    let (_house, mut client) = with_drafts().await;
    client
        .converse(
            "C: a UID REPLACE 9 INBOX {1000}
             S: a NO [EXPUNGEISSUED] the message to be replaced is not there
             C: b REPLACE 9 INBOX {3+}\\r\\nabc
             S: b BAD there is no message of that number
             C: c REPLACE 1 nowhere {3+}\\r\\nabc
             S: c NO [TRYCREATE] there is no such mailbox
             C: d REPLACE 1 INBOX {3+}\\r\\nabc {3+}\\r\\nabc
             S: d BAD something follows that the command does not take
             C: e REPLACE 1 INBOX {0+}\\r\\n
             S: e NO an empty message cancels the command
             C: f STATUS INBOX (MESSAGES UIDNEXT)
             S: * STATUS INBOX (MESSAGES 3 UIDNEXT 4)
             S: f OK that is all
             C: g UNSELECT
             S: g OK no mailbox is selected any more
             C: h REPLACE 1 INBOX {3+}\\r\\nabc
             S: h BAD select a mailbox first",
        )
        .await;
    client.say("i EXAMINE INBOX").await;
    while !client.hear().await.starts_with("i OK") {}
    client
        .converse("C: j REPLACE 1 INBOX {3+}\\r\\nabc\nS: j NO [NOPERM] the mailbox is open to be read only")
        .await;
}

#[tokio::test]
async fn a_full_account_can_still_replace() {
    let (house, mut client) = with_drafts().await;
    let alice: mail::Address = "alice@example.org".parse().unwrap();
    let quota = ::store::mailbox::Quota { octets: Some(100), messages: Some(3) };
    house.stores.directory.set_quota(&alice, quota).await.unwrap();
    client
        .converse(
            "C: a APPEND INBOX {31+}\\r\\nSubject: 0123456789 012345678\\r\\n
             S: a NO [OVERQUOTA] the account may not hold so much
             C: b REPLACE * INBOX {31+}\\r\\nSubject: 0123456789 012345678\\r\\n
             S: * OK [APPENDUID …
             S: * 3 EXPUNGE
             S: * 3 EXISTS
             S: b OK replaced",
        )
        .await;
}

#[tokio::test]
async fn with_qresync_the_modseq_is_told() {
    let (_house, mut client) = with_drafts().await;
    client.converse("C: a UNSELECT\nS: a OK …\nC: b ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: b OK …").await;
    client.say("c SELECT INBOX").await;
    while !client.hear().await.starts_with("c OK") {}
    client
        .converse(
            "C: d UID REPLACE 1 INBOX {3+}\\r\\nabc
             S: * OK [APPENDUID …
             S: * VANISHED 1
             S: * 3 EXISTS
             S: d OK [HIGHESTMODSEQ 4] replaced",
        )
        .await;
}
