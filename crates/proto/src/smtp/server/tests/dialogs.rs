//! Conformance §1 to §3 and §13: commands, their order and their replies.

use super::*;

#[test]
fn greeting_hello_and_quit() {
    dialog(
        &config(),
        "S: 220 mx.ours.example ESMTP Postrider
         C: HELO c.example
         S: 250 mx.ours.example
         C: EHLO [IPv6:2001:db8::7]
         S: 250-mx.ours.example
         S: 250-PIPELINING
         S: 250-8BITMIME
         S: 250-ENHANCEDSTATUSCODES
         S: 250-HELP
         S: 250-SIZE 52428800
         S: 250-LIMITS RCPTMAX=1000
         S: 250-CHUNKING
         S: 250 SMTPUTF8
         C: EHLO
         S: 501 5.5.4 syntax error in the arguments
         C: EHLO unwanted.example
         S: 550 5.7.1 go away
         C: LHLO c.example
         S: 500 5.5.1 command unrecognized
         C: QUIT
         S: 221 2.0.0 closing the connection
         C: NOOP",
    );
}

#[test]
fn everything_that_can_be_announced() {
    dialog(
        &everything(),
        "S: 220 mx.ours.example ESMTP Postrider
         C: EHLO c.example
         S: 250-mx.ours.example
         S: 250-PIPELINING
         S: 250-8BITMIME
         S: 250-ENHANCEDSTATUSCODES
         S: 250-HELP
         S: 250-SIZE 52428800
         S: 250-LIMITS RCPTMAX=1000
         S: 250-CHUNKING
         S: 250-BINARYMIME
         S: 250-SMTPUTF8
         S: 250-DSN
         S: 250-EXPN
         S: 250-RRVS
         S: 250-MTRK
         S: 250-SEND
         S: 250-SOML
         S: 250-SAML
         S: 250-ETRN
         S: 250-DELIVERBY 60
         S: 250-MT-PRIORITY MIXER
         S: 250-FUTURERELEASE 86400 2026-12-01T00:00:00Z
         S: 250-NO-SOLICITING net.example:ADV,org.example:ADV
         S: 250-STARTTLS
         S: 250 AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN",
    );
}

#[test]
fn what_goes_before_ehlo_and_what_does_not() {
    dialog(
        &config(),
        "S: 220 mx.ours.example ESMTP Postrider
         C: NOOP
         C: RSET
         C: VRFY x
         C: HELP mail
         C: MAIL FROM:<a@b.example>
         C: MAIL FROM:<a@b.example> FOO=bar
         C: TURN
         C: XYZZY
         S: 250 2.0.0 OK
         S: 250 2.0.0 OK
         S: 252 2.5.2 cannot verify
         S: 214 2.0.0 MAIL FROM:<address> [parameters]: begins a message to mailboxes; the address hears of failures
         S: 503 5.5.1 say EHLO first
         S: 555 5.5.4 unknown parameter
         S: 502 5.5.1 command not implemented
         S: 500 5.5.1 command unrecognized
         C: QUIT
         S: 221 2.0.0 closing the connection",
    );
}

#[test]
fn a_message_in_one_pipelined_group() {
    let seen = after_ehlo(
        &config(),
        "C: mail from:<a@b.example> size=100 body=8bitmime
         C: RCPT TO:<bob@ours.example>
         C: RCPT TO:<nobody@ours.example>
         C: rcpt to:<Postmaster>
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 550 5.1.1 no such user
         S: 250 2.1.5 recipient OK
         S: 354 end data with <CR><LF>.<CR><LF>
         C: Subject: x
         C:
         C: ..dot
         C: .
         C: MAIL FROM:<>
         S: 250 2.0.0 queued as 1
         S: 250 2.1.0 sender OK
         C: QUIT
         S: 221 2.0.0 closing the connection",
    );
    let (envelope, content) = &seen.messages[0];
    assert_eq!(envelope.reverse_path.to_string(), "a@b.example");
    assert_eq!(envelope.mail.size, Some(100));
    let paths: Vec<_> =
        envelope.recipients.iter().map(|recipient| recipient.forward_path.to_string()).collect();
    assert_eq!(paths, ["bob@ours.example", "postmaster"]);
    assert_eq!(content, b"Subject: x\r\n\r\n.dot\r\n");
}

