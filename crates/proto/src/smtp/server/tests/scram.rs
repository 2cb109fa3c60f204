//! AUTH with SCRAM (RFC 5802, RFC 7677) on the wire.

use mail::scram::{ScramHash, ScramKeys};

use super::*;
use crate::sasl::{self, Channel, ChannelBinding};

fn plain_connection() -> Session {
    let mut config = everything();
    config.plaintext_auth = false;
    let mut session = Session::new(config);
    session.say(b"");
    session.say(b"EHLO c.example\r\n");
    session
}

/// AUTH and the server's first message, whatever it is.
fn begin(session: &mut Session, mechanism: &str, first: &str) -> String {
    session.say(format!("AUTH {mechanism} {}\r\n", sasl::encode(first.as_bytes())).as_bytes())
}

fn challenge(reply: &str) -> String {
    let text = reply
        .strip_prefix("334 ")
        .and_then(|text| text.strip_suffix("\r\n"))
        .unwrap_or_else(|| panic!("{reply}"));
    String::from_utf8(sasl::decode_line(text.as_bytes()).unwrap().unwrap()).unwrap()
}

/// The last message for `bare` and what the server said to it.
fn answer(hash: ScramHash, bare: &str, server_first: &str, binding: &[u8], password: &str) -> Vec<u8> {
    let nonce = server_first.split(',').next().unwrap();
    let without_proof = format!("c={},{nonce}", sasl::encode(binding));
    let message = format!("{bare},{server_first},{without_proof}");
    let proof = ScramKeys::derive(hash, password, b"salt", 4096).client_proof(message.as_bytes());
    let last = format!("{without_proof},p={}", sasl::encode(&proof));
    format!("{}\r\n", sasl::encode(last.as_bytes())).into_bytes()
}

#[test]
fn scram_needs_no_tls_and_plain_does() {
    let mut session = plain_connection();
    let said = session.say(b"EHLO c.example\r\n");
    assert!(said.contains("250 AUTH SCRAM-SHA-256 SCRAM-SHA-1\r\n"), "{said}");
    assert!(session.say(b"AUTH PLAIN\r\n").starts_with("538 "));
    for (mechanism, hash) in [("SCRAM-SHA-256", ScramHash::Sha256), ("scram-sha-1", ScramHash::Sha1)] {
        let mut session = plain_connection();
        let first = challenge(&begin(&mut session, mechanism, "n,,n=bob,r=abc"));
        assert!(first.starts_with("r=abc") && first.ends_with(",s=c2FsdA==,i=4096"), "{first}");
        let said = session.say(&answer(hash, "n=bob,r=abc", &first, b"n,,", "secret"));
        assert!(challenge(&said).starts_with("v="));
        assert_eq!(session.server.session().identity, None, "before the client has read our proof");
        assert_eq!(session.say(b"\r\n"), "235 2.7.0 authentication successful\r\n");
        assert_eq!(session.server.session().identity.as_deref(), Some("bob"));
        assert!(begin(&mut session, mechanism, "n,,n=bob,r=abc").starts_with("503 "));
    }
}

#[test]
fn unknown_user_and_wrong_password_are_told_alike() {
    let said = |name: &str, password: &str| {
        let mut session = plain_connection();
        let bare = format!("n={name},r=abc");
        let first = challenge(&begin(&mut session, "SCRAM-SHA-256", &format!("n,,{bare}")));
        let refusal = session.say(&answer(ScramHash::Sha256, &bare, &first, b"n,,", password));
        assert_eq!(session.server.session().identity, None);
        (first, refusal)
    };
    let (first, refusal) = said("nobody", "secret");
    assert_eq!(refusal, "535 5.7.8 authentication failed\r\n");
    assert_eq!(said("nobody", "secret").0, first, "nobody's salt stays the same");
    assert_ne!(said("noone", "secret").0, first);
    assert_eq!(said("bob", "wrong").1, refusal);
}

#[test]
fn failures_count_and_a_lookup_that_fails_does_not() {
    let mut session = plain_connection();
    assert_eq!(begin(&mut session, "SCRAM-SHA-256", "n,,n=down,r=abc"), "454 4.7.0 try again later\r\n");
    assert!(begin(&mut session, "SCRAM-SHA-256", "n,,n=bob").starts_with("501 5.5.2 "));
    begin(&mut session, "SCRAM-SHA-256", "n,,n=bob,r=abc");
    assert!(session.say(b"*\r\n").starts_with("501 5.7.0 "));
    for _ in 0..3 {
        assert!(!session.closed);
        let first = challenge(&begin(&mut session, "SCRAM-SHA-256", "n,,n=bob,r=abc"));
        let said = session.say(&answer(ScramHash::Sha256, "n=bob,r=abc", &first, b"n,,", "wrong"));
        assert!(said.starts_with("535 "), "{said}");
    }
    assert!(session.closed);
}

#[test]
fn a_client_that_cancels_after_our_proof_is_not_in() {
    let mut session = plain_connection();
    let first = challenge(&begin(&mut session, "SCRAM-SHA-256", "n,,n=bob,r=abc"));
    session.say(&answer(ScramHash::Sha256, "n=bob,r=abc", &first, b"n,,", "secret"));
    assert!(session.say(b"*\r\n").starts_with("501 "));
    assert_eq!(session.server.session().identity, None);
}

// RFC 5802 §6, RFC 9266
#[test]
fn plus_is_there_with_a_binding_only_and_then_cannot_be_hidden() {
    let mut session = plain_connection();
    assert!(begin(&mut session, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=bob,r=abc").starts_with("504 "));
    assert!(session.say(b"STARTTLS\r\n").starts_with("220 "));
    let binding = ChannelBinding { tls_exporter: Some([7; 32].into()) };
    session.server.set_channel(Channel { binding, ..Channel::default() });
    let said = session.say(b"EHLO c.example\r\n");
    let announced = "250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN\r\n";
    assert!(said.contains(announced), "{said}");
    assert!(begin(&mut session, "SCRAM-SHA-256", "y,,n=bob,r=abc").starts_with("535 "));
    for (binding, code) in [([8; 32], "535"), ([7; 32], "334")] {
        let first = challenge(&begin(&mut session, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=bob,r=abc"));
        let data = [b"p=tls-exporter,,".as_slice(), &binding].concat();
        let said = session.say(&answer(ScramHash::Sha256, "n=bob,r=abc", &first, &data, "secret"));
        assert!(said.starts_with(code), "{said}");
    }
    assert!(session.say(b"\r\n").starts_with("235 "));
}
