//! Whole sessions in the manner of the mail programs that most people have.

use super::*;

const MAIL: &[u8] = b"From: Bob <bob@example.net>\r\nTo: alice@example.org\r\nSubject: lunch\r\nMessage-ID: <1@example.net>\r\n\r\n\
    At noon?\r\n";

/// First contact: folders, then flags, then headers, then what is looked at.
#[tokio::test]
async fn a_program_for_the_desk_syncs_reads_answers_and_throws_away() {
    let house = House::with_alice().await;
    house.deliver(MAIL).await;
    let mut client = house.connect(TlsMode::None, "127.0.0.1:4711");
    client
        .converse(
            "S: * OK [CAPABILITY …
             C: 1 capability
             S: * CAPABILITY IMAP4rev2 …
             S: 1 OK that is all
             C: 2 authenticate PLAIN
             S: +…
             C: AGFsaWNlQGV4YW1wbGUub3JnAG9wZW4gc2VzYW1l
             S: 2 OK [CAPABILITY …
             C: 3 ID (\"name\" \"Thunderbird\" \"version\" \"140.0\")
             S: * ID (\"name\" \"Postrider\")
             S: 3 OK …
             C: 4 namespace
             S: * NAMESPACE ((\"\" \"/\")) …
             S: 4 OK …
             C: 5 list (subscribed) \"\" \"*\" return (special-use)
             S: * LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX
             S: * LIST (\\HasNoChildren \\Subscribed \\Archive) \"/\" Archive
             S: * LIST (\\HasNoChildren \\Subscribed \\Drafts) \"/\" Drafts
             S: * LIST (\\HasNoChildren \\Subscribed \\Junk) \"/\" Junk
             S: * LIST (\\HasNoChildren \\Subscribed \\Sent) \"/\" Sent
             S: * LIST (\\HasNoChildren \\Subscribed \\Trash) \"/\" Trash
             S: 5 OK listed
             C: 6 select \"INBOX\" (CONDSTORE)
             S: * FLAGS (…
             S: * OK [PERMANENTFLAGS (…
             S: * 1 EXISTS",
        )
        .await;
    while !client.hear().await.starts_with("6 OK [READ-WRITE]") {}
    client
        .converse(&format!(
            "C: 7 UID fetch 1:* (FLAGS)
             S: * 1 FETCH (UID 1 FLAGS ())
             S: 7 OK fetched
             C: 8 UID fetch 1 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID References)])
             S: * 1 FETCH (UID 1 RFC822.SIZE {} FLAGS () BODY[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID References)] {{99}}
             S: From: Bob <bob@example.net>
             S: To: alice@example.org
             S: Subject: lunch
             S: Message-ID: <1@example.net>
             S: 
             S: )
             S: 8 OK fetched
             C: 9 IDLE
             S: + idling",
            MAIL.len() + 17
        ))
        .await;
    house.deliver(b"Subject: second\r\n\r\n2\r\n").await;
    client
        .converse(
            "S: * 2 EXISTS
             C: DONE
             S: 9 OK idle no more
             C: 10 UID fetch 2:* (FLAGS)
             S: * 2 FETCH (UID 2 FLAGS ())
             S: 10 OK fetched
             C: 11 UID fetch 1 (BODY.PEEK[TEXT])
             S: * 1 FETCH (UID 1 BODY[TEXT] {10}
             S: At noon?
             S: )
             S: 11 OK fetched
             C: 12 uid store 1 +Flags (\\Seen)
             S: * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (3))
             S: 12 OK stored
             C: 13 append \"Sent\" (\\Seen) {22}
             S: + go ahead
             C: Subject: Re: lunch\\r\\n\\r\\n
             S: 13 OK [APPENDUID …
             C: 14 uid store 1 +Flags (\\Answered)
             S: * 1 FETCH (UID 1 FLAGS (\\Seen \\Answered) MODSEQ (4))
             S: 14 OK stored
             C: 15 uid move 2 \"Trash\"
             S: * OK [COPYUID …
             S: * 2 EXPUNGE
             S: 15 OK…
             C: 16 STATUS \"Trash\" (UIDNEXT MESSAGES UNSEEN RECENT)
             S: * STATUS Trash (UIDNEXT 2 MESSAGES 1 UNSEEN 1 RECENT 0)
             S: 16 OK…
             C: 17 close
             S: 17 OK…
             C: 18 logout
             S: * BYE goodbye
             S: 18 OK logged out",
        )
        .await;
    client.expect_end().await;
}

/// What it knows from yesterday is brought up to date, whatever has come and gone.
#[tokio::test]
async fn a_program_on_a_phone_comes_back_and_asks_only_for_what_changed() {
    let house = House::with_alice().await;
    for _ in 0..3 {
        house.deliver(MAIL).await;
    }
    let validity = house.alice().await.inbox_uid_validity;
    let mut desk = house.in_inbox().await;
    desk.converse(
        "C: a UID STORE 2 +FLAGS.SILENT (\\Deleted)
         S: a OK stored
         C: b EXPUNGE
         S: * 2 EXPUNGE
         S: b OK expunged
         C: c UID STORE 3 +FLAGS.SILENT (\\Seen)
         S: c OK stored",
    )
    .await;
    let mut phone = house.logged_in().await;
    phone
        .converse(
            "C: a ENABLE QRESYNC
             S: * ENABLED QRESYNC
             S: a OK enabled
             C: b LIST \"\" % RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UNSEEN HIGHESTMODSEQ))
             S: * LIST (\\HasNoChildren) \"/\" INBOX
             S: * STATUS INBOX (MESSAGES 2 UIDNEXT 4 UNSEEN 1 HIGHESTMODSEQ 6)",
        )
        .await;
    while !phone.hear().await.starts_with("b OK") {}
    phone.say(&format!("c SELECT INBOX (QRESYNC ({validity} 3 1:3))")).await;
    while phone.hear().await != "* VANISHED (EARLIER) 2" {}
    phone
        .converse(
            "S: * 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (6))
             S: c OK [READ-WRITE] opened
             C: d UID FETCH 3 (BODYSTRUCTURE PREVIEW (LAZY))
             S: * 2 FETCH (UID 3 BODYSTRUCTURE (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 1 NIL NIL NIL NIL) \
             PREVIEW \"At noon?\")
             S: d OK fetched
             C: e IDLE
             S: + idling",
        )
        .await;
    desk.converse("C: d UID MOVE 1 Archive\nS: * OK [COPYUID …\nS: * 1 EXPUNGE\nS: d OK…").await;
    phone.converse("S: * VANISHED 1\nC: DONE\nS: e OK idle no more").await;
}
