use proptest::prelude::*;

use super::*;

const ORIGINAL: &[u8] = b"Message-ID: <one@a.example>\r\nSubject: hello\r\n\r\n.dots\r\nbody without end";

fn recipient(address: &str) -> ReportedRecipient {
    ReportedRecipient {
        final_recipient: address.parse().unwrap(),
        original_recipient: None,
        action: Action::Failed,
        status: "5.1.1".parse().unwrap(),
        remote_mta: Some("mx.b.example".into()),
        diagnostic: Some("550 5.1.1 no such user here".into()),
        explanation: "the host mx.b.example knows no such user".into(),
        last_attempt_at: Some(Timestamp::from_millis(1_795_473_420_000)),
        will_retry_until: None,
    }
}

fn report<'a>(to: &'a Address, recipients: &'a [ReportedRecipient], original: &'a [u8]) -> Report<'a> {
    Report {
        reporting_mta: "mx.example.org",
        id: QueueId::from_u64(2),
        original_id: QueueId::from_u64(1),
        envid: None,
        to,
        arrived_at: Timestamp::from_millis(1_795_473_360_000),
        deliver_by: None,
        hold: None,
        at: Timestamp::from_millis(1_795_473_480_000),
        recipients,
        original,
        headers_only: false,
        audience: Audience::Sender,
    }
}

