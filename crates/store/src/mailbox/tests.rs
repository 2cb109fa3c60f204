use super::*;
use crate::{
    CommitError,
    memory::MemoryEngine,
    testing::{add_body, at, keys, record},
};

const ACCOUNT: AccountId = AccountId(7);

async fn fixture() -> (Mailboxes, Arc<dyn Engine>, Mailbox) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mailboxes = Mailboxes::new(engine.clone());
    let inbox = mailboxes.create(ACCOUNT, "inbox", None, at(1_000_000)).await.unwrap();
    (mailboxes, engine, inbox)
}

async fn append(
    mailboxes: &Mailboxes,
    engine: &Arc<dyn Engine>,
    mailbox: MailboxId,
    body: &'static str,
) -> (u64, u64) {
    let mut batch = Batch::new();
    let blob = add_body(engine, &mut batch, &Bytes::from_static(body.as_bytes())).await;
    let slots = mailboxes.append(&mut batch, mailbox, &record(blob, body.len() as u64, None));
    let committed = engine.commit(batch).await.unwrap();
    (committed.value(slots.uid), committed.value(slots.modseq))
}

/// UIDs and MODSEQs of the messages, as a listing tells them.
async fn listed(mailboxes: &Mailboxes, mailbox: MailboxId) -> Vec<(u32, u64)> {
    let listing = mailboxes.listing(mailbox).await.unwrap();
    listing.messages.iter().map(|one| (one.uid.0, one.modseq)).collect()
}

fn add(flags: Flags, keywords: &[&str]) -> FlagChange {
    let keywords = keywords.iter().map(|keyword| (*keyword).to_owned()).collect();
    FlagChange { how: FlagChangeKind::Add, flags, keywords }
}

