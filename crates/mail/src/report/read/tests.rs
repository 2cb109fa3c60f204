//! Samples in the shape that each system writes, with names of our own.

use proptest::prelude::*;

use super::*;
use crate::cause::Cause;

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn bounce(text: &str) -> Bounce {
    read(&crlf(text)).unwrap_or_else(|| panic!("no report: {text}"))
}

/// Recipient, status and cause of each failure; the Message-ID.
fn failures(text: &str) -> (Vec<(String, String, Cause)>, Option<String>) {
    let Bounce { recipients, message_id, .. } = bounce(text);
    let failed = recipients.iter().filter(|outcome| outcome.action == Action::Failed);
    let told = failed.map(|outcome| {
        let recipient = outcome.recipient.as_ref().map(ToString::to_string).unwrap_or_default();
        let status = outcome.status.map(|status| status.to_string()).unwrap_or_default();
        (recipient, status, outcome.classified().cause)
    });
    (told.collect(), message_id)
}

fn one(text: &str, status: &str, cause: Cause) {
    let expected = vec![("carol@far.example".to_owned(), status.to_owned(), cause)];
    assert_eq!(failures(text), (expected, Some("q1@client.example".to_owned())), "{text}");
}

const POSTFIX: &str = "\
From: MAILER-DAEMON@mx.far.example (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status;
\tboundary=\"4QX.1700000000/mx.far.example\"

This is a MIME-encapsulated message.

--4QX.1700000000/mx.far.example
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.far.example.

<carol@far.example>: host inner.far.example[192.0.2.7] said: 550 5.1.1
    <carol@far.example>: Recipient address rejected: User unknown (in reply to RCPT TO command)

--4QX.1700000000/mx.far.example
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.far.example
Original-Envelope-Id: QQ+1
X-Postfix-Queue-ID: 4QX
Arrival-Date: Mon, 23 Nov 2026 22:36:00 +0000 (UTC)

Final-Recipient: rfc822; carol@far.example
Original-Recipient: rfc822;Carol@far.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; inner.far.example
Diagnostic-Code: smtp; 550 5.1.1 <carol@far.example>: Recipient address
    rejected: User unknown

--4QX.1700000000/mx.far.example
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers

Received: from client.example
Message-Id: <q1@client.example>

--4QX.1700000000/mx.far.example--
";

const EXCHANGE: &str = "\
From: \"Microsoft Outlook\" <MicrosoftExchange0@far.example>
Subject: Undeliverable: hello
In-Reply-To: <q1@client.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/report; report-type=delivery-status; boundary=\"_b_\"

--_b_
Content-Type: multipart/alternative; boundary=\"_c_\"

--_c_
Content-Type: text/plain; charset=\"us-ascii\"

Delivery has failed to these recipients or groups:

carol@far.example
The email address you entered couldn't be found.
--_c_
Content-Type: text/html

<p>Delivery has failed</p>
--_c_--
--_b_
Content-Type: message/delivery-status
Content-Transfer-Encoding: base64

UmVwb3J0aW5nLU1UQTogZG5zO21haWwuZmFyLmV4YW1wbGUKCkZpbmFsLXJlY2lwaWVudDogUkZD
ODIyOyA8Y2Fyb2xAZmFyLmV4YW1wbGU+CkFjdGlvbjogZmFpbGVkClN0YXR1czogNS4xLjEwCkRp
YWdub3N0aWMtY29kZTogc210cDs1NTAgNS4xLjEwIFJFU09MVkVSLkFEUi5SZWNpcGllbnROb3RG
b3VuZDsgUmVjaXBpZW50IG5vdCBmb3VuZAo=
--_b_
Content-Type: message/rfc822

Subject: hello

--_b_--
--outer--
";

const GMAIL: &str = "\
From: Mail Delivery Subsystem <mailer-daemon@googlemail.example>
Subject: Delivery Status Notification (Failure)
X-Failed-Recipients: carol@far.example
Content-Type: multipart/report; boundary=\"00000000000\"; report-type=delivery-status

--00000000000
Content-Type: multipart/related; boundary=\"111\"

