//! Conformance §7 and §13.4, attacks A and F: content and its limits.

use super::*;

const TRANSACTION: &str = "C: MAIL FROM:<a@b.example>
    C: RCPT TO:<bob@ours.example>
    S: 250 2.1.0 sender OK
    S: 250 2.1.5 recipient OK
    ";

fn in_transaction(config: &Config, script: &str) -> Seen {
    after_ehlo(config, &format!("{TRANSACTION}{script}"))
}

#[test]
fn bare_line_ends_void_the_message_and_smuggle_nothing() {
    for smuggler in [
        "\\n.\\n",
        "\\n.\\r\\n",
        "\\r\\n.\\n",
        "\\r.\\r",
        "\\r.\\n",
        "\\n.\\r",
        "\\r.\\r\\n",
        "\\r\\r\\n.\\r\\r\\n",
    ] {
        let seen = in_transaction(
            &config(),
            &format!(
                "C: DATA
                 S: 354 end data with <CR><LF>.<CR><LF>
                 C: x{smuggler}MAIL FROM:<evil@b.example>
                 C: RCPT TO:<bob@ours.example>
                 C: DATA
                 C: smuggled
                 C: .
                 C: NOOP
                 S: 550 5.6.11 a line of the message ends with a bare <CR> or <LF>
                 S: 250 2.0.0 OK"
            ),
        );
        assert_eq!((seen.messages.len(), seen.aborted), (0, vec![Abort::BareLineEnd]), "{smuggler}");
    }
}

#[test]
fn nul_voids_the_message() {
    let seen = in_transaction(
        &config(),
        "C: DATA
         S: 354 end data with <CR><LF>.<CR><LF>
         C: \\0.
         C: .
         S: 554 5.6.0 the message holds NUL and is not sent as binary",
    );
    assert_eq!(seen.aborted, [Abort::Nul]);
}

#[test]
fn other_octets_and_long_lines_pass() {
    let long = "\\x80\\x01".repeat(600);
    let seen = in_transaction(
        &config(),
        &format!(
            "C: DATA
             S: 354 end data with <CR><LF>.<CR><LF>
             C: {long}
             C: .
             S: 250 2.0.0 queued as 1"
        ),
    );
    assert_eq!(seen.messages[0].1, [b"\x80\x01".repeat(600).as_slice(), b"\r\n"].concat());
}

#[test]
fn chunks_are_opaque() {
    let seen = in_transaction(
        &config(),
        "C: BDAT 5
         C+ hello
         S: 250 2.0.0 chunk received
         C: bdat 19 last
         C+ \\r\\n.\\r\\nMAIL FROM:<>\\r\\n
         S: 250 2.0.0 queued as 1
         C: BDAT 0 LAST
         S: 503 5.5.1 MAIL and RCPT come first",
    );
    assert_eq!(seen.messages[0].1, b"hello\r\n.\r\nMAIL FROM:<>\r\n");
}

/// RFC 2033 §4.3
#[test]
fn lmtp_answers_the_last_chunk_for_each_recipient() {
    dialog(
        &Config::new("mx.ours.example", Flavour::Lmtp),
        "S: 220 mx.ours.example LMTP Postrider
         C: LHLO c.example
         S: 250-mx.ours.example
         S: 250-PIPELINING
         S: 250-8BITMIME
         S: 250-ENHANCEDSTATUSCODES
         S: 250-HELP
         S: 250-SIZE 52428800
         S: 250-LIMITS RCPTMAX=1000
         S: 250-CHUNKING
         S: 250 SMTPUTF8
         C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: RCPT TO:<bob@ours.example>
         C: BDAT 2
         C+ ab
         C: BDAT 1 LAST
         C+ c
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 250 2.1.5 recipient OK
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 queued as 1
         S: 250 2.0.0 queued as 1
         C: QUIT
         S: 221 2.0.0 closing the connection",
    );
}

