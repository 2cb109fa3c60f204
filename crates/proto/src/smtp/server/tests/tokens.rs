//! AUTH with OAUTHBEARER (RFC 7628) and XOAUTH2 on the wire.

use super::*;
use crate::sasl::{self, Channel};

fn with_tokens() -> Session {
    let mut session = Session::new(everything());
    session.server.set_channel(Channel { tokens: true, ..Channel::default() });
    session.server.handle_tls_established();
    session.say(b"");
    session.say(b"EHLO c.example\r\n");
    session
}

fn bearer(token: &str) -> String {
    sasl::encode(format!("n,a=bob@ours.example,\u{1}auth=Bearer {token}\u{1}\u{1}").as_bytes())
}

fn xoauth2(token: &str) -> String {
    sasl::encode(format!("user=bob@ours.example\u{1}auth=Bearer {token}\u{1}\u{1}").as_bytes())
}

#[test]
fn tokens_are_there_where_they_can_be_checked_and_under_tls_only() {
    let mut without = Session::new(everything());
    without.say(b"");
    assert!(!without.say(b"EHLO c.example\r\n").contains("OAUTH"));
    assert!(
        without.say(format!("AUTH OAUTHBEARER {}\r\n", bearer("good")).as_bytes()).starts_with("504 5.5.4 ")
    );
    let mut session = Session::new(Config { plaintext_auth: false, ..everything() });
    session.server.set_channel(Channel { tokens: true, ..Channel::default() });
    session.say(b"");
    assert!(!session.say(b"EHLO c.example\r\n").contains("OAUTH"), "in clear");
    let said = session.say(format!("AUTH XOAUTH2 {}\r\n", xoauth2("good")).as_bytes());
    assert!(said.starts_with("538 5.7.11 "), "{said}");
}

#[test]
fn a_good_token_is_enough() {
    for lines in [
        format!("AUTH OAUTHBEARER {}\r\n", bearer("good")),
        format!("AUTH OAUTHBEARER\r\n{}\r\n", bearer("good")),
        format!("auth xoauth2 {}\r\n", xoauth2("good")),
    ] {
        let mut session = with_tokens();
        let said = session.say(lines.as_bytes());
        assert!(said.ends_with("235 2.7.0 authentication successful\r\n"), "{lines:?}: {said}");
        assert_eq!(session.server.session().identity.as_deref(), Some("bob@ours.example"));
    }
}

#[test]
fn a_refused_client_hears_why_and_acknowledges_before_535() {
    let told = sasl::encode(br#"{"status":"invalid_token","scope":"mail"}"#);
    // RFC 7628 §3.2.3: AQ== is what a client should say; nothing is what XOAUTH2 has.
    for answer in ["AQ==", "", "AAAA"] {
        let mut session = with_tokens();
        let said = session.say(format!("AUTH OAUTHBEARER {}\r\n", bearer("bad")).as_bytes());
        assert_eq!(said, format!("334 {told}\r\n"));
        let said = session.say(format!("{answer}\r\n").as_bytes());
        assert!(said.starts_with("535 5.7.8 "), "{said}");
        assert_eq!(session.server.session().identity, None);
    }
    let mut session = with_tokens();
    let said = session.say(format!("AUTH XOAUTH2 {}\r\n\r\n", xoauth2("bad")).as_bytes());
    let told = sasl::encode(br#"{"status":"401","schemes":"bearer","scope":"mail"}"#);
    assert!(said.starts_with(&format!("334 {told}\r\n535 5.7.8 ")), "{said}");
}

#[test]
fn what_cannot_be_checked_and_what_is_no_token() {
    let mut session = with_tokens();
    let said = session.say(format!("AUTH OAUTHBEARER {}\r\n", bearer("later")).as_bytes());
    assert_eq!(said, "454 4.7.0 later\r\n");
    for line in ["AUTH OAUTHBEARER =", "AUTH OAUTHBEARER AQ==", "AUTH XOAUTH2 biwsAQ=="] {
        let said = session.say(format!("{line}\r\n").as_bytes());
        assert!(said.starts_with("501 5.5.2 "), "{line}: {said}");
    }
    let refused = format!("AUTH OAUTHBEARER {}\r\n*\r\n", bearer("bad"));
    assert!(session.say(refused.as_bytes()).ends_with("501 5.7.0 authentication cancelled\r\n"));
}
