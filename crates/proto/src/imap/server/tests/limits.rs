use super::*;

#[test]
fn whoever_talks_nonsense_is_cut_off() {
    let mut driver = Driver::new(config());
    driver.run();
    let said = driver.say(&"GET / HTTP/1.1\r\n".repeat(100));
    assert_eq!(said.lines().count(), 21);
    assert!(said.ends_with("* BYE [CLIENTBUG] too many bad commands\r\n"));
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn a_mistake_now_and_then_is_forgiven() {
    let mut driver = Driver::logged_in();
    for _ in 0..50 {
        assert!(driver.say("a XYZZY\r\nb NOOP\r\n").ends_with("b OK done\r\n"));
    }
}

#[test]
fn the_login_has_a_deadline_that_nothing_moves() {
    let mut driver = Driver::new(config());
    driver.run();
    let deadline = driver.server.deadline().unwrap();
    assert_eq!(deadline, driver.now + Duration::from_mins(3));
    driver.now += Duration::from_mins(2);
    driver.say("a NOOP\r\nb LOGIN x y\r\n");
    assert_eq!(driver.server.deadline(), Some(deadline));
    driver.now = deadline;
    driver.output.clear();
    driver.run();
    assert_eq!(driver.said(), "* BYE [UNAVAILABLE] autologout: nothing has come for too long\r\n");
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn the_timeout_is_never_shorter_than_the_standard_says() {
    let mut driver = Driver::new(Config { idle_timeout: Duration::from_secs(1), ..config() });
    driver.say("a LOGIN alice sesame\r\n");
    assert_eq!(driver.server.deadline(), Some(driver.now + IDLE_TIMEOUT_MIN));
    driver.now += Duration::from_mins(29);
    driver.say("a NO");
    let deadline = driver.server.deadline();
    assert_eq!(deadline, Some(driver.now + Duration::from_mins(1)), "part of a command is none");
    driver.say("OP\r\n");
    assert_eq!(driver.server.deadline(), Some(driver.now + IDLE_TIMEOUT_MIN));
    driver.say("b IDLE\r\n");
    driver.now += IDLE_TIMEOUT_MIN;
    driver.output.clear();
    driver.run();
    assert_eq!(driver.said(), "* BYE [UNAVAILABLE] autologout: nothing has come for too long\r\n");
}

#[test]
fn literals_before_the_login_are_small() {
    let mut driver = Driver::new(config());
    driver.run();
    assert_eq!(
        driver.say(&format!("a LOGIN {{4097+}}\r\n{} x\r\nb NOOP\r\n", "x".repeat(4097))),
        "a BAD a literal of that size has to wait for the continuation\r\nb OK nothing done\r\n"
    );
    assert_eq!(driver.say("a LOGIN {4096}\r\n"), "+ go ahead\r\n");
    let mut driver = Driver::new(config());
    driver.run();
    assert_eq!(driver.say("a LOGIN {99999}\r\n"), "a BAD [TOOBIG] the literal is too long\r\n");
    assert_eq!(driver.say("a LOGIN {999999+}\r\n"), "* BYE [LIMIT] that is too long\r\n");
}

#[test]
fn endless_lines_end_the_session() {
    let mut driver = Driver::new(config());
    driver.run();
    for _ in 0..1000 {
        driver.push(&[b'x'; 1000]);
    }
    assert!(driver.said().ends_with("* BYE [LIMIT] that is too long\r\n"));
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn a_session_that_waits_is_small() {
    assert!(size_of::<Server>() < 1024, "{}", size_of::<Server>());
    let mut driver = Driver::selected();
    driver.say("a IDLE\r\n");
    assert_eq!(driver.server.output_len(), 0);
    assert_eq!(driver.server.encoder.take().capacity(), 0);
}

#[test]
fn the_end_of_input_ends_the_session() {
    let mut driver = Driver::selected();
    driver.server.push(b"a NOOP\r\nb NO");
    driver.server.push_end();
    driver.output.clear();
    driver.run();
    assert_eq!(driver.said(), "* 1 EXPUNGE\r\na OK done\r\n");
    assert_eq!(driver.ended, Some(Ended::Closed));
}
