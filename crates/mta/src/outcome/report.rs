//! Telling the sender: a report is a new message from the null reverse-path (RFC 5321 §6.1), committed in the batch
//! with the state it tells of.

use std::sync::Arc;

use mail::{
    Address, ByMode, EnhancedStatus, Notify, QueueId, ReversePath, Timestamp, TlsDemand,
    report::{Action, Audience, Report, ReportedRecipient},
};
use store::{
    Batch, StoreError,
    ledger::Event,
    spool::{QueueEntry, QueuedRecipient},
};

use super::{
    End, Fate, Success, Trouble,
    returned::{self, Secrecy},
};
use crate::{
    Config, Mta,
    accept::{self, Acceptance, AcceptedRecipient},
    notice,
    planted::Planted,
};

/// What went wrong, for each recipient it went wrong for.
pub(super) type Troubles<'a> = [(&'a QueuedRecipient, &'a Trouble)];

/// Tells the sender of one entry's recipients what its envelope asks for (RFC 3461 §4.1), and the history too.
pub(super) struct Reporter<'a> {
    pub(super) mta: &'a Arc<Mta>,
    pub(super) config: &'a Config,
    pub(super) entry: &'a QueueEntry,
    pub(super) now: Timestamp,
    /// Of the reports, to be handed over after the commit.
    pub(super) entries: Vec<QueueEntry>,
}

