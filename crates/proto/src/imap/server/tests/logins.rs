use super::*;
use crate::sasl::{Credentials, SaslClient, decode_line, encode};

fn driver(tls: Tls, allow_plaintext_auth: bool) -> Driver {
    let mut driver = Driver::new(Config { tls, allow_plaintext_auth, ..config() });
    driver.run();
    driver
}

const FAILED: &str = "NO [AUTHENTICATIONFAILED] the user name or the password is wrong\r\n";

#[test]
fn unknown_users_and_wrong_passwords_are_told_alike() {
    for login in
        ["LOGIN bob sesame", "LOGIN alice simsim", "LOGIN \"\" \"\"", "LOGIN {5+}\r\nalice {1+}\r\nx"]
    {
        let mut driver = driver(Tls::Unavailable, true);
        assert_eq!(driver.say(&format!("a {login}\r\n")), format!("a {FAILED}"), "{login}");
    }
    let mut driver = driver(Tls::Unavailable, true);
    assert_eq!(driver.say("a LOGIN down x\r\n"), "a NO [UNAVAILABLE] nobody can log in now\r\n");
    assert_eq!(
        driver.say("a LOGIN held x\r\n"),
        "a NO [UNAVAILABLE] too many logins failed; try again later\r\n"
    );
}

#[test]
fn three_failures_end_the_session() {
    let mut driver = driver(Tls::Unavailable, true);
    driver.say("a LOGIN bob x\r\nb LOGIN held x\r\n");
    assert_eq!(
        driver.say("c LOGIN bob x\r\nd LOGIN alice sesame\r\n"),
        format!("c {FAILED}* BYE [AUTHENTICATIONFAILED] too many logins failed\r\n")
    );
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn passwords_want_privacy() {
    let mut driver = driver(Tls::Available, false);
    let greeting = driver.said();
    assert!(greeting.contains(" STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1]"), "{greeting}");
    assert_eq!(driver.say("a LOGIN alice sesame\r\n"), "a NO [PRIVACYREQUIRED] no passwords without TLS\r\n");
    assert_eq!(driver.say("a AUTHENTICATE PLAIN\r\n"), "a NO [PRIVACYREQUIRED] no passwords without TLS\r\n");
    assert!(driver.heard.is_empty());
}

#[test]
fn what_came_in_clear_behind_starttls_is_dropped() {
    let mut driver = driver(Tls::Available, false);
    assert_eq!(driver.say("a STARTTLS\r\nb LOGIN alice sesame\r\nc DELE"), "a OK begin TLS\r\n");
    assert_eq!(driver.ended.take(), Some(Ended::WantsTls));
    driver.server.push(b"d NOOP\r\n");
    driver.server.handle_tls_started();
    let said = driver.say("e CAPABILITY\r\n");
    assert!(said.starts_with("* CAPABILITY IMAP4rev2") && said.ends_with("e OK that is all\r\n"), "{said}");
    assert!(!said.contains("STARTTLS") && !said.contains("LOGINDISABLED") && said.contains("AUTH=PLAIN"));
    assert_eq!(driver.say("f STARTTLS\r\n"), "f BAD TLS is active already\r\n");
}

#[test]
fn plain_with_and_without_an_initial_response() {
    let message = encode(b"\0alice\0sesame");
    let mut one = driver(Tls::Unavailable, true);
    assert!(one.say(&format!("a AUTHENTICATE PLAIN {message}\r\n")).starts_with("a OK [CAPABILITY "));
    let mut two = driver(Tls::Unavailable, true);
    assert_eq!(two.say("a authenticate plain\r\n"), "+ \r\n");
    assert!(two.say(&format!("{message}\r\n")).starts_with("a OK [CAPABILITY "));
    let mut three = driver(Tls::Unavailable, true);
    let wrong = encode(b"\0alice\0simsim");
    assert_eq!(three.say(&format!("a AUTHENTICATE PLAIN {wrong}\r\n")), format!("a {FAILED}"));
}

#[test]
fn exchanges_that_break_off() {
    let mut driver = driver(Tls::Unavailable, true);
    assert_eq!(
        driver.say("a AUTHENTICATE PLAIN\r\n*\r\n"),
        "+ \r\na BAD the authentication is cancelled\r\n"
    );
    assert_eq!(driver.say("a AUTHENTICATE PLAIN\r\nAG\r\n"), "+ \r\na BAD the line is not base64\r\n");
    assert_eq!(driver.say("a AUTHENTICATE PLAIN =\r\n"), "a BAD that is no message of this mechanism\r\n");
    assert_eq!(driver.say("a AUTHENTICATE GSSAPI\r\n"), "a BAD there is no such mechanism\r\n");
    let long = "A".repeat(20_000);
    assert_eq!(
        driver.say(&format!("a AUTHENTICATE PLAIN\r\n{long}\r\n")),
        "+ \r\n* BYE [TOOBIG] the line is too long\r\n"
    );
    assert_eq!(driver.ended, Some(Ended::Closed));
}

/// What is said last to a client that tries SCRAM with this password.
fn scram(password: &str) -> String {
    let mut driver = driver(Tls::Available, false);
    let mut client = SaslClient::scram(Credentials::new("alice", password).unwrap(), [1; NONCE_BYTES]);
    let first = encode(&client.initial_response().unwrap());
    let mut said = driver.say(&format!("a AUTHENTICATE SCRAM-SHA-256 {first}\r\n"));
    while let Some(challenge) = said.strip_prefix("+ ") {
        let challenge = decode_line(challenge.trim_end().as_bytes()).unwrap().unwrap();
        let response = encode(&client.respond(&challenge).unwrap());
        said = driver.say(&format!("{response}\r\n"));
    }
    assert_eq!(client.may_succeed(), said.starts_with("a OK"));
    said
}

#[test]
fn scram_needs_no_tls() {
    let said = scram("sesame");
    assert!(said.starts_with("a OK [CAPABILITY "), "{said}");
    assert_eq!(scram("simsim"), format!("a {FAILED}"));
}

#[test]
fn a_refused_token_is_explained_first() {
    let mut config = config();
    config.tls = Tls::Active;
    let mut driver = Driver::new(config);
    driver.server.set_channel(crate::sasl::Channel { tokens: true, ..crate::sasl::Channel::default() });
    driver.run();
    let message = |token: &str| encode(format!("user=alice\x01auth=Bearer {token}\x01\x01").as_bytes());
    let said = driver.say(&format!("a AUTHENTICATE XOAUTH2 {}\r\n", message("bad")));
    assert!(said.starts_with("+ "), "{said}");
    assert_eq!(driver.say("\r\n"), format!("a {FAILED}"));
    assert!(driver.say(&format!("a AUTHENTICATE XOAUTH2 {}\r\n", message("good"))).starts_with("a OK "));
}
