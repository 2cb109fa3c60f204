//! Conformance §4 and §5, attacks D and E: length, number, time and memory.

use super::*;

#[test]
fn an_over_long_line_gets_one_reply() {
    let mut session = greeted(config());
    let mut line = vec![b'x'; 60_000];
    line.extend_from_slice(b"\r\nNOOP\r\n");
    assert_eq!(session.say(&line), "500 5.5.2 line too long\r\n250 2.0.0 OK\r\n");
    let endless = session.say(&b"x".repeat(100_000));
    assert_eq!(endless, "500 5.5.2 line too long\r\n421 4.7.0 a line without an end\r\n");
    assert!(session.closed);
}

#[test]
fn lines_up_to_the_limit_are_read() {
    let mut session = greeted(everything());
    let noop = format!("NOOP {}\r\n", "x".repeat(2048 - 7));
    assert_eq!(session.say(noop.as_bytes()), "250 2.0.0 OK\r\n");
    let noop = format!("NOOP {}\r\n", "x".repeat(2048 - 6));
    assert_eq!(session.say(noop.as_bytes()), "500 5.5.2 line too long\r\n");
    assert_eq!(session.say(b"AUTH PLAIN\r\n"), "334 \r\n");
    let long = format!("{}\r\n", "A".repeat(12_284));
    assert_eq!(session.say(long.as_bytes()), "501 5.5.2 that is no message of this mechanism\r\n");
    session.say(b"AUTH PLAIN\r\n");
    let long = format!("{}\r\nNOOP\r\n", "A".repeat(12_288));
    let said = "500 5.5.6 authentication exchange line is too long\r\n250 2.0.0 OK\r\n";
    assert_eq!(session.say(long.as_bytes()), said);
}

#[test]
fn recipients_beyond_the_limit_get_452_and_the_first_stay() {
    let mut config = config();
    config.limits.recipients_max = 2;
    let seen = after_ehlo(
        &config,
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: RCPT TO:<carol@ours.example>
         C: RCPT TO:<bob@ours.example>
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 250 2.1.5 recipient OK
         S: 452 4.5.3 too many recipients; send the rest in another transaction
         S: 354 end data with <CR><LF>.<CR><LF>
         C: .
         S: 250 2.0.0 queued as 1",
    );
    assert_eq!(seen.messages[0].0.recipients.len(), 2);
}

#[test]
fn too_many_errors_end_the_session() {
    let mut session = greeted(config());
    let said = session.say(&b"XYZZY\r\nRSET\r\n".repeat(30));
    assert_eq!(said.matches("500 ").count(), 19);
    assert!(said.ends_with("421 4.7.0 too many errors\r\n") && session.closed);
}

#[test]
fn too_many_refused_recipients_end_the_session() {
    let mut session = greeted(config());
    session.say(b"MAIL FROM:<>\r\n");
    let said = session.say(&b"RCPT TO:<nobody@ours.example>\r\n".repeat(300));
    assert_eq!(said.matches("550 ").count(), 199);
    assert!(said.ends_with("421 4.7.0 too many errors\r\n"));
}