impl Reporter<'_> {
    /// RFC 3461 §5.2.6: failures are told unless NOTIFY leaves them out.
    pub(super) async fn tell_failures(
        &mut self,
        batch: &mut Batch,
        lost: &Troubles<'_>,
        end: Option<End>,
    ) -> Result<(), StoreError> {
        let wanted =
            lost.iter().filter(|(recipient, _)| recipient.rcpt.notify.is_none_or(|notify| notify.failure));
        let report = if self.entry.reverse_path.is_null() {
            let all = lost.iter().map(|(recipient, trouble)| self.failed(recipient, trouble, end)).collect();
            self.tell_postmaster(batch, all).await?
        } else {
            let told = wanted.map(|(recipient, trouble)| self.failed(recipient, trouble, end)).collect();
            self.tell(batch, told).await?
        };
        let recipients = addresses(lost);
        let reason = lost.first().map(|(_, trouble)| trouble.reason.clone()).unwrap_or_default();
        let reason =
            if end == Some(End::Late) { format!("its deadline has passed: {reason}") } else { reason };
        let event = if end.is_some() {
            Event::Expired { recipients, reason, report }
        } else {
            Event::Bounced { recipients, reason, report }
        };
        self.record(batch, &event);
        Ok(())
    }

    /// RFC 3461 §5.2.5: a delay is told if NOTIFY has DELAY or is absent.
    pub(super) async fn tell_delay(
        &mut self,
        batch: &mut Batch,
        kept: &Troubles<'_>,
    ) -> Result<(), StoreError> {
        let wanted =
            kept.iter().filter(|(recipient, _)| recipient.rcpt.notify.is_none_or(|notify| notify.delay));
        let told = wanted.map(|(recipient, trouble)| self.delayed(recipient, trouble)).collect();
        self.tell_and_record(batch, told, "delayed").await
    }

    /// RFC 3461 §5.2.2, §5.2.3: successes are told to who asked for it.
    pub(super) async fn tell_successes(
        &mut self,
        batch: &mut Batch,
        fates: &[Fate],
    ) -> Result<(), StoreError> {
        let (mut delivered, mut relayed) = (Vec::new(), Vec::new());
        for (recipient, fate) in self.entry.recipients.iter().zip(fates) {
            let Fate::Delivered { reply, success, .. } = fate else { continue };
            let handed_to = |host: &String, explanation| ReportedRecipient {
                remote_mta: Some(host.clone()),
                diagnostic: reply.clone(),
                explanation,
                ..self.reported(recipient, Action::Relayed)
            };
            let notify = recipient.rcpt.notify;
            let asks = notify.is_some_and(|notify| notify.success);
            match success {
                Success::Final if asks => delivered.push(self.reported(recipient, Action::Delivered)),
                Success::Listed if asks => delivered.push(ReportedRecipient {
                    explanation: "a mailing list, which sends it on to its members".to_owned(),
                    ..self.reported(recipient, Action::Delivered)
                }),
                Success::Unconfirmed { host } if asks => relayed.push(handed_to(host, String::new())),
                Success::Handed { host, keeps_deadline } if notify != Some(Notify::NEVER) => {
                    relayed.push(handed_to(host, handed(host, *keeps_deadline)));
                }
                Success::Final
                | Success::Listed
                | Success::Unconfirmed { .. }
                | Success::Handed { .. }
                | Success::Confirmed => {}
            }
        }
        self.tell_and_record(batch, delivered, "delivered").await?;
        self.tell_and_record(batch, relayed, "relayed").await
    }

    async fn tell_and_record(
        &mut self,
        batch: &mut Batch,
        told: Vec<ReportedRecipient>,
        action: &str,
    ) -> Result<(), StoreError> {
        let recipients = told.iter().map(|recipient| recipient.final_recipient.to_string()).collect();
        if let Some(report) = self.tell(batch, told).await? {
            self.record(batch, &Event::Told { recipients, action: action.to_owned(), report });
        }
        Ok(())
    }

    fn record(&self, batch: &mut Batch, event: &Event) {
        self.mta.stores.ledger.append(batch, self.entry.queue_id, self.now, event);
    }

    /// Adds one report to the batch, if there is something to tell and somebody to tell it to.
    async fn tell(
        &mut self,
        batch: &mut Batch,
        told: Vec<ReportedRecipient>,
    ) -> Result<Option<QueueId>, StoreError> {
        if told.is_empty() {
            return Ok(None);
        }
        // RFC 5321 §4.5.5, RFC 3461 §6.1: no report on a report.
        let ReversePath::Address(to) = &self.entry.reverse_path else { return Ok(None) };
        let Some(recipient) = notice::recipient(self.mta, self.config, to, self.now).await? else {
            let id = self.entry.queue_id;
            tracing::warn!(%id, "the sender cannot be told: its address leads nowhere");
            return Ok(None);
        };
        let report = self.write(&told, to, recipient, Audience::Sender).await?;
        Ok(Some(self.add(batch, report)))
    }

    /// RFC 5321 §6.1: no report on mail from the null sender; so that it is not lost without a word, the postmaster hears
    /// of it, once and not too often.
    async fn tell_postmaster(
        &mut self,
        batch: &mut Batch,
        told: Vec<ReportedRecipient>,
    ) -> Result<Option<QueueId>, StoreError> {
        let (mta, id) = (self.mta, self.entry.queue_id);
        if !self.config.dead_letters || notice::is_dead_letter(mta, id).await? {
            tracing::warn!(%id, "mail from the null sender could not be delivered, and nobody is told");
            return Ok(None);
        }
        let Some(recipient) = notice::postmaster(mta, self.config).await? else { return Ok(None) };
        if !mta.memory.dead_letters.admit("postmaster", mta.world.clock.now()) {
            tracing::warn!(%id, "mail from the null sender could not be delivered, and the postmaster was told often enough");
            return Ok(None);
        }
        let to = recipient.original.clone();
        let report = self.write(&told, &to, recipient, Audience::Postmaster).await?;
        Ok(Some(self.add(batch, report)))
    }

    fn add(&mut self, batch: &mut Batch, report: Acceptance) -> QueueId {
        let id = report.queue_id;
        self.entries.extend(accept::add_to_batch(self.mta, batch, report));
        let event = Event::ReportOn { original: self.entry.queue_id };
        self.mta.stores.ledger.append(batch, id, self.now, &event);
        id
    }

    async fn write(
        &self,
        told: &[ReportedRecipient],
        to: &Address,
        recipient: AcceptedRecipient,
        audience: Audience,
    ) -> Result<Acceptance, StoreError> {
        let (mta, entry) = (self.mta, self.entry);
        let queue_id = mta.queue_ids.next(self.now);
        let is_failure = told.iter().any(|recipient| recipient.action == Action::Failed);
        let secrecy = Secrecy::of(entry.mail.tls, &recipient);
        let (original, headers_only) =
            returned::original(mta, self.config, entry, secrecy, is_failure && audience == Audience::Sender)
                .await?;
        let report = Report {
            reporting_mta: &self.config.hostname,
            id: queue_id,
            original_id: entry.queue_id,
            envid: entry.mail.envid.as_deref(),
            to,
            arrived_at: entry.accepted_at,
            deliver_by: entry.deadline.map(|deadline| deadline.at),
            hold: entry.mail.hold,
            at: self.now,
            recipients: told,
            original: &original,
            headers_only,
            audience,
        };
        let mut message = Vec::new();
        report.write(&mut message);
        let smtputf8 = !to.is_ascii();
        let service = match audience {
            Audience::Sender => notice::REPORT,
            Audience::Postmaster => notice::DEAD_LETTER,
        };
        let mut report =
            notice::acceptance(mta, queue_id, self.now, service, recipient, message, smtputf8).await?;
        // RFC 6710 §5: a report matters as much as its message.
        report.mail.priority = entry.mail.priority;
        if secrecy != Secrecy::None {
            report.mail.tls = TlsDemand::Preferred;
        }
        if mta.has(Planted::ReportsWithReversePath) {
            report.reverse_path = entry.reverse_path.clone();
        }
        Ok(report)
    }

    fn failed(&self, recipient: &QueuedRecipient, trouble: &Trouble, end: Option<End>) -> ReportedRecipient {
        // RFC 3463 §3.5: delivery time expired.
        let (status, explanation) = match end {
            None => (EnhancedStatus { class: 5, ..trouble.status }, trouble.words()),
            Some(End::Expired) => (
                EnhancedStatus { class: 4, subject: 4, detail: 7 },
                format!("it was tried for too long; at the last try, {}", trouble.words()),
            ),
            Some(End::Late) => (
                EnhancedStatus { class: 5, subject: 4, detail: 7 },
                format!("the time that was set for its delivery is over: {}", trouble.words()),
            ),
        };
        let reported = ReportedRecipient { status, ..self.reported(recipient, Action::Failed) };
        ReportedRecipient { explanation, ..troubled(reported, trouble) }
    }

    fn delayed(&self, recipient: &QueuedRecipient, trouble: &Trouble) -> ReportedRecipient {
        let reported = ReportedRecipient {
            status: EnhancedStatus { class: 4, ..trouble.status },
            will_retry_until: Some(self.given_up_at()),
            ..self.reported(recipient, Action::Delayed)
        };
        troubled(reported, trouble)
    }

    /// When the message goes back to its sender.
    fn given_up_at(&self) -> Timestamp {
        let expiry = self.entry.release_at.plus(self.config.lifetime(&self.entry.reverse_path));
        let returns = self.entry.mail.deliver_by.is_some_and(|by| by.mode == ByMode::Return);
        self.entry.deadline.filter(|_| returns).map_or(expiry, |deadline| deadline.at.min(expiry))
    }

    fn reported(&self, recipient: &QueuedRecipient, action: Action) -> ReportedRecipient {
        ReportedRecipient {
            final_recipient: recipient.address.clone(),
            original_recipient: recipient.original_recipient(),
            action,
            status: EnhancedStatus { class: 2, subject: 0, detail: 0 },
            remote_mta: None,
            diagnostic: None,
            explanation: String::new(),
            last_attempt_at: Some(self.now),
            will_retry_until: None,
        }
    }
}

/// To whom a message was passed on that has a deadline.
fn handed(host: &str, keeps_deadline: bool) -> String {
    if keeps_deadline {
        format!("the host {host}, which keeps to your deadline; you asked to be told of each step")
    } else {
        format!("the host {host}, which knows of no deadlines: from here on nobody watches over yours")
    }
}

fn troubled(reported: ReportedRecipient, trouble: &Trouble) -> ReportedRecipient {
    ReportedRecipient {
        remote_mta: trouble.remote_mta.clone(),
        diagnostic: trouble.diagnostic.clone(),
        explanation: trouble.words(),
        ..reported
    }
}

fn addresses(troubles: &Troubles<'_>) -> Vec<String> {
    troubles.iter().map(|(recipient, _)| recipient.address.to_string()).collect()
}
