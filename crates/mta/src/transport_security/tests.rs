use super::*;
use crate::testing::Names;
use world::Dns;

const DATA: u8 = 7;

fn facts(route: RouteTls, dane: &DaneFinding) -> Facts<'_> {
    Facts { host: "mx.far.example", route, require_tls: false, waived: false, dane, sts: None, domains: &[] }
}

fn kind(route: RouteTls, dane: &DaneFinding) -> Result<PolicyKind, String> {
    decide(&facts(route, dane)).map(|policy| policy.kind).map_err(|skip| skip.trouble.status.to_string())
}

fn tlsa(usage: u8, matching: u8) -> world::dns::Tlsa {
    world::dns::Tlsa { usage, selector: 1, matching, data: vec![DATA; 32] }
}

fn records() -> DaneFinding {
    DaneFinding::Records { base: "mx.far.example".to_owned(), records: vec![tlsa(3, 1)] }
}

/// C394, C395, A149
#[test]
fn what_is_known_of_a_host_makes_its_policy() {
    use RouteTls::{Dane, None, Opportunistic, Required};
    let base = || "mx.far.example".to_owned();
    let [unproven, nothing] = [DaneFinding::Unproven("why"), DaneFinding::NoRecords];
    let [unusable, unknown] =
        [DaneFinding::Unusable { base: base() }, DaneFinding::Unknown("SERVFAIL".to_owned())];
    for dane in [&unproven, &nothing] {
        assert_eq!(kind(Opportunistic, dane), Ok(PolicyKind::Opportunistic));
        assert_eq!(kind(Required, dane), Ok(PolicyKind::Required));
        assert_eq!(kind(Dane, dane), Err("4.7.5".to_owned()));
    }
    assert_eq!(kind(Opportunistic, &unusable), Ok(PolicyKind::DaneUnusable { base: base() }));
    assert_eq!(kind(Required, &unusable), Ok(PolicyKind::Required));
    assert_eq!(kind(Dane, &unusable), Err("4.7.5".to_owned()));
    for route in [Opportunistic, Required, Dane] {
        assert_eq!(kind(route, &records()), Ok(PolicyKind::Dane { base: base() }));
        assert_eq!(kind(route, &unknown), Err("4.4.3".to_owned()), "what may be there is not done without");
    }
    for dane in [&unproven, &nothing, &unusable, &unknown, &records()] {
        assert_eq!(kind(None, dane), Ok(PolicyKind::Clear));
    }
}

#[test]
fn nothing_but_what_is_demanded_goes_without_tls() {
    let unusable = DaneFinding::Unusable { base: "mx.far.example".to_owned() };
    for (route, dane, tls, proof) in [
        (RouteTls::None, records(), TlsPolicy::None, false),
        (RouteTls::Opportunistic, DaneFinding::NoRecords, TlsPolicy::Opportunistic, false),
        (RouteTls::Opportunistic, unusable, TlsPolicy::Required, false),
        (RouteTls::Opportunistic, records(), TlsPolicy::Required, true),
        (RouteTls::Required, DaneFinding::NoRecords, TlsPolicy::Required, true),
    ] {
        let policy = decide(&facts(route, &dane)).unwrap();
        assert_eq!(policy.tls, tls);
        assert_eq!(policy.expected != Authentication::Nothing, proof);
        let strict = decide(&Facts { require_tls: true, ..facts(route, &dane) }).unwrap();
        assert_eq!(strict.tls, TlsPolicy::Required, "REQUIRETLS");
        assert_ne!(strict.expected, Authentication::Nothing);
    }
}

