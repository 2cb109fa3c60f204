use super::*;

#[test]
fn a_message_comes_in() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a APPEND x (\\Seen) {5}\r\n"), "+ go ahead\r\n");
    assert_eq!(driver.say("hello"), "");
    assert_eq!(driver.say("\r\nb NOOP\r\n"), "a OK appended\r\n* 1 EXPUNGE\r\nb OK done\r\n");
    assert_eq!(
        driver.heard,
        ["append to x", "message with 1 flags", "literal 5", "message \"hello\"", "end", "Noop"]
    );
}

#[test]
fn several_come_in_at_once() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a APPEND x {1+}\r\na {1}\r\n"), "+ go ahead\r\n");
    assert_eq!(driver.say("b CATENATE (URL /u TEXT {1+}\r\nc)\r\n"), "a OK appended\r\n");
    assert_eq!(
        driver.heard[3..],
        [
            "message \"a\"",
            "message with 0 flags",
            "literal 1",
            "message \"b\"",
            "message with 0 flags",
            "url /u",
            "literal 1",
            "message \"c\"",
            "end"
        ]
    );
}

/// IMAPClient does so.
#[test]
fn two_spaces_may_stand_between_messages() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a APPEND x {1+}\r\na  {1+}\r\nb\r\n"), "a OK appended\r\n");
    assert!(driver.say("b APPEND x {1+}\r\na   {1+}\r\nb\r\n").starts_with("b BAD "));
}

#[test]
fn a_message_too_long_is_refused_before_it_comes() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a APPEND x {1001}\r\n"), "a NO [TOOBIG] the message is too long\r\n");
    let message = "y NOOP\r\n".repeat(126);
    assert_eq!(
        driver.say(&format!("a APPEND x {{1008+}}\r\n{message}\r\nb NOOP\r\n")),
        "a NO [TOOBIG] the message is too long\r\n* 1 EXPUNGE\r\nb OK done\r\n"
    );
    assert_eq!(driver.heard[2..5], ["aborted", "append to x", "message with 0 flags"]);
    assert_eq!(
        driver.say("a APPEND x {99999999999+}\r\n"),
        "* BYE [TOOBIG] that is too long\r\n",
        "nobody waits for that to end"
    );
    assert_eq!((driver.heard.last().unwrap().as_str(), &driver.ended), ("aborted", &Some(Ended::Closed)));
}

#[test]
fn the_driver_refuses() {
    let mut driver = Driver::logged_in();
    let refused = "NO [TRYCREATE] no such mailbox\r\n";
    assert_eq!(driver.say("a APPEND none {5}\r\n"), format!("a {refused}"));
    assert_eq!(
        driver.say("a APPEND none {8+}\r\nx NOOP\r\n {5+}\r\nhello\r\nb NOOP\r\n"),
        format!("a {refused}* 1 EXPUNGE\r\nb OK done\r\n")
    );
    assert_eq!(driver.say("a APPEND none CATENATE (URL /a URL /b)\r\n"), format!("a {refused}"));
    assert_eq!(driver.say("a APPEND none CATENATE (URL /a TEXT {3}\r\n"), format!("a {refused}"));
    assert_eq!(driver.heard, ["refused", "refused", "Noop", "refused", "refused"]);
}

#[test]
fn a_cancelled_append_leaves_nothing() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a APPEND x {0}\r\n"), "a NO an empty message cancels the command\r\n");
    assert_eq!(driver.say("a APPEND x {1+}\r\na {0}\r\n"), "a NO an empty message cancels the command\r\n");
    assert_eq!(driver.say("a APPEND x {1+}\r\na junk\r\nb NOOP\r\n").lines().count(), 3);
    assert_eq!(driver.heard.iter().filter(|heard| *heard == "aborted").count(), 2);
    assert!(!driver.heard.contains(&"end".to_owned()));
}

#[test]
fn forms_that_are_not_offered() {
    let mut driver = Driver::new(Config { extensions: Extensions::default(), ..config() });
    driver.push(b"l LOGIN alice sesame\r\n");
    assert_eq!(driver.say("a APPEND x {1+}\r\na {1+}\r\nb\r\n"), "a BAD one message at a time\r\n");
    assert_eq!(driver.say("a APPEND x CATENATE (URL /u)\r\n"), "a BAD CATENATE is not known here\r\n");
    assert_eq!(driver.say("a APPEND x UTF8 (~{1+}\r\na)\r\n"), "a BAD ENABLE UTF8=ACCEPT comes first\r\n");
    assert_eq!(driver.say("a REPLACE 1 x {1+}\r\na\r\n"), "a BAD there is no such command\r\n");
    assert!(driver.say("a APPEND x {1+}\r\na\r\n").starts_with("a OK"));
}
