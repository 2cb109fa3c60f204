//! Reports on us, by others (RFC 8460 §5): mail to one address is read for them on its way to the mailbox.

use mail::tls_report::read_message;
use store::{
    CommitError,
    spool::{QueueEntry, QueuedRecipient},
    tls_received::ReceivedReport,
};

use crate::{Config, Mta};

/// Octets of a message that is read for a report, and of a report that is kept.
const MESSAGE_BYTES_MAX: u64 = 1024 * 1024;
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Keeps the report in a message to the address that is for them. The message is delivered whatever it is.
pub(crate) async fn look(mta: &Mta, config: &Config, entry: &QueueEntry, recipient: &QueuedRecipient) {
    let Some(address) = &config.tls_reporting.address else { return };
    let named = recipient.original.as_ref().unwrap_or(&recipient.address);
    if named.to_lookup() != address.to_lookup() {
        return;
    }
    let id = entry.queue_id;
    match read(mta, entry).await {
        Ok(Some(report)) => match mta.stores.tls_reports.keep_received(id, &report).await {
            Ok(()) => tracing::info!(%id, "a report on TLS was received"),
            Err(error) => tracing::warn!(%id, %error, "a report on TLS cannot be kept"),
        },
        Ok(None) => {}
        Err(error) => tracing::warn!(%id, %error, "a report on TLS cannot be read"),
    }
}

/// None: it is no report that can be kept.
async fn read(mta: &Mta, entry: &QueueEntry) -> Result<Option<ReceivedReport>, CommitError> {
    let id = entry.queue_id;
    if entry.blob_bytes > MESSAGE_BYTES_MAX {
        tracing::info!(%id, "too large to be read for a report on TLS");
        return Ok(None);
    }
    let message = mta.stores.engine.blob_read(entry.blob, 0..MESSAGE_BYTES_MAX).await?;
    let report = match read_message(&message) {
        Ok(report) => report,
        Err(error) => {
            tracing::info!(%id, %error, "no report on TLS");
            return Ok(None);
        }
    };
    let report = ReceivedReport::new(entry.accepted_at, &report);
    if report.json.len() > KEPT_BYTES_MAX {
        tracing::info!(%id, "a report on TLS is too large to be kept");
        return Ok(None);
    }
    Ok(Some(report))
}