/// RFC 8689 §3
#[test]
fn what_the_recipient_says_can_be_set_aside_and_what_the_operator_says_cannot() {
    let unknown = DaneFinding::Unknown("SERVFAIL".to_owned());
    for dane in [&records(), &unknown] {
        let waived = |route| decide(&Facts { waived: true, ..facts(route, dane) }).map(|policy| policy.kind);
        assert_eq!(waived(RouteTls::Opportunistic).unwrap(), PolicyKind::Waived);
        assert_eq!(waived(RouteTls::Required).unwrap(), PolicyKind::Required);
    }
    let dane = records();
    let waived = decide(&Facts { waived: true, ..facts(RouteTls::Dane, &dane) }).unwrap();
    assert!(matches!(waived.kind, PolicyKind::Dane { .. }));
}

async fn finding(names: &Names, host: &str, proven_way: bool) -> DaneFinding {
    let addresses = names.addresses(host).await.unwrap();
    dane::look_up(names, host, 25, &addresses, proven_way).await
}

/// C393, C397
#[tokio::test]
async fn records_are_asked_for_only_where_all_before_them_is_proven() {
    let zone = "mx.example A 192.0.2.1\n_25._tcp.mx.example TLSA 3 1 1 7\nplain.example A 192.0.2.2\n\
                plain.example IS INSECURE\n_25._tcp.plain.example FAILS\nbare.example A 192.0.2.3";
    let names = Names::new(zone).secure();
    let expected = DaneFinding::Records { base: "mx.example".to_owned(), records: vec![tlsa(3, 1)] };
    assert_eq!(finding(&names, "mx.example", true).await, expected);
    assert_eq!(finding(&names, "bare.example", true).await, DaneFinding::NoRecords);
    let asked = names.asked().len();
    for (host, proven_way) in [("mx.example", false), ("plain.example", true), ("192.0.2.9", true)] {
        let found = finding(&names, host, proven_way).await;
        assert!(matches!(found, DaneFinding::Unproven(_)), "{host}: {found:?}");
    }
    let questions = names.asked().split_off(asked);
    assert!(questions.iter().all(|question| question.starts_with("A ")), "{questions:?}");
}

/// RFC 7672 §2.2.2, §2.2.3
#[tokio::test]
async fn of_an_alias_the_real_name_is_asked_first_and_then_its_own() {
    let found = async |zone: &str| {
        let names = Names::new(&format!("box.example A 192.0.2.1\nmx.example ALIAS box.example\n{zone}"));
        match finding(&names.secure(), "mx.example", true).await {
            DaneFinding::Records { base, .. } => base,
            other => format!("{other:?}"),
        }
    };
    let (real, own) = ("_25._tcp.box.example TLSA 3 1 1 7", "_25._tcp.mx.example TLSA 3 1 1 7");
    assert_eq!(found(&format!("{real}\n{own}")).await, "box.example");
    assert_eq!(found(own).await, "mx.example");
    let elsewhere = format!("{real}\n{own}\nbox.example IS INSECURE");
    assert_eq!(found(&elsewhere).await, "mx.example", "an alias that is proven leads to what is not");
    let unsure = format!("_25._tcp.box.example FAILS\n{own}");
    assert!(found(&unsure).await.starts_with("Unknown"), "{}", found(&unsure).await);
    let unproven = format!("{own}\nbox.example IS INSECURE\nmx.example IS INSECURE");
    assert!(found(&unproven).await.starts_with("Unproven"));
}

/// C394, C395
#[tokio::test]
async fn what_cannot_be_learned_is_not_taken_for_nothing() {
    let found = async |zone: &str| {
        let names = Names::new(&format!("mx.example A 192.0.2.1\n{zone}"));
        finding(&names.secure(), "mx.example", true).await
    };
    let failed = found("_25._tcp.mx.example FAILS").await;
    assert!(matches!(&failed, DaneFinding::Unknown(reason) if reason.contains("SERVFAIL")), "{failed:?}");
    let unusable = DaneFinding::Unusable { base: "mx.example".to_owned() };
    assert_eq!(found("_25._tcp.mx.example TLSA 1 1 1 7").await, unusable);
    assert_eq!(found("_25._tcp.mx.example TLSA 3 1 2 7").await, unusable, "too short for its digest");
    let insecure = "_25._tcp.mx.example TLSA 3 1 1 7\n_25._tcp.mx.example IS INSECURE";
    assert_eq!(found(insecure).await, DaneFinding::NoRecords);
}

