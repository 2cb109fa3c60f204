use proptest::prelude::*;

use super::*;
use crate::Timestamp;

fn texts(records: &[&str]) -> Vec<Vec<u8>> {
    records.iter().map(|record| record.as_bytes().to_vec()).collect()
}

fn found(records: &[&str]) -> Option<Vec<String>> {
    record(&texts(records)).map(|found| found.iter().map(ToString::to_string).collect())
}

fn report() -> Report {
    Report {
        organization_name: "Here".to_owned(),
        date_range: DateRange {
            start_datetime: "2026-11-25T00:00:00Z".to_owned(),
            end_datetime: "2026-11-25T23:59:59Z".to_owned(),
        },
        contact_info: "postmaster@here.example".to_owned(),
        report_id: "20260101.abc@mx.here.example".to_owned(),
        policies: vec![PolicyResult {
            policy: Policy {
                policy_type: PolicyType::Sts.word().to_owned(),
                policy_string: vec!["version: STSv1".to_owned(), "mode: testing".to_owned()],
                policy_domain: "there.example".to_owned(),
                mx_host: vec!["*.mail.there.example".to_owned()],
            },
            summary: Summary { total_successful_session_count: 5, total_failure_session_count: 2 },
            failure_details: vec![FailureDetail {
                result_type: ResultType::CertificateExpired.word().to_owned(),
                sending_mta_ip: None,
                receiving_mx_hostname: Some("mx1.mail.there.example".to_owned()),
                receiving_mx_helo: None,
                receiving_ip: Some("192.0.2.7".to_owned()),
                failed_session_count: 2,
                additional_information: None,
                failure_reason_code: Some("expired".to_owned()),
            }],
        }],
    }
}

fn message(report: &Report) -> Vec<u8> {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (from, to) = ("postmaster@here.example".parse().unwrap(), "tls@there.example".parse().unwrap());
    let message = ReportMessage {
        report,
        domain: "there.example",
        submitter: "here.example",
        from: &from,
        to: &to,
        message_id: "1@mx.here.example".to_owned(),
        at: at("2026-11-26T01:02:03Z"),
        range: (at("2026-11-25T00:00:00Z"), at("2026-11-25T23:59:59Z")),
        unique_id: "1f",
    };
    message.write()
}

#[test]
fn a_record_names_where_reports_go() {
    assert_eq!(found(&["v=TLSRPTv1; rua=mailto:tls@x.example"]).unwrap(), ["mailto:tls@x.example"]);
    assert_eq!(
        found(&["v=TLSRPTv1;rua=mailto:a%2Bb@x.example?subject=x , HTTPS://r.example/v1;", "v=spf1 -all"])
            .unwrap(),
        ["mailto:a+b@x.example", "https://r.example/v1"]
    );
    assert_eq!(found(&["v=TLSRPTv1 ; ext=1; rua=https://r.example/v1"]).unwrap(), ["https://r.example/v1"]);
    let many = (0..9).map(|n| format!("mailto:a{n}@x.example")).collect::<Vec<_>>().join(",");
    assert_eq!(found(&[&format!("v=TLSRPTv1;rua={many}")]).unwrap().len(), DESTINATIONS_MAX);
}

#[test]
fn what_is_no_record_or_not_the_only_one_asks_for_nothing() {
    let good = "v=TLSRPTv1;rua=mailto:tls@x.example";
    for records in [
        &[][..],
        &["v=spf1 -all"],
        &[good, good],
        &["V=TLSRPTv1;rua=mailto:tls@x.example"],
        &["v=TLSRPTv1"],
        &["v=TLSRPTv2;rua=mailto:tls@x.example"],
        &["v=TLSRPTv1;rua="],
        &["v=TLSRPTv1;rua=ftp://x.example/,mailto:nobody,http://x.example/"],
        &["v=TLSRPTv1;rua=mailto:a%0d%0aBcc:b@x.example"],
        &["v=TLSRPTv1;rua=mailto:%zz@x.example"],
        &["v=TLSRPTv1;rua=https:/x.example"],
    ] {
        assert_eq!(found(records), None, "{records:?}");
    }
}