--111
Content-Type: text/plain; charset=\"UTF-8\"

** Message blocked **
--111--
--00000000000
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.example
Received-From-MTA: dns; alice@example.test
Arrival-Date: Mon, 23 Nov 2026 14:36:00 -0800 (PST)
X-Original-Message-ID: <q1@client.example>

Final-Recipient: rfc822; carol@far.example
Action: failed
Status: 5.7.26
Remote-MTA: dns; far.example. (192.0.2.7, the server for the domain far.example.)
Diagnostic-Code: smtp; 550-5.7.26 Unauthenticated email from example.test is not accepted due to
 550-5.7.26 domain's DMARC policy. Please contact the administrator of
 550 5.7.26 example.test domain if this was a legitimate mail.
Last-Attempt-Date: Mon, 23 Nov 2026 14:36:02 -0800 (PST)

--00000000000
Content-Type: message/rfc822

Message-ID: <q1@client.example>
Subject: hello

body
--00000000000--
";

const QMAIL: &str = "\
From: MAILER-DAEMON@far.example
Subject: failure notice

Hi. This is the qmail-send program at far.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<carol@far.example>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <alice@example.test>
Message-ID: <q1@client.example>
Subject: hello

write to dave@far.example
";

const EXIM: &str = "\
From: Mail Delivery System <Mailer-Daemon@far.example>
Subject: Mail delivery failed: returning message to sender
Auto-Submitted: auto-replied
X-Failed-Recipients: carol@far.example

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  carol@far.example
    host inner.far.example [192.0.2.7]
    SMTP error from remote mail server after RCPT TO:<carol@far.example>:
    552 5.2.2 <carol@far.example> mailbox is full

------ This is a copy of the message, including all the headers. ------

Message-Id: <q1@client.example>
";

const SENDMAIL: &str = "\
From: Mail Delivery Subsystem <MAILER-DAEMON@far.example>
Subject: Returned mail: see transcript for details

The original message was received at Mon, 23 Nov 2026 22:36:00 GMT

   ----- The following addresses had permanent fatal errors -----
<carol@far.example>
    (reason: 550 5.1.1 <carol@far.example>... User unknown)

   ----- Transcript of session follows -----
... while talking to inner.far.example.:
550 5.1.1 <carol@far.example>... User unknown

   ----- Original message follows -----
";

#[test]
fn reports_of_well_known_systems() {
    one(POSTFIX, "5.1.1", Cause::NoSuchUser);
    one(EXCHANGE, "5.1.10", Cause::NoSuchUser);
    one(GMAIL, "5.7.26", Cause::SenderUnproven);
    one(QMAIL, "5.1.1", Cause::NoSuchUser);
    one(EXIM, "5.2.2", Cause::MailboxFull);
    let (told, message_id) = failures(SENDMAIL);
    assert_eq!(told, [("carol@far.example".to_owned(), "5.1.1".to_owned(), Cause::NoSuchUser)]);
    assert_eq!(message_id, None);
    let postfix = bounce(POSTFIX);
    assert_eq!(postfix.envid.as_deref(), Some("QQ+1"));
    assert_eq!(postfix.recipients[0].original.as_ref().unwrap().to_string(), "Carol@far.example");
    assert!(postfix.recipients[0].classified().permanent);
}

fn report(status: &str) -> String {
    format!(
        "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"b 1\"\n\npreamble\n\
         --b 1\n\nIt failed. Action: delayed\n--b 1\nContent-Type: Message/Delivery-Status\n\n{status}\n\
         --b 1\nContent-Type: message/rfc822\n\nAction: failed\n--b 1--\n"
    )
}

#[test]
fn recipients_of_a_report() {
    let status = "Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822;a@b\nAction: Failed\nStatus: 5.1.1 (no)\n\n\n\
        Final-Recipient: rfc822;c@d\nAction: delayed (still)\n\nFinal-Recipient: local; e\nStatus: 5.2.2\n\n\
        Original-Recipient: utf-8; b\\x{FC}cher@x\nFinal-Recipient: x400; /C=DE\nAction: expanded\n";
    let found = bounce(&report(status)).recipients;
    let told: Vec<_> = found.iter().map(|outcome| (outcome.action, outcome.recipient.is_some())).collect();
    let expected =
        [(Action::Failed, true), (Action::Delayed, true), (Action::Failed, false), (Action::Expanded, false)];
    assert_eq!(told, expected);
    assert_eq!(found[3].original.as_ref().unwrap().to_string(), "bücher@x");
}

