//! Telling the sender: a report is a new message from the null reverse-path (RFC 5321 §6.1), committed in the batch
//! that gives up the recipients it is about.

use std::sync::Arc;

use bytes::Bytes;
use mail::{
    Address, ForwardPath, MailParameters, QueueId, RcptParameters, Return, ReversePath, Timestamp,
    report::{Action, Report, ReportedRecipient},
};
use store::{
    Batch, StoreError,
    ledger::Event,
    spool::{QueueEntry, QueuedRecipient},
};

use super::Trouble;
use crate::{
    Config, Mta,
    accept::{self, Acceptance, AcceptedRecipient, Origin},
    route::{self, Destination},
};

/// A longer message is returned as its header section only.
const RETURNED_BYTES_MAX: u64 = 64 * 1024;

/// Adds the loss to the history and, where there is somebody to tell, a report; returns the report's entries.
pub(super) async fn add_report(
    mta: &Arc<Mta>,
    config: &Config,
    batch: &mut Batch,
    entry: &QueueEntry,
    lost: &[(&QueuedRecipient, &Trouble)],
    expired: bool,
    now: Timestamp,
) -> Result<Vec<QueueEntry>, StoreError> {
    let report = match addressee(mta, config, entry, lost).await? {
        Some((to, recipient)) => Some(write(mta, config, entry, lost, &to, recipient, now).await?),
        None => None,
    };
    record(mta, batch, entry, lost, expired, report.as_ref().map(|report| report.queue_id), now);
    Ok(match report {
        Some(report) => {
            let event = Event::ReportOn { original: entry.queue_id };
            mta.stores.ledger.append(batch, report.queue_id, now, &event);
            accept::add_to_batch(mta, batch, report)
        }
        None => Vec::new(),
    })
}

/// Whom to tell and how to reach them; nobody for a null reverse-path, NOTIFY=NEVER, or a sender that leads nowhere.
async fn addressee(
    mta: &Mta,
    config: &Config,
    entry: &QueueEntry,
    lost: &[(&QueuedRecipient, &Trouble)],
) -> Result<Option<(Address, AcceptedRecipient)>, StoreError> {
    // RFC 5321 §4.5.5: no report on a report. RFC 3461 §5.2.6: none to who asked for none.
    let ReversePath::Address(sender) = &entry.reverse_path else { return Ok(None) };
    if !lost.iter().any(|(recipient, _)| wants_failures(recipient)) {
        return Ok(None);
    }
    let path = ForwardPath::Address(sender.clone());
    let Destination::Ways { ways, .. } =
        route::destination(&mta.stores.directory, &config.routes, &path).await?
    else {
        tracing::warn!(id = %entry.queue_id, "a failure cannot be reported: the sender's address leads nowhere");
        return Ok(None);
    };
    let recipient = AcceptedRecipient { original: sender.clone(), rcpt: RcptParameters::default(), ways };
    Ok(Some((sender.clone(), recipient)))
}

fn wants_failures(recipient: &QueuedRecipient) -> bool {
    recipient.rcpt.notify.is_none_or(|notify| notify.failure)
}

async fn write(
    mta: &Mta,
    config: &Config,
    entry: &QueueEntry,
    lost: &[(&QueuedRecipient, &Trouble)],
    to: &Address,
    recipient: AcceptedRecipient,
    now: Timestamp,
) -> Result<Acceptance, StoreError> {
    let queue_id = mta.queue_ids.next(now);
    let headers_only = entry.mail.ret == Some(Return::Headers) || entry.blob_bytes > RETURNED_BYTES_MAX;
    let original = mta.stores.engine.blob_read(entry.blob, 0..RETURNED_BYTES_MAX).await?;
    let recipients: Vec<ReportedRecipient> = lost
        .iter()
        .filter(|(recipient, _)| wants_failures(recipient))
        .map(|(recipient, trouble)| reported(recipient, trouble, now))
        .collect();
    let report = Report {
        reporting_mta: &config.hostname,
        id: queue_id,
        original_id: entry.queue_id,
        envid: entry.mail.envid.as_deref(),
        to,
        arrived_at: entry.accepted_at,
        at: now,
        recipients: &recipients,
        original: &original,
        headers_only,
    };
    let mut message = Vec::new();
    report.write(&mut message);
    let smtputf8 = !message.is_ascii() && (!to.is_ascii() || entry.mail.smtputf8);
    let mut writer = mta.stores.engine.blob_writer().await?;
    writer.write(Bytes::from(message)).await?;
    let body = writer.finish().await?;
    Ok(Acceptance {
        queue_id,
        at: now,
        reverse_path: ReversePath::Null,
        mail: MailParameters { body: mail::Body::EightBitMime, smtputf8, ..MailParameters::default() },
        recipients: vec![recipient],
        body,
        origin: Origin { service: "report", ..Origin::default() },
    })
}

fn reported(recipient: &QueuedRecipient, trouble: &Trouble, now: Timestamp) -> ReportedRecipient {
    ReportedRecipient {
        final_recipient: recipient.address.clone(),
        original_recipient: recipient.rcpt.orcpt.clone(),
        action: Action::Failed,
        status: mail::EnhancedStatus { class: 5, ..trouble.status },
        remote_mta: trouble.remote_mta.clone(),
        diagnostic: trouble.diagnostic.clone(),
        explanation: trouble.reason.clone(),
        last_attempt_at: Some(now),
        will_retry_until: None,
    }
}

fn record(
    mta: &Mta,
    batch: &mut Batch,
    entry: &QueueEntry,
    lost: &[(&QueuedRecipient, &Trouble)],
    expired: bool,
    report: Option<QueueId>,
    now: Timestamp,
) {
    let recipients = lost.iter().map(|(recipient, _)| recipient.address.to_string()).collect();
    let reason = lost.first().map(|(_, trouble)| trouble.reason.clone()).unwrap_or_default();
    let event = if expired {
        Event::Expired { recipients, reason, report }
    } else {
        Event::Bounced { recipients, reason, report }
    };
    mta.stores.ledger.append(batch, entry.queue_id, now, &event);
}
