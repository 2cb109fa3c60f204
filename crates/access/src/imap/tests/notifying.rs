//! NOTIFY (RFC 5465).

use super::*;

/// In INBOX, with one that has asked to be notified and one that changes things.
async fn notified(house: &House, groups: &str) -> (Client, Client) {
    let mut client = house.in_inbox().await;
    client.converse(&format!("C: n NOTIFY SET {groups}\nS: n OK you will hear of it")).await;
    (client, house.in_inbox().await)
}

const MESSAGES: &str = "MessageNew MessageExpunge FlagChange";

#[tokio::test]
async fn the_selected_mailbox_is_told_of_between_commands() {
    let house = House::with_alice().await;
    let groups =
        "(selected (MessageNew (UID FLAGS BODY[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))";
    let (mut client, mut other) = notified(&house, groups).await;
    house.deliver(b"Subject: new\r\n\r\n").await;
    client
        .converse(
            "S: * 1 EXISTS
             S: * 1 FETCH (UID 1 FLAGS () BODY[HEADER.FIELDS (SUBJECT)] {16}
             S: Subject: new
             S: 
             S: )",
        )
        .await;
    other.converse("C: x NOOP\nS: * 1 EXISTS\nS: x OK …").await;
    other.converse("C: a STORE 1 +FLAGS.SILENT (\\Deleted)\nS: a OK stored").await;
    client.expect("* 1 FETCH (FLAGS (\\Deleted))").await;
    other.converse("C: b EXPUNGE\nS: * 1 EXPUNGE\nS: b OK expunged").await;
    client.converse("S: * 1 EXPUNGE\nC: c NOOP\nS: c OK nothing else is new").await;
    // What comes while a command is under way is told at its end, with all that is asked for.
    client.converse("C: d APPEND INBOX {8+}\\r\\na: b\\r\\n\\r\\n").await;
    client
        .converse("S: * 1 EXISTS\nS: * 1 FETCH (UID 2 FLAGS () BODY[HEADER.FIELDS (SUBJECT)] {2}\nS: \nS: )")
        .await;
    client.converse("S: d OK [APPENDUID …\nC: e SEARCH SEEN\nS: * SEARCH\nS: e OK searched").await;
}

#[tokio::test]
async fn expunges_may_wait_for_a_command() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    let (mut client, mut other) = notified(&house, &format!("(selected-delayed ({MESSAGES}))")).await;
    other.converse("C: a STORE 1 +FLAGS.SILENT (\\Deleted)\nS: a OK stored").await;
    client.expect("* 1 FETCH (FLAGS (\\Deleted))").await;
    other.converse("C: b EXPUNGE\nS: * 1 EXPUNGE\nS: b OK expunged").await;
    house.deliver(b"Subject: y\r\n\r\n").await;
    client
        .converse(
            "S: * 2 EXISTS
             C: c FETCH 1 FLAGS
             S: c NO [EXPUNGEISSUED] …
             C: d NOOP
             S: * 1 EXPUNGE
             S: d OK nothing else is new",
        )
        .await;
}

#[tokio::test]
async fn other_mailboxes_are_told_of_by_their_status() {
    let house = House::with_alice().await;
    let groups = format!("STATUS (mailboxes Drafts NONE) (personal ({MESSAGES}))");
    let mut client = house.in_inbox().await;
    client.say(&format!("n NOTIFY SET {groups}")).await;
    let mut told = Vec::new();
    while told.last().is_none_or(|line: &String| !line.starts_with("n OK")) {
        told.push(client.hear().await);
    }
    let archive = "* STATUS Archive (MESSAGES 0 UIDNEXT 1 UIDVALIDITY ";
    assert!(told.iter().any(|line| line.starts_with(archive)), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("INBOX") || line.contains("Drafts")), "{told:?}");
    let mut other = house.logged_in().await;
    other
        .converse("C: a APPEND Drafts {3+}\\r\\nabc\nS: a OK …\nC: b APPEND Archive {3+}\\r\\nabc\nS: b OK …")
        .await;
    let heard = client.hear().await;
    assert!(heard.starts_with("* STATUS Archive (MESSAGES 1 UIDNEXT 2 UIDVALIDITY "), "{heard}");
    assert!(heard.ends_with(" UNSEEN 1 HIGHESTMODSEQ 1)"), "{heard}");
    other.say("c SELECT Archive").await;
    while !other.hear().await.starts_with("c OK") {}
    other.converse("C: d STORE 1 +FLAGS.SILENT (\\Seen \\Deleted)\nS: d OK stored").await;
    let heard = client.hear().await;
    assert!(heard.ends_with(" UNSEEN 0 HIGHESTMODSEQ 2)"), "{heard}");
    other.converse("C: e EXPUNGE\nS: * 1 EXPUNGE\nS: e OK expunged").await;
    let heard = client.hear().await;
    assert!(heard.starts_with("* STATUS Archive (MESSAGES 0 UIDNEXT 2 "), "{heard}");
}

