use super::*;

#[tokio::test]
async fn a_mailbox_is_described_when_it_is_opened() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    house.deliver(b"Subject: two\r\n\r\n").await;
    let mut client = house.logged_in().await;
    let flags = "\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded $MDNSent $Junk $NotJunk $Phishing";
    let account = house.alice().await;
    let (validity, id) = (account.inbox_uid_validity, account.inbox.object_id());
    client
        .converse(&format!(
            "C: a SELECT inbox
             S: * FLAGS ({flags})
             S: * OK [PERMANENTFLAGS ({flags} \\*)] flags that stay
             S: * 2 EXISTS
             S: * 0 RECENT
             S: * OK [UNSEEN 1] the first that was not read
             S: * OK [UIDVALIDITY {validity}] so it is
             S: * OK [UIDNEXT 3] so it is
             S: * OK [HIGHESTMODSEQ 2] so it is
             S: * OK [MAILBOXID ({id})] so it is
             S: * OK [URLMECH INTERNAL] so it is
             S: a OK [READ-WRITE] opened
             C: b SELECT none
             S: * OK [CLOSED] the mailbox is closed
             S: b NO [NONEXISTENT] there is no such mailbox
             C: c FETCH 1 FLAGS
             S: c BAD select a mailbox first
             C: d ENABLE IMAP4rev2
             S: * ENABLED IMAP4rev2
             S: d OK enabled
             C: e EXAMINE INBOX
             S: * FLAGS ({flags})
             S: * OK [PERMANENTFLAGS ()] flags that stay
             S: * 2 EXISTS
             S: * OK [UIDVALIDITY {validity}] so it is
             S: * OK [UIDNEXT 3] so it is
             S: * OK [HIGHESTMODSEQ 2] so it is
             S: * OK [MAILBOXID ({id})] so it is
             S: * OK [URLMECH INTERNAL] so it is
             S: * LIST () \"/\" INBOX
             S: e OK [READ-ONLY] to be read only",
        ))
        .await;
}

async fn lists(client: &mut Client, command: &str) -> Vec<String> {
    client.say(&format!("x {command}")).await;
    let mut heard = Vec::new();
    loop {
        let line = client.hear().await;
        if line.starts_with("x ") {
            assert_eq!(line, "x OK listed");
            return heard;
        }
        heard.push(line);
    }
}

#[tokio::test]
async fn mailboxes_are_made_listed_renamed_and_removed() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client
        .converse(
            "C: a CREATE Work/Reports/
             S: a OK [MAILBOXID (…
             C: b CREATE INBOX
             S: b NO [ALREADYEXISTS] …
             C: c CREATE Bad//Name
             S: c NO [CANNOT] …
             C: d CREATE &2D3eCQ-
             S: d OK …
             C: e CREATE &bad-
             S: e NO [CANNOT] …
             C: f CREATE R&-D
             S: f OK …",
        )
        .await;
    assert_eq!(lists(&mut client, "LIST \"\" W%").await, ["* LIST (\\HasChildren) \"/\" Work"]);
    assert_eq!(
        lists(&mut client, "LIST \"\" (W* R*) RETURN (SUBSCRIBED)").await,
        [
            "* LIST (\\HasNoChildren \\Subscribed) \"/\" R&-D",
            "* LIST (\\HasChildren \\Subscribed) \"/\" Work",
            "* LIST (\\HasNoChildren \\Subscribed) \"/\" Work/Reports"
        ]
    );
    assert_eq!(lists(&mut client, "LIST Work/ %").await, ["* LIST (\\HasNoChildren) \"/\" Work/Reports"]);
    assert_eq!(lists(&mut client, "LIST \"\" \"\"").await, ["* LIST (\\Noselect) \"/\" \"\""]);
    assert_eq!(lists(&mut client, "LIST \"\" &2D3eCQ-").await, ["* LIST (\\HasNoChildren) \"/\" &2D3eCQ-"]);
    client
        .converse(
            "C: a RENAME Work Play
             S: a OK renamed
             C: b DELETE Work
             S: b NO [NONEXISTENT] there is no such mailbox
             C: c DELETE INBOX
             S: c NO [CANNOT] INBOX is always there
             C: d DELETE Play
             S: d OK deleted
             C: e UNSUBSCRIBE Play/Reports
             S: e OK not subscribed any more",
        )
        .await;
    assert_eq!(
        lists(&mut client, "LIST \"\" Play*").await,
        [
            "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" Play",
            "* LIST (\\HasNoChildren) \"/\" Play/Reports"
        ]
    );
    assert_eq!(lists(&mut client, "LSUB \"\" Play*").await, ["* LSUB (\\Noselect) \"/\" Play"]);
    assert_eq!(
        lists(&mut client, "LIST (SUBSCRIBED) \"\" Play*").await,
        ["* LIST (\\NonExistent \\Noselect \\HasChildren \\Subscribed) \"/\" Play"]
    );
}

#[tokio::test]
async fn selection_and_status_of_extended_lists() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    let mut client = house.logged_in().await;
    client.converse("C: a CREATE Old (USE (\\Archive))\nS: a OK …\nC: b CREATE Old/1/2\nS: b OK …").await;
    client.converse("C: c UNSUBSCRIBE Old\nS: c OK …\nC: d UNSUBSCRIBE Old/1\nS: d OK …").await;
    assert_eq!(
        lists(&mut client, "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" Old/%").await,
        ["* LIST (\\HasChildren) \"/\" Old/1 (\"CHILDINFO\" (\"SUBSCRIBED\"))"]
    );
    assert_eq!(
        lists(&mut client, "LIST \"\" INBOX RETURN (STATUS (MESSAGES UNSEEN))").await,
        ["* LIST (\\HasNoChildren) \"/\" INBOX", "* STATUS INBOX (MESSAGES 1 UNSEEN 1)"]
    );
    let special = lists(&mut client, "LIST (SPECIAL-USE) \"\" Old*").await;
    assert_eq!(special, ["* LIST (\\HasChildren \\Archive) \"/\" Old"]);
    assert_eq!(lists(&mut client, "LSUB \"\" Old/%").await, ["* LSUB (\\Noselect) \"/\" Old/1"]);
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages_and_keeps_it() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a RENAME INBOX Before
             S: * 1 EXPUNGE
             S: a OK renamed
             C: b STATUS Before (MESSAGES)
             S: * STATUS Before (MESSAGES 1)
             S: b OK that is all",
        )
        .await;
    assert_eq!(lists(&mut client, "LIST \"\" inbox").await, ["* LIST (\\HasNoChildren) \"/\" INBOX"]);
}
