//! Header fields by which a sender asks for something: TLS-Required (RFC 8689 §3), Require-Recipient-Valid-Since
//! (RFC 7293 §3.1).

use std::collections::HashSet;

use bytes::BytesMut;
use mail::{Address, Timestamp, ValidSince, header};

use crate::{
    accept::AcceptedRecipient,
    route::{self, Way},
};

/// RFC 8689 §3: a field that stands there twice says nothing.
pub(super) fn is_tls_waived(section: &[u8]) -> bool {
    header::count(section, "TLS-Required") == 1
        && header::value(section, "TLS-Required").is_some_and(|value| value.eq_ignore_ascii_case(b"No"))
}

/// Recipients that are one mailbox here, in lookup form; a list is not (RFC 7293 §9).
pub(super) fn mailboxes(recipients: &[AcceptedRecipient]) -> HashSet<String> {
    let is_mailbox = |ways: &[Way]| matches!(ways, [way] if &*way.lane.0 == route::LOCAL_LANE);
    let mailboxes = recipients.iter().filter(|recipient| is_mailbox(&recipient.ways));
    mailboxes.map(|recipient| recipient.original.to_lookup()).collect()
}

/// Takes out what the header says of the owners of these mailboxes, and nothing of what it says of others (RFC 7293
/// §5.2).
pub(super) fn take_valid_since(
    section: &mut BytesMut,
    mailboxes: &HashSet<String>,
) -> Vec<(Address, Timestamp)> {
    let mut taken = Vec::new();
    let mut said = Vec::new();
    if mailboxes.is_empty() {
        return said;
    }
    for field in header::fields(section) {
        if let Some((address, since)) = valid_since(section, &field)
            && mailboxes.contains(&address.to_lookup())
        {
            said.push((address, since));
            taken.push(field.whole.start);
        }
    }
    if !taken.is_empty() {
        let is_taken = |field: &header::Field| taken.binary_search(&field.whole.start).is_ok();
        *section = BytesMut::from(header::without(section, is_taken).as_slice());
    }
    said
}

/// `addr-spec ";" date-time`
fn valid_since(section: &[u8], field: &header::Field) -> Option<(Address, Timestamp)> {
    let name = section.get(field.name.clone())?;
    if !name.eq_ignore_ascii_case(b"Require-Recipient-Valid-Since") {
        return None;
    }
    let value = header::value(section.get(field.whole.clone())?, "Require-Recipient-Valid-Since")?;
    let (address, since) = str::from_utf8(&value).ok()?.split_once(';')?;
    Some((address.trim().parse().ok()?, Timestamp::parse_rfc5322(since).ok()?))
}

/// What RCPT said counts more (RFC 7293 §5.2).
pub(super) fn note_valid_since(recipients: &mut [AcceptedRecipient], said: &[(Address, Timestamp)]) {
    if said.is_empty() {
        return;
    }
    for recipient in recipients.iter_mut().filter(|recipient| recipient.rcpt.valid_since.is_none()) {
        let lookup = recipient.original.to_lookup();
        let meant = said.iter().filter(|(address, _)| address.to_lookup() == lookup);
        let since = meant.map(|(_, since)| *since).min();
        recipient.rcpt.valid_since = since.map(|since| ValidSince { since, or_continue: true });
    }
}