#[test]
fn a_group_is_answered_in_one_write() {
    let mut session = greeted(config());
    session.server.push(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@ours.example>\r\nNOOP\r\nDATA\r\n");
    assert_eq!(session.run().len(), 1);
}

#[test]
fn mail_and_rcpt_syntax() {
    after_ehlo(
        &config(),
        "C: MAIL FROM:a@b.example
         S: 501 5.1.7 the path must stand between < and >
         C: MAIL FROM:<a@b.example>>x
         S: 501 5.5.4 syntax error in the arguments
         C: MAIL TO:<a@b.example>
         S: 501 5.5.4 syntax error in the arguments
         C: MAIL FROM:<a@b.example> SIZE=abc
         S: 501 5.5.4 bad value of SIZE
         C: MAIL FROM:<a@b.example> SIZE=52428801
         S: 552 5.3.4 the message is larger than this server takes
         C: MAIL FROM:<blocked@b.example>
         S: 550 5.7.1 not you
         C: RCPT TO:<bob@ours.example>
         S: 503 5.5.1 RCPT comes after MAIL
         C: MAIL FROM: <a@b.example> SIZE=52428800\x20\x20
         S: 250 2.1.0 sender OK
         C: MAIL FROM:<c@d.example>
         S: 503 5.5.1 a transaction is open already
         C: RCPT TO:<>
         S: 501 5.1.3 the address is empty
         C: RCPT TO:<bob@ours.example> NOTIFY=NEVER
         S: 555 5.5.4 unknown parameter
         C: DATA
         S: 503 5.5.1 there is no valid recipient
         C: RCPT TO:<bob@ours.example>
         S: 250 2.1.5 recipient OK
         C: DATA now
         S: 501 5.5.4 syntax error in the arguments
         C: EHLO
         S: 501 5.5.4 syntax error in the arguments
         C: RCPT TO:<carol@ours.example>
         S: 250 2.1.5 recipient OK
         C: HELO c.example
         S: 250 mx.ours.example
         C: RCPT TO:<bob@ours.example>
         S: 503 5.5.1 RCPT comes after MAIL
         C: MAIL FROM:<a@b.example> SIZE=5
         S: 555 5.5.4 unknown parameter",
    );
}

#[test]
fn addresses_beyond_ascii_need_smtputf8() {
    let seen = after_ehlo(
        &config(),
        "C: MAIL FROM:<δοκιμή@παράδειγμα.example>
         S: 553 5.6.7 an address beyond ASCII needs SMTPUTF8
         C: MAIL FROM:<\\xff@b.example> SMTPUTF8
         S: 501 5.5.2 control characters, or not UTF-8
         C: MAIL FROM:<a@b.example>
         S: 250 2.1.0 sender OK
         C: RCPT TO:<δοκιμή@παράδειγμα.example>
         S: 553 5.6.7 an address beyond ASCII needs SMTPUTF8
         C: RSET
         S: 250 2.0.0 OK
         C: MAIL FROM:<δοκιμή@παράδειγμα.example> SMTPUTF8
         C: RCPT TO:<δοκιμή@παράδειγμα.example>
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         C: DATA
         S: 354 end data with <CR><LF>.<CR><LF>
         C: .
         S: 250 2.0.0 queued as 1",
    );
    assert!(seen.messages[0].0.mail.smtputf8);
    assert!(seen.messages[0].1.is_empty());
}

#[test]
fn dsn_parameters_are_read_when_announced() {
    let seen = after_ehlo(
        &everything(),
        "C: MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ+2B1
         C: RCPT TO:<bob@ours.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c
         C: RCPT TO:<bob@ours.example> NOTIFY=NEVER,SUCCESS
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 501 5.5.4 bad value of NOTIFY
         S: 354 end data with <CR><LF>.<CR><LF>
         C: .
         S: 250 2.0.0 queued as 1",
    );
    assert_eq!(seen.messages[0].0.mail.envid.as_deref(), Some("QQ+1"));
}

#[test]
fn a_refused_message_leaves_nothing_behind() {
    let seen = after_ehlo(
        &config(),
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 354 end data with <CR><LF>.<CR><LF>
         C: spam
         C: .
         S: 554 5.7.1 spam
         C: RCPT TO:<bob@ours.example>
         C: DATA
         S: 503 5.5.1 RCPT comes after MAIL
         S: 503 5.5.1 MAIL and RCPT come first",
    );
    assert_eq!(seen, Seen::default());
}

#[test]
fn all_recipients_refused_and_data_pipelined() {
    after_ehlo(
        &config(),
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<nobody@ours.example>
         C: DATA
         C: .
         C: NOOP
         S: 250 2.1.0 sender OK
         S: 550 5.1.1 no such user
         S: 503 5.5.1 there is no valid recipient
         S: 500 5.5.1 command unrecognized
         S: 250 2.0.0 OK",
    );
}

#[test]
fn bad_lines_get_one_reply_each() {
    after_ehlo(
        &config(),
        "C:
         S: 500 5.5.1 command unrecognized
         C: .
         S: 500 5.5.1 command unrecognized
         C: NOOP\\nQUIT
         S: 500 5.5.2 lines end with <CR><LF>, and neither stands alone
         C: NOOP\\rQUIT
         S: 500 5.5.2 lines end with <CR><LF>, and neither stands alone
         C: NOOP \\0
         S: 501 5.5.2 control characters, or not UTF-8
         C: NO\\x80OP
         S: 500 5.5.1 command unrecognized
         C: RSET x
         S: 501 5.5.4 syntax error in the arguments
         C: NOOP any text
         S: 250 2.0.0 OK",
    );
}

#[test]
fn help_vrfy_and_expn() {
    after_ehlo(
        &everything(),
        "C: HELP
         S: 214-2.0.0 commands are
         S: 214-2.0.0 EHLO HELO MAIL SEND SOML SAML RCPT DATA BDAT RSET NOOP VRFY EXPN ETRN HELP QUIT STARTTLS AUTH
         S: 214 2.0.0 HELP and the name of one tells more
         C: HELP BURL
         S: 504 5.5.4 no help on that
         C: MAIL FROM:<a@b.example>
         S: 250 2.1.0 sender OK
         C: VRFY δοκιμή SMTPUTF8
         S: 252 2.5.2 cannot verify
         C: EXPN list
         S: 250 2.1.5 <b?b@ours.example>
         C: EXPN list smtputf8
         S: 250 2.1.5 <bÃ¼b@ours.example>
         C: RCPT TO:<bob@ours.example>
         S: 250 2.1.5 recipient OK",
    );
    after_ehlo(&config(), "C: EXPN list\nS: 502 5.5.1 command not implemented");
}

#[test]
fn auth() {
    after_ehlo(
        &everything(),
        "C: AUTH PLAIN
         S: 334\x20
         C: *
         S: 501 5.7.0 authentication cancelled
         C: AUTH PLAIN AGJvYgB3cm9uZw==
         S: 535 5.7.8 authentication failed
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: EHLO c.example
         S: 501 5.5.2 that is not base64
         C: AUTH CRAM-MD5
         S: 504 5.5.4 unknown authentication mechanism
         C: AUTH PLAIN !!
         S: 501 5.5.2 that is not base64
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: Ym9i
         S: 334 UGFzc3dvcmQ6
         C: c2VjcmV0
         S: 235 2.7.0 authentication successful
         C: AUTH PLAIN
         S: 503 5.5.1 you are authenticated already
         C: RSET
         S: 250 2.0.0 OK",
    );
    let mut session = greeted(everything());
    assert_eq!(session.say(b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n"), "235 2.7.0 authentication successful\r\n");
    assert_eq!(session.server.session().identity.as_deref(), Some("bob"));
    assert!(!session.say(b"EHLO c.example\r\n").contains("AUTH"));
    assert_eq!(session.server.session().identity.as_deref(), Some("bob"), "EHLO keeps it");
}

#[test]
fn auth_where_it_has_no_place() {
    let mut config = everything();
    config.plaintext_auth = false;
    after_ehlo(&config, "C: AUTH PLAIN\nS: 538 5.7.11 encryption required for this authentication mechanism");
    after_ehlo(&super::config(), "C: AUTH PLAIN\nS: 502 5.5.1 command not implemented");
    after_ehlo(
        &everything(),
        "C: MAIL FROM:<a@b.example>
         S: 250 2.1.0 sender OK
         C: AUTH PLAIN
         S: 503 5.5.1 AUTH has no place in a transaction",
    );
}

#[test]
fn starttls_forgets_everything_and_reads_nothing_that_came_before() {
    let mut session = greeted(everything());
    session.say(b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n");
    let said = session.say(b"STARTTLS\r\nNOOP\r\nMAIL FROM:<x@y.example>\r\n");
    assert_eq!(said, "220 2.0.0 ready to start TLS\r\n");
    let expected = crate::smtp::server::Session { tls: true, ..Default::default() };
    assert_eq!(*session.server.session(), expected);
    assert_eq!(session.say(b"MAIL FROM:<a@b.example>\r\n"), "503 5.5.1 say EHLO first\r\n");
    assert!(!session.say(b"EHLO c.example\r\n").contains("STARTTLS"));
    assert_eq!(session.say(b"STARTTLS\r\n"), "503 5.5.1 TLS is active already\r\n");
}

#[test]
fn starttls_refused() {
    after_ehlo(&config(), "C: STARTTLS\nS: 502 5.5.1 command not implemented");
    after_ehlo(
        &everything(),
        "C: STARTTLS x
         S: 501 5.5.4 syntax error in the arguments
         C: MAIL FROM:<a@b.example>
         S: 250 2.1.0 sender OK
         C: STARTTLS
         S: 503 5.5.1 STARTTLS has no place in a transaction",
    );
}

#[test]
fn where_tls_is_required() {
    let mut config = everything();
    config.starttls = StartTls::Required;
    after_ehlo(
        &config,
        "C: MAIL FROM:<a@b.example>
         C: NOOP
         C: AUTH PLAIN
         S: 530 5.7.0 must issue a STARTTLS command first
         S: 250 2.0.0 OK
         S: 530 5.7.0 must issue a STARTTLS command first",
    );
}

#[test]
fn historic_and_foreign_verbs() {
    after_ehlo(
        &config(),
        "C: TURN
         C: SEND FROM:<a@b.example>
         C: ETRN @example.com
         C: WIZ
         S: 502 5.5.1 command not implemented
         S: 502 5.5.1 command not implemented
         S: 502 5.5.1 command not implemented
         S: 500 5.5.1 command unrecognized
         C: POST / HTTP/1.1
         C: Host: mx
         S: 421 4.7.0 this is a mail server",
    );
}

#[test]
fn lmtp_has_its_own_hello_and_a_reply_for_each_recipient() {
    let lmtp = Config::new("mx.ours.example", Flavour::Lmtp);
    dialog(
        &lmtp,
        "S: 220 mx.ours.example LMTP Postrider
         C: EHLO c.example
         S: 500 5.5.1 command unrecognized
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
         C: RCPT TO:<nobody@ours.example>
         C: RCPT TO:<bob@ours.example>
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 550 5.1.1 no such user
         S: 250 2.1.5 recipient OK
         S: 354 end data with <CR><LF>.<CR><LF>
         C: x
         C: .
         S: 250 2.0.0 queued as 1
         S: 250 2.0.0 queued as 1
         C: QUIT
         S: 221 2.0.0 closing the connection",
    );
}

#[test]
fn a_session_that_takes_no_mail() {
    let refusing = || {
        let greeting = Reply::plain(554, "no mail here");
        Session::with(Server::refusing(Arc::new(config()), false, greeting))
    };
    dialog_of(
        &refusing,
        "S: 554 no mail here
         C: EHLO c.example
         S: 503 5.5.1 no service here; QUIT is all that is left
         C: QUIT
         S: 221 2.0.0 closing the connection",
    );
}

#[test]
fn talking_before_ones_turn_ends_the_session() {
    let early = "554 5.5.0 improper pipelining: wait for the reply\r\n";
    let mut session = Session::new(config());
    assert_eq!(session.say(b"EHLO c.example\r\n"), early, "before the greeting");
    assert!(session.closed);

    let mut session = Session::new(config());
    session.say(b"");
    assert_eq!(session.say(b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n"), early, "behind EHLO");

    let mut session = greeted(config());
    let said = session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\nx\r\n.\r\n");
    assert!(said.ends_with(early), "behind DATA: {said}");
    assert_eq!((session.closed, session.seen.messages.len()), (true, 0));

    let mut config = config();
    config.refuse_early_talk = false;
    let mut session = greeted(config);
    let said = session.say(b"MAIL FROM:<>\r\nRCPT TO:<bob@ours.example>\r\nDATA\r\nx\r\n.\r\n");
    assert!(said.ends_with("queued as 1\r\n"), "where it is allowed: {said}");
}