#[test]
fn an_accepted_message_pays_for_earlier_commands() {
    let mut config = config();
    config.limits.commands_max = 8;
    config.limits.transactions_max = 6;
    let mut session = greeted(config);
    for _ in 0..6 {
        session.say(b"XYZZY\r\nMAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
        assert!(session.say(b".\r\n").contains("queued as"));
    }
    assert!(session.say(b"MAIL FROM:<>\r\n").starts_with("421 4.7.0"));
    assert!(session.closed);
    let mut config = super::config();
    config.limits.commands_max = 8;
    assert!(
        greeted(config)
            .say(&b"NOOP\r\n".repeat(9))
            .ends_with("421 4.7.0 too many commands without a message\r\n")
    );
}

#[test]
fn passwords_may_not_be_guessed_on_and_on() {
    let mut session = greeted(everything());
    for _ in 0..2 {
        assert!(session.say(b"AUTH PLAIN AGJvYgB3cm9uZw==\r\n").starts_with("535"));
    }
    let said = session.say(b"AUTH PLAIN AGJvYgB3cm9uZw==\r\n");
    assert!(said.starts_with("535") && said.ends_with("421 4.7.0 too many errors\r\n"));
}

#[test]
fn many_small_chunks_end() {
    let mut config = config();
    config.limits.chunks_max = 5;
    let mut session = greeted(config);
    session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\n");
    let said = session.say(&b"BDAT 0\r\n".repeat(8));
    assert_eq!(said.matches("250 2.0.0 chunk").count(), 6);
    assert!(said.contains("554 5.5.0") && said.ends_with("503 5.5.1 MAIL and RCPT come first\r\n"));
    assert_eq!(session.seen.aborted, [Abort::TooManyChunks]);
}

#[test]
fn replies_to_a_flood_come_out_in_bounded_pieces() {
    let mut session = greeted(config());
    session.server.push(&b"NOOP\r\n".repeat(8000));
    let writes = session.run();
    assert!(writes.len() > 5 && writes.iter().all(|write| write.len() < 20_000));
}

#[test]
fn silence_is_ended_and_octets_alone_do_not_count() {
    let mut session = greeted(config());
    for _ in 0..29 {
        session.now += wait(10);
        assert_eq!(session.say(b"x"), "");
    }
    session.now += wait(10);
    assert_eq!(session.server.deadline(), Some(session.now));
    assert_eq!(session.say(b""), "421 4.4.2 timed out\r\n");
    assert!(session.closed);
}

#[test]
fn every_command_has_its_time() {
    let mut session = greeted(config());
    for _ in 0..100 {
        session.now += wait(299);
        assert_eq!(session.say(b"NOOP\r\n"), "250 2.0.0 OK\r\n");
    }
}

#[test]
fn content_that_trickles_is_ended() {
    let mut session = greeted(config());
    session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    let mut said = String::new();
    while !session.closed {
        session.now += wait(10);
        said = session.say(b"x");
    }
    assert_eq!(said, "421 4.4.2 timed out\r\n");
    assert_eq!(session.seen.aborted, [Abort::TimedOut]);
}

#[test]
fn content_that_flows_has_its_time_and_no_more() {
    let mut session = greeted(config());
    session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    let mut minutes = 0;
    while !session.closed {
        session.now += wait(60);
        minutes += 1;
        session.say(&b"x".repeat(20_000));
    }
    assert_eq!(minutes, 60);
    assert_eq!(session.seen.aborted, [Abort::TimedOut]);
}

#[test]
fn a_refused_chunk_that_does_not_come_is_not_waited_for() {
    let mut session = greeted(config());
    session.say(b"BDAT 18446744073709551615 LAST\r\n");
    for _ in 0..61 {
        session.now += wait(60);
        session.say(&b"x".repeat(20_000));
    }
    assert!(session.closed);
}

#[test]
fn a_peer_that_leaves_gets_its_answers_first() {
    let mut session = greeted(config());
    session.server.push(b"NOOP\r\nMAIL FROM");
    session.server.push_end();
    assert_eq!(session.say(b""), "250 2.0.0 OK\r\n");
    assert!(session.closed);
}

#[test]
fn shutdown_finishes_what_was_begun() {
    let mut session = greeted(config());
    session.server.shutdown();
    assert_eq!(session.say(b""), "421 4.3.2 the service shuts down; try again later\r\n");
    assert!(session.closed);

    let mut session = greeted(config());
    session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    session.server.shutdown();
    assert_eq!(session.say(b"x\r\n"), "");
    assert_eq!(
        session.say(b".\r\n"),
        "250 2.0.0 queued as 1\r\n421 4.3.2 the service shuts down; try again later\r\n"
    );
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Server>() <= 320, "{}", size_of::<Server>());
    let mut session = greeted(config());
    session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\n");
    session.say(&[b"x\r\n".repeat(5000).as_slice(), b".\r\n"].concat());
    let server = &session.server;
    assert_eq!((server.input.capacity(), server.output.capacity()), (0, 0));
    assert!(server.transaction.is_none());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// Whatever comes, the machine rests, holds no more than a line, and says the same however it was cut.
    #[test]
    fn garbage_is_harmless(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "EHLO c.example\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<bob@ours.example>\r\n", "DATA\r\n", ".\r\n",
            "BDAT 7\r\n", "BDAT 3 LAST\r\n", "RSET\r\n", "QUIT\r\n", "AUTH PLAIN\r\n", "STARTTLS\r\n", "\r\n", "\n", "\r",
            "\0", "x", "..\r\n", "VRFY \u{fc}\r\n", "BDAT -1\r\n", "AGJvYgBzZWNyZXQ=\r\n", "NOOP",
        ]), 0..40),
        cuts in proptest::collection::vec(1..30_usize, 1..40),
    ) {
        let mut config = everything();
        config.refuse_early_talk = false;
        config.starttls = StartTls::Off;
        let stream = words.concat().into_bytes();
        let mut whole = greeted(config.clone());
        let mut said = whole.say(&stream);
        let mut cut_up = greeted(config);
        let (mut rest, mut said_in_pieces) = (stream.as_slice(), String::new());
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at(rest.len().min(*cut));
            said_in_pieces.push_str(&cut_up.say(piece));
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        whole.server.push_end();
        cut_up.server.push_end();
        said.push_str(&whole.say(b""));
        said_in_pieces.push_str(&cut_up.say(b""));
        proptest::prop_assert_eq!(said, said_in_pieces);
        proptest::prop_assert_eq!(whole.seen, cut_up.seen);
        proptest::prop_assert!(whole.closed && cut_up.closed);
    }
}

