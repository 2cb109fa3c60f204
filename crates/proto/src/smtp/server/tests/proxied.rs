//! XCLIENT and XFORWARD.

use super::*;

fn trusting() -> Config {
    let mut config = config();
    config.extensions.xclient = true;
    config.extensions.xforward = true;
    config
}

#[test]
fn a_session_starts_over_as_its_proxy_says() {
    dialog(
        &trusting(),
        "S: 220 mx.ours.example ESMTP Postrider
         C: XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE] PORT=1 PROTO=ESMTP HELO=x.example LOGIN=bob
         S: 220 mx.ours.example ESMTP Postrider
         C: MAIL FROM:<a@b.example>
         S: 250 2.1.0 sender OK
         C: XCLIENT ADDR=192.0.2.2
         S: 503 5.5.1 XCLIENT has no place in a transaction
         C: RSET
         S: 250 2.0.0 OK
         C: XCLIENT ADDR=192.0.2.2
         S: 220 mx.ours.example ESMTP Postrider
         C: MAIL FROM:<a@b.example>
         S: 503 5.5.1 say EHLO first
         C: XCLIENT ADDR=2001:db8::1
         S: 501 5.5.4 bad attributes
         C: XCLIENT
         S: 501 5.5.4 syntax error in the arguments
         C: XCLIENT NAME=refused.example
         S: 550 5.7.1 not that one
         C: NOOP
         S: 250 2.0.0 OK",
    );
}

#[test]
fn what_comes_behind_xclient_has_to_wait_for_the_greeting() {
    let mut session = greeted(trusting());
    let said = session.say(b"XCLIENT ADDR=192.0.2.1\r\nEHLO x.example\r\n");
    assert!(said.starts_with("554 5.5.0 ") && session.closed, "{said}");
}

#[test]
fn xforward_accumulates_until_the_end_of_the_message() {
    let mut session = greeted(trusting());
    let ok = "250 2.0.0 OK\r\n";
    assert_eq!(session.say(b"XFORWARD NAME=spike.example ADDR=192.0.2.1\r\n"), ok);
    assert_eq!(session.say(b"xforward HELO=spike PROTO=SMTP IDENT=4+0D711\r\n"), ok);
    assert_eq!(session.say(b"XFORWARD LOGIN=x\r\n"), "501 5.5.4 bad attributes\r\n");
    session.say(b"RSET\r\nMAIL FROM:<a@b.example>\r\n");
    assert!(session.say(b"XFORWARD ADDR=192.0.2.2\r\n").starts_with("503 5.5.1 "));
    let forwarded = session.server.session().forwarded.clone().unwrap();
    assert_eq!(forwarded.address, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(forwarded.ident.as_deref(), Some("4\\r711"));
    assert!(session.say(b"RCPT TO:<bob@ours.example>\r\n").starts_with("250"));
    assert!(session.say(b"DATA\r\n").starts_with("354"));
    assert!(session.say(b"x\r\n.\r\n").starts_with("250"));
    assert_eq!(session.server.session().forwarded, None);
}

#[test]
fn only_those_who_may_see_the_commands() {
    let said = Session::new(trusting()).say(b"");
    assert!(said.starts_with("220"));
    let mut session = Session::new(trusting());
    session.say(b"");
    let announced = session.say(b"EHLO proxy.example\r\n");
    for line in [
        "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
        "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
    ] {
        assert!(announced.contains(line), "{announced}");
    }
    assert!(session.say(b"HELP\r\n").contains("XCLIENT XFORWARD"));
    dialog(
        &config(),
        "S: 220 mx.ours.example ESMTP Postrider
         C: XCLIENT ADDR=192.0.2.1
         S: 550 5.7.0 you may not speak for others
         C: XFORWARD ADDR=192.0.2.1
         S: 550 5.7.0 you may not speak for others",
    );
    let mut stranger = Session::new(config());
    stranger.say(b"");
    let announced = stranger.say(b"EHLO c.example\r\n");
    assert!(!announced.contains("XCLIENT") && !announced.contains("XFORWARD"), "{announced}");
}
