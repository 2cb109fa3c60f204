//! Final delivery: the entry is settled and the mailbox appended to in one batch, so each copy is delivered exactly once.

use std::sync::Arc;

use bytes::Bytes;
use store::{
    StoreError,
    directory::Account,
    mailbox::{Flags, MessageRecord, Summary},
    spool::{LaneId, QueueEntry, QueuedRecipient},
};

use tokio::sync::OnceCell;

use super::guard::guarded;
use super::list::leaving;
use crate::{
    Mta,
    outcome::{self, Append, Fate, Success, Trouble},
    policy::{self, ownership::Doubt},
    tls_reports,
};

pub(super) async fn work(mta: &Arc<Mta>, lane: &LaneId) {
    while let Some(item) = mta.dispatcher.take(mta, lane) {
        let Some(entry) = super::entry_of(mta, lane, item).await else { continue };
        guarded(mta, &entry, settle(mta, &entry)).await;
    }
}

async fn settle(mta: &Arc<Mta>, entry: &Arc<QueueEntry>) {
    let mut fates = Vec::with_capacity(entry.recipients.len());
    let content = Content::default();
    for recipient in &entry.recipients {
        fates.push(fate(mta, entry, &content, recipient).await);
    }
    outcome::settle(mta, entry, fates, None).await;
}

async fn fate(mta: &Mta, entry: &QueueEntry, content: &Content, recipient: &QueuedRecipient) -> Fate {
    match account_of(mta, recipient).await {
        Ok(account) => deliver(mta, entry, content, recipient, &account).await,
        Err(fate) => fate,
    }
}

/// What is found out of an entry's message once for all of its recipients.
#[derive(Default)]
pub(super) struct Content {
    /// Without what is written in front for each. `None` inside: the body cannot be read.
    summary: OnceCell<Option<Summary>>,
}

impl Content {
    async fn summary(&self, mta: &Mta, record: &MessageRecord) -> Option<Arc<Summary>> {
        let bare = MessageRecord { prefix: Bytes::new(), ..record.clone() };
        let summarize = async || mta.stores.mailboxes.summarize(&bare).await.ok();
        let summary = self.summary.get_or_init(summarize).await.clone()?;
        Some(Arc::new(summary.behind(record.prefix.len() as u64)))
    }
}

/// Whom the message is for, or what becomes of it because nobody is, or another than was meant.
pub(super) async fn account_of(mta: &Mta, recipient: &QueuedRecipient) -> Result<Account, Fate> {
    match mta.stores.directory.account(&recipient.address).await {
        Ok(Some(account)) => match owner_doubt(mta, recipient).await {
            Ok(None) => Ok(account),
            Ok(Some(doubt)) => Err(Fate::Failed(Trouble::new(doubt.status(), doubt.words()))),
            Err(error) => Err(unreadable(&error)),
        },
        Ok(None) => Err(Fate::Failed(Trouble::new((5, 1, 1), "there is no such mailbox any more"))),
        Err(error) => Err(unreadable(&error)),
    }
}

/// RFC 7293 §5.1, §5.2: the mailbox may have changed hands since RCPT, and a header field was not judged there.
async fn owner_doubt(mta: &Mta, recipient: &QueuedRecipient) -> Result<Option<Doubt>, StoreError> {
    let Some(demand) = recipient.rcpt.valid_since else { return Ok(None) };
    let named = recipient.original.as_ref().unwrap_or(&recipient.address);
    policy::ownership::doubt(&mta.stores, named, demand).await
}

/// To the mailbox.
pub(super) async fn deliver(
    mta: &Mta,
    entry: &QueueEntry,
    content: &Content,
    recipient: &QueuedRecipient,
    account: &Account,
) -> Fate {
    match policy::mailbox::has_room(&mta.stores, account, entry.blob_bytes).await {
        Ok(true) => {}
        Ok(false) => return Fate::Deferred(Trouble::mailbox_full()),
        Err(error) => return unreadable(&error),
    }
    tls_reports::receive::look(mta, &mta.config(), entry, recipient).await;
    let leaving = match leaving::fields(mta, &mta.config(), entry).await {
        Ok(fields) => fields,
        Err(error) => return unreadable(&error),
    };
    let now = mta.world.clock.wall();
    let record = MessageRecord {
        blob: entry.blob,
        blob_bytes: entry.blob_bytes,
        prefix: [&final_headers(entry, recipient)[..], &leaving].concat().into(),
        internal_date: now,
        flags: Flags::default(),
        keywords: Vec::new(),
        queue_id: Some(entry.queue_id),
        saved_at: now,
    };
    let summary = content.summary(mta, &record).await;
    let append = Some(Append { mailbox: account.inbox, record, summary, quota: account.quota() });
    let to = format!("INBOX of {}", account.address);
    Fate::Delivered { to, reply: None, append, success: Success::Final }
}

pub(super) fn unreadable(error: &StoreError) -> Fate {
    Fate::Deferred(Trouble::new((4, 3, 0), format!("the directory cannot be read: {error}")))
}

/// RFC 5321 §4.4: Return-Path on final delivery. Delivered-To (RFC 9228) keeps the address that led here.
pub(super) fn final_headers(entry: &QueueEntry, recipient: &QueuedRecipient) -> Bytes {
    let mut headers = Vec::with_capacity(128);
    mail::received::write_return_path(&entry.reverse_path, &mut headers);
    let delivered_to = recipient.original.as_ref().unwrap_or(&recipient.address);
    headers.extend_from_slice(b"Delivered-To: ");
    headers.extend_from_slice(delivered_to.to_string().as_bytes());
    headers.extend_from_slice(b"\r\n");
    headers.into()
}
