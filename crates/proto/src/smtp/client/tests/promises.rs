//! REQUIRETLS, RRVS, SOLICIT and MTRK towards a server that has them, and one that has not.

use mail::TlsDemand;

use super::*;

fn demanding() -> Transaction {
    let mut message = transaction(&["b@d.example"]);
    message.mail.tls = TlsDemand::Required;
    message.mail.envid = Some("x".to_owned());
    message.mail.solicit = Some("net.example:ADV".parse().unwrap());
    message.mail.tracking = Some("QUJD:60".parse().unwrap());
    message.recipients[0].rcpt.valid_since = Some("2014-04-03T23:01:00Z".parse().unwrap());
    message
}

fn secured(announced: &str) -> Session {
    let config = Config { tls: TlsPolicy::Required, ..Config::new("c.example") };
    let mut session = Session::new(config, [demanding()]);
    session.run();
    session.hear(b"220 mx.example\r\n");
    session.hear(b"250-mx.example\r\n250-REQUIRETLS\r\n250 STARTTLS\r\n");
    assert_eq!(session.hear(b"220 go\r\n"), "C: EHLO c.example\n");
    session.client.push(format!("250-mx.example\r\n{announced}250 8BITMIME\r\n").as_bytes());
    session
}

#[test]
fn a_server_that_has_all_is_told_all() {
    let all = "250-REQUIRETLS\r\n250-RRVS\r\n250-NO-SOLICITING\r\n250-MTRK\r\n250-DSN\r\n";
    let mut session = secured(all);
    assert_eq!(
        session.run(),
        "C: MAIL FROM:<a@c.example> ENVID=x REQUIRETLS SOLICIT=net.example:ADV MTRK=QUJD:60\n"
    );
    assert_eq!(session.hear(b"250 ok\r\n"), "C: RCPT TO:<b@d.example> RRVS=2014-04-03T23:01:00Z;R\n");
}

/// C307: MTRK goes to no server without it, nor to one that cannot be given the ENVID.
#[test]
fn what_a_server_lacks_it_is_not_told() {
    let mut session = secured("250-REQUIRETLS\r\n250-MTRK\r\n");
    assert_eq!(session.run(), "C: MAIL FROM:<a@c.example> REQUIRETLS\n");
    assert_eq!(session.hear(b"250 ok\r\n"), "C: RCPT TO:<b@d.example>\n");
}

/// C287: what was announced in clear is no promise, and without the promise nothing is sent.
#[test]
fn requiretls_goes_to_who_promises_it_under_tls() {
    assert_eq!(secured("").run(), "E: done: Unsupported(RequireTls)\nC: QUIT\n");
    let mut clear = Session::new(config(), [demanding()]);
    clear.run();
    clear.hear(b"220 mx.example\r\n");
    let said = clear.hear(b"250-mx.example\r\n250 REQUIRETLS\r\n");
    assert_eq!(said, "E: done: Unsupported(RequireTls)\nC: QUIT\n");
}