#[test]
fn a_whole_message_in_one_group_of_chunks() {
    let seen = after_ehlo(
        &config(),
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: BDAT 2
         C+ a\\r
         C: BDAT 2
         C+ \\nb
         C: BDAT 0 LAST
         C: QUIT
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 queued as 1
         S: 221 2.0.0 closing the connection",
    );
    assert_eq!(seen.messages[0].1, b"a\r\nb");
}

#[test]
fn refused_chunks_are_consumed_and_never_read_as_commands() {
    after_ehlo(
        &config(),
        "C: BDAT 18
         C+ MAIL FROM:<x@y>\\r\\n.
         C: BDAT 5 FIRST
         C+ QUIT\\n
         C: MAIL FROM:<a@b.example>
         C: RCPT TO:<nobody@ours.example>
         C: BDAT 6 LAST
         C+ QUIT\\r\\n
         C: NOOP
         S: 503 5.5.1 MAIL and RCPT come first
         S: 501 5.5.4 BDAT takes a number of octets, then LAST or nothing
         S: 250 2.1.0 sender OK
         S: 550 5.1.1 no such user
         S: 503 5.5.1 there is no valid recipient
         S: 250 2.0.0 OK",
    );
}

#[test]
fn chunks_of_unknown_length_end_the_session() {
    for bad in ["BDAT", "BDAT x", "BDAT -1", "BDAT 18446744073709551616"] {
        after_ehlo(
            &config(),
            &format!("C: {bad}\nC: NOOP\nS: 501 5.5.4 BDAT takes a number of octets, then LAST or nothing"),
        );
    }
}

#[test]
fn a_void_chunk_ends_the_transaction() {
    let seen = in_transaction(
        &config(),
        "C: BDAT 3
         C+ a\\nb
         C: BDAT 3
         C+ cde
         C: DATA
         C: RCPT TO:<bob@ours.example>
         C: MAIL FROM:<a@b.example>
         S: 550 5.6.11 a line of the message ends with a bare <CR> or <LF>
         S: 503 5.5.1 MAIL and RCPT come first
         S: 503 5.5.1 MAIL and RCPT come first
         S: 503 5.5.1 RCPT comes after MAIL
         S: 250 2.1.0 sender OK",
    );
    assert_eq!(seen.aborted, [Abort::BareLineEnd]);
    let seen = in_transaction(
        &config(),
        "C: BDAT 2 LAST
         C+ a\\r
         S: 550 5.6.11 a line of the message ends with a bare <CR> or <LF>",
    );
    assert_eq!(seen.aborted, [Abort::BareLineEnd]);
}

#[test]
fn between_chunks() {
    let seen = in_transaction(
        &config(),
        "C: BDAT 1
         C+ a
         C: DATA
         C: RCPT TO:<carol@ours.example>
         C: MAIL FROM:<>
         C: NOOP
         C: RSET
         C: BDAT 1 LAST
         C+ b
         S: 250 2.0.0 chunk received
         S: 503 5.5.1 DATA cannot follow BDAT
         S: 503 5.5.1 RCPT comes before the content
         S: 503 5.5.1 a transaction is open already
         S: 250 2.0.0 OK
         S: 250 2.0.0 OK
         S: 503 5.5.1 MAIL and RCPT come first",
    );
    assert_eq!(seen.aborted, [Abort::Reset]);
}

#[test]
fn binary_content_is_kept_to_the_bit() {
    let seen = after_ehlo(
        &everything(),
        "C: MAIL FROM:<a@b.example> BODY=BINARYMIME
         C: RCPT TO:<bob@ours.example>
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 503 5.5.1 BODY=BINARYMIME goes with BDAT
         C: BDAT 7 LAST
         C+ \\0\\r\\n\\n\\x80\\r.
         S: 250 2.0.0 queued as 1",
    );
    assert_eq!(seen.messages[0].1, b"\0\r\n\n\x80\r.");
    after_ehlo(&config(), "C: MAIL FROM:<a@b.example> BODY=BINARYMIME\nS: 501 5.5.4 bad value of BODY");
}

