//! What the sender asked for, beside what the next host has.

use mail::{MailParameters, OriginalRecipient, RcptParameters, TlsDemand};
use proto::smtp::client::Capabilities;
use store::spool::{QueueEntry, QueuedRecipient};

use super::{connect::Connection, security::Demand};
use crate::{outcome::Trouble, promise};

/// RFC 3461 §4.2: octets of an ORCPT, encoded, with its type.
const ORCPT_BYTES_MAX: usize = 500;

/// What a host lacks.
pub(super) struct Weighed {
    /// Left out, by name.
    pub(super) dropped: Vec<&'static str>,
    /// Recipients, by index, that are not sent to for want of it.
    pub(super) failed: Vec<(usize, Trouble)>,
}

/// RFC 3461 §5.2.1: a host with DSN gets what we were given; the address that an alias changed as the original one.
pub(super) fn onward(recipient: &QueuedRecipient) -> RcptParameters {
    let fits = |orcpt: &OriginalRecipient| orcpt.to_string().len() <= ORCPT_BYTES_MAX;
    RcptParameters {
        orcpt: recipient.original_recipient().filter(fits),
        // RFC 7293 §9: it was asked of the address that an alias changed.
        valid_since: recipient.rcpt.valid_since.filter(|_| recipient.original.is_none()),
        ..recipient.rcpt.clone()
    }
}

/// Settles what a report on a REQUIRETLS message demands of this host, and finds what else the host lacks.
pub(super) fn weigh(entry: &QueueEntry, connection: &Connection, mail: &mut MailParameters) -> Weighed {
    let host = connection.link.capabilities();
    let mut dropped = Vec::new();
    if mail.tls == TlsDemand::Preferred {
        let keeps = Demand::RequireTls.is_met_by(connection);
        mail.tls = if keeps { TlsDemand::Required } else { TlsDemand::Usual };
        dropped.extend((!keeps).then_some(promise::REQUIRE_TLS));
    }
    let lacks_solicit = mail.solicit.is_some() && !host.no_soliciting;
    let lacks_tracking = mail.tracking.is_some() && !(host.tracking && host.dsn);
    dropped.extend(lacks_solicit.then_some(promise::SOLICIT));
    dropped.extend(lacks_tracking.then_some(promise::TRACKING));
    let failed = without_rrvs(entry, connection, host, &mut dropped);
    Weighed { dropped, failed }
}

/// RFC 7293 §7: where the host cannot judge the mailbox, `;C` goes on and `;R` does not.
fn without_rrvs(
    entry: &QueueEntry,
    connection: &Connection,
    host: &Capabilities,
    dropped: &mut Vec<&'static str>,
) -> Vec<(usize, Trouble)> {
    if host.rrvs {
        return Vec::new();
    }
    let (mut failed, mut goes_on) = (Vec::new(), false);
    for (index, recipient) in entry.recipients.iter().enumerate() {
        match onward(recipient).valid_since {
            Some(demand) if demand.or_continue => goes_on = true,
            Some(_) => {
                let name = connection.name();
                let reason =
                    format!("the host {name} cannot tell whether the mailbox has changed hands (RRVS)");
                failed.push((index, Trouble::new((5, 7, 19), reason)));
            }
            None => {}
        }
    }
    dropped.extend(goes_on.then_some(promise::RRVS));
    failed
}