fn written(report: &Report<'_>) -> String {
    let mut out = Vec::new();
    report.write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The parts with their headers, as a MIME reader cuts them.
fn parts(message: &str) -> Vec<&str> {
    let boundary = message.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    let delimiter = format!("\r\n--{boundary}");
    let mut pieces: Vec<&str> = message.split(delimiter.as_str()).collect();
    assert_eq!(pieces.pop(), Some("--\r\n"));
    pieces.iter().skip(1).map(|piece| piece.strip_prefix("\r\n").unwrap()).collect()
}

#[test]
fn a_failure_reads_like_this() {
    let to = "alice@a.example".parse().unwrap();
    let recipients = [recipient("bob@b.example")];
    let expected = "\
From: Mail Delivery System <postmaster@mx.example.org>
To: <alice@a.example>
Subject: Your mail could not be delivered
Date: Mon, 23 Nov 2026 22:38:00 +0000
Message-ID: <0000000000002@mx.example.org>
In-Reply-To: <one@a.example>
References: <one@a.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary=\"=_0000000000002.0=\"

This is a delivery report in MIME format.

--=_0000000000002.0=
Content-Type: text/plain; charset=us-ascii
Content-Description: What happened

This is the mail system at mx.example.org.

Mail to bob@b.example could not be delivered because the host mx.b.example
knows no such user. You can check the address for typing errors, or ask the
recipient in another way which address is right.

    mx.b.example said:
    550 5.1.1 no such user here

The message arrived here on Mon, 23 Nov 2026 22:36:00 +0000. If you write to
the people who run this mail system, postmaster@mx.example.org, tell them its
queue ID: 0000000000001.

The message is attached.


--=_0000000000002.0=
Content-Type: message/delivery-status
Content-Description: Delivery report

Reporting-MTA: dns; mx.example.org
Arrival-Date: Mon, 23 Nov 2026 22:36:00 +0000
X-Postrider-Queue-ID: 0000000000001

Final-Recipient: rfc822; bob@b.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.b.example
Diagnostic-Code: smtp; 550 5.1.1 no such user here
Last-Attempt-Date: Mon, 23 Nov 2026 22:37:00 +0000

--=_0000000000002.0=
Content-Type: message/rfc822
Content-Description: Your message

Message-ID: <one@a.example>
Subject: hello

.dots
body without end
--=_0000000000002.0=--
";
    assert_eq!(written(&report(&to, &recipients, ORIGINAL)).replace("\r\n", "\n"), expected);
}

#[test]
fn a_delay_tells_until_when() {
    let to = "alice@a.example".parse().unwrap();
    let mut delayed = recipient("bob@b.example");
    delayed.action = Action::Delayed;
    delayed.status = "4.4.1".parse().unwrap();
    delayed.will_retry_until = Some(Timestamp::from_millis(1_795_905_360_000));
    let recipients = [delayed];
    let message = written(&report(&to, &recipients, ORIGINAL));
    assert!(message.contains("Subject: Your mail is delayed\r\n"));
    assert!(message.contains("has not been delivered yet because the host"));
    assert!(message.contains("\r\nWill-Retry-Until: Sat, 28 Nov 2026 22:36:00 +0000\r\n"));
    assert!(message.contains("\r\nAction: delayed\r\nStatus: 4.4.1\r\n"));
}

#[test]
fn successes_are_told() {
    let to = "alice@a.example".parse().unwrap();
    for (action, subject, word) in [
        (Action::Delivered, "Your mail was delivered", "delivered"),
        (Action::Relayed, "Your mail was passed on", "relayed"),
        (Action::Expanded, "Your mail was passed on", "expanded"),
    ] {
        let recipients = [ReportedRecipient { action, ..recipient("bob@b.example") }];
        let message = written(&report(&to, &recipients, ORIGINAL));
        assert!(message.contains(&format!("Subject: {subject}\r\n")));
        assert!(message.contains(&format!("\r\nAction: {word}\r\n")));
    }
}

#[test]
fn each_recipient_has_its_group() {
    let to = "alice@a.example".parse().unwrap();
    let mut second = recipient("carol@c.example");
    second.original_recipient = "rfc822;c+2Blist@a.example".parse().ok();
    second.remote_mta = None;
    second.diagnostic = None;
    let recipients = [recipient("bob@b.example"), second];
    let mut report = report(&to, &recipients, ORIGINAL);
    report.envid = Some("QQ 314159");
    let message = written(&report);
    let parts = parts(&message);
    assert!(parts[1].contains("\r\nOriginal-Envelope-Id: QQ 314159\r\n"));
    assert!(parts[1].contains(
        "\r\n\r\nOriginal-Recipient: rfc822; c+list@a.example\r\nFinal-Recipient: rfc822; carol@c.example\r\n\
         Action: failed\r\nStatus: 5.1.1\r\nLast-Attempt-Date: "
    ));
}

#[test]
fn what_a_host_says_starts_no_field() {
    let to = "alice@a.example".parse().unwrap();
    let mut hostile = recipient("bob@b.example");
    hostile.diagnostic =
        Some(format!("550 a\r\nBcc: x@y\r\n\r\n--=_0000000000002.0=\0\u{1b}[2J ü {}", "y".repeat(3000)));
    hostile.remote_mta = Some("mx\r\nX: y".into());
    hostile.explanation = "no\r\n\r\n--=_0000000000002.0=".into();
    let recipients = [hostile];
    let message = written(&report(&to, &recipients, ORIGINAL));
    assert!(message.contains("boundary=\"=_0000000000002.1=\""));
    assert!(!message.contains("\nBcc") && !message.contains("\nX: y") && !message.contains(['\0', '\u{1b}']));
    assert!(message.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    assert_eq!(parts(&message).len(), 3);
}

#[test]
fn ascii_senders_get_ascii_fields() {
    let to = "alice@a.example".parse().unwrap();
    let mut utf8 = recipient("bücher@b.example");
    utf8.original_recipient = "utf-8;b\\x{FC}cher@a.example".parse().ok();
    utf8.diagnostic = Some("550 kein Büro".into());
    let recipients = [utf8];
    let message = written(&report(&to, &recipients, ORIGINAL));
    let parts = parts(&message);
    assert!(parts[0].starts_with("Content-Type: text/plain; charset=utf-8\r\n"));
    assert!(parts[0].contains("\r\nContent-Transfer-Encoding: 8bit\r\n"));
    assert!(parts[1].starts_with("Content-Type: message/delivery-status\r\n") && parts[1].is_ascii());
    assert!(parts[1].contains("Final-Recipient: utf-8; b\\x{FC}cher@b.example\r\n"));
    assert!(parts[1].contains("Original-Recipient: utf-8; b\\x{FC}cher@a.example\r\n"));
    assert!(message.split("\r\n\r\n").next().unwrap().contains("\r\nContent-Transfer-Encoding: 8bit"));
}

#[test]
fn utf8_senders_get_global_kinds() {
    let to = "jürgen@a.example".parse().unwrap();
    let recipients = [recipient("bücher@b.example")];
    let original = "Subject: Grüße\r\n\r\nbody\r\n".as_bytes();
    let mut report = report(&to, &recipients, original);
    report.headers_only = true;
    let message = written(&report);
    assert!(message.contains("\r\nTo: <jürgen@a.example>\r\n"));
    let parts = parts(&message);
    assert!(parts[1].starts_with("Content-Type: message/global-delivery-status\r\n"));
    assert!(parts[1].contains("Final-Recipient: utf-8; bücher@b.example\r\n"));
    assert!(parts[2].starts_with("Content-Type: message/global-headers\r\n"));
    assert!(parts[2].ends_with("\r\n\r\nSubject: Grüße\r\n"));
}

#[test]
fn an_ascii_sender_gets_utf8_header_sections_encoded() {
    let to = "alice@a.example".parse().unwrap();
    let recipients = [recipient("bob@b.example")];
    let original = "Subject: Grüße = ok\r\n\r\nbody\r\n".as_bytes();
    for (headers_only, kind) in [(true, "message/global-headers"), (false, "message/global")] {
        let mut report = report(&to, &recipients, original);
        report.headers_only = headers_only;
        let message = written(&report);
        assert!(message.is_ascii(), "{message}");
        let parts = parts(&message);
        assert!(parts[2].starts_with(&format!("Content-Type: {kind}\r\n")), "{}", parts[2]);
        assert!(parts[2].contains("\r\nContent-Transfer-Encoding: quoted-printable\r\n"));
        assert!(parts[2].contains("\r\n\r\nSubject: Gr=C3=BC=C3=9Fe =3D ok\r\n"), "{}", parts[2]);
    }
}

#[test]
fn a_reply_of_several_lines_comes_whole() {
    let to = "alice@a.example".parse().unwrap();
    let mut told = recipient("bob@b.example");
    let long = "word ".repeat(300);
    told.diagnostic =
        Some(format!("550-5.1.1 The account does not exist. \u{e9}\u{7}\n550-5.1.1 {long}\n550 5.1.1 end"));
    let recipients = [told];
    let message = written(&report(&to, &recipients, ORIGINAL));
    let parts = parts(&message);
    let code =
        "\r\nDiagnostic-Code: smtp; 550-5.1.1 The account does not exist. \\u{e9}\\u{7}\r\n 550-5.1.1 word ";
    assert!(parts[1].contains(code), "{}", parts[1]);
    assert!(parts[1].contains("\r\n 550 5.1.1 end\r\nLast-Attempt-Date"), "{}", parts[1]);
    assert!(message.split("\r\n").all(|line| line.len() <= 998));
    assert!(parts[0].contains("\r\n    550 5.1.1 end\r\n"), "{}", parts[0]);
}

#[test]
fn a_report_on_many_recipients_stays_short() {
    let to = "alice@a.example".parse().unwrap();
    let mut told = recipient("bob@b.example");
    told.diagnostic = Some(format!("550 5.1.1 {}", "y".repeat(4000)));
    let recipients = vec![told; 1000];
    let message = written(&report(&to, &recipients, ORIGINAL));
    assert!(message.len() < 1_500_000, "{}", message.len());
    assert_eq!(message.matches("\r\nStatus: 5.1.1\r\n").count(), 1000);
}

#[test]
fn what_can_be_done_follows_from_what_the_host_said() {
    let to = "alice@a.example".parse().unwrap();
    let mut told = recipient("bob@b.example");
    told.status = "5.0.0".parse().unwrap();
    told.diagnostic = Some("554 5.0.0 mailbox full, sorry".into());
    told.explanation = "the mailbox is full".into();
    let recipients = [told];
    let text = written(&report(&to, &recipients, ORIGINAL)).replace("\r\n", " ");
    assert!(
        text.contains("because the mailbox is full. You can ask the recipient in another way to make room"),
        "{text}"
    );
}

#[test]
fn what_was_asked_about_time_comes_back() {
    let to = "alice@a.example".parse().unwrap();
    let recipients = [recipient("bob@b.example")];
    for (hold, field) in [
        (Hold::For(3600), "for;3600"),
        (Hold::Until(Timestamp::from_millis(1_795_473_360_000)), "until;2026-11-23T22:36:00.000Z"),
    ] {
        let mut report = report(&to, &recipients, ORIGINAL);
        report.hold = Some(hold);
        assert!(written(&report).contains(&format!("\r\nFuture-Release-Request: {field}\r\n")), "{hold}");
    }
}

#[test]
fn a_postmaster_is_told_why() {
    let to = "postmaster@mx.example.org".parse().unwrap();
    let recipients = [recipient("bob@b.example")];
    let mut report = report(&to, &recipients, ORIGINAL);
    report.audience = Audience::Postmaster;
    let message = written(&report);
    assert!(message.contains("Subject: Mail without a sender could not be delivered\r\n"));
    assert!(message.replace("\r\n", " ").contains("nobody else can be told"), "{message}");
}

#[test]
fn reports_go_to_mailboxes_only() {
    assert!(!may_report(&ReversePath::Null));
    assert!(may_report(&ReversePath::Address("a@b".parse().unwrap())));
}

proptest! {
    #[test]
    fn whatever_is_told_the_parts_stay_apart(
        diagnostic: String, explanation: String, remote_mta: String, envid: String, body: String, original: Vec<u8>,
    ) {
        let to = "alice@a.example".parse().unwrap();
        let reported = ReportedRecipient {
            diagnostic: Some(diagnostic), explanation, remote_mta: Some(remote_mta), ..recipient("bob@b.example")
        };
        let recipients = [reported];
        let original = [original, b"\r\n--=_0000000000002.0=--\r\n".to_vec(), body.into_bytes()].concat();
        let mut report = report(&to, &recipients, &original);
        report.envid = Some(&envid);
        let mut out = Vec::new();
        report.write(&mut out);
        prop_assert!(out.split(|&octet| octet == b'\n').all(|line| line.len() <= 999));
        let lossy = String::from_utf8_lossy(&out).into_owned();
        let parts = parts(&lossy);
        prop_assert!(matches!(parts.len(), 2 | 3));
        let status: Vec<_> = header::fields(parts[1].split_once("\r\n\r\n").unwrap().1.as_bytes()).collect();
        prop_assert_eq!(status.len(), 4);
        prop_assert!(parts[1].is_ascii());
    }
}