/// RFC 8460 §4.4
#[test]
fn a_report_is_written_as_the_rfc_has_it() {
    let json: serde_json::Value = serde_json::from_slice(&report().json()).unwrap();
    let expected = serde_json::json!({
        "organization-name": "Here",
        "date-range": {"start-datetime": "2026-11-25T00:00:00Z", "end-datetime": "2026-11-25T23:59:59Z"},
        "contact-info": "postmaster@here.example",
        "report-id": "20260101.abc@mx.here.example",
        "policies": [{
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing"],
                "policy-domain": "there.example",
                "mx-host": ["*.mail.there.example"],
            },
            "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
            "failure-details": [{
                "result-type": "certificate-expired",
                "receiving-mx-hostname": "mx1.mail.there.example",
                "receiving-ip": "192.0.2.7",
                "failed-session-count": 2,
                "failure-reason-code": "expired",
            }],
        }],
    });
    assert_eq!(json, expected);
}

#[test]
fn a_message_carries_it_and_gives_it_back() {
    let octets = message(&report());
    let text = String::from_utf8(octets.clone()).unwrap();
    for line in [
        "TLS-Report-Domain: there.example\r\n",
        "TLS-Report-Submitter: here.example\r\n",
        "TLS-Required: No\r\n",
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "Content-Type: application/tlsrpt+gzip\r\n",
        "\tfilename=\"here.example!there.example!1795564800!1795651199!1f.json.gz\"\r\n",
        "\r\nsessions that failed it: 2\r\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(text.lines().all(|line| line.len() <= 78), "{text}");
    assert_eq!(read_message(&octets).unwrap(), report());
}

fn carrying(kind: &str, content: &[u8]) -> Vec<u8> {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, content);
    format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n").into_bytes()
}

#[test]
fn reports_of_others_are_bounded_and_cleaned() {
    let bomb = gzip(&vec![b' '; JSON_BYTES_MAX * 10]);
    assert!(bomb.len() < 100_000);
    assert_eq!(read_message(&carrying("application/tlsrpt+gzip", &bomb)), Err(ReadError::TooLarge));
    assert_eq!(read_message(&carrying("application/tlsrpt+gzip", b"no gzip")), Err(ReadError::NotPacked));
    assert_eq!(read_message(&carrying("application/zip", &bomb)), Err(ReadError::NoReport));
    assert!(matches!(
        read_message(&carrying("Application/TLSRPT+JSON", b"{}")),
        Err(ReadError::Malformed(_))
    ));
    assert!(matches!(read_json("[".repeat(100_000).as_bytes()), Err(ReadError::Malformed(_))));
    let mut long = report();
    long.policies = vec![long.policies[0].clone(); POLICIES];
    assert_eq!(read_json(&long.json()), Err(ReadError::TooMany));
    let mut sly = report();
    sly.organization_name = "a\x1b[2J\r\nb".to_owned();
    sly.policies[0].failure_details[0].additional_information = Some("x".repeat(10_000));
    let read = read_message(&carrying("application/tlsrpt+json", &sly.json())).unwrap();
    assert_eq!(read.organization_name, "a\\u{1b}[2J\\r\\nb");
    assert!(read.policies[0].failure_details[0].additional_information.as_ref().unwrap().len() <= 512);
}

const POLICIES: usize = 201;

#[test]
fn one_host_may_stand_for_a_list() {
    let json = String::from_utf8(report().json()).unwrap();
    let json = json.replace("[\"*.mail.there.example\"]", "\"mx.there.example\"");
    assert_eq!(read_json(json.as_bytes()).unwrap().policies[0].policy.mx_host, ["mx.there.example"]);
}

proptest! {
    #[test]
    fn reading_never_panics(octets: Vec<u8>, text: String) {
        let _ = record(&[octets.clone(), format!("v=TLSRPTv1;rua={text}").into_bytes()]);
        let _ = read_message(&octets);
        let _ = read_json(text.as_bytes());
    }
}