fn said(mode: &str) -> Arc<KeptPolicy> {
    let text = format!("version: STSv1\nmode: {mode}\nmx: *.far.example\nmax_age: 60\n");
    Arc::new(KeptPolicy {
        domain: "far.example".to_owned(),
        id: "1".to_owned(),
        policy: mail::mta_sts::StsPolicy::parse(text.as_bytes()).unwrap(),
        fetched_at: mail::Timestamp::from_millis(0),
    })
}

/// C388, C389, C391
#[test]
fn what_a_domain_says_over_https_counts_where_dane_does_not_decide() {
    let asked = |mode: &str, host: &'static str, route, dane: &DaneFinding| {
        let sts = said(mode);
        decide(&Facts { host, sts: Some(&sts), ..facts(route, dane) })
    };
    let (opportunistic, nothing) = (RouteTls::Opportunistic, DaneFinding::NoRecords);
    let enforced = asked("enforce", "mx.far.example", opportunistic, &nothing).unwrap();
    assert!(enforced.enforces_sts());
    assert_eq!((enforced.tls, &enforced.expected), (TlsPolicy::Required, &Authentication::RootsAndName));
    let skip = asked("enforce", "a.mx.far.example", opportunistic, &nothing).unwrap_err();
    assert_eq!(skip.trouble.status.to_string(), "4.7.5");
    assert!(skip.trouble.reason.contains("(*.far.example), and the MTA-STS policy of far.example (enforce)"));
    for host in ["mx.far.example", "elsewhere.example"] {
        let tested = asked("testing", host, opportunistic, &nothing).unwrap();
        assert_eq!((tested.tls, &tested.expected), (TlsPolicy::Opportunistic, &Authentication::Nothing));
        let good = Judgement { pkix: Ok(()), dane: None };
        let fell_short = tested.shortfall(host, Some(&good)).map(|skip| skip.result);
        let expected = (host == "elsewhere.example").then_some(ResultType::ValidationFailure);
        assert_eq!(fell_short, expected);
        let none = asked("none", host, opportunistic, &nothing).unwrap();
        assert_eq!(none.kind, PolicyKind::Opportunistic);
    }
    let tested = asked("testing", "mx.far.example", opportunistic, &nothing).unwrap();
    let expired = Judgement { pkix: Err(Flaw::Expired), dane: None };
    let skip = tested.shortfall("mx.far.example", Some(&expired)).unwrap();
    assert_eq!(skip.result, ResultType::CertificateExpired);
    for host in ["mx.far.example", "elsewhere.example"] {
        let by_dane = asked("enforce", host, opportunistic, &records()).unwrap();
        assert!(matches!(by_dane.kind, PolicyKind::Dane { .. }), "a root does not override what DNSSEC says");
    }
    let unusable = DaneFinding::Unusable { base: "mx.far.example".to_owned() };
    assert!(asked("enforce", "mx.far.example", opportunistic, &unusable).unwrap().enforces_sts());
    let kind = asked("testing", "mx.far.example", opportunistic, &unusable).unwrap().kind;
    assert!(matches!(kind, PolicyKind::DaneUnusable { .. }));
    assert!(asked("enforce", "mx.far.example", RouteTls::Required, &nothing).unwrap().enforces_sts());
    assert!(asked("enforce", "elsewhere.example", RouteTls::Required, &nothing).is_err());
    let sts = said("enforce");
    let waived =
        Facts { host: "elsewhere.example", waived: true, sts: Some(&sts), ..facts(opportunistic, &nothing) };
    assert_eq!(decide(&waived).unwrap().kind, PolicyKind::Waived);
}
