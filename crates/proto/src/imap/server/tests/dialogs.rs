use super::*;

const BEFORE_LOGIN: &str = "IMAP4rev2 IMAP4rev1 LITERAL- ID ENABLE SASL-IR AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 \
                            AUTH=PLAIN AUTH=LOGIN";

#[test]
fn the_greeting_says_what_there_is() {
    let mut driver = Driver::new(config());
    driver.run();
    assert_eq!(
        driver.said(),
        format!("* OK [CAPABILITY {BEFORE_LOGIN}] mx.example.org IMAP server ready\r\n")
    );
    assert_eq!(
        driver.say("a CAPABILITY\r\nb NOOP\r\n"),
        format!("* CAPABILITY {BEFORE_LOGIN}\r\na OK that is all\r\nb OK nothing done\r\n")
    );
}

#[test]
fn the_login_brings_new_capabilities() {
    let mut driver = Driver::new(config());
    driver.push(b"");
    let said = driver.say("a LOGIN alice sesame\r\n");
    assert!(said.starts_with("a OK [CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL+ ID ENABLE IDLE "), "{said}");
    for name in [
        "UIDPLUS",
        "CONDSTORE",
        "QRESYNC",
        "THREAD=REFERENCES",
        "APPENDLIMIT=1000",
        "COMPRESS=DEFLATE",
        "ACL",
    ] {
        assert!(said.contains(&format!(" {name}")), "{name}");
    }
    assert!(!said.contains("AUTH=") && !said.contains("STARTTLS"));
    let few = Config { extensions: Extensions::default(), message_limit: Some(500), ..config() };
    let mut driver = Driver::new(few);
    let said = driver.say("a LOGIN alice sesame\r\n");
    assert!(!said.contains("ACL") && said.contains("APPENDLIMIT=1000 MESSAGELIMIT=500]"), "{said}");
}

#[test]
fn every_command_has_its_state() {
    let mut driver = Driver::new(config());
    driver.push(b"");
    assert_eq!(driver.say("a SELECT INBOX\r\n"), "a BAD log in first\r\n");
    assert_eq!(driver.say("a FETCH 1 FLAGS\r\n"), "a BAD log in first\r\n");
    assert_eq!(driver.say("a APPEND x {1}\r\n"), "a BAD log in first\r\n");
    assert_eq!(driver.say("a APPEND x {1+}\r\nb\r\n"), "a BAD log in first\r\n");
    assert!(driver.heard.is_empty());
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a LOGIN alice sesame\r\n"), "a BAD you are logged in already\r\n");
    assert_eq!(driver.say("a STARTTLS\r\n"), "a BAD you are logged in already\r\n");
    assert_eq!(driver.say("a CLOSE\r\n"), "a BAD select a mailbox first\r\n");
    assert_eq!(driver.say("a UID EXPUNGE 1\r\n"), "a BAD select a mailbox first\r\n");
    assert_eq!(driver.say("a REPLACE 1 x {1+}\r\nb\r\n"), "a BAD select a mailbox first\r\n");
    assert_eq!(driver.say("a SELECT INBOX\r\n"), "* 1 EXPUNGE\r\na OK done\r\n");
    assert_eq!(driver.say("a CLOSE\r\n"), "* 1 EXPUNGE\r\na OK done\r\n");
    assert_eq!(driver.say("a SEARCH ALL\r\n"), "a BAD select a mailbox first\r\n");
    assert_eq!(driver.heard, ["Select", "Close"]);
}

#[test]
fn a_select_closes_what_was_selected_even_if_it_fails() {
    let mut driver = Driver::selected();
    assert_eq!(
        driver.say("a EXAMINE none\r\nb CHECK\r\n"),
        "* OK [CLOSED] the mailbox is closed\r\na NO [NONEXISTENT] no such mailbox\r\nb BAD select a mailbox first\r\n"
    );
}

