//! Reports in words alone: qmail's, Exim's, and those of systems from before RFC 3464.

use super::{Action, Outcome, RECIPIENTS_MAX};
use crate::{
    Address,
    cause::find_code,
    header::{self, MESSAGE_ID_BYTES_MAX},
    text,
};

/// Lines that are looked at.
const LINES_MAX: usize = 4000;
/// Octets kept of what is said about a recipient.
const REASON_BYTES_MAX: usize = 1024;

/// Some of these words stand in each such report, in lower case.
const FAILED: [&str; 9] = [
    "this is the qmail-send program",
    "created automatically by mail delivery software",
    "permanent fatal errors",
    "could not be delivered",
    "couldn't be delivered",
    "delivery to the following recipient",
    "wasn't able to deliver",
    "not able to deliver",
    "undeliverable",
];
/// And these where it is still tried.
const DELAYED: [&str; 4] =
    ["no action is required", "will be retried", "still being tried", "warning message only"];
/// How the copy of the message begins, in lower case and without the dashes.
const COPY: [&str; 6] = [
    "below this line is a copy",
    "this is a copy of",
    "unsent message",
    "original message",
    "returned message",
    "message header follow",
];

/// The recipients told of, and the Message-ID of the copy below.
pub(super) fn read(section: &[u8], body: &[u8]) -> (Vec<Outcome>, Option<String>) {
    let body = String::from_utf8_lossy(body);
    let lines: Vec<&str> = body.lines().take(LINES_MAX).collect();
    let copy_at = lines.iter().position(|line| begins_copy(line)).unwrap_or(lines.len());
    let (report, copy) = lines.split_at_checked(copy_at).unwrap_or((&lines, &[]));
    let words = report.join(" ").to_ascii_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    if !has(&FAILED) {
        return (Vec::new(), None);
    }
    let action = if has(&DELAYED) { Action::Delayed } else { Action::Failed };
    let mut outcomes = told(report, action);
    if outcomes.is_empty() {
        outcomes = listed(section, action);
    }
    (outcomes, copy.iter().find_map(|line| message_id(line)))
}

fn begins_copy(line: &str) -> bool {
    let is_ruled = line.starts_with("--") || line.starts_with("==");
    let words = line.trim_matches(['-', '=', ' ']).to_ascii_lowercase();
    is_ruled && COPY.iter().any(|phrase| words.starts_with(phrase))
}

/// `<a@b>:` or `a@b` alone on its line begins what is said of a recipient; an empty line ends it.
fn told(lines: &[&str], action: Action) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut is_open = false;
    for line in lines {
        if let Some((address, said)) = subject(line) {
            if outcomes.len() >= RECIPIENTS_MAX {
                break;
            }
            outcomes.push(Outcome {
                recipient: Some(address),
                original: None,
                action,
                status: None,
                diagnostic: Some(said.trim().to_owned()),
            });
            is_open = true;
        } else if line.trim().is_empty() {
            is_open = false;
        } else if let Some(said) =
            outcomes.last_mut().and_then(|last| last.diagnostic.as_mut()).filter(|_| is_open)
            && said.len() < REASON_BYTES_MAX
        {
            said.push(' ');
            said.push_str(line.trim());
        }
    }
    outcomes.into_iter().map(finished).collect()
}

/// The address a line is about, and what follows it.
fn subject(line: &str) -> Option<(Address, &str)> {
    let line = line.trim();
    let (written, said) = if let Some(rest) = line.strip_prefix('<') {
        rest.split_once('>')?
    } else {
        let (written, said) = line.split_at_checked(line.find([' ', ':']).unwrap_or(line.len()))?;
        let is_alone = said.is_empty() || said.starts_with(':') || said.starts_with(" (");
        is_alone.then_some((written, said))?
    };
    let said = said.trim_start_matches([':', ' ']);
    written.contains('@').then(|| written.parse().ok().map(|address| (address, said))).flatten()
}

/// What is said, cleaned, from the code on; the status in it.
fn finished(outcome: Outcome) -> Outcome {
    let said = outcome.diagnostic.unwrap_or_default();
    let said = text::clean_within(said.as_bytes(), REASON_BYTES_MAX);
    let status = find_code(&said)
        .and_then(|(_, rest)| rest.split_once(' ').map_or(rest, |(first, _)| first).parse().ok());
    // qmail: `(#5.1.1)`
    let status = status.or_else(|| said.rsplit_once("(#")?.1.split(')').next()?.parse().ok());
    Outcome { status, diagnostic: (!said.is_empty()).then_some(said), ..outcome }
}

/// Exim's X-Failed-Recipients.
fn listed(section: &[u8], action: Action) -> Vec<Outcome> {
    let value = header::value(section, "X-Failed-Recipients").unwrap_or_default();
    let value = String::from_utf8_lossy(&value);
    let addresses = value.split(',').take(RECIPIENTS_MAX).filter_map(|word| word.trim().parse().ok());
    addresses
        .map(|address| Outcome {
            recipient: Some(address),
            original: None,
            action,
            status: None,
            diagnostic: None,
        })
        .collect()
}

fn message_id(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("Message-ID"))?;
    let line = format!("{name}:{}\r\n", value.get(..value.floor_char_boundary(2 * MESSAGE_ID_BYTES_MAX))?);
    header::message_id(line.as_bytes())
}
