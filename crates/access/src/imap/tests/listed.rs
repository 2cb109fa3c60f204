//! What the list of a mailbox answers, without the messages' records.

use super::*;

const COUNT: u32 = 60;

/// Of all messages but those that `without` names, one line each.
fn lines(without: &[u32], line: impl Fn(u32) -> String) -> String {
    let numbers = (1..=COUNT).filter(|number| !without.contains(number));
    numbers.map(|number| format!("S: {}\n", line(number))).collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn flags_of_many_messages_are_told_as_those_of_few() {
    let house = House::with_alice().await;
    for _ in 0..COUNT {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let (mut client, mut other) = (house.in_inbox().await, house.in_inbox().await);
    let flags = |number| if number == 7 { "(\\Seen $Junk)" } else { "()" };
    let all = lines(&[], |number| format!("* {number} FETCH (UID {number} FLAGS {})", flags(number)));
    client
        .converse(&format!(
            "C: a STORE 7 +FLAGS.SILENT (\\Seen $Junk)
             S: a OK stored
             C: b FETCH 1:* (UID FLAGS)
             {all}S: b OK fetched
             C: c SEARCH SEEN
             S: * SEARCH 7
             S: c OK searched
             C: d UID FETCH 1:* FLAGS (CHANGEDSINCE {COUNT})
             S: * 7 FETCH (UID 7 FLAGS (\\Seen $Junk) MODSEQ (61))
             S: d OK fetched"
        ))
        .await;
    other
        .converse(
            "C: a STORE 3 +FLAGS.SILENT (\\Deleted)
             S: * 7 FETCH (FLAGS (\\Seen $Junk))
             S: a OK stored
             C: b UID EXPUNGE 3
             S: * 3 EXPUNGE
             S: b OK expunged",
        )
        .await;
    let left = lines(&[3], |number| format!("* {number} FETCH (FLAGS {})", flags(number)));
    client
        .converse(&format!(
            "C: e FETCH 1:* FLAGS
             {left}S: e NO [EXPUNGEISSUED] some of the messages are not there any more
             C: f UID SEARCH RETURN (COUNT) UNSEEN
             S: * ESEARCH (TAG \"f\") UID COUNT 58
             S: * 3 EXPUNGE
             S: f OK searched"
        ))
        .await;
}