#[test]
fn what_is_wrong_is_told_under_its_tag_or_under_none() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a1 XYZZY\r\n"), "a1 BAD there is no such command\r\n");
    assert_eq!(driver.say("\r\n"), "* BAD a command begins with a tag, a space and a name\r\n");
    assert_eq!(driver.say("a FETCH 1\r\n"), "a BAD expected a space\r\n");
    assert_eq!(driver.say("a DELETE &\r\n"), "a NO [CANNOT] that is no name for a mailbox here\r\n");
    assert_eq!(driver.say("a SELECT {99999}\r\n"), "a BAD [TOOBIG] the literal is too long\r\n");
    assert_eq!(driver.say("a SELECT {3}\r\n"), "+ go ahead\r\n");
    assert_eq!(driver.say("x y\r\n"), "* 1 EXPUNGE\r\na OK done\r\n");
    assert_eq!(
        driver.say("a SEARCH CHARSET KOI8-R ALL\r\n"),
        "a NO [BADCHARSET (UTF-8 US-ASCII)] only UTF-8 and US-ASCII are known here\r\n"
    );
    assert!(
        driver
            .say("a NOTIFY SET (selected (Foo))\r\n")
            .starts_with("a NO [BADEVENT (MessageNew MessageExpunge ")
    );
    assert_eq!(
        driver.say("a CREATE x (USE (\\Foo))\r\n"),
        "a NO [USEATTR] there is no such use of a mailbox\r\n"
    );
}

#[test]
fn what_is_not_offered_is_not_known() {
    let mut driver = Driver::new(Config { extensions: Extensions::default(), ..config() });
    driver.push(b"l LOGIN alice sesame\r\n");
    for command in
        ["GETACL x", "NOTIFY NONE", "COMPRESS DEFLATE", "UNAUTHENTICATE", "GETQUOTA x", "URLFETCH x"]
    {
        assert_eq!(
            driver.say(&format!("a {command}\r\n")),
            "a BAD there is no such thing here\r\n",
            "{command}"
        );
    }
    assert_eq!(driver.say("a ENABLE CONDSTORE IMAP4rev2\r\n"), "* ENABLED IMAP4rev2\r\na OK enabled\r\n");
}

#[test]
fn enable_tells_what_is_new() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a ENABLE QRESYNC X-FOO\r\n"), "* ENABLED QRESYNC\r\na OK enabled\r\n");
    assert!(driver.server.enabled().condstore && driver.server.enabled().qresync);
    assert_eq!(driver.say("a ENABLE qresync condstore\r\n"), "* ENABLED\r\na OK enabled\r\n");
    assert_eq!(driver.say("a DELETE \"ü\"\r\n"), "a NO [CANNOT] that is no name for a mailbox here\r\n");
    driver.say("a ENABLE UTF8=ACCEPT\r\n");
    assert_eq!(driver.say("a DELETE \"ü\"\r\n"), "* 1 EXPUNGE\r\na OK done\r\n");
    driver.say("a SELECT x\r\n");
    assert_eq!(driver.say("a ENABLE IMAP4rev2\r\n"), "a BAD ENABLE comes before a mailbox is selected\r\n");
}

#[test]
fn mod_sequences_are_for_who_asks() {
    let mut driver = Driver::selected();
    assert_eq!(driver.say("a SELECT x (QRESYNC (1 2))\r\n"), "a BAD ENABLE QRESYNC comes first\r\n");
    assert_eq!(
        driver.say("a UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)\r\n"),
        "a BAD ENABLE QRESYNC comes first\r\n"
    );
    assert_eq!(
        driver.say("a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)\r\n"),
        "a BAD VANISHED is for UID FETCH\r\n"
    );
    assert!(!driver.server.enabled().condstore);
    driver.say("a SEARCH OR ALL NOT (MODSEQ 5)\r\n");
    assert!(driver.server.enabled().condstore);
}

