//! AUTH with SCRAM (RFC 5802, RFC 5034) and EXTERNAL (RFC 4422 appendix A) on the wire.

use mail::scram::{ScramHash, ScramKeys};

use super::*;
use crate::sasl::{self, Channel, ChannelBinding};

fn clear() -> Driver {
    let mut driver = Driver::new(Config { allow_plaintext_auth: false, ..config() });
    driver.run();
    driver.take_lines();
    driver
}

fn say(driver: &mut Driver, line: &str) -> String {
    driver.push(format!("{line}\r\n").as_bytes());
    driver.take_lines().into_iter().collect::<Vec<_>>().join("\n")
}

/// What the server says to the last message of alice's, or whose name it is.
fn log_in(driver: &mut Driver, name: &str, password: &str) -> String {
    let bare = format!("n={name},r=abc");
    let said = say(driver, &format!("AUTH SCRAM-SHA-256 {}", sasl::encode(format!("n,,{bare}").as_bytes())));
    let first = sasl::decode_line(said.strip_prefix("+ ").unwrap().as_bytes()).unwrap().unwrap();
    let first = String::from_utf8(first).unwrap();
    let without_proof = format!("c=biws,{}", first.split(',').next().unwrap());
    let message = format!("{bare},{first},{without_proof}");
    let keys = ScramKeys::derive(ScramHash::Sha256, password, b"salt", 4096);
    let proof = sasl::encode(&keys.client_proof(message.as_bytes()));
    say(driver, &sasl::encode(format!("{without_proof},p={proof}").as_bytes()))
}

#[test]
fn scram_needs_no_tls() {
    let mut driver = clear();
    let capabilities = say(&mut driver, "CAPA");
    assert!(capabilities.contains("\nSASL SCRAM-SHA-256 SCRAM-SHA-1\n"), "{capabilities}");
    assert!(!capabilities.contains("\nUSER"));
    assert!(say(&mut driver, "AUTH PLAIN").starts_with("-ERR [AUTH] "));
    assert!(say(&mut driver, "AUTH SCRAM-SHA-256-PLUS").starts_with("-ERR there is no such mechanism"));
    assert!(log_in(&mut driver, "alice", "open sesame").starts_with("+ "));
    assert_eq!(say(&mut driver, ""), "+OK 2 messages (56 octets)");
}

#[test]
fn unknown_user_and_wrong_password_are_told_alike() {
    let mut driver = clear();
    let refusal = "-ERR [AUTH] the user name or the password is wrong";
    assert_eq!(log_in(&mut driver, "alice", "wrong"), refusal);
    assert_eq!(log_in(&mut driver, "nobody", "open sesame"), refusal);
    let down = say(&mut driver, &format!("AUTH SCRAM-SHA-1 {}", sasl::encode(b"n,,n=down,r=abc")));
    assert!(down.starts_with("-ERR [SYS/TEMP] "), "{down}");
    assert_eq!(driver.ended, None);
    assert_eq!(log_in(&mut driver, "alice", "wrong"), refusal);
    assert_eq!(driver.ended, Some(Ended::Closed));
}

#[test]
fn external_is_there_with_a_certificate_only() {
    let mut driver = clear();
    assert!(say(&mut driver, "AUTH EXTERNAL =").starts_with("-ERR there is no such mechanism"));
    driver.server.set_channel(Channel { external: true, ..Channel::default() });
    assert!(say(&mut driver, "CAPA").contains("\nSASL SCRAM-SHA-256 SCRAM-SHA-1 EXTERNAL\n"));
    let another = format!("AUTH EXTERNAL {}", sasl::encode(b"bob"));
    assert!(say(&mut driver, &another).starts_with("-ERR [AUTH] "));
    let nul = format!("AUTH EXTERNAL {}", sasl::encode(b"alice\0"));
    assert!(say(&mut driver, &nul).starts_with("-ERR that is no message"));
    assert_eq!(say(&mut driver, "AUTH EXTERNAL"), "+ ");
    assert_eq!(say(&mut driver, ""), "+OK 2 messages (56 octets)");
}

#[test]
fn a_binding_brings_plus_and_cannot_be_hidden() {
    let mut driver = clear();
    let binding = ChannelBinding { tls_exporter: Some([7; 32].into()) };
    driver.server.set_channel(Channel { binding, ..Channel::default() });
    assert!(say(&mut driver, "CAPA").contains("\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 "));
    let hidden = say(&mut driver, &format!("AUTH SCRAM-SHA-256 {}", sasl::encode(b"y,,n=alice,r=abc")));
    assert!(hidden.starts_with("-ERR [AUTH] "), "{hidden}");
}

#[test]
fn tokens_open_the_maildrop_and_refusals_are_explained() {
    let mut driver = clear();
    driver.server.set_channel(Channel { tokens: true, ..Channel::default() });
    assert!(say(&mut driver, "AUTH OAUTHBEARER AQ==").starts_with("-ERR [AUTH] no passwords without TLS"));
    let mut driver = Driver::new(config());
    driver.run();
    driver.take_lines();
    assert!(say(&mut driver, "AUTH OAUTHBEARER AQ==").starts_with("-ERR there is no such mechanism"));
    driver.server.set_channel(Channel { tokens: true, ..Channel::default() });
    assert!(say(&mut driver, "CAPA").contains(" OAUTHBEARER XOAUTH2 PLAIN LOGIN\n"));
    let message = |token: &str| sasl::encode(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").as_bytes());
    let told = say(&mut driver, &format!("AUTH OAUTHBEARER {}", message("bad")));
    assert_eq!(told, format!("+ {}", sasl::encode(br#"{"status":"invalid_token"}"#)));
    assert!(say(&mut driver, "AQ==").starts_with("-ERR [AUTH] "));
    assert!(say(&mut driver, &format!("AUTH OAUTHBEARER {}", message("good"))).starts_with("+OK 2 messages"));
}
