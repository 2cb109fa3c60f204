//! REQUIRETLS, RRVS, NO-SOLICITING and MTRK on the wire.

use super::*;

/// C287: announced and taken under TLS only.
#[test]
fn requiretls_is_there_under_tls_only() {
    let mut session = Session::new(everything());
    session.say(b"");
    assert!(!session.say(b"EHLO c.example\r\n").contains("REQUIRETLS"));
    assert_eq!(session.say(b"MAIL FROM:<a@b.example> REQUIRETLS\r\n"), "555 5.5.4 unknown parameter\r\n");
    session.say(b"STARTTLS\r\n");
    assert!(session.say(b"EHLO c.example\r\n").contains("\r\n250-REQUIRETLS\r\n"));
    for bad in ["REQUIRETLS=1", "REQUIRETLS=", "REQUIRETLS REQUIRETLS"] {
        let said = session.say(format!("MAIL FROM:<a@b.example> {bad}\r\n").as_bytes());
        assert_eq!(said, "501 5.5.4 bad value of REQUIRETLS\r\n", "{bad}");
    }
    session.say(b"MAIL FROM:<a@b.example> RequireTLS RET=FULL\r\n");
    assert_eq!(session.server.envelope().unwrap().mail.tls, mail::TlsDemand::Required);
    // After HELO there are no extensions.
    session.say(b"HELO c.example\r\n");
    assert_eq!(session.say(b"MAIL FROM:<a@b.example> REQUIRETLS\r\n"), "555 5.5.4 unknown parameter\r\n");
}

/// C293, C294
#[test]
fn rrvs_is_read_with_other_parameters_in_any_order() {
    let seen = after_ehlo(
        &everything(),
        "C: MAIL FROM:<a@b.example> SMTPUTF8
         C: RCPT TO:<bob@ours.example> RRVS=2014-04-03T23:01:00Z NOTIFY=NEVER
         C: RCPT TO:<carol@ours.example> ORCPT=rfc822;c@d RRVS=2014-04-04T01:01:00+02:00;C
         C: RCPT TO:<carol@ours.example> RRVS=2014-04-31T23:01:00Z
         C: RCPT TO:<carol@ours.example> RRVS=2014-04-03T23:01:00Z;X
         C: RCPT TO:<carol@ours.example> RRVS
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 250 2.1.5 recipient OK
         S: 501 5.5.4 bad value of RRVS
         S: 501 5.5.4 bad value of RRVS
         S: 501 5.5.4 bad value of RRVS
         S: 354 end data with <CR><LF>.<CR><LF>
         C: x
         C: .
         S: 250 2.0.0 queued as 1",
    );
    let asked: Vec<_> =
        seen.messages[0].0.recipients.iter().map(|one| one.rcpt.valid_since.unwrap()).collect();
    let said: Vec<_> = asked.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["2014-04-03T23:01:00Z;R", "2014-04-03T23:01:00Z;C"]);
    after_ehlo(
        &config(),
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<bob@ours.example> RRVS=2014-04-03T23:01:00Z
         S: 250 2.1.0 sender OK
         S: 555 5.5.4 unknown parameter",
    );
}

/// C304, C305: the class decides, not the header.
#[test]
fn solicitation_of_a_class_that_is_not_wanted_is_refused() {
    let seen = after_ehlo(
        &everything(),
        "C: MAIL FROM:<a@b.example> SOLICIT=com.example:X,NET.example:adv
         S: 550 5.7.1 solicitation of this class is not wanted here
         C: MAIL FROM:<a@b.example> SOLICIT=net.example,
         S: 501 5.5.4 bad value of SOLICIT
         C: MAIL FROM:<a@b.example> SOLICIT=net.example:ADLT
         C: RCPT TO:<bob@ours.example>
         C: DATA
         S: 250 2.1.0 sender OK
         S: 250 2.1.5 recipient OK
         S: 354 end data with <CR><LF>.<CR><LF>
         C: Solicitation: net.example:ADV
         C: .
         S: 250 2.0.0 queued as 1",
    );
    assert_eq!(seen.messages[0].0.mail.solicit.as_ref().unwrap().to_string(), "net.example:ADLT");
    after_ehlo(
        &config(),
        "C: MAIL FROM:<a@b.example> SOLICIT=net.example:ADV
         S: 555 5.5.4 unknown parameter",
    );
}

/// C306, C307
#[test]
fn mtrk_is_taken_with_an_envid_where_it_is_switched_on() {
    after_ehlo(
        &everything(),
        "C: MAIL FROM:<a@b.example> MTRK=QUJD
         S: 501 5.5.4 bad value of MTRK, which needs ENVID
         C: MAIL FROM:<a@b.example> ENVID=x MTRK=QUJ
         S: 501 5.5.4 bad value of MTRK
         C: MAIL FROM:<a@b.example> MTRK=QUJD:86400 ENVID=x
         S: 250 2.1.0 sender OK",
    );
    let mut off = everything();
    off.extensions.tracking = false;
    assert!(!greeted(off.clone()).say(b"EHLO c.example\r\n").contains("MTRK"));
    after_ehlo(
        &off,
        "C: MAIL FROM:<a@b.example> ENVID=x MTRK=QUJD
         S: 555 5.5.4 unknown parameter",
    );
}
