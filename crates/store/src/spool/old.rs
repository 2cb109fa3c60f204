//! Entries as earlier releases wrote them.

use mail::{Body, MailParameters, QueueId, Return, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};

use super::{EntryStatus, LaneId, QueueEntry, QueuedRecipient};
use crate::engine::BlobId;

/// Before DELIVERBY, MT-PRIORITY and FUTURERELEASE. Version 1 ended before `delay_told`.
#[derive(Serialize, Deserialize)]
pub(super) struct EntryV2 {
    queue_id: QueueId,
    part: u16,
    lane: LaneId,
    reverse_path: ReversePath,
    mail: MailV2,
    recipients: Vec<QueuedRecipient>,
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

impl From<EntryV2> for QueueEntry {
    fn from(old: EntryV2) -> Self {
        let MailV2 { size, body, smtputf8, ret, envid } = old.mail;
        Self {
            queue_id: old.queue_id,
            part: old.part,
            lane: old.lane,
            reverse_path: old.reverse_path,
            mail: MailParameters { size, body, smtputf8, ret, envid, ..MailParameters::default() },
            recipients: old.recipients,
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
        }
    }
}

#[cfg(test)]
impl From<&QueueEntry> for EntryV2 {
    fn from(entry: &QueueEntry) -> Self {
        let MailParameters { size, body, smtputf8, ret, envid, .. } = entry.mail.clone();
        Self {
            queue_id: entry.queue_id,
            part: entry.part,
            lane: entry.lane.clone(),
            reverse_path: entry.reverse_path.clone(),
            mail: MailV2 { size, body, smtputf8, ret, envid },
            recipients: entry.recipients.clone(),
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