#[test]
fn what_is_no_report_tells_nothing() {
    for message in [
        "",
        "Subject: failure\n\nAction: failed\n",
        &report(""),
        &report("Action: burnt\n"),
        "Subject: Out of office\n\nI am away. Write to dave@far.example\n",
        "Subject: x\n\ncould not be delivered: a @ b\n",
    ] {
        assert_eq!(read(&crlf(message)), None, "{message}");
    }
}

#[test]
fn a_warning_is_no_failure() {
    let warning = EXIM.replace("This is a permanent error.", "No action is required on your part.");
    assert_eq!(bounce(&warning).recipients[0].action, Action::Delayed);
}

#[test]
fn what_is_built_to_cost_much_costs_little() {
    let many = "Final-Recipient: rfc822; a@b\nAction: failed\n\n".repeat(10_000);
    assert_eq!(bounce(&report(&many)).recipients.len(), RECIPIENTS_MAX);
    let boundaries = format!("Content-Type: multipart/report; boundary=b\n\n{}", "--b\n".repeat(60_000));
    assert_eq!(read(&crlf(&boundaries)), None);
    let nested = "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(5_000);
    assert_eq!(read(&crlf(&nested)), None);
    let lines = format!("{QMAIL}{}", "<a@b>:\n".repeat(50_000));
    assert!(read(&crlf(&lines)).unwrap().recipients.len() <= RECIPIENTS_MAX);
}

#[test]
fn our_own_reports_are_read() {
    let recipient = super::super::ReportedRecipient {
        final_recipient: "bücher@b.example".parse().unwrap(),
        original_recipient: None,
        action: Action::Failed,
        status: EnhancedStatus { class: 5, subject: 2, detail: 2 },
        remote_mta: None,
        diagnostic: Some("552-5.2.2 mailbox\n552 5.2.2 is full".to_owned()),
        explanation: "it is full".to_owned(),
        last_attempt_at: None,
        will_retry_until: None,
    };
    let at = crate::Timestamp::from_millis(0);
    for to in ["list-bounces@b.example", "jürgen@b.example"] {
        let report = super::super::Report {
            reporting_mta: "mx.example",
            id: crate::QueueId::from_u64(1),
            original_id: crate::QueueId::from_u64(2),
            deliver_by: None,
            hold: None,
            envid: Some("Q 1"),
            to: &to.parse().unwrap(),
            arrived_at: at,
            at,
            recipients: &[recipient.clone(), recipient.clone()],
            original: "Subject: ü\r\nMessage-ID: <m@b>\r\n\r\n".as_bytes(),
            headers_only: true,
            audience: super::super::Audience::Sender,
        };
        let mut message = Vec::new();
        report.write(&mut message);
        let bounce = read(&message).unwrap();
        assert_eq!((bounce.envid.as_deref(), bounce.message_id.as_deref()), (Some("Q 1"), Some("m@b")));
        assert_eq!(bounce.recipients.len(), 2);
        for outcome in bounce.recipients {
            assert_eq!(outcome.recipient, Some(recipient.final_recipient.clone()));
            assert_eq!(outcome.classified().cause, Cause::MailboxFull);
            assert_eq!(outcome.diagnostic.as_deref(), Some("552-5.2.2 mailbox 552 5.2.2 is full"));
        }
    }
}

proptest! {
    #[test]
    fn reading_never_panics(status in "(Action: failed\r\n|Status: |5.1.1|\r\n|--b 1|\n|x|:|<a@b>){0,20}", octets: Vec<u8>) {
        for sample in [report(&status), format!("{QMAIL}{status}"), format!("{EXIM}{status}")] {
            let _ = read(&crlf(&sample)).map(|bounce| bounce.recipients[0].classified());
        }
        let _ = read(&octets);
    }
}
