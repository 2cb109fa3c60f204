//! An alias with several targets: who asked to hear of success is told of that step, and hears of failures from there on
//! (RFC 3461 §5.2.7.2). Otherwise each target would tell by itself who stands behind the alias.

use std::sync::Arc;

use mail::{
    Address, EnhancedStatus, ReversePath, TlsDemand,
    report::{Action, Audience, Report, ReportedRecipient},
};
use store::{Batch, StoreError, ledger::Event, spool::QueueEntry};

use super::returned::Secrecy;
use crate::{
    Mta,
    accept::{self, Acceptance, AcceptedRecipient},
    notice,
};

/// Adds the report on a message that is being accepted to its batch, and takes the request from its recipients. Returns
/// the entries of the report.
pub(crate) async fn tell(
    mta: &Arc<Mta>,
    batch: &mut Batch,
    acceptance: &mut Acceptance,
) -> Result<Vec<QueueEntry>, StoreError> {
    let mut told = Vec::new();
    for recipient in acceptance.recipients.iter_mut().filter(|recipient| recipient.ways.len() > 1) {
        if let Some(notify) = recipient.rcpt.notify.as_mut().filter(|notify| notify.success) {
            notify.success = false;
            told.push(reported(recipient, acceptance.at));
        }
    }
    let (ReversePath::Address(to), false) = (acceptance.reverse_path.clone(), told.is_empty()) else {
        return Ok(Vec::new());
    };
    let Some(reader) = notice::recipient(mta, &mta.config(), &to, acceptance.at).await? else {
        return Ok(Vec::new());
    };
    let recipients = told.iter().map(|recipient| recipient.final_recipient.to_string()).collect();
    let report = report(mta, acceptance, &to, reader, &told).await?;
    let (id, original) = (report.queue_id, acceptance.queue_id);
    let ledger = &mta.stores.ledger;
    ledger.append(
        batch,
        original,
        report.at,
        &Event::Told { recipients, action: "expanded".to_owned(), report: id },
    );
    let at = report.at;
    let entries = accept::add_to_batch(mta, batch, report);
    ledger.append(batch, id, at, &Event::ReportOn { original });
    Ok(entries)
}

fn reported(recipient: &AcceptedRecipient, at: mail::Timestamp) -> ReportedRecipient {
    ReportedRecipient {
        final_recipient: recipient.original.clone(),
        original_recipient: recipient.rcpt.orcpt.clone(),
        action: Action::Expanded,
        status: EnhancedStatus { class: 2, subject: 0, detail: 0 },
        remote_mta: None,
        diagnostic: None,
        explanation: String::new(),
        last_attempt_at: Some(at),
        will_retry_until: None,
    }
}

/// The message is not in the store yet; what it is known by is all of it that goes back.
async fn report(
    mta: &Arc<Mta>,
    acceptance: &Acceptance,
    to: &Address,
    reader: AcceptedRecipient,
    told: &[ReportedRecipient],
) -> Result<Acceptance, StoreError> {
    let (config, at) = (mta.config(), acceptance.at);
    let queue_id = mta.queue_ids.next(at);
    let message_id = acceptance.origin.message_id.as_ref();
    let original = message_id.map(|id| format!("Message-ID: <{id}>\r\n")).unwrap_or_default();
    let mut message = Vec::new();
    Report {
        reporting_mta: &config.hostname,
        id: queue_id,
        original_id: acceptance.queue_id,
        envid: acceptance.mail.envid.as_deref(),
        to,
        arrived_at: at,
        deliver_by: acceptance.mail.deliver_by.map(|by| by.deadline(at)),
        hold: acceptance.mail.hold,
        at,
        recipients: told,
        original: original.as_bytes(),
        headers_only: true,
        audience: Audience::Sender,
    }
    .write(&mut message);
    let secrecy = Secrecy::of(acceptance.mail.tls, &reader);
    let smtputf8 = !to.is_ascii();
    let mut report = notice::acceptance(mta, queue_id, at, notice::REPORT, reader, message, smtputf8).await?;
    if secrecy != Secrecy::None {
        report.mail.tls = TlsDemand::Preferred;
    }
    Ok(report)
}