#[test]
fn expunges_wait_while_numbers_are_spoken_of() {
    let mut driver = Driver::selected();
    driver.expunges.clear();
    driver.say(
        "a SEARCH ALL\r\nb UID SEARCH ALL\r\nc STORE 1 FLAGS ()\r\nd UID STORE 1 FLAGS ()\r\ne NOOP\r\n",
    );
    assert_eq!(driver.expunges, [false, true, false, true, true]);
    assert!(!driver.server.data(&Data::Expunge(1)), "no command is under way");
    assert!(driver.server.data(&Data::Exists(4)));
    driver.server.set_expunges_any_time(true);
    assert!(driver.server.data(&Data::Expunge(1)));
    assert_eq!(driver.say(""), "* 4 EXISTS\r\n* 1 EXPUNGE\r\n");
}

#[test]
fn pipelined_commands_keep_their_order() {
    let mut driver = Driver::selected();
    let said = driver.say("A FETCH 1 BODY[]\r\nB STORE 1 +FLAGS (\\Deleted)\r\nC EXPUNGE\r\nD NOOP\r\n");
    assert_eq!(
        said,
        "* 1 FETCH (UID 7 BODY[] {15}\r\nFrom: a\r\n\r\nbody)\r\nA OK fetched\r\nB OK done\r\n* 1 EXPUNGE\r\n\
         C OK done\r\n* 1 EXPUNGE\r\nD OK done\r\n"
    );
    assert_eq!(driver.heard, ["Fetch", "Store", "Expunge", "Noop"]);
    assert_eq!(driver.writes, 4, "one for the greeting, two before, one for all of these");
}

#[test]
fn long_bodies_go_out_piece_by_piece() {
    let mut driver = Driver::selected();
    driver.body = vec![b'x'; 800_000];
    let said = driver.say("A FETCH 1 BODY[]\r\n");
    assert_eq!(
        said,
        format!("* 1 FETCH (UID 7 BODY[] {{800000}}\r\n{})\r\nA OK fetched\r\n", "x".repeat(800_000))
    );
    assert!(driver.writes > 10, "{}", driver.writes);
}

#[test]
fn a_body_that_breaks_off_ends_the_session() {
    let mut server = Server::new(config());
    let now = Instant::now();
    server.push(b"a LOGIN alice sesame\r\nb SELECT x\r\nc FETCH 1 BODY[]\r\n");
    let mut output = Vec::new();
    loop {
        match server.poll(now) {
            Step::Event(Event::Authenticate(_)) => server.answer_authenticated(),
            Step::Event(Event::Command(tagged)) if tagged.tag == "b" => server.complete(&Status::ok("")),
            Step::Event(Event::Command(_)) => {
                server.start_fetch(1);
                server.start_content(&ContentName::Rfc822, 10, false);
                server.content(b"abc");
                assert!(!server.data(&Data::Exists(1)), "not in the middle of a literal");
                server.complete(&Status::no(Code::ServerBug, "the disk is broken"));
            }
            Step::Write(octets) => output.extend(octets),
            Step::Close => break,
            step => panic!("{step:?}"),
        }
    }
    assert!(output.ends_with(b"RFC822 {10}\r\nabc"), "{}", output.escape_ascii());
}

