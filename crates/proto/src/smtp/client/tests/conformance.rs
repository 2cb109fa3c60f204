//! Cases of docs/conformance.md that no other dialog shows; the numbers are that table's.

use super::*;

/// Everything IANA has registered and much that nobody knows, in odd spellings (C319, C063, C311, C313, C315).
fn announcement() -> String {
    let odd = [
        "expn",
        "HELP",
        "SEND",
        "SOML",
        "SAML",
        "TURN",
        "ETRN",
        "ATRN",
        "VERB",
        "ONEX",
        "DELIVERBY 60",
        "MT-PRIORITY MIXER",
        "FUTURERELEASE 1 2",
        "LIMITS RCPTMAX=0 MAILMAX=abc",
        "RRVS",
        "BURL imap",
        "NO-SOLICITING",
        "MTRK",
        "CHECKPOINT",
        "SUBMITTER",
        "CONPERM",
        "CONNEG",
        "UTF8SMTP",
        "UTF8SMTP",
        "REQUIRETLS",
        "SIZE",
        "SIZE x",
        "AUTH",
        "AUTH=LOGIN",
        "8BITMIME 8BITMIME",
        "X-",
        "-",
        "=",
    ];
    let unknown = (0..200).map(|number| {
        let parameter = "p".repeat(if number < 20 { 490 } else { 20 });
        format!("250-XUNKNOWN{number} {parameter}\r\n")
    });
    let odd = odd.iter().map(|keyword| format!("250-{keyword}\r\n"));
    let first = std::iter::once("250-mx.example\r\n".to_owned());
    first.chain(odd).chain(unknown).chain(["250 \r\n".to_owned()]).collect()
}

#[test]
fn announcements_of_all_kinds_do_not_keep_a_message_back() {
    let mut session = Session::new(config(), [transaction(&["b@d.example"])]);
    session.run();
    assert_eq!(session.hear(b"220 mx.example\r\n"), "C: EHLO c.example\n");
    assert_eq!(session.hear(announcement().as_bytes()), "C: MAIL FROM:<a@c.example> SIZE=7\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "C: RCPT TO:<b@d.example>\n");
    // RFC 4141's capability list in the reply to RCPT.
    assert_eq!(session.hear(b"250-ok\r\n250 CONNEG (color=Binary)\r\n"), "C: DATA\n");
    assert_eq!(session.hear(b"354 go\r\n"), "C: x\nC: ..y\nC: .\n");
    assert_eq!(session.hear(b"250 queued\r\n"), "E: done: 250 queued\nC: QUIT\n");
}

/// C315: the experiment of RFC 5336 is no SMTPUTF8.
#[test]
fn utf8smtp_is_not_smtputf8() {
    let mut session = Session::new(config(), [transaction(&["b\u{fc}cher@d.example"])]);
    session.run();
    session.hear(b"220 mx.example\r\n");
    let said = session.hear(b"250-mx.example\r\n250-8BITMIME\r\n250 UTF8SMTP\r\n");
    assert_eq!(said, "E: done: Unsupported(SmtpUtf8)\nC: QUIT\n");
}

/// C106, C107, C108: RFC 5321 §4.5.3.2, each anew.
#[test]
fn each_step_has_the_time_of_the_standard() {
    let mut session = Session::new(config(), [transaction(&["b@d.example", "e@d.example"])]);
    session.run();
    for (reply, minutes) in [
        ("220 x", 5),  // EHLO
        ("250 x", 5),  // MAIL
        ("250 x", 5),  // RCPT
        ("250 x", 5),  // RCPT
        ("250 x", 2),  // DATA
        ("354 x", 10), // the end of the content
    ] {
        session.now += Duration::from_secs(100);
        session.hear(format!("{reply}\r\n").as_bytes());
        let left = session.client.deadline().unwrap() - session.now;
        assert_eq!(left, Duration::from_mins(minutes), "after {reply}");
    }
    session.now += Duration::from_mins(9);
    assert_eq!(session.hear(b"250 queued\r\n"), "E: done: 250 queued\nC: QUIT\n");
}

/// C107: a block of content that is on its way has three minutes.
#[test]
fn each_block_of_content_has_its_time() {
    let mut session = Session::new(config(), [transaction(&["b@d.example"])]);
    session.run();
    for reply in ["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n"] {
        session.hear(reply.as_bytes());
    }
    session.client.push(b"354 go\r\n");
    for _ in 0..3 {
        while session.client.poll(session.now) != Step::Event(Event::WantContent) {}
        session.client.push_content(b"x\r\n");
        assert_eq!(session.client.poll(session.now), Step::Write(b"x\r\n".to_vec()));
        let left = session.client.deadline().unwrap() - session.now;
        assert_eq!(left, Duration::from_mins(3));
        session.now += Duration::from_secs(170);
    }
}

/// C219: what was announced before TLS counts no more.
#[test]
fn pipelining_is_forgotten_with_tls() {
    let config = Config::new("c.example");
    let mut session = Session::new(config, [transaction(&["b@d.example"])]);
    session.run();
    session.hear(b"220 mx.example\r\n");
    assert_eq!(session.hear(b"250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n"), "C: STARTTLS\n");
    assert_eq!(session.hear(b"220 go\r\n"), "C: EHLO c.example\n");
    assert_eq!(session.hear(b"250 mx.example\r\n"), "C: MAIL FROM:<a@c.example>\n");
}