#[tokio::test]
async fn a_message_gets_its_numbers_and_is_read_back() {
    let (mailboxes, engine, inbox) = fixture().await;
    assert_eq!(append(&mailboxes, &engine, inbox.id, "one").await, (1, 1));
    assert_eq!(append(&mailboxes, &engine, inbox.id, "two").await, (2, 2));
    let all = mailboxes.messages(inbox.id, Uid(1), 10).await.unwrap();
    assert_eq!(all.iter().map(|it| (it.uid.0, it.modseq)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    assert_eq!(mailboxes.messages(inbox.id, Uid(2), 10).await.unwrap(), all[1..]);
    assert_eq!(mailboxes.messages(inbox.id, Uid(1), 1).await.unwrap(), all[..1]);
    assert_eq!(mailboxes.message(inbox.id, Uid(2)).await.unwrap().as_ref(), Some(&all[1]));
    assert_eq!(mailboxes.message(inbox.id, Uid(3)).await.unwrap(), None);
    assert_eq!(listed(&mailboxes, inbox.id).await, [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn prefix_and_body_are_one_stream() {
    let (mailboxes, engine, inbox) = fixture().await;
    append(&mailboxes, &engine, inbox.id, "Subject: x\r\n\r\nHello\r\n").await;
    let message = mailboxes.message(inbox.id, Uid(1)).await.unwrap().unwrap();
    let whole = "Return-Path: <>\r\nSubject: x\r\n\r\nHello\r\n";
    assert_eq!(message.record.octets(), whole.len() as u64);
    for start in 0..whole.len() + 2 {
        for end in start..whole.len() + 2 {
            let read = mailboxes.read(&message.record, start as u64..end as u64).await.unwrap();
            assert_eq!(read, whole[start.min(whole.len())..end.min(whole.len())]);
        }
    }
}

#[tokio::test]
async fn expunged_messages_are_gone_with_body_and_usage_and_leave_a_trace() {
    let (mailboxes, engine, inbox) = fixture().await;
    for body in ["one", "three", "five"] {
        append(&mailboxes, &engine, inbox.id, body).await;
    }
    let first = mailboxes.message(inbox.id, Uid(1)).await.unwrap().unwrap();
    let gone = mailboxes.expunge(inbox.id, &[Uid(3), Uid(1), Uid(9), Uid(1)], at(0)).await.unwrap();
    assert_eq!(gone, Expunged { uids: vec![Uid(1), Uid(3)], modseq: 4 });
    assert!(matches!(mailboxes.read(&first.record, 0..99).await, Err(StoreError::NotFound)));
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (1, 17 + 5));
    let changes = mailboxes.changes_since(inbox.id, 3).await.unwrap();
    assert_eq!((changes.changed.len(), changes.vanished.runs()), (0, &[(1, 1), (3, 3)][..]));
    assert_eq!(listed(&mailboxes, inbox.id).await, [(2, 2)]);
    assert_eq!(mailboxes.expunge(inbox.id, &[Uid(1)], at(0)).await.unwrap(), Expunged::default());
    assert_eq!(append(&mailboxes, &engine, inbox.id, "new").await, (4, 5), "UIDs are never used again");
}

#[tokio::test]
async fn two_who_expunge_the_same_messages_share_them() {
    let (mailboxes, engine, inbox) = fixture().await;
    for _ in 0..50 {
        append(&mailboxes, &engine, inbox.id, "body").await;
    }
    let uids: Vec<_> = (1..=50).map(Uid).collect();
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (mailboxes, uids) = (mailboxes.clone(), uids[task * 10..].to_vec());
            tokio::spawn(async move { mailboxes.expunge(inbox.id, &uids, at(0)).await.unwrap().uids })
        })
        .collect();
    let mut gone = Vec::new();
    for task in tasks {
        gone.append(&mut task.await.unwrap());
    }
    gone.sort();
    assert_eq!(gone, uids, "each was expunged by one of them");
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn new_flags_move_the_message_to_a_new_modseq() {
    let (mailboxes, engine, inbox) = fixture().await;
    append(&mailboxes, &engine, inbox.id, "one").await;
    append(&mailboxes, &engine, inbox.id, "two").await;
    let junk = add(Flags::SEEN | Flags::FLAGGED, &["$Junk"]);
    let stored = mailboxes.store_flags(inbox.id, &[Uid(1), Uid(9)], &junk, Some(2)).await.unwrap();
    assert_eq!((stored.messages[0].modseq, stored.missing.as_slice()), (3, &[Uid(9)][..]));
    assert_eq!(mailboxes.listing(inbox.id).await.unwrap().messages[0], stored.messages[0]);
    let record = mailboxes.message(inbox.id, Uid(1)).await.unwrap().unwrap();
    assert_eq!((record.modseq, record.record.flags, &*record.record.keywords[0]), (3, Flags(5), "$Junk"));
    let again = mailboxes.store_flags(inbox.id, &[Uid(1)], &junk, None).await.unwrap();
    assert_eq!(again.messages, stored.messages, "what is so already keeps its MODSEQ");
    let late = mailboxes.store_flags(inbox.id, &[Uid(1), Uid(2)], &add(Flags::DELETED, &[]), Some(2)).await;
    let late = late.unwrap();
    assert_eq!((late.modified, late.messages[0].uid, late.messages[0].modseq), (vec![Uid(1)], Uid(2), 4));
    assert_eq!(listed(&mailboxes, inbox.id).await, [(1, 3), (2, 4)]);
}

#[tokio::test]
async fn many_who_store_flags_at_once_lose_none() {
    let (mailboxes, engine, inbox) = fixture().await;
    append(&mailboxes, &engine, inbox.id, "one").await;
    let tasks = ["a", "b", "c", "d", "e"].map(|keyword| {
        let mailboxes = mailboxes.clone();
        tokio::spawn(async move {
            mailboxes.store_flags(inbox.id, &[Uid(1)], &add(Flags::SEEN, &[keyword]), None).await.unwrap()
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    let mut keywords = mailboxes.listing(inbox.id).await.unwrap().messages[0].keywords.clone();
    keywords.sort();
    assert_eq!(keywords, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn status_is_counted_through_everything_that_happens() {
    let (mailboxes, engine, inbox) = fixture().await;
    let trash = mailboxes.create(ACCOUNT, "Trash", Some("\\trash"), at(0)).await.unwrap();
    for body in ["one", "three", "five!"] {
        append(&mailboxes, &engine, inbox.id, body).await;
    }
    let status = async |mailbox| {
        let status = mailboxes.status(mailbox).await.unwrap();
        (status.messages, status.unseen, status.deleted, status.octets, status.uid_next.0)
    };
    assert_eq!(status(inbox.id).await, (3, 3, 0, 17 * 3 + 13, 4));
    mailboxes
        .store_flags(inbox.id, &[Uid(1), Uid(2)], &add(Flags::SEEN | Flags::DELETED, &[]), None)
        .await
        .unwrap();
    assert_eq!(status(inbox.id).await, (3, 1, 2, 17 * 3 + 13, 4));
    mailboxes.copy(inbox.id, &[Uid(1), Uid(3)], trash.id, Quota::default(), at(9)).await.unwrap();
    assert_eq!(status(trash.id).await, (2, 1, 1, 17 * 2 + 8, 3));
    mailboxes.move_messages(inbox.id, &[Uid(2)], trash.id, at(9)).await.unwrap();
    assert_eq!(status(trash.id).await, (3, 1, 2, 17 * 3 + 13, 4));
    mailboxes.expunge(inbox.id, &[Uid(1)], at(0)).await.unwrap();
    assert_eq!(status(inbox.id).await, (1, 1, 0, 17 + 5, 4));
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (4, 17 * 4 + 18));
    mailboxes.delete(ACCOUNT, "trash", at(0)).await.unwrap_err();
    mailboxes.delete(ACCOUNT, "Trash", at(0)).await.unwrap();
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (1, 17 + 5));
}

#[tokio::test]
async fn copies_share_the_body_and_get_numbers_of_their_own() {
    let (mailboxes, engine, inbox) = fixture().await;
    let other = mailboxes.create(ACCOUNT, "other", None, at(0)).await.unwrap();
    for body in ["one", "two", "three"] {
        append(&mailboxes, &engine, inbox.id, body).await;
    }
    append(&mailboxes, &engine, other.id, "first").await;
    let copied = mailboxes.copy(inbox.id, &[Uid(3), Uid(1), Uid(7)], other.id, Quota::default(), at(9)).await;
    assert_eq!(copied.unwrap().uids, [(Uid(1), Uid(2)), (Uid(3), Uid(3))]);
    let original = mailboxes.message(inbox.id, Uid(1)).await.unwrap().unwrap().record;
    let copy = mailboxes.message(other.id, Uid(2)).await.unwrap().unwrap().record;
    assert_eq!((copy.blob, copy.email_id(), copy.saved_at), (original.blob, original.email_id(), at(9)));
    mailboxes.expunge(inbox.id, &[Uid(1)], at(0)).await.unwrap();
    assert!(mailboxes.read(&copy, 0..99).await.unwrap().ends_with(b"one"));
    let moved = mailboxes.move_messages(inbox.id, &[Uid(2), Uid(3)], other.id, at(9)).await.unwrap();
    assert_eq!(moved.uids, [(Uid(2), Uid(4)), (Uid(3), Uid(5))]);
    let changes = mailboxes.changes_since(inbox.id, moved.modseq - 1).await.unwrap();
    assert_eq!((changes.changed.len(), changes.vanished.runs()), (0, &[(2, 3)][..]));
    assert_eq!(mailboxes.listing(other.id).await.unwrap().messages.len(), 5);
    let nowhere = mailboxes.copy(other.id, &[Uid(1)], MailboxId(99), Quota::default(), at(0)).await;
    assert!(matches!(nowhere, Err(MailboxError::NotFound)));
}

#[tokio::test]
async fn a_quota_holds_for_appends_and_copies_and_not_for_moves() {
    let (mailboxes, engine, inbox) = fixture().await;
    let other = mailboxes.create(ACCOUNT, "other", None, at(0)).await.unwrap();
    append(&mailboxes, &engine, inbox.id, "four").await;
    let over = mailboxes.copy(inbox.id, &[Uid(1)], other.id, quota(Some(41), None), at(0)).await;
    assert!(matches!(over, Err(MailboxError::OverQuota)));
    let over = mailboxes.copy(inbox.id, &[Uid(1)], other.id, quota(None, Some(1)), at(0)).await;
    assert!(matches!(over, Err(MailboxError::OverQuota)));
    mailboxes.copy(inbox.id, &[Uid(1)], other.id, quota(Some(42), Some(2)), at(0)).await.unwrap();
    mailboxes.move_messages(inbox.id, &[Uid(1)], other.id, at(0)).await.unwrap();
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (2, 42));
}

fn quota(octets: Option<u64>, messages: Option<u64>) -> Quota {
    Quota { octets, messages }
}

/// A183
#[tokio::test]
async fn a_hundred_deliveries_at_once_stay_within_the_quota() {
    let (mailboxes, engine, inbox) = fixture().await;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (mailboxes, engine) = (mailboxes.clone(), engine.clone());
            tokio::spawn(async move {
                let mut batch = Batch::new();
                let blob = add_body(&engine, &mut batch, &Bytes::from_static(b"body")).await;
                let record = record(blob, 4, None);
                mailboxes.append_within(&mut batch, inbox.id, &record, quota(Some(21 * 7 + 20), None));
                engine.commit(batch).await
            })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => taken += 1,
            Err(error) => assert!(is_over_quota(&error, ACCOUNT)),
        }
    }
    assert_eq!((taken, mailboxes.usage(ACCOUNT).await.unwrap()), (7, (7, 21 * 7)));
}

#[tokio::test]
async fn names_are_unique_in_an_account_and_inbox_has_no_case() {
    let (mailboxes, _, inbox) = fixture().await;
    assert_eq!(inbox.name, "INBOX");
    assert_eq!(mailboxes.by_name(ACCOUNT, "iNbOx").await.unwrap(), Some(inbox.clone()));
    let again = mailboxes.create(ACCOUNT, "Inbox", None, at(0)).await;
    assert!(matches!(again, Err(MailboxError::Exists)));
    let other = mailboxes.create(AccountId(8), "INBOX", None, at(0)).await.unwrap();
    let nested = mailboxes.create(ACCOUNT, "inbox/work", Some("\\Archive"), at(0)).await.unwrap();
    let alike = mailboxes.create(ACCOUNT, "inboxes", None, at(0)).await.unwrap();
    assert_eq!((&*nested.name, &*alike.name), ("INBOX/work", "inboxes"));
    assert_eq!(mailboxes.list(ACCOUNT).await.unwrap(), [inbox, nested, alike]);
    assert_eq!((other.id.account(), mailboxes.by_name(ACCOUNT, "none").await.unwrap()), (AccountId(8), None));
}

#[tokio::test]
async fn uid_validity_comes_from_the_clock_and_always_rises() {
    let (mailboxes, _, inbox) = fixture().await;
    assert_eq!(inbox.uid_validity, 1000);
    let mut last = inbox.uid_validity;
    for (name, seconds) in [("a", 1000), ("b", 1000), ("c", 0), ("d", -9), ("e", 5000), ("f", 1)] {
        let made = mailboxes.create(ACCOUNT, name, None, at(seconds * 1000)).await.unwrap();
        assert!(made.uid_validity > last);
        last = made.uid_validity;
    }
    assert_eq!(last, 5001);
}

#[tokio::test]
async fn mailboxes_made_at_once_get_different_numbers() {
    let (mailboxes, ..) = fixture().await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let mailboxes = mailboxes.clone();
            tokio::spawn(async move {
                mailboxes.create(ACCOUNT, &format!("box {number}"), None, at(0)).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let all = mailboxes.list(ACCOUNT).await.unwrap();
    let mut validities: Vec<_> = all.iter().map(|mailbox| mailbox.uid_validity).collect();
    validities.sort_unstable();
    validities.dedup();
    assert_eq!((all.len(), validities.len()), (9, 9));
}

#[tokio::test]
async fn removal_takes_everything_and_mail_on_its_way_conflicts() {
    let (mailboxes, engine, inbox) = fixture().await;
    for _ in 0..5 {
        append(&mailboxes, &engine, inbox.id, "body").await;
    }
    mailboxes.expunge(inbox.id, &[Uid(2)], at(0)).await.unwrap();
    mailboxes.create(ACCOUNT, "gone", None, at(0)).await.unwrap();
    mailboxes.delete(ACCOUNT, "gone", at(0)).await.unwrap();
    let mut late = Batch::new();
    let blob = add_body(&engine, &mut late, &Bytes::from_static(b"late")).await;
    mailboxes.append(&mut late, inbox.id, &record(blob, 4, None));
    let mut removal = Batch::new();
    mailboxes.stage_removal(&mut removal, ACCOUNT).await.unwrap();
    append(&mailboxes, &engine, inbox.id, "just in time").await;
    assert!(matches!(engine.commit(removal).await, Err(CommitError::Conflict(_))));
    let mut removal = Batch::new();
    mailboxes.stage_removal(&mut removal, ACCOUNT).await.unwrap();
    engine.commit(removal).await.unwrap();
    assert!(matches!(engine.commit(late).await, Err(CommitError::Conflict(_))));
    for tag in MAILBOX..=0x3F {
        assert!(keys(&engine, tag).await.is_empty(), "{tag:x}");
    }
    assert_eq!(keys(&engine, crate::keys::COUNTER).await.len(), 1, "the last UIDVALIDITY stays");
    assert!(matches!(engine.blob_read(BlobId(1), 0..1).await, Err(StoreError::NotFound)));
}
