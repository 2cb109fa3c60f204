//! What several modules' tests need.

use std::sync::Arc;

use bytes::Bytes;
use mail::{QueueId, Timestamp};

use crate::{
    batch::Batch,
    engine::{BlobId, Engine, Key, KeyRange, Order},
    mailbox::{Flags, MessageRecord},
    spool::{EntryStatus, LaneId, QueueEntry, QueuedRecipient},
};

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Puts a body into the batch; references are the test's to add.
pub(crate) async fn add_body(engine: &Arc<dyn Engine>, batch: &mut Batch, octets: &Bytes) -> BlobId {
    let mut writer = engine.blob_writer().await.unwrap();
    writer.write(octets.clone()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let id = blob.id;
    batch.blob(blob);
    id
}

pub(crate) fn entry(queue_id: QueueId, part: u16, lane: &str, due: i64, blob: BlobId) -> QueueEntry {
    QueueEntry {
        queue_id,
        part,
        lane: LaneId(lane.into()),
        reverse_path: mail::ReversePath::Null,
        mail: mail::MailParameters::default(),
        recipients: vec![QueuedRecipient {
            address: "bob@example.org".parse().unwrap(),
            original: None,
            rcpt: mail::RcptParameters::default(),
        }],
        blob,
        blob_bytes: 4,
        accepted_at: at(1),
        due: at(due),
        attempts: 0,
        status: EntryStatus::Waiting,
        last_error: None,
        delay_told: false,
        release_at: at(1),
        deadline: None,
        rerouted: false,
        submitter: None,
    }
}

pub(crate) fn record(blob: BlobId, blob_bytes: u64, queue_id: Option<QueueId>) -> MessageRecord {
    MessageRecord {
        blob,
        blob_bytes,
        prefix: Bytes::from_static(b"Return-Path: <>\r\n"),
        internal_date: at(5),
        flags: Flags::default(),
        keywords: Vec::new(),
        queue_id,
        saved_at: at(5),
    }
}

/// All keys of a space.
pub(crate) async fn keys(engine: &Arc<dyn Engine>, tag: u8) -> Vec<Key> {
    let found = engine.scan(KeyRange::prefix(&[tag]), Order::Ascending, usize::MAX).await.unwrap();
    found.into_iter().map(|(key, _)| key).collect()
}
