use mail::{Body, ByMode, DeliverBy, Hold, MtPriority, Notify, Return};

use super::*;

const ALL: Accepted = Accepted {
    esmtp: true,
    binary_mime: true,
    smtputf8: true,
    dsn: true,
    auth: true,
    deliver_by: true,
    mt_priority: true,
    future_release: true,
    require_tls: true,
    rrvs: true,
    solicit: true,
    tracking: true,
};

#[test]
fn mail_parameters() {
    let mail =
        parse_mail(" size=1000 Body=8bitmime SMTPUTF8  RET=hdrs ENVID=QQ+2B314159 AUTH=<>", ALL).unwrap();
    let expected = MailParameters {
        size: Some(1000),
        body: Body::EightBitMime,
        smtputf8: true,
        ret: Some(Return::Headers),
        envid: Some("QQ+314159".to_owned()),
        ..MailParameters::default()
    };
    assert_eq!(mail, expected);
    assert_eq!(parse_mail("", ALL), Ok(MailParameters::default()));
    assert_eq!(parse_mail(" AUTH=e+3Dmc2@example.com", ALL), Ok(MailParameters::default()));
}

#[test]
fn rcpt_parameters() {
    let rcpt = parse_rcpt(" NOTIFY=success,FAILURE,Delay ORCPT=rfc822;a+2Bb@c", ALL).unwrap();
    assert_eq!(rcpt.notify, Some(Notify { success: true, failure: true, delay: true }));
    let orcpt = rcpt.orcpt.unwrap();
    assert_eq!((orcpt.address_type.as_str(), orcpt.address.as_str()), ("rfc822", "a+b@c"));
    let never = parse_rcpt(" NOTIFY=NEVER", ALL).unwrap();
    assert_eq!(never.notify, Some(Notify { success: false, failure: false, delay: false }));
    assert!(parse_rcpt(" ORCPT=utf-8;δοκιμή@παράδειγμα.example", ALL).is_ok());
    let from_postfix = parse_rcpt(" ORCPT=rfc822;+CE+B4a+2Bb@c", ALL).unwrap();
    assert_eq!(from_postfix.orcpt.unwrap().to_string(), "utf-8;\\x{3B4}a\\x{2B}b@c");
}

#[test]
fn bad_values_of_known_parameters() {
    for bad in [
        "SIZE",
        "SIZE=",
        "SIZE=abc",
        "SIZE=-1",
        "SIZE=+1",
        "SIZE=18446744073709551616",
        "SIZE=1 size=1",
        "BODY",
        "BODY=9BIT",
        "RET=ALL",
        "RET",
        "ENVID=",
        "ENVID=+2b",
        "ENVID=+00",
        "ENVID=+2",
        "ENVID=é",
        "SMTPUTF8=1",
        "RET=FULL RET=FULL",
        "AUTH",
        "AUTH=",
        "AUTH=+0A",
        "AUTH=a=b",
        "BY",
        "BY=x",
        "BY=5",
        "BY=1234567890;N",
        "BY=0;R",
        "BY=-999999999;R",
        "BY=5;N BY=5;N",
        "MT-PRIORITY",
        "MT-PRIORITY=10",
        "MT-PRIORITY=-10",
        "MT-PRIORITY=a",
        "MT-PRIORITY=+3",
        "MT-PRIORITY=-0",
        "HOLDFOR=18446744073709551616",
        "HOLDFOR=-1",
        "HOLDFOR=0",
        "HOLDUNTIL=1795473360",
        "HOLDFOR=5 HOLDUNTIL=2026-12-01T10:00:00Z",
        "HOLDUNTIL=2026-12-01T10:00:00Z HOLDFOR=5",
        "REQUIRETLS=1",
        "REQUIRETLS=",
        "REQUIRETLS REQUIRETLS",
        "SOLICIT",
        "SOLICIT=",
        "SOLICIT=1x",
        "ENVID=x MTRK",
        "ENVID=x MTRK=!",
        "ENVID=x MTRK=QUJD:x",
        "MTRK=QUJD",
    ] {
        assert!(matches!(parse_mail(bad, ALL), Err(ParameterError::Value(_))), "{bad:?}");
    }
    let long = format!("ENVID={}", "x".repeat(101));
    assert_eq!(parse_mail(&long, ALL), Err(ParameterError::Value("ENVID")));
    for bad in [
        "NOTIFY=",
        "NOTIFY",
        "NOTIFY=FOO",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=SUCCESS,",
        "ORCPT=rfc822",
        "ORCPT=rfc822;",
        "ORCPT=;a@b",
        "ORCPT=rfc822;a+00",
        "ORCPT=rfc822;é@b",
        "ORCPT=x400;+CE+B4@b",
        "NOTIFY=NEVER NOTIFY=NEVER",
        "RRVS",
        "RRVS=",
        "RRVS=yesterday",
        "RRVS=2014-04-03T23:01:00Z;X",
    ] {
        assert!(matches!(parse_rcpt(bad, ALL), Err(ParameterError::Value(_))), "{bad:?}");
    }
}