#[tokio::test]
async fn names_subscriptions_and_annotations_are_told_of() {
    let house = House::with_alice().await;
    let events = "MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange";
    let (mut client, mut other) =
        notified(&house, &format!("(mailboxes Trash (MailboxName)) (subtree lists ({events}))")).await;
    other.converse("C: a CREATE elsewhere\nS: a OK …\nC: b CREATE lists/rust\nS: b OK …").await;
    client.converse("S: * LIST (\\Subscribed) \"/\" lists\nS: * LIST (\\Subscribed) \"/\" lists/rust").await;
    other.converse("C: c SETMETADATA lists/rust (/shared/color \"red\")\nS: c OK set").await;
    client.expect("* METADATA lists/rust /shared/color").await;
    other.converse("C: d SETMETADATA lists/rust (/shared/color NIL)\nS: d OK set").await;
    client.expect("* METADATA lists/rust /shared/color").await;
    other.converse("C: e SETMETADATA \"\" (/private/x \"1\")\nS: e OK set").await;
    client.expect("* METADATA \"\" /private/x").await;
    other.converse("C: f RENAME lists/rust lists/old\nS: f OK renamed").await;
    client.expect("* LIST (\\Subscribed) \"/\" lists/old (\"OLDNAME\" (lists/rust))").await;
    other.converse("C: g UNSUBSCRIBE lists/old\nS: g OK …").await;
    client.expect("* LIST () \"/\" lists/old").await;
    other.converse("C: h SUBSCRIBE lists/old\nS: h OK …").await;
    client.expect("* LIST (\\Subscribed) \"/\" lists/old").await;
    other.converse("C: i DELETE lists/old\nS: i OK deleted").await;
    client.expect("* LIST (\\NonExistent) \"/\" lists/old").await;
    other.converse("C: j DELETE Trash\nS: j OK deleted").await;
    client.expect("* LIST (\\NonExistent) \"/\" Trash").await;
}

#[tokio::test]
async fn who_wants_nothing_hears_nothing_between_commands() {
    let house = House::with_alice().await;
    let (mut client, _) =
        notified(&house, &format!("(selected ({MESSAGES})) (personal (MailboxName))")).await;
    client.converse("C: a NOTIFY NONE\nS: a OK nothing is told unasked").await;
    let mut other = house.logged_in().await;
    other.converse("C: a CREATE new\nS: a OK …").await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    client.converse("C: b NAMESPACE\nS: * NAMESPACE …\nS: * 1 EXISTS\nS: b OK that is all").await;
    client
        .converse(
            "C: c NOTIFY SET (selected (MessageNew (RFC822) MessageExpunge))
             S: c BAD ask for BODY.PEEK instead
             C: d NOTIFY SET (personal (Sunrise))
             S: d NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)] there is no such event",
        )
        .await;
}

#[tokio::test]
async fn who_idles_hears_of_other_mailboxes_too() {
    let house = House::with_alice().await;
    let groups = "(selected-delayed (MessageNew (UID) MessageExpunge)) (inboxes (MessageNew MessageExpunge)) (subscribed (SubscriptionChange))";
    let (mut client, mut other) = notified(&house, groups).await;
    client.converse("C: a IDLE\nS: + idling").await;
    other.converse("C: a CREATE new\nS: a OK …").await;
    client.expect("* LIST (\\Subscribed) \"/\" new").await;
    house.deliver(b"Subject: x\r\n\r\n").await;
    client.converse("S: * 1 EXISTS\nS: * 1 FETCH (UID 1)").await;
    other.converse("C: x NOOP\nS: * 1 EXISTS\nS: x OK …").await;
    other.converse("C: b STORE 1 +FLAGS.SILENT (\\Deleted)\nS: b OK stored").await;
    client.expect("* 1 FETCH (FLAGS (\\Deleted))").await;
    other.converse("C: c EXPUNGE\nS: * 1 EXPUNGE\nS: c OK expunged").await;
    client.converse("S: * 1 EXPUNGE\nC: DONE\nS: a OK idle no more").await;
    client.converse("C: b UNSELECT\nS: b OK …").await;
    house.deliver(b"Subject: y\r\n\r\n").await;
    let heard = client.hear().await;
    assert!(heard.starts_with("* STATUS INBOX (MESSAGES 1 UIDNEXT 3 "), "{heard}");
}

#[tokio::test]
async fn an_account_with_too_many_mailboxes_is_not_watched() {
    let house = House::with_alice().await;
    let (mut client, mut other) = notified(&house, "(personal (MailboxName))").await;
    let account = house.alice().await.id;
    let there = house.stores.mailboxes.list(account).await.unwrap().len();
    let create = async |number: usize| {
        let now = house.clock.wall();
        house.stores.mailboxes.create(account, &format!("box {number}"), None, now).await.unwrap();
    };
    for number in there..1000 {
        create(number).await;
        client.expect(&format!("* LIST (\\Subscribed) \"/\" \"box {number}\"")).await;
    }
    create(1000).await;
    client.expect("* OK [NOTIFICATIONOVERFLOW] that is too much; look yourself, and ask again").await;
    create(1001).await;
    client.converse("C: a NOOP\nS: a OK nothing else is new").await;
    other
        .converse("C: a NOTIFY SET (personal (MailboxName))\nS: a NO [NOTIFICATIONOVERFLOW] there are too many mailboxes to watch")
        .await;
}
