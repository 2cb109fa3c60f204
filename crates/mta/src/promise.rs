//! What senders ask for beyond delivery, in the words of the history.

use mail::{MailParameters, TlsDemand};
use store::ledger::Event;

use crate::accept::AcceptedRecipient;

/// RFC 8689
pub(crate) const REQUIRE_TLS: &str = "REQUIRETLS";
/// RFC 7293
pub(crate) const RRVS: &str = "RRVS";
/// RFC 3865
pub(crate) const SOLICIT: &str = "SOLICIT";
/// RFC 3885
pub(crate) const TRACKING: &str = "MTRK";

pub(crate) fn event(promise: &str, state: &str, detail: impl Into<String>) -> Event {
    Event::Promise { promise: promise.to_owned(), state: state.to_owned(), detail: detail.into() }
}

/// What one message asks for.
pub(crate) fn asked(mail: &MailParameters, recipients: &[AcceptedRecipient]) -> Vec<Event> {
    let mut asked = Vec::new();
    match mail.tls {
        TlsDemand::Usual => {}
        TlsDemand::Required => {
            asked.push(event(REQUIRE_TLS, "asked", "under TLS all the way, or not at all"));
        }
        TlsDemand::Preferred => {
            asked.push(event(REQUIRE_TLS, "asked", "under TLS all the way where it can be had"));
        }
        TlsDemand::Waived => {
            asked.push(event("TLS-Required: No", "asked", "whatever the recipient's domain says of TLS"));
        }
    }
    if let Some(solicit) = &mail.solicit {
        asked.push(event(SOLICIT, "asked", solicit.to_string()));
    }
    if let Some(tracking) = &mail.tracking {
        asked.push(event(TRACKING, "asked", tracking.to_string()));
    }
    asked.extend(recipients.iter().filter_map(|recipient| {
        let demand = recipient.rcpt.valid_since?;
        Some(event(RRVS, "asked", format!("{}, {demand}", recipient.original)))
    }));
    asked
}
