//! Fields in groups: the first is about the message, each further one about a recipient (RFC 3464 §2.1).

use super::{Action, Bounce, Outcome, RECIPIENTS_MAX};
use crate::{Address, EnhancedStatus, header, text, xtext};

/// Groups that are looked at: senders of reports put empty lines where they like.
const GROUPS_MAX: usize = 4 * RECIPIENTS_MAX;

pub(super) fn read(content: &[u8]) -> Bounce {
    let mut bounce = Bounce::default();
    let mut rest = content;
    for _ in 0..GROUPS_MAX {
        if rest.is_empty() || bounce.recipients.len() >= RECIPIENTS_MAX {
            break;
        }
        let (group, after) = rest.split_at_checked(header::body_start(rest)).unwrap_or((rest, &[]));
        bounce.envid = bounce.envid.or_else(|| value(group, "Original-Envelope-Id"));
        bounce.recipients.extend(outcome(group));
        rest = after;
    }
    bounce
}

fn outcome(group: &[u8]) -> Option<Outcome> {
    let status = value(group, "Status").and_then(|status| status.split(['(', ' ']).next()?.parse().ok());
    let named = value(group, "Action").and_then(|action| action.split(['(', ' ', ';']).next()?.parse().ok());
    let recipient = value(group, "Final-Recipient");
    // RFC 3464 §2.3.3 demands an action; some leave it to the status.
    let implied = || recipient.as_ref().and(status).and_then(implied);
    Some(Outcome {
        action: named.or_else(implied)?,
        recipient: recipient.as_deref().and_then(address),
        original: value(group, "Original-Recipient").as_deref().and_then(address),
        status,
        diagnostic: value(group, "Diagnostic-Code").map(|value| behind_type(&value).to_owned()),
    })
}

fn implied(status: EnhancedStatus) -> Option<Action> {
    match status.class {
        5 => Some(Action::Failed),
        4 => Some(Action::Delayed),
        _ => None,
    }
}

fn value(group: &[u8], name: &str) -> Option<String> {
    header::value(group, name).map(|value| text::clean(&value)).filter(|value| !value.is_empty())
}

/// `smtp; 550 no` without its type.
fn behind_type(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, rest)| rest).trim()
}

/// `rfc822; a@b`, or with angle brackets, which some add; RFC 6533 §3 for UTF-8.
fn address(value: &str) -> Option<Address> {
    let (kind, written) = value.split_once(';').unwrap_or(("rfc822", value));
    let written = written.trim().trim_start_matches('<').trim_end_matches('>');
    let decoded = if kind.trim().eq_ignore_ascii_case("utf-8") {
        xtext::decode_utf8_address(written).ok()
    } else {
        None
    };
    decoded.as_deref().unwrap_or(written).parse().ok()
}
