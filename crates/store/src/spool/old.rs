//! Entries as earlier releases wrote them.

use mail::{
    Address, Body, MailParameters, Notify, OriginalRecipient, QueueId, RcptParameters, Return, ReversePath,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{EntryStatus, LaneId, QueueEntry, QueuedRecipient};
use crate::engine::BlobId;

/// Before the extensions of time and of promises (DELIVERBY, REQUIRETLS and their kin). Version 1 ended before `delay_told`.
#[derive(Serialize, Deserialize)]
pub(super) struct EntryV2 {
    queue_id: QueueId,
    part: u16,
    lane: LaneId,
    reverse_path: ReversePath,
    mail: MailV2,
    recipients: Vec<RecipientV2>,
    blob: BlobId,
    blob_bytes: u64,
    accepted_at: Timestamp,
    due: Timestamp,
    attempts: u32,
    status: EntryStatus,
    last_error: Option<String>,
    delay_told: bool,
}

#[derive(Serialize, Deserialize)]
struct MailV2 {
    size: Option<u64>,
    body: Body,
    smtputf8: bool,
    ret: Option<Return>,
    envid: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RecipientV2 {
    address: Address,
    original: Option<Address>,
    rcpt: RcptV2,
}

#[derive(Serialize, Deserialize)]
struct RcptV2 {
    notify: Option<Notify>,
    orcpt: Option<OriginalRecipient>,
}

impl From<EntryV2> for QueueEntry {
    fn from(old: EntryV2) -> Self {
        let MailV2 { size, body, smtputf8, ret, envid } = old.mail;
        Self {
            queue_id: old.queue_id,
            part: old.part,
            lane: old.lane,
            reverse_path: old.reverse_path,
            mail: MailParameters { size, body, smtputf8, ret, envid, ..MailParameters::default() },
            recipients: old.recipients.into_iter().map(QueuedRecipient::from).collect(),
            blob: old.blob,
            blob_bytes: old.blob_bytes,
            accepted_at: old.accepted_at,
            due: old.due,
            attempts: old.attempts,
            status: old.status,
            last_error: old.last_error,
            delay_told: old.delay_told,
            release_at: old.accepted_at,
            deadline: None,
            rerouted: false,
            submitter: None,
        }
    }
}

impl From<RecipientV2> for QueuedRecipient {
    fn from(old: RecipientV2) -> Self {
        let RcptV2 { notify, orcpt } = old.rcpt;
        let rcpt = RcptParameters { notify, orcpt, ..RcptParameters::default() };
        Self { address: old.address, original: old.original, rcpt }
    }
}

#[cfg(test)]
impl From<&QueueEntry> for EntryV2 {
    fn from(entry: &QueueEntry) -> Self {
        let MailParameters { size, body, smtputf8, ret, envid, .. } = entry.mail.clone();
        let recipient = |recipient: &QueuedRecipient| RecipientV2 {
            address: recipient.address.clone(),
            original: recipient.original.clone(),
            rcpt: RcptV2 { notify: recipient.rcpt.notify, orcpt: recipient.rcpt.orcpt.clone() },
        };
        Self {
            queue_id: entry.queue_id,
            part: entry.part,
            lane: entry.lane.clone(),
            reverse_path: entry.reverse_path.clone(),
            mail: MailV2 { size, body, smtputf8, ret, envid },
            recipients: entry.recipients.iter().map(recipient).collect(),
            blob: entry.blob,
            blob_bytes: entry.blob_bytes,
            accepted_at: entry.accepted_at,
            due: entry.due,
            attempts: entry.attempts,
            status: entry.status,
            last_error: entry.last_error.clone(),
            delay_told: entry.delay_told,
        }
    }
}
