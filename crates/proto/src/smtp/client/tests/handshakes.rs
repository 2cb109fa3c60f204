//! Conformance §3, §13.7, §13.8 and attacks C, from the client's side.

use super::*;
use crate::sasl::Credentials;

fn idle(config: Config) -> impl Fn() -> Session {
    move || Session::new(config.clone(), [])
}

fn with_auth(plaintext_auth: bool) -> Config {
    Config { credentials: Credentials::new("bob", "secret"), plaintext_auth, ..config() }
}

#[test]
fn greeting_ehlo_and_quit() {
    let left = dialog(
        idle(config()),
        "S: 220-mx.example says
         S: 220 welcome
         C: EHLO c.example
         S: 250-mx.example
         S: 250 PIPELINING
         C: QUIT
         S: 221 bye",
    );
    assert!(left);
}

#[test]
fn helo_where_ehlo_is_unknown() {
    dialog(
        idle(config()),
        "S: 220 mx.example
         C: EHLO c.example
         S: 502 what?
         C: HELO c.example
         S: 250 mx.example
         C: QUIT",
    );
}

#[test]
fn a_host_that_does_not_want_us() {
    dialog(
        idle(config()),
        "S: 554 no service
         E: failed at Greeting for good: the server said: 554 no service
         C: QUIT",
    );
    dialog(
        idle(config()),
        "S: 450 later
         E: failed at Greeting for now: the server said: 450 later
         C: QUIT",
    );
    dialog(
        idle(config()),
        "S: 220 mx.example
         C: EHLO c.example
         S: 554 not you
         E: failed at Hello for good: the server said: 554 not you
         C: QUIT",
    );
    let left =
        dialog(idle(config()), "S: 421 busy\nE: failed at Greeting for now: the server said: 421 busy");
    assert!(left);
}

#[test]
fn what_is_no_smtp_ends_at_once() {
    for (said, cause) in [
        ("S: HTTP/1.1 400 Bad Request", "the server sent something that is not a reply"),
        ("S: 2x0 hi", "the server sent something that is not a reply"),
        ("S: 220-a\nS: 221 b", "the lines of the server's reply have different codes"),
    ] {
        let script = format!("{said}\nE: failed at Greeting for now: {cause}");
        assert!(dialog(idle(config()), &script));
    }
}

#[test]
fn starttls_when_it_is_offered() {
    let config = Config::new("c.example");
    dialog(
        idle(config.clone()),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250 STARTTLS
         C: STARTTLS
         S: 220 go
         C: EHLO c.example
         S: 250-mx.example
         S: 250 STARTTLS
         C: QUIT",
    );
    dialog(
        idle(config),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250 STARTTLS
         C: STARTTLS
         S: 454 not now
         C: QUIT",
    );
}

#[test]
fn required_tls_is_required() {
    let required = Config { tls: TlsPolicy::Required, ..config() };
    dialog(
        idle(required.clone()),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250 mx.example
         E: failed at StartTls for now: the server does not offer TLS
         C: QUIT",
    );
    dialog(
        idle(required.clone()),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250 STARTTLS
         C: STARTTLS
         S: 501 no
         E: failed at StartTls for now: the server said: 501 no
         C: QUIT",
    );
    dialog(
        idle(required),
        "S: 220 mx.example
         C: EHLO c.example
         S: 502 no EHLO
         C: HELO c.example
         S: 250 mx.example
         E: failed at StartTls for now: the server does not offer TLS
         C: QUIT",
    );
}

#[test]
fn injected_replies_end_the_connection() {
    let mut session = Session::new(Config::new("c.example"), []);
    session.run();
    session.hear(b"220 mx.example\r\n");
    session.hear(b"250-mx.example\r\n250 STARTTLS\r\n");
    let said = session.hear(b"220 go\r\n250 injected\r\n");
    assert_eq!(said, "E: failed at StartTls for now: the server spoke without being asked\n");
    assert!(session.closed);

    let mut session = Session::new(Config::new("c.example"), []);
    session.run();
    let said = session.hear(b"220 mx.example\r\n250-mx.example\r\n250 SIZE\r\n");
    assert_eq!(said, "E: failed at Greeting for now: the server spoke without being asked\n");
}

#[test]
fn a_failed_handshake_ends_the_connection() {
    let mut client = Client::new(Config::new("c.example"), false);
    let now = Instant::now();
    client.push(b"220 x\r\n");
    assert!(matches!(client.poll(now), Step::Write(_)));
    client.push(b"250-x\r\n250 STARTTLS\r\n");
    assert!(matches!(client.poll(now), Step::Write(_)));
    client.push(b"220 x\r\n");
    assert_eq!(client.poll(now), Step::StartTls);
    client.handle_tls_failed();
    let failure = Failure { stage: Stage::StartTls, cause: Cause::TlsFailed, temporary: true };
    assert_eq!(client.poll(now), Step::Event(Event::Failed(failure)));
    assert_eq!(client.poll(now), Step::Close);
}

#[test]
fn auth_with_what_the_server_has() {
    dialog(
        idle(with_auth(true)),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250 AUTH LOGIN PLAIN
         C: AUTH PLAIN AGJvYgBzZWNyZXQ=
         S: 235 welcome
         C: QUIT",
    );
    dialog(
        idle(with_auth(true)),
        "S: 220 mx.example
         C: EHLO c.example
         S: 250-mx.example
         S: 250 AUTH LOGIN
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: Ym9i
         S: 334 UGFzc3dvcmQ6
         C: c2VjcmV0
         S: 334 TW9yZQ==
         C: *
         S: 501 cancelled
         E: failed at Auth for now: the server said: 501 cancelled
         C: QUIT",
    );
}

#[test]
fn no_password_goes_out_in_clear_or_without_a_mechanism() {
    for (config, announced) in [(with_auth(false), "AUTH PLAIN"), (with_auth(true), "AUTH CRAM-MD5")] {
        dialog(
            idle(config),
            &format!(
                "S: 220 mx.example
                 C: EHLO c.example
                 S: 250-mx.example
                 S: 250 {announced}
                 E: failed at Auth for now: the server offers no authentication that we can use here
                 C: QUIT"
            ),
        );
    }
}

#[test]
fn every_reply_has_its_time() {
    let mut session = Session::new(config(), []);
    session.run();
    assert_eq!(session.client.deadline(), Some(session.now + Duration::from_mins(5)));
    session.now += Duration::from_secs(299);
    assert_eq!(session.hear(b"220 "), "");
    session.now += Duration::from_secs(1);
    assert_eq!(session.run(), "E: failed at Greeting for now: the server did not answer in time\n");
    assert!(session.closed);
}

#[test]
fn a_server_that_forgets_to_say_goodbye() {
    for ending in [b"".as_slice(), b"nonsense\r\n"] {
        let mut session = Session::new(config(), []);
        session.run();
        session.hear(b"220 x\r\n");
        assert_eq!(session.hear(b"250 x\r\n"), "C: QUIT\n");
        session.client.push(ending);
        if ending.is_empty() {
            session.now += Duration::from_secs(5);
        }
        assert_eq!((session.run().as_str(), session.closed), ("", true));
    }
}
