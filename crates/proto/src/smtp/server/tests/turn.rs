//! ETRN, ATRN and TURN: what waits is asked for, and the roles change for those alone who may have it.

use super::*;

const LOG_IN: &str = "C: EHLO c.example
         S: 250-mx.ours.example
         S: 250-PIPELINING
         S: 250-ENHANCEDSTATUSCODES
         S: 250-HELP
         S: 250-ATRN
         S: 250 AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN
         C: AUTH PLAIN AGJvYgBzZWNyZXQ=
         S: 235 2.7.0 authentication successful
";

fn odmr() -> Config {
    Config { auth: true, plaintext_auth: true, ..Config::new("mx.ours.example", Flavour::Odmr) }
}

/// C066, C067
#[test]
fn etrn_takes_nodes_trees_and_queues() {
    after_ehlo(
        &everything(),
        "C: ETRN waiting.example
         C: etrn @waiting.example
         C: ETRN other.example
         C: ETRN #somewhere
         C: ETRN
         C: ETRN !waiting.example
         C: ETRN ' OR 1=1--
         S: 253 2.0.0 OK, 2 pending messages for the node started
         S: 253 2.0.0 OK, 2 pending messages for the node started
         S: 251 2.0.0 OK, no messages waiting for the node
         S: 459 4.7.1 there is no such queue
         S: 501 5.5.4 syntax error in the arguments
         S: 501 5.5.4 syntax error in the arguments
         S: 501 5.5.4 syntax error in the arguments",
    );
}

/// C069
#[test]
fn etrn_in_a_transaction_is_out_of_place_and_harms_it_not() {
    let seen = after_ehlo(
        &everything(),
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: ETRN waiting.example
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 503 5.5.1 ETRN has no place in a transaction
         S: 354 end data with <CR><LF>.<CR><LF>
         C: x
         C: .
         S: 250 2.0.0 queued as 1
         C: ETRN waiting.example
         S: 253 2.0.0 OK, 2 pending messages for the node started",
    );
    assert_eq!(seen.messages.len(), 1);
}

#[test]
fn etrn_comes_after_ehlo() {
    dialog(
        &everything(),
        "S: 220 mx.ours.example ESMTP Postrider
         C: ETRN waiting.example
         C: HELO c.example
         S: 503 5.5.1 say EHLO first
         S: 250 mx.ours.example
         C: ETRN waiting.example
         S: 503 5.5.1 say EHLO first",
    );
}

/// C070
#[test]
fn atrn_wants_a_login_and_domains_of_ones_own() {
    let seen = dialog(
        &odmr(),
        &format!(
            "S: 220 mx.ours.example ESMTP Postrider
         C: ATRN bobs.example
         S: 530 5.7.0 authentication required
         {LOG_IN}
         C: ATRN bobs.example,carols.example
         S: 450 4.7.0 not your domain
         C: ATRN bobs..example
         S: 501 5.5.4 syntax error in the arguments
         C: ATRN bobs.example
         S: 250 2.0.0 OK, now reversing the connection"
        ),
    );
    assert!(seen.turned);
}

#[test]
fn atrn_without_domains_means_all() {
    let said = format!(
        "S: 220 mx.ours.example ESMTP Postrider\n{LOG_IN}C: ATRN\nS: 250 2.0.0 OK, now reversing the connection"
    );
    assert!(dialog(&odmr(), &said).turned);
}

/// RFC 2645 §5.4
#[test]
fn where_mail_is_fetched_none_is_taken() {
    dialog(
        &odmr(),
        &format!(
            "S: 220 mx.ours.example ESMTP Postrider
         {LOG_IN}
         C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example>
         C: DATA
         C: VRFY bob
         C: ETRN waiting.example
         C: TURN
         C: NOOP
         S: 502 5.5.1 command not implemented
         S: 502 5.5.1 command not implemented
         S: 502 5.5.1 command not implemented
         S: 502 5.5.1 command not implemented
         S: 502 5.5.1 command not implemented
         S: 502 5.5.1 command not implemented
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 closing the connection"
        ),
    );
}

/// A greeting that was sent before the roles changed may come from whoever put octets into the stream.
#[test]
fn nothing_may_stand_behind_atrn() {
    let mut session = Session::new(odmr());
    session.run();
    session.say(b"EHLO c.example\r\n");
    session.say(b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n");
    let said = session.say(b"ATRN\r\n220 c.example ESMTP\r\n");
    assert!(said.starts_with("503 5.5.1 wait for the reply"), "{said}");
    assert!(!session.seen.turned && !session.closed);
    assert!(session.say(b"ATRN\r\n").starts_with("250 "));
    assert!(session.seen.turned && session.closed);
}

/// C061, C062
#[test]
fn turn_wants_tls_and_a_login() {
    let mut in_clear = Config { starttls: StartTls::Off, ..everything() };
    in_clear.extensions.turn = true;
    let mut session = Session::new(in_clear.clone());
    session.run();
    session.say(b"EHLO c.example\r\n");
    assert!(session.say(b"TURN\r\n").starts_with("503 5.5.1 TURN wants STARTTLS and AUTH first"));
    session.say(b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n");
    assert!(session.say(b"TURN\r\n").starts_with("503 "), "a login in clear is not enough");
    let mut session = Session::with(Server::new(Arc::new(in_clear), true));
    session.run();
    assert!(!session.say(b"EHLO c.example\r\n").contains("TURN"), "not yet");
    session.say(b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n");
    assert!(session.say(b"EHLO c.example\r\n").contains("TURN"));
    session.say(b"MAIL FROM:<a@b.example>\r\n");
    assert!(session.say(b"TURN\r\n").starts_with("503 "));
    session.say(b"RSET\r\n");
    assert!(session.say(b"TURN\r\n").starts_with("250 "));
    assert!(session.seen.turned && session.closed);
}