/// C291: what is announced is what holds, and it is said anew with each EHLO.
#[test]
fn limits_are_announced_and_hold() {
    let mut config = everything();
    (config.limits.recipients_max, config.limits.transactions_max) = (2, 3);
    let mut session = Session::new(config);
    session.say(b"");
    let announced = "\r\n250-LIMITS RCPTMAX=2 MAILMAX=3\r\n";
    assert!(session.say(b"EHLO c.example\r\n").contains(announced));
    session.say(b"STARTTLS\r\n");
    assert!(session.say(b"EHLO c.example\r\n").contains(announced));
    session.say(b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n");
    assert!(session.say(b"EHLO c.example\r\n").contains(announced));
    let rcpt = b"RCPT TO:<bob@ours.example>\r\n".repeat(3);
    let said = session.say(&[b"MAIL FROM:<>\r\n", &rcpt[..]].concat());
    assert_eq!((said.matches("250 2.1.5").count(), said.matches("452 4.5.3").count()), (2, 1));
    assert!(
        session
            .say(b"RSET\r\nMAIL FROM:<\r\nMAIL FROM:<> X\r\n")
            .ends_with("555 5.5.4 unknown parameter\r\n")
    );
    assert!(session.say(b"MAIL FROM:<>\r\n").starts_with("250"), "a line that is no MAIL did not count");
    assert!(
        session
            .say(b"RSET\r\nMAIL FROM:<>\r\n")
            .ends_with("421 4.7.0 enough transactions for one connection; connect again\r\n")
    );
}

#[test]
fn limits_beyond_six_digits_are_not_announced() {
    let mut config = config();
    (config.limits.recipients_max, config.limits.transactions_max) = (1_000_000, 999_999);
    let mut session = Session::new(config);
    session.say(b"");
    assert!(session.say(b"EHLO c.example\r\n").contains("\r\n250-LIMITS MAILMAX=999999\r\n"));
}