fn small() -> Config {
    let mut config = config();
    config.limits.message_bytes_max = 10;
    config
}

#[test]
fn a_message_over_the_limit_is_read_to_its_end_and_refused() {
    let seen = in_transaction(
        &small(),
        "C: DATA
         S: 354 end data with <CR><LF>.<CR><LF>
         C: ..3456
         C: 9
         C: QUIT
         C: .
         C: NOOP
         S: 552 5.3.4 the message is larger than this server takes
         S: 250 2.0.0 OK",
    );
    assert_eq!(seen.aborted, [Abort::TooLarge]);
    let seen = in_transaction(
        &small(),
        "C: DATA
         S: 354 end data with <CR><LF>.<CR><LF>
         C: ..345678
         C: .
         S: 250 2.0.0 queued as 1",
    );
    assert_eq!(seen.messages[0].1.len(), 9);
}

#[test]
fn what_is_too_large_and_malformed_gets_one_reply_however_it_is_cut() {
    for cut in 0..18 {
        let mut session = greeted(small());
        session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
        let (head, tail) = b"123456789012\r3\r\n.\r\n".split_at(cut);
        let said = session.say(head) + &session.say(tail);
        assert_eq!(said, "550 5.6.11 a line of the message ends with a bare <CR> or <LF>\r\n");
        assert_eq!(session.seen.aborted.len(), 1);
    }
}

#[test]
fn chunks_over_the_limit_are_refused_where_they_cross_it() {
    let seen = in_transaction(
        &small(),
        "C: BDAT 8
         C+ 12345678
         C: BDAT 5
         C+ QUITx
         C: BDAT 1 LAST
         C+ x
         S: 250 2.0.0 chunk received
         S: 552 5.3.4 the message is larger than this server takes
         S: 503 5.5.1 MAIL and RCPT come first",
    );
    assert_eq!(seen.aborted, [Abort::TooLarge]);
}

#[test]
fn a_refusal_to_take_content_leaves_the_transaction_or_discards_the_chunk() {
    let busy = || Decision::Reject(Reply::new(452, (4, 3, 1), "the disk is full"));
    let mut server = greeted(config());
    server.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\n");
    let mut server = server.server;
    let now = Instant::now();
    server.push(b"DATA\r\n");
    assert_eq!(server.poll(now), Step::Event(Event::Data));
    assert_eq!(server.poll(now), Step::Event(Event::Data), "pending until answered");
    server.answer_data(busy());
    assert_eq!(server.poll(now), Step::Write(b"452 4.3.1 the disk is full\r\n".to_vec()));
    assert!(server.envelope().is_some());
    server.push(b"BDAT 4 LAST\r\nQUITNOOP\r\n");
    assert_eq!(server.poll(now), Step::Event(Event::Data));
    server.answer_data(busy());
    assert_eq!(server.poll(now), Step::Write(b"452 4.3.1 the disk is full\r\n250 2.0.0 OK\r\n".to_vec()));
    assert!(server.envelope().is_none());
}

#[test]
fn content_comes_in_pieces_no_larger_than_the_input() {
    let mut session = greeted(config());
    session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    let mut server = session.server;
    let now = Instant::now();
    for _ in 0..100 {
        server.push(&b"0123456789abcdef 0123456789abcdef 0123456789abcdef\r\n".repeat(80));
        let Step::Event(Event::Content(octets)) = server.poll(now) else { panic!("no content") };
        assert_eq!(octets.len(), 80 * 52, "one piece");
        assert_eq!(server.poll(now), Step::NeedInput);
        assert_eq!(server.input.capacity(), 0);
    }
    assert_eq!(server.content_octets(), 100 * 80 * 52);
    server.push_end();
    assert_eq!(server.poll(now), Step::Event(Event::ContentAborted(Abort::Closed)));
    assert_eq!(server.poll(now), Step::Close);
}
