//! How much of a message its report returns.

use mail::{Return, TlsDemand, header};
use store::{StoreError, ledger::Event, spool::QueueEntry};

use crate::{Config, Mta, accept::AcceptedRecipient, route};

/// A longer message is returned as its header section only.
const RETURNED_BYTES_MAX: u64 = 64 * 1024;

/// What a report on a REQUIRETLS message returns of it (RFC 8689 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    None,
    /// RET=HDRS, whatever the sender said: the report stays here.
    HeaderOnly,
    /// The report may have to travel in clear: only what tells which message it was.
    Redacted,
}

impl Secrecy {
    pub(super) fn of(tls: TlsDemand, reader: &AcceptedRecipient) -> Self {
        match tls {
            TlsDemand::Usual | TlsDemand::Waived => Self::None,
            _ if reader.ways.iter().all(|way| &*way.lane.0 == route::LOCAL_LANE) => Self::HeaderOnly,
            TlsDemand::Required | TlsDemand::Preferred => Self::Redacted,
        }
    }
}

/// Fields that a redacted header section keeps.
const REDACTED_FIELDS: [&[u8]; 3] = [b"date", b"from", b"message-id"];

fn redacted(original: &[u8]) -> Vec<u8> {
    let section = original.get(..header::body_start(original)).unwrap_or_default();
    header::without(section, |field| {
        let name = section.get(field.name.clone()).unwrap_or_default().to_ascii_lowercase();
        !REDACTED_FIELDS.contains(&name.as_slice())
    })
}

/// The beginning of the message, and whether only its header section goes back.
pub(super) async fn original(
    mta: &Mta,
    config: &Config,
    entry: &QueueEntry,
    secrecy: Secrecy,
    is_failure: bool,
) -> Result<(Vec<u8>, bool), StoreError> {
    // RFC 3461 §4.3, §6.2: RET is about failures; other reports return the header section.
    let headers_only = !is_failure
        || secrecy != Secrecy::None
        || entry.mail.ret == Some(Return::Headers)
        || entry.blob_bytes > RETURNED_BYTES_MAX
        || is_strangers(mta, config, entry).await?;
    let beginning = mta.stores.engine.blob_read(entry.blob, 0..RETURNED_BYTES_MAX).await?;
    let original = if secrecy == Secrecy::Redacted { redacted(&beginning) } else { beginning.to_vec() };
    Ok((original, headers_only))
}

/// Nobody vouches that the message came from its sender, so that whoever wrote it could have us send its content to
/// somebody who never saw it: whatever RET says, only the header section goes back.
async fn is_strangers(mta: &Mta, config: &Config, entry: &QueueEntry) -> Result<bool, StoreError> {
    Ok(match mta.stores.ledger.first(entry.queue_id).await? {
        Some(Event::Accepted { identity: None, client_ip: Some(ip), .. }) => {
            let is_trusted = |ip| config.trusted_networks.iter().any(|network| network.contains(ip));
            !ip.parse().is_ok_and(is_trusted)
        }
        // Logged in, by a Unix socket, or written here.
        Some(Event::Accepted { .. }) => false,
        _ => true,
    })
}
