//! RFC 9422: what the server announces as its limits, the client keeps to (C292).

use super::*;

fn limited(limits: &str, transactions: &[Transaction]) -> impl Fn() -> Session {
    let (limits, transactions) = (limits.to_owned(), transactions.to_vec());
    move || {
        let mut session = Session::new(config(), transactions.clone());
        session.run();
        session.hear(b"220 mx.example\r\n");
        session.client.push(format!("250-mx.example\r\n250 LIMITS {limits}\r\n").as_bytes());
        session
    }
}

#[test]
fn no_transaction_has_more_recipients_than_allowed() {
    let many = transaction(&["b@d.example", "c@d.example", "e@d.example"]);
    let mut session = limited("RCPTMAX=2", &[many])();
    assert_eq!(session.run(), "C: MAIL FROM:<a@c.example>\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "C: RCPT TO:<b@d.example>\n");
    // A refused one counts too.
    let said = session.hear(b"550 no\r\n");
    assert_eq!(said, "E: 0 refused for good: 550 no\nC: RCPT TO:<c@d.example>\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "E: 2 too many\nC: DATA\n");
}

#[test]
fn no_session_has_more_transactions_than_allowed() {
    let one = transaction(&["b@d.example"]);
    let mut session = limited("MAILMAX=1 UNKNOWN=x", &[one.clone(), one])();
    assert_eq!(session.run(), "C: MAIL FROM:<a@c.example>\n");
    session.hear(b"250 ok\r\n");
    session.hear(b"250 ok\r\n");
    assert!(session.client.is_spent());
    session.hear(b"354 go\r\n");
    assert_eq!(session.hear(b"250 queued\r\n"), "E: done: 250 queued\nE: done: Spent\nC: QUIT\n");
}

#[test]
fn no_session_has_more_domains_than_allowed() {
    let two = transaction(&["b@d.example", "c@other.example", "e@D.example"]);
    let mut session = limited("RCPTDOMAINMAX=1", &[two])();
    assert_eq!(session.run(), "C: MAIL FROM:<a@c.example>\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "C: RCPT TO:<b@d.example>\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "E: 1 in another session\nC: RCPT TO:<e@D.example>\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "C: DATA\n");
}

#[test]
fn a_limit_that_is_none_limits_nothing() {
    let two = transaction(&["b@d.example", "c@other.example"]);
    let mut session = limited("RCPTMAX=0 MAILMAX=abc RCPTDOMAINMAX=1x =", &[two])();
    session.run();
    assert_eq!(session.hear(b"250 ok\r\n"), "C: RCPT TO:<b@d.example>\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "C: RCPT TO:<c@other.example>\n");
    assert!(!session.client.is_spent());
}
