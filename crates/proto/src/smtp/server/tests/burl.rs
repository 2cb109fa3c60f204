//! BURL (RFC 4468): `imap://have/N` names N octets.

use super::*;

fn with_urls() -> Config {
    let mut config = config();
    config.flavour = Flavour::Submission;
    config.extensions.burl = true;
    (config.auth, config.plaintext_auth) = (true, true);
    config
}

const LOGIN: &str = "C: AUTH PLAIN AGJvYgBzZWNyZXQ=
    S: 235 2.7.0 authentication successful
    ";
const TRANSACTION: &str = "C: MAIL FROM:<a@b.example>
    C: RCPT TO:<bob@ours.example>
    S: 250 2.1.0 sender OK
    S: 250 2.1.5 recipient OK
    ";

fn in_transaction(config: &Config, script: &str) -> Seen {
    after_ehlo(config, &format!("{LOGIN}{TRANSACTION}{script}"))
}

#[test]
fn a_message_comes_by_its_url() {
    let seen = in_transaction(
        &with_urls(),
        "C: BURL imap://have/24 LAST
         C: NOOP
         S: 250 2.0.0 queued as 1
         S: 250 2.0.0 OK",
    );
    assert_eq!(seen.messages[0].1, b"0123456789\r\n0123456789\r\n");
}

#[test]
fn urls_and_chunks_make_one_message() {
    let seen = in_transaction(
        &with_urls(),
        "C: BDAT 6
         C+ abcd\\r\\n
         C: BURL imap://have/12
         C: BURL imap://have/0
         C: BDAT 2
         C+ \\r\\n
         C: BURL imap://have/7
         C: BDAT 0 LAST
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 queued as 1",
    );
    assert_eq!(seen.messages[0].1, b"abcd\r\n0123456789\r\n\r\n0123456");
}

#[test]
fn burl_has_its_place() {
    let everything_wrong = "C: BURL imap://have/1 LAST
         S: 503 5.5.1 MAIL and RCPT come first
         C: MAIL FROM:<a@b.example>
         C: BURL imap://have/1 LAST
         C: RCPT TO:<bob@ours.example>
         C: BURL imap://have/1 LAST
         S: 250 2.1.0 sender OK
         S: 503 5.5.1 there is no valid recipient
         S: 250 2.1.5 recipient OK
         S: 554 5.7.0 log in before BURL";
    after_ehlo(&with_urls(), everything_wrong);
    let seen = in_transaction(
        &with_urls(),
        "C: BURL
         C: BURL imap://have/1 FIRST
         C: BURL imap://have/1
         C: DATA
         C: RSET
         S: 501 5.5.4 syntax error in the arguments
         S: 501 5.5.4 syntax error in the arguments
         S: 250 2.0.0 chunk received
         S: 503 5.5.1 DATA cannot follow BDAT
         S: 250 2.0.0 OK",
    );
    assert_eq!(seen.aborted, [Abort::Reset]);
    after_ehlo(
        &config(),
        "C: BURL imap://have/1 LAST
         S: 502 5.5.1 command not implemented",
    );
    let mut session = Session::new(with_urls());
    session.say(b"");
    let announced = session.say(b"EHLO c.example\r\n");
    assert!(announced.contains("250-BURL imap\r\n"), "{announced}");
    assert!(session.say(b"HELP BURL\r\n").starts_with("214 2.0.0 BURL url [LAST]"));
}

#[test]
fn a_url_that_fails_ends_the_transaction() {
    let seen = in_transaction(
        &with_urls(),
        "C: BDAT 1
         C+ a
         C: BURL imap://none LAST
         C: BDAT 1 LAST
         C+ b
         C: BURL imap://have/1 LAST
         S: 250 2.0.0 chunk received
         S: 554 5.6.6 what the URL names is not there
         S: 503 5.5.1 MAIL and RCPT come first
         S: 503 5.5.1 MAIL and RCPT come first",
    );
    assert_eq!((seen.messages.len(), seen.aborted), (0, vec![Abort::Reset]));
}

#[test]
fn what_urls_name_counts() {
    let mut config = with_urls();
    config.limits.message_bytes_max = 24;
    config.limits.chunks_max = 2;
    let seen = in_transaction(
        &config,
        "C: BURL imap://have/12
         C: BURL imap://have/13 LAST
         S: 250 2.0.0 chunk received
         S: 552 5.3.4 the message is larger than this server takes",
    );
    assert_eq!(seen.aborted, [Abort::TooLarge]);
    let seen = in_transaction(
        &config,
        "C: BURL imap://have/1
         C: BURL imap://have/1
         C: BURL imap://have/1
         C: BURL imap://have/1
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 chunk received
         S: 250 2.0.0 chunk received
         S: 554 5.5.0 the message comes in too many chunks",
    );
    assert_eq!(seen.aborted, [Abort::TooManyChunks]);
}

#[test]
fn what_breaks_the_rules_of_text_does_so_by_url_too() {
    let seen = in_transaction(
        &with_urls(),
        "C: BURL imap://have/11
         C: BURL imap://have/1 LAST
         S: 250 2.0.0 chunk received
         S: 550 5.6.11 a line of the message ends with a bare <CR> or <LF>",
    );
    assert_eq!(seen.aborted, [Abort::BareLineEnd]);
}
