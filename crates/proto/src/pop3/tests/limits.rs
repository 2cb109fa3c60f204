use std::time::Duration;

use super::{
    super::{BAD_COMMANDS_MAX, OUTPUT_BYTES_MAX},
    *,
};

#[test]
fn a_silent_client_is_closed_without_a_word_or_a_deletion() {
    let mut driver = Driver::new(config());
    driver.push(b"USER alice\r\nPASS open sesame\r\nDELE 1\r\n");
    driver.output.clear();
    let deadline = driver.server.deadline().unwrap();
    assert_eq!(deadline, driver.now + IDLE_TIMEOUT_MIN);
    driver.now += IDLE_TIMEOUT_MIN / 2;
    // Part of a line is no command.
    driver.push(b"NOO");
    assert_eq!(driver.ended, None);
    assert_eq!(driver.server.deadline(), Some(deadline));
    driver.now = deadline;
    driver.run();
    assert_eq!(driver.ended, Some(Ended::Closed));
    assert!(driver.output.is_empty());
    assert_eq!(driver.committed, None);
}

#[test]
fn a_command_starts_the_timer_anew() {
    let mut driver = Driver::new(config());
    driver.run();
    driver.now += IDLE_TIMEOUT_MIN / 2;
    driver.push(b"CAPA\r\n");
    assert_eq!(driver.server.deadline(), Some(driver.now + IDLE_TIMEOUT_MIN));
}

#[test]
fn the_timeout_is_never_shorter_than_the_standard_says() {
    let mut driver = Driver::new(Config { idle_timeout: Duration::from_secs(1), ..config() });
    driver.run();
    assert_eq!(driver.server.deadline(), Some(driver.now + IDLE_TIMEOUT_MIN));
}

#[test]
fn lines_have_limits() {
    let mut driver = Driver::new(config());
    driver.push(format!("USER {}\r\n", "a".repeat(248)).as_bytes());
    driver.push(format!("NOOP {}\r\n", "x".repeat(600)).as_bytes());
    driver.push(format!("AUTH PLAIN {}\r\n", "A".repeat(4096)).as_bytes());
    driver.push(format!("AUTH PLAIN {}\r\n", "A".repeat(20_000)).as_bytes());
    let lines: Vec<String> = driver.take_lines().into();
    assert_eq!(
        lines[1..],
        [
            "+OK now the password",
            "-ERR the line is too long",
            "-ERR that is no message of this mechanism",
            "-ERR the line is too long"
        ]
    );
    driver.push(&vec![b'x'; 70_000]);
    assert_eq!(driver.take_lines(), ["-ERR the line is too long"]);
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn a_sasl_line_too_long_ends_the_exchange() {
    let mut driver = Driver::new(config());
    driver.push(b"AUTH PLAIN\r\n");
    driver.push(&vec![b'A'; 13_000]);
    driver.push(b"\r\nCAPA x\r\n");
    let lines: Vec<String> = driver.take_lines().into();
    assert_eq!(lines[1..], ["+ ", "-ERR the line is too long", "-ERR that command takes no argument"]);
}

#[test]
fn too_many_bad_commands_close() {
    let mut driver = Driver::new(config());
    for _ in 0..BAD_COMMANDS_MAX {
        assert_eq!(driver.ended, None);
        driver.push(b"HELO\r\n");
    }
    assert_eq!(driver.ended, Some(Ended::Closed));
    assert_eq!(driver.take_lines().back().unwrap(), "-ERR too many bad commands");
}

#[test]
fn long_listings_and_messages_go_out_in_pieces() {
    let mut driver = Driver::new(config());
    driver.messages = (1..=20_000).map(|uid| (uid, b"a: b\r\n\r\n".to_vec())).collect();
    driver.messages[0].1 = b".\r\n".repeat(100_000);
    driver.chunk_bytes = 4096;
    driver.push(b"USER alice\r\nPASS open sesame\r\nUIDL\r\nRETR 1\r\nDELE 19999\r\nLIST\r\nQUIT\r\n");
    assert!(driver.writes.iter().all(|length| *length < OUTPUT_BYTES_MAX + 2 * 4096), "{:?}", driver.writes);
    let lines = driver.take_lines();
    let (uidl, retr, list) = (20_002, 100_002, 20_001);
    assert_eq!(lines.len(), 3 + uidl + retr + 1 + list + 1);
    assert_eq!(driver.committed, Some(vec![19_999]));
}

#[test]
fn output_is_taken_before_more_content_is_asked_for() {
    let mut driver = Driver::new(config());
    driver.push(b"USER alice\r\nPASS open sesame\r\n");
    driver.server.push(b"RETR 1\r\n");
    assert_eq!(driver.server.poll(driver.now), Step::Event(Event::Retrieve { uid: 3 }));
    assert_eq!(driver.server.poll(driver.now), Step::Event(Event::Retrieve { uid: 3 }));
    driver.server.answer_content(&vec![b'x'; OUTPUT_BYTES_MAX]);
    assert!(matches!(driver.server.poll(driver.now), Step::Write(_)));
    assert_eq!(driver.server.poll(driver.now), Step::Event(Event::MoreContent));
    driver.server.answer_content_end();
    assert_eq!(driver.server.poll(driver.now), Step::Write(b"\r\n.\r\n".to_vec()));
    assert_eq!(driver.server.poll(driver.now), Step::NeedInput);
}

#[test]
fn answers_nobody_waits_for_change_nothing() {
    let mut driver = Driver::new(config());
    driver.run();
    driver.output.clear();
    driver.server.answer_authenticated(&MaildropListing::default());
    driver.server.answer_authentication_failed();
    driver.server.answer_content(b"x");
    driver.server.answer_content_end();
    driver.server.answer_committed();
    driver.server.handle_tls_started();
    driver.converse("C: STAT\nS: -ERR log in first");
}

#[test]
fn a_shutdown_is_announced_between_commands() {
    let mut driver = Driver::new(config());
    driver.push(b"USER alice\r\nPASS open sesame\r\nDELE 1\r\n");
    driver.output.clear();
    driver.server.handle_shutdown();
    driver.run();
    assert_eq!(driver.take_lines(), ["-ERR [SYS/TEMP] the server is shutting down"]);
    assert_eq!(driver.ended, Some(Ended::Closed));
    assert_eq!(driver.committed, None);
}

#[test]
fn a_client_that_closes_its_side_early_gets_its_answers() {
    let mut driver = Driver::new(config());
    driver.server.push(b"USER alice\r\nPASS open sesame\r\nSTAT\r\nQUI");
    driver.server.push_end();
    driver.run();
    assert_eq!(driver.take_lines().back().unwrap(), "+OK 2 56");
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn a_waiting_session_is_small() {
    assert!(size_of::<Server>() <= 512, "{}", size_of::<Server>());
}