#[test]
fn how_far_a_command_is_goes_out_at_once_and_a_mailbox_may_close() {
    let mut server = Server::new(Config { extensions: Extensions::all(), ..config() });
    let now = Instant::now();
    server.push(b"a LOGIN alice sesame\r\nb SELECT x\r\nlong SEARCH ALL\r\nd CHECK\r\n");
    let mut output = Vec::new();
    loop {
        match server.poll(now) {
            Step::Event(Event::Authenticate(_)) => server.answer_authenticated(),
            Step::Event(Event::Command(tagged)) if tagged.tag == "b" => server.complete(&Status::ok("")),
            Step::Event(Event::Command(_)) => {
                output.clear();
                server.take_output();
                assert_eq!(server.progress(3, None), b"* OK [INPROGRESS (\"long\" 3 NIL)] it goes on\r\n");
                assert_eq!(server.progress(7, Some(9)), b"* OK [INPROGRESS (\"long\" 7 9)] it goes on\r\n");
                server.complete(&Status::ok("searched"));
                server.handle_mailbox_closed("it is gone");
                server.handle_mailbox_closed("it is told once");
                assert_eq!(server.progress(8, Some(9)), b"long OK searched\r\n* OK [CLOSED] it is gone\r\n");
            }
            Step::Write(octets) => output.extend(octets),
            Step::NeedInput => break,
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(output.escape_ascii().to_string(), "d BAD select a mailbox first\\r\\n");
}

#[test]
fn idle_tells_what_happens_until_done() {
    let mut driver = Driver::selected();
    assert_eq!(driver.say("a IDLE\r\n"), "+ idling\r\n");
    driver.output.clear();
    assert!(driver.server.data(&Data::Exists(3)) && driver.server.data(&Data::Expunge(1)));
    driver.run();
    assert_eq!(driver.said(), "* 3 EXISTS\r\n* 1 EXPUNGE\r\n");
    assert_eq!(driver.say("done\r\n"), "a OK idled\r\n");
    assert_eq!(driver.heard, ["Idle", "idle ended"]);
}

#[test]
fn whoever_goes_on_without_done_ends_idle_too() {
    let mut driver = Driver::selected();
    assert_eq!(
        driver.say("a IDLE\r\nDONE\r\nb NOOP\r\n"),
        "+ idling\r\na OK idled\r\n* 1 EXPUNGE\r\nb OK done\r\n"
    );
    assert_eq!(driver.say("a IDLE\r\nb NOOP\r\n"), "+ idling\r\na OK idled\r\n* 1 EXPUNGE\r\nb OK done\r\n");
    let long = format!("b UID SEARCH {}ALL", "SEEN ".repeat(30));
    assert_eq!(
        driver.say(&format!("a IDLE\r\n{long}\r\n")),
        "+ idling\r\na OK idled\r\n* 1 EXPUNGE\r\n* SEARCH 2\r\nb OK searched\r\n"
    );
}

#[test]
fn id_and_logout() {
    let mut driver = Driver::new(config());
    driver.push(b"");
    assert_eq!(
        driver.say("a ID (\"name\" \"x\")\r\n"),
        "* ID (\"name\" \"Postrider\")\r\na OK pleased to meet you\r\n"
    );
    assert_eq!(driver.say("a LOGOUT\r\nb NOOP\r\n"), "* BYE goodbye\r\na OK logged out\r\n");
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn compression_begins_behind_its_answer() {
    let mut driver = Driver::logged_in();
    assert_eq!(driver.say("a COMPRESS DEFLATE\r\nb NOOP\r\n"), "a OK compression begins\r\n");
    assert_eq!(driver.heard, ["compress"]);
    assert_eq!(
        driver.say("c COMPRESS DEFLATE\r\n"),
        "c NO [COMPRESSIONACTIVE] the connection is compressed already\r\n"
    );
}

#[test]
fn unauthenticate_starts_over() {
    let mut driver = Driver::logged_in();
    driver.say("a ENABLE IMAP4rev2\r\n");
    assert_eq!(driver.say("a UNAUTHENTICATE\r\n"), "a OK you are nobody again\r\n");
    assert_eq!(driver.server.enabled(), Enabled::default());
    assert_eq!(driver.say("a SELECT x\r\n"), "a BAD log in first\r\n");
    assert!(driver.say("a LOGIN alice sesame\r\n").starts_with("a OK [CAPABILITY "));
}

#[test]
fn shutdown_lets_a_command_end() {
    let mut driver = Driver::logged_in();
    driver.say("a IDLE\r\n");
    driver.server.handle_shutdown();
    driver.output.clear();
    driver.run();
    assert_eq!(driver.said(), "* BYE [UNAVAILABLE] the server is shutting down\r\n");
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn bye_from_the_driver_ends_the_session() {
    let mut driver = Driver::selected();
    driver.server.status(&Status::new(Condition::Bye, Some(Code::NotificationOverflow), "gone"));
    driver.output.clear();
    driver.run();
    assert_eq!(
        (driver.said().as_str(), &driver.ended),
        ("* BYE [NOTIFICATIONOVERFLOW] gone\r\n", &Some(Ended::Closed))
    );
}
