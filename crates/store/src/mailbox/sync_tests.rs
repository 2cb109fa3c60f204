//! What a client that was away is told, and stores of earlier releases.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    keys::MAILBOX_EXPUNGED,
    memory::MemoryEngine,
    testing::{add_body, at, keys, record},
};

const ACCOUNT: AccountId = AccountId(7);

async fn with_messages(count: u32) -> (Mailboxes, Arc<dyn Engine>, MailboxId) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mailboxes = Mailboxes::new(engine.clone());
    let inbox = mailboxes.create(ACCOUNT, "INBOX", None, at(0)).await.unwrap().id;
    for _ in 0..count {
        append(&mailboxes, &engine, inbox).await;
    }
    (mailboxes, engine, inbox)
}

async fn append(mailboxes: &Mailboxes, engine: &Arc<dyn Engine>, inbox: MailboxId) {
    let mut batch = Batch::new();
    let blob = add_body(engine, &mut batch, &Bytes::from_static(b"body")).await;
    mailboxes.append(&mut batch, inbox, &record(blob, 4, None));
    engine.commit(batch).await.unwrap();
}

fn seen() -> FlagChange {
    FlagChange { how: FlagChangeKind::Add, flags: Flags::SEEN, keywords: Vec::new() }
}

#[tokio::test]
async fn who_was_away_is_told_what_changed_and_no_more() {
    let (mailboxes, engine, inbox) = with_messages(10).await;
    let before = mailboxes.listing(inbox).await.unwrap();
    assert_eq!((before.messages.len(), before.uid_next, before.highest_modseq), (10, Uid(11), 10));
    mailboxes.expunge(inbox, &[Uid(2), Uid(3)], at(0)).await.unwrap();
    mailboxes.store_flags(inbox, &[Uid(5)], &seen(), None).await.unwrap();
    append(&mailboxes, &engine, inbox).await;
    mailboxes.expunge(inbox, &[Uid(9)], at(0)).await.unwrap();
    let changes = mailboxes.changes_since(inbox, before.highest_modseq).await.unwrap();
    assert_eq!(
        changes.changed.iter().map(|one| (one.uid.0, one.flags.0)).collect::<Vec<_>>(),
        [(5, 1), (11, 0)]
    );
    assert_eq!((changes.vanished.runs(), changes.vanished_is_all), (&[(2, 3), (9, 9)][..], false));
    assert_eq!((changes.uid_next, changes.highest_modseq), (Uid(12), 14));
    let nothing = mailboxes.changes_since(inbox, 14).await.unwrap();
    assert!(nothing.changed.is_empty() && nothing.vanished.is_empty() && nothing.highest_modseq == 14);
}

#[tokio::test]
async fn a_list_that_is_kept_is_what_reading_all_gives() {
    let (mailboxes, engine, inbox) = with_messages(20).await;
    let other = mailboxes.create(ACCOUNT, "other", None, at(0)).await.unwrap().id;
    let add = |keyword: &str| FlagChange {
        how: FlagChangeKind::Add,
        flags: Flags::SEEN,
        keywords: vec![keyword.to_owned()],
    };
    let same = async || {
        for mailbox in [inbox, other] {
            let kept = mailboxes.listing(mailbox).await.unwrap();
            assert_eq!(kept, Mailboxes::new(engine.clone()).listing(mailbox).await.unwrap());
        }
        mailboxes.listing(inbox).await.unwrap()
    };
    let first = same().await;
    assert_eq!((first.uids.runs(), first.first_unseen), (&[(1, 20)][..], Some(0)));
    for uid in 1..7 {
        mailboxes.store_flags(inbox, &[Uid(uid)], &add(&format!("k{}", uid % 2)), None).await.unwrap();
        append(&mailboxes, &engine, inbox).await;
        same().await;
    }
    mailboxes.expunge(inbox, &[Uid(1), Uid(9), Uid(26)], at(0)).await.unwrap();
    mailboxes.move_messages(inbox, &[Uid(10), Uid(11)], other, at(0)).await.unwrap();
    let now = same().await;
    assert_eq!((now.uids.runs(), now.first_unseen), (&[(2, 8), (12, 25)][..], Some(5)));
    assert_eq!((&now.keywords[..], first.messages.len()), (&["k0".to_owned(), "k1".to_owned()][..], 20));
    mailboxes.delete(ACCOUNT, "other", at(0)).await.unwrap();
    assert!(same().await.messages.len() == now.messages.len());
}

