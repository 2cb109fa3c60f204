use std::sync::Arc;

use mail::QueueId;

use super::*;
use crate::{
    keys::{MAILBOX_CHANGE, MAILBOX_EXPUNGED, MAILBOX_MESSAGE, MESSAGE_SUMMARY},
    memory::MemoryEngine,
    testing::{at, keys},
};

const ACCOUNT: AccountId = AccountId(7);

async fn opened() -> (Mailboxes, Arc<dyn Engine>, MailboxId) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mailboxes = Mailboxes::new(engine.clone());
    let outbox = mailboxes.outbox(ACCOUNT, at(5_000)).await.unwrap().unwrap();
    (mailboxes, engine, outbox.id)
}

fn outgoing(number: u64, state: &str) -> OutgoingMessage {
    OutgoingMessage {
        queue_id: QueueId::from_u64(number),
        blob: BlobId(number),
        blob_bytes: 10,
        accepted_at: at(1),
        keywords: vec![state.to_owned()],
    }
}

async fn listed(mailboxes: &Mailboxes, outbox: MailboxId) -> Vec<(u32, u64, String)> {
    let listing = mailboxes.listing(outbox).await.unwrap();
    listing.messages.iter().map(|one| (one.uid.0, one.modseq, one.keywords.concat())).collect()
}

#[tokio::test]
async fn it_follows_the_queue_and_gives_no_uid_twice() {
    let (mailboxes, _engine, outbox) = opened().await;
    let show = async |all: &[(u64, &str)]| {
        let all: Vec<OutgoingMessage> = all.iter().map(|(id, state)| outgoing(*id, state)).collect();
        mailboxes.show_outbox(ACCOUNT, &all).await.unwrap();
        listed(&mailboxes, outbox).await
    };
    let row = |uid: u32, modseq: u64, state: &str| (uid, modseq, state.to_owned());
    assert_eq!(show(&[(5, "$Queued"), (9, "$Queued")]).await, [row(1, 1, "$Queued"), row(2, 2, "$Queued")]);
    assert_eq!(show(&[(5, "$Queued"), (9, "$Queued")]).await.len(), 2, "and nothing is written");
    assert_eq!(show(&[(5, "$Deferred"), (9, "$Queued")]).await[0], row(1, 3, "$Deferred"));
    assert_eq!(show(&[(5, "$Deferred")]).await, [row(1, 3, "$Deferred")]);
    assert_eq!(show(&[(5, "$Deferred"), (11, "$Held")]).await[1], row(3, 5, "$Held"));
    let changes = mailboxes.changes_since(outbox, 2).await.unwrap();
    assert_eq!((changes.vanished.runs(), changes.uid_next), (&[(2, 2)][..], Uid(4)));
    let status = mailboxes.status(outbox).await.unwrap();
    assert_eq!((status.messages, status.unseen, status.octets), (2, 0, 20));
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (0, 0), "it counts to no quota");
}

#[tokio::test]
async fn flags_of_its_own_stay_when_the_state_changes() {
    let (mailboxes, _engine, outbox) = opened().await;
    mailboxes.show_outbox(ACCOUNT, &[outgoing(5, "$Queued")]).await.unwrap();
    let flags = Flags::FLAGGED;
    let change =
        FlagChange { how: FlagChangeKind::ReplaceWithin(FlagMask::FLAGS), flags, keywords: Vec::new() };
    mailboxes.store_flags(outbox, &[Uid(1)], &change, None).await.unwrap();
    mailboxes.show_outbox(ACCOUNT, &[outgoing(5, "$Deferred")]).await.unwrap();
    let message = mailboxes.message(outbox, Uid(1)).await.unwrap().unwrap();
    assert_eq!((message.record.flags, &*message.record.keywords.concat()), (flags, "$Deferred"));
}

#[tokio::test]
async fn a_mailbox_of_that_name_comes_first_and_no_uidvalidity_comes_again() {
    let (mailboxes, _engine, _) = opened().await;
    let virtual_one = mailboxes.outbox(ACCOUNT, at(9)).await.unwrap().unwrap();
    let own = mailboxes.create(ACCOUNT, OUTBOX, None, at(9)).await.unwrap();
    assert_eq!(mailboxes.outbox(ACCOUNT, at(9)).await.unwrap(), None);
    mailboxes.rename(ACCOUNT, OUTBOX, "Old", at(9)).await.unwrap();
    assert_eq!(mailboxes.outbox(ACCOUNT, at(9)).await.unwrap().unwrap(), virtual_one);
    assert!(own.uid_validity > virtual_one.uid_validity && !own.id.is_outbox());
}

#[tokio::test]
async fn in_a_store_that_was_put_back_its_numbers_are_others() {
    let (mailboxes, _engine, outbox) = opened().await;
    mailboxes.create(ACCOUNT, "INBOX", None, at(9)).await.unwrap();
    mailboxes.show_outbox(ACCOUNT, &[outgoing(5, "$Queued")]).await.unwrap();
    mailboxes.subscribe_outbox(ACCOUNT, false).await.unwrap();
    let before = mailboxes.outbox(ACCOUNT, at(9)).await.unwrap().unwrap();
    assert_eq!(mailboxes.begin_anew(at(9)).await.unwrap(), 1);
    let inbox = mailboxes.by_name(ACCOUNT, "INBOX").await.unwrap().unwrap();
    let after = mailboxes.outbox(ACCOUNT, at(9)).await.unwrap().unwrap();
    assert!(after.uid_validity > inbox.uid_validity && inbox.uid_validity > before.uid_validity);
    assert!(!after.subscribed && after.id == outbox);
}

#[tokio::test]
async fn it_goes_with_its_account() {
    let (mailboxes, engine, outbox) = opened().await;
    mailboxes.show_outbox(ACCOUNT, &[outgoing(5, "$Queued"), outgoing(6, "$Queued")]).await.unwrap();
    mailboxes.show_outbox(ACCOUNT, &[outgoing(5, "$Queued")]).await.unwrap();
    mailboxes.subscribe_outbox(ACCOUNT, false).await.unwrap();
    assert!(!mailboxes.outbox(ACCOUNT, at(9)).await.unwrap().unwrap().subscribed);
    let mut batch = Batch::new();
    mailboxes.stage_removal(&mut batch, ACCOUNT).await.unwrap();
    engine.commit(batch).await.unwrap();
    for tag in [MAILBOX_MESSAGE, MAILBOX_CHANGE, MESSAGE_SUMMARY, MAILBOX_EXPUNGED, crate::keys::OUTBOX] {
        assert!(keys(&engine, tag).await.is_empty(), "{tag:x}");
    }
    assert_eq!(mailboxes.status(outbox).await.unwrap().uid_next, Uid(1));
    let gone = mailboxes.show_outbox(ACCOUNT, &[outgoing(7, "$Queued")]).await;
    assert!(gone.is_err(), "who is still logged in brings nothing back");
}
