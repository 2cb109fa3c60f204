//! AUTH with EXTERNAL (RFC 4422 appendix A) on the wire.

use super::*;
use crate::sasl::{self, Channel};

fn with_certificate() -> Session {
    let mut session = Session::new(everything());
    session.server.set_channel(Channel { external: true, ..Channel::default() });
    session.say(b"");
    session
}

#[test]
fn external_is_there_with_a_certificate_only() {
    let mut without = Session::new(everything());
    without.say(b"");
    assert!(!without.say(b"EHLO c.example\r\n").contains("EXTERNAL"));
    assert!(without.say(b"AUTH EXTERNAL =\r\n").starts_with("504 5.5.4 "));
    assert!(with_certificate().say(b"EHLO c.example\r\n").contains(" EXTERNAL"));
}

#[test]
fn the_name_may_be_left_to_the_certificate() {
    let name = sasl::encode(b"bob");
    for lines in [
        "AUTH EXTERNAL =\r\n".to_owned(),
        format!("auth external {name}\r\n"),
        "AUTH EXTERNAL\r\n\r\n".to_owned(),
        format!("AUTH EXTERNAL\r\n{name}\r\n"),
    ] {
        let mut session = with_certificate();
        session.say(b"EHLO c.example\r\n");
        let said = session.say(lines.as_bytes());
        assert!(said.ends_with("235 2.7.0 authentication successful\r\n"), "{lines:?}: {said}");
        assert_eq!(session.server.session().identity.as_deref(), Some("bob"));
        assert!(session.say(b"AUTH EXTERNAL =\r\n").starts_with("503 "));
    }
}

#[test]
fn another_name_and_broken_messages_are_refused() {
    let mut session = with_certificate();
    session.say(b"EHLO c.example\r\n");
    let another = format!("AUTH EXTERNAL {}\r\n", sasl::encode(b"alice"));
    assert_eq!(session.say(another.as_bytes()), "535 5.7.8 authentication failed\r\n");
    let nul = format!("AUTH EXTERNAL {}\r\n", sasl::encode(b"bob\0alice"));
    for (line, code) in [
        (nul.as_str(), "501 5.5.2 "),
        ("AUTH EXTERNAL /////w==\r\n", "501 "),
        ("AUTH EXTERNAL Ym9i=\r\n", "501 5.5.2 "),
    ] {
        let said = session.say(line.as_bytes());
        assert!(said.starts_with(code), "{line:?}: {said}");
    }
    assert!(session.say(b"AUTH EXTERNAL\r\n*\r\n").ends_with("501 5.7.0 authentication cancelled\r\n"));
    assert_eq!(session.server.session().identity, None);
    session.say(another.as_bytes());
    let said = session.say(another.as_bytes());
    assert!(said.contains("421 "), "{said}");
}
