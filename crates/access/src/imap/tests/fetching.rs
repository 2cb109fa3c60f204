use super::*;

const MIXED: &[u8] = b"Subject: =?utf-8?Q?gr=C3=BCn?=\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.org\r\nDate: \
    Tue, 1 Jul 2003 23:52:37 -0200\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\n\r\nhello\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    Z3L8bgA=\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: x-own\r\n\r\nzzz\r\n--b--\r\n";

#[tokio::test]
async fn items_of_a_message() {
    let house = House::with_alice().await;
    house.deliver(MIXED).await;
    let mut client = house.in_inbox().await;
    let octets = MIXED.len() + 17;
    client
        .converse(&format!(
            "C: a FETCH 1 (UID RFC822.SIZE FLAGS ENVELOPE)
             S: * 1 FETCH (UID 1 RFC822.SIZE {octets} FLAGS () ENVELOPE (\"Tue, 1 Jul 2003 23:52:37 -0200\" \
             \"=?utf-8?Q?gr=C3=BCn?=\" ((\"Ann\" NIL \"ann\" \"example.org\")) ((\"Ann\" NIL \"ann\" \"example.org\")) \
             ((\"Ann\" NIL \"ann\" \"example.org\")) ((NIL NIL \"bob\" \"example.org\")) NIL NIL NIL \"<1@example.org>\"))
             S: a OK fetched
             C: b UID FETCH 1 BODYSTRUCTURE
             S: * 1 FETCH (UID 1 BODYSTRUCTURE ((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 1 NIL NIL \
             NIL NIL)(\"text\" \"plain\" (\"charset\" \"iso-8859-1\") NIL NIL \"base64\" 8 1 NIL NIL NIL \
             NIL)(\"application\" \"x\" NIL NIL NIL \"x-own\" 3 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL))
             S: b OK fetched
             C: c FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[HEADER.FIELDS (Message-ID To)])
             S: * 1 FETCH (BODY[1] {{5}}
             S: hello BODY[2.MIME] {{83}}
             S: Content-Type: text/plain; charset=iso-8859-1
             S: Content-Transfer-Encoding: base64
             S: 
             S:  BODY[HEADER.FIELDS (Message-ID To)] {{52}}
             S: To: bob@example.org
             S: Message-ID: <1@example.org>
             S: 
             S: )
             S: c OK fetched
             C: d FETCH 1 (BODY.PEEK[]<17.10> BODY.PEEK[TEXT]<9999.5> BODY.PEEK[7])
             S: * 1 FETCH (BODY[]<17> {{10}}
             S: Subject: = BODY[TEXT]<9999> {{0}}
             S:  BODY[7] NIL)
             S: d OK fetched",
        ))
        .await;
}

#[tokio::test]
async fn parts_are_decoded_for_binary() {
    let house = House::with_alice().await;
    house.deliver(MIXED).await;
    let mut client = house.in_inbox().await;
    client.say("a FETCH 1 (BINARY.SIZE[2] BINARY.SIZE[1])").await;
    client.converse("S: * 1 FETCH (BINARY.SIZE[2] 5 BINARY.SIZE[1] 5)\nS: a OK fetched").await;
    client.say("b FETCH 1 BINARY.PEEK[1]<1.3>").await;
    client.converse("S: * 1 FETCH (BINARY[1]<1> {3}\nS: ell)\nS: b OK fetched").await;
    client.say("c FETCH 1 BINARY.PEEK[3]").await;
    client.converse("S: * 1 FETCH (BINARY[3] NIL)\nS: c NO [UNKNOWN-CTE] …").await;
    client.say("d FETCH 1 BINARY.PEEK[2]").await;
    client.expect("* 1 FETCH (BINARY[2] ~{5}").await;
}

#[tokio::test]
async fn reading_a_body_sets_seen_and_peeking_or_examining_does_not() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n1\r\n").await;
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a FETCH 1 (FLAGS BODY.PEEK[TEXT])
             S: * 1 FETCH (FLAGS () BODY[TEXT] {3}
             S: 1
             S: )
             S: a OK fetched
             C: b FETCH 1 (FLAGS RFC822.TEXT)
             S: * 1 FETCH (FLAGS (\\Seen) RFC822.TEXT {3}
             S: 1
             S: )
             S: b OK fetched
             C: c FETCH 1 RFC822.HEADER
             S: * 1 FETCH (RFC822.HEADER {33}
             S: Return-Path: <>
             S: Subject: one
             S: 
             S: )
             S: c OK fetched
             C: d STORE 1 FLAGS.SILENT ()
             S: d OK stored
             C: e EXAMINE INBOX
             S: * OK [CLOSED] …",
        )
        .await;
    while !client.hear().await.starts_with("e OK [READ-ONLY]") {}
    client
        .converse(
            "C: f FETCH 1 (BODY[TEXT] FLAGS)
             S: * 1 FETCH (BODY[TEXT] {3}
             S: 1
             S:  FLAGS ())
             S: f OK fetched
             C: g STORE 1 +FLAGS (\\Seen)
             S: g NO [NOPERM] the mailbox is open to be read only
             C: h EXPUNGE
             S: h NO [NOPERM] the mailbox is open to be read only",
        )
        .await;
}

#[tokio::test]
async fn a_large_message_streams() {
    let house = House::with_alice().await;
    let line = b"0123456789 and some more text to make the line longer than it has to be\r\n";
    let content = line.repeat(5_000);
    house.deliver(&[b"Subject: x\r\n\r\n", content.as_slice()].concat()).await;
    let mut client = house.in_inbox().await;
    client.say("a FETCH 1 (BODY.PEEK[TEXT] UID)").await;
    client.expect(&format!("* 1 FETCH (BODY[TEXT] {{{}}}", content.len())).await;
    for _ in 0..5_000 {
        client.expect("0123456789 and some more text to make the line longer than it has to be").await;
    }
    client.converse("S:  UID 1)\nS: a OK fetched").await;
}

#[tokio::test]
async fn what_was_expunged_elsewhere_cannot_be_fetched_and_keeps_its_number_until_told() {
    let house = House::with_alice().await;
    for _ in 0..3 {
        house.deliver(b"Subject: x\r\n\r\n").await;
    }
    let (mut one, mut other) = (house.in_inbox().await, house.in_inbox().await);
    other.converse("C: a STORE 2 +FLAGS.SILENT (\\Deleted)\nS: a OK stored\nC: b EXPUNGE").await;
    other.converse("S: * 2 EXPUNGE\nS: b OK expunged").await;
    one.converse(
        "C: a FETCH 1:3 UID
         S: * 1 FETCH (UID 1)
         S: * 3 FETCH (UID 3)
         S: a NO [EXPUNGEISSUED] some of the messages are not there any more
         C: b UID FETCH 1:3 FLAGS
         S: * 1 FETCH (UID 1 FLAGS ())
         S: * 3 FETCH (UID 3 FLAGS ())
         S: * 2 EXPUNGE
         S: b OK fetched
         C: c FETCH 2 UID
         S: * 2 FETCH (UID 3)
         S: c OK fetched",
    )
    .await;
}