#[test]
fn parameters_that_were_not_announced() {
    for unknown in
        ["FOO=bar", "FOO", "=", "-A=1", "TRANSID=<x@y>", "SUBMITTER=x@y", "ALT-ADDRESS=x", "S\u{131}ZE=1"]
    {
        assert_eq!(parse_mail(unknown, ALL), Err(ParameterError::Unknown), "{unknown:?}");
    }
    let plain = Accepted::default();
    for off in [
        "SIZE=5",
        "BODY=7BIT",
        "SMTPUTF8",
        "RET=FULL",
        "ENVID=x",
        "AUTH=<>",
        "BY=5;N",
        "MT-PRIORITY=3",
        "HOLDFOR=5",
    ] {
        assert_eq!(parse_mail(off, plain), Err(ParameterError::Unknown), "{off:?}");
    }
    assert_eq!(parse_rcpt("NOTIFY=NEVER", plain), Err(ParameterError::Unknown));
    assert_eq!(parse_rcpt("SMTPUTF8", ALL), Err(ParameterError::Unknown));
    let no_binary = Accepted { binary_mime: false, ..ALL };
    assert_eq!(parse_mail("BODY=BINARYMIME", no_binary), Err(ParameterError::Value("BODY")));
}

#[test]
fn parameters_of_time() {
    let mail = parse_mail(" BY=+120;rt MT-PRIORITY=-4 HOLDFOR=3600", ALL).unwrap();
    assert_eq!(mail.deliver_by, Some(DeliverBy { seconds: 120, mode: ByMode::Return, trace: true }));
    assert_eq!(mail.priority, MtPriority::new(-4));
    assert_eq!(mail.hold, Some(Hold::For(3600)));
    let mail = parse_mail(" HOLDUNTIL=2026-12-01T10:00:00Z BY=-5;N", ALL).unwrap();
    assert_eq!(mail.hold.unwrap().to_string(), "HOLDUNTIL=2026-12-01T10:00:00.000Z");
    assert_eq!(mail.deliver_by.unwrap().seconds, -5);
}

#[test]
fn parameters_of_promises() {
    let mail = parse_mail(" requiretls ENVID=x SOLICIT=net.example:ADV MTRK=QUJD:60", ALL).unwrap();
    assert_eq!(mail.tls, TlsDemand::Required);
    assert_eq!(mail.solicit.unwrap().to_string(), "net.example:ADV");
    assert_eq!(mail.tracking.unwrap().to_string(), "QUJD:60");
    // C294: in any order with others.
    for rcpt in
        ["RRVS=2014-04-03T23:01:00Z;C NOTIFY=NEVER", "ORCPT=utf-8;b\\x{FC}@c rrvs=2014-04-03T23:01:00Z;C"]
    {
        let valid_since = parse_rcpt(rcpt, ALL).unwrap().valid_since.unwrap();
        assert_eq!(valid_since.to_string(), "2014-04-03T23:01:00Z;C");
    }
    let none = Accepted { require_tls: false, rrvs: false, solicit: false, tracking: false, ..ALL };
    for off in ["REQUIRETLS", "SOLICIT=net.example:ADV", "ENVID=x MTRK=QUJD", "MTRK=x"] {
        assert_eq!(parse_mail(off, none), Err(ParameterError::Unknown), "{off:?}");
    }
    assert_eq!(parse_rcpt("RRVS=2014-04-03T23:01:00Z", none), Err(ParameterError::Unknown));
}
