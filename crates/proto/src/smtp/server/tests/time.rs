//! DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710) and FUTURERELEASE (RFC 4865) on the wire.

use super::*;

/// Says MAIL with these parameters in a session of its own.
fn mail(config: &Config, parameters: &str) -> String {
    greeted(config.clone()).say(format!("MAIL FROM:<a@b.example> {parameters}\r\n").as_bytes())
}

/// C277, A064
#[test]
fn deliver_by_is_asked_for_in_seconds() {
    for taken in ["BY=120;R", "BY=3600;N", "BY=60;RT", "by=60;nt", "BY=+60;R", "BY=0;N", "BY=-5;N"] {
        assert!(mail(&everything(), taken).starts_with("250 2.1.0"), "{taken}");
    }
    for bad in
        ["BY=x", "BY=5", "BY", "BY=1234567890;N", "BY=-1234567890;N", "BY=0;R", "BY=-5;R", "BY=-999999999;R"]
    {
        assert!(mail(&everything(), bad).starts_with("501 5.5.4"), "{bad}");
    }
    // 60 seconds are announced.
    assert!(mail(&everything(), "BY=59;R").starts_with("555 5.4.7"));
    assert!(mail(&everything(), "BY=59;N").starts_with("250"), "the minimum is that of returning");
    assert!(mail(&config(), "BY=120;R").starts_with("555 5.5.4"), "not announced");
}

/// C280, A064
#[test]
fn priorities_have_nineteen_values() {
    for level in -9..=9 {
        assert!(mail(&everything(), &format!("MT-PRIORITY={level}")).starts_with("250"), "{level}");
    }
    for bad in ["10", "-10", "a", "+3", "-0", "", "18446744073709551616"] {
        assert!(mail(&everything(), &format!("MT-PRIORITY={bad}")).starts_with("501 5.5.4"), "{bad}");
    }
    assert!(mail(&config(), "MT-PRIORITY=3").starts_with("555 5.5.4"));
}

/// C284, C285, A064
#[test]
fn messages_are_held_for_a_time_or_until_one() {
    for taken in
        ["HOLDFOR=3600", "holdfor=1", "HOLDUNTIL=2026-12-01T10:00:00Z", "HOLDUNTIL=2026-12-01T10:00:00+01:00"]
    {
        assert!(mail(&everything(), taken).starts_with("250"), "{taken}");
    }
    for bad in [
        "HOLDFOR=18446744073709551616",
        "HOLDFOR=-1",
        "HOLDFOR=0",
        "HOLDFOR",
        "HOLDUNTIL=1796083200",
        "HOLDUNTIL=2026-12-01",
        "HOLDUNTIL",
        "HOLDFOR=5 HOLDUNTIL=2026-12-01T10:00:00Z",
        "HOLDFOR=5 HOLDFOR=5",
    ] {
        assert!(mail(&everything(), bad).starts_with("501 5.5.4"), "{bad}");
    }
    assert!(mail(&config(), "HOLDFOR=3600").starts_with("555 5.5.4"), "not announced");
}

#[test]
fn without_a_minimum_deliverby_has_no_parameter() {
    let mut config = config();
    config.extensions.deliver_by = Some(0);
    let mut session = Session::new(config.clone());
    session.say(b"");
    let said = session.say(b"EHLO c.example\r\n");
    assert!(said.contains("250 DELIVERBY\r\n"), "{said}");
    assert!(mail(&config, "BY=1;R").starts_with("250"));
}
