//! Reports of others (RFC 3464): what became of the recipients they tell of.

use std::str::FromStr;

use super::Action;
use crate::{EnhancedStatus, convert, header};

/// Recipients of one report that are read.
const RECIPIENTS_MAX: usize = 100;

/// What a report says of one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub action: Action,
    pub status: Option<EnhancedStatus>,
}

impl FromStr for Action {
    type Err = ();

    /// RFC 3464 §2.3.3
    fn from_str(text: &str) -> Result<Self, ()> {
        let known = [
            ("failed", Self::Failed),
            ("delayed", Self::Delayed),
            ("delivered", Self::Delivered),
            ("relayed", Self::Relayed),
            ("expanded", Self::Expanded),
        ];
        known
            .into_iter()
            .find(|(word, _)| text.eq_ignore_ascii_case(word))
            .map(|(_, action)| action)
            .ok_or(())
    }
}

/// The outcomes in the first `message/delivery-status` of a `multipart/report`; none if it is no such message. Costs
/// time linear in its length.
pub fn outcomes(message: &[u8]) -> Vec<Outcome> {
    let body_start = header::body_start(message);
    let (Some(section), Some(body)) = (message.get(..body_start), message.get(body_start..)) else {
        return Vec::new();
    };
    let Some(boundary) = convert::boundary_of(section) else { return Vec::new() };
    let status = parts(body, &boundary).find(|part| is_status(part));
    status.map(read_status).unwrap_or_default()
}

fn is_status(part: &[u8]) -> bool {
    let value = header::value(part, "Content-Type").unwrap_or_default();
    let kind = value.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    // RFC 6533 §4
    [&b"message/delivery-status"[..], b"message/global-delivery-status"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

/// Groups of fields, apart by empty lines; the first is about the message (RFC 3464 §2.1).
fn read_status(part: &[u8]) -> Vec<Outcome> {
    let mut rest = part.get(header::body_start(part)..).unwrap_or_default();
    let mut outcomes = Vec::new();
    while !rest.is_empty() && outcomes.len() < RECIPIENTS_MAX {
        outcomes.extend(outcome(rest));
        rest = rest.get(header::body_start(rest)..).unwrap_or_default();
    }
    outcomes
}

fn outcome(group: &[u8]) -> Option<Outcome> {
    let text = |name| header::value(group, name).and_then(|value| String::from_utf8(value).ok());
    let action = text("Action")?.split(['(', ' ', ';']).next()?.parse().ok()?;
    let status = text("Status").and_then(|status| status.split(['(', ' ']).next()?.parse().ok());
    Some(Outcome { action, status })
}

/// What stands between the lines of a boundary (RFC 2046 §5.1.1).
fn parts<'a>(body: &'a [u8], boundary: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        if line.strip_prefix(b"--").is_some_and(|line| line.starts_with(boundary)) {
            starts.push((at, at + line.len()));
        }
        at += line.len();
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|(line, _)| *line).chain([body.len()]).collect();
    starts.into_iter().zip(ends).filter_map(move |((_, start), end)| body.get(start..end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(status: &str) -> String {
        format!(
            "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"b 1\"\r\n\r\npreamble\r\n\
             --b 1\r\n\r\nIt failed. Action: delayed\r\n--b 1\r\nContent-Type: Message/Delivery-Status\r\n\r\n{status}\r\n\
             --b 1\r\nContent-Type: message/rfc822\r\n\r\nAction: failed\r\n--b 1--\r\n"
        )
    }

    #[test]
    fn recipients_of_a_report() {
        let status = "Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822;a@b\r\nAction: Failed\r\nStatus: 5.1.1 (no)\r\n\r\n\
            Final-Recipient: rfc822;c@d\r\nAction: delayed (still)\r\n";
        let found = outcomes(report(status).as_bytes());
        let five = EnhancedStatus { class: 5, subject: 1, detail: 1 };
        assert_eq!(
            found,
            [
                Outcome { action: Action::Failed, status: Some(five) },
                Outcome { action: Action::Delayed, status: None }
            ]
        );
    }

    #[test]
    fn what_is_no_report_has_no_outcomes() {
        for message in
            ["", "Subject: failure\r\n\r\nAction: failed\r\n", &report(""), &report("Action: burnt\r\n")]
        {
            assert_eq!(outcomes(message.as_bytes()), [], "{message}");
        }
    }

    #[test]
    fn our_own_reports_are_read() {
        let recipient = super::super::ReportedRecipient {
            final_recipient: "a@b.example".parse().unwrap(),
            original_recipient: None,
            action: Action::Failed,
            status: EnhancedStatus { class: 5, subject: 2, detail: 2 },
            remote_mta: None,
            diagnostic: Some("552 full".to_owned()),
            explanation: "it is full".to_owned(),
            last_attempt_at: None,
            will_retry_until: None,
        };
        let at = crate::Timestamp::from_millis(0);
        let report = super::super::Report {
            reporting_mta: "mx.example",
            id: crate::QueueId::from_u64(1),
            original_id: crate::QueueId::from_u64(2),
            deliver_by: None,
            envid: None,
            to: &"list-bounces@b.example".parse().unwrap(),
            arrived_at: at,
            at,
            recipients: &[recipient.clone(), recipient],
            original: b"Subject: x\r\n\r\n",
            headers_only: true,
        };
        let mut message = Vec::new();
        report.write(&mut message);
        let five = EnhancedStatus { class: 5, subject: 2, detail: 2 };
        assert_eq!(outcomes(&message), [Outcome { action: Action::Failed, status: Some(five) }; 2]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(status in "(Action: failed\r\n|Status: |5.1.1|\r\n|--b 1|\n|x|:){0,20}", octets: Vec<u8>) {
            let _ = outcomes(report(&status).as_bytes());
            let _ = outcomes(&octets);
        }
    }
}