#[tokio::test]
async fn what_was_expunged_is_forgotten_in_the_end_and_then_everything_that_is_gone_is_told() {
    let (mailboxes, engine, inbox) = with_messages(2).await;
    for uid in 3..5200 {
        append(&mailboxes, &engine, inbox).await;
        mailboxes.expunge(inbox, &[Uid(uid)], at(0)).await.unwrap();
    }
    let kept = keys(&engine, MAILBOX_EXPUNGED).await;
    assert!(kept.len() > 4000 && kept.len() <= 5000, "{}", kept.len());
    let oldest = message::modseq_of(&kept[0]).unwrap();
    let known = mailboxes.changes_since(inbox, oldest - 1).await.unwrap();
    assert_eq!((known.vanished_is_all, known.vanished.uids().count()), (false, kept.len()));
    let forgotten = mailboxes.changes_since(inbox, 2).await.unwrap();
    assert_eq!((forgotten.vanished_is_all, forgotten.vanished.runs()), (true, &[(3, 5199)][..]));
}

/// A mailbox as the first release wrote it: changes without flags, no counters.
#[tokio::test]
async fn a_mailbox_of_an_earlier_release_is_brought_up_to_date_once() {
    #[derive(serde::Serialize)]
    struct FirstRecord(BlobId, u64, Bytes, Timestamp, Flags, Vec<String>, Option<QueueId>);
    let (mailboxes, engine, inbox) = with_messages(0).await;
    let mut batch = Batch::new();
    let blob = add_body(&engine, &mut batch, &Bytes::from_static(b"body")).await;
    let first = FirstRecord(blob, 4, "X: y\r\n".into(), at(77), Flags::SEEN, vec!["a".to_owned()], None);
    let record = [&[1][..], &2_u64.to_be_bytes(), &postcard::to_stdvec(&first).unwrap()].concat();
    batch.put(message_key(inbox, Uid(1)), record);
    batch.put(keyspace::change_key(inbox, 2), vec![0, 0, 0, 1, 0]);
    batch.put(keyspace::change_key(inbox, 3), vec![0, 0, 0, 2, 1]);
    batch.add(uid_counter(inbox), 2);
    batch.add(modseq_counter(inbox), 3);
    batch.references(blob, 1);
    engine.commit(batch).await.unwrap();
    for _ in 0..2 {
        mailboxes.renew().await.unwrap();
        let listing = mailboxes.listing(inbox).await.unwrap();
        let one =
            ListedMessage { uid: Uid(1), modseq: 2, flags: Flags::SEEN, keywords: vec!["a".to_owned()] };
        assert_eq!((&listing.messages, listing.uid_next), (&vec![one], Uid(3)));
        let status = mailboxes.status(inbox).await.unwrap();
        assert_eq!((status.messages, status.unseen, status.octets, status.highest_modseq), (1, 0, 10, 3));
        let message = mailboxes.message(inbox, Uid(1)).await.unwrap().unwrap();
        assert_eq!((message.record.saved_at, message.modseq), (at(77), 2));
        assert!(mailboxes.changes_since(inbox, 2).await.unwrap().vanished_is_all);
    }
    mailboxes.store_flags(inbox, &[Uid(1)], &seen(), None).await.unwrap();
    mailboxes.expunge(inbox, &[Uid(1)], at(0)).await.unwrap();
    assert_eq!(mailboxes.changes_since(inbox, 3).await.unwrap().vanished.runs(), [(1, 1)]);
}
