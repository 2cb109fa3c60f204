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

/// UID and kind of each change, in order of MODSEQ.
async fn changes(engine: &Arc<dyn Engine>) -> Vec<(u64, u32, u8)> {
    let found = engine.scan(KeyRange::prefix(&[MAILBOX_CHANGE]), Order::Ascending, 100).await.unwrap();
    found
        .iter()
        .map(|(key, value)| {
            let modseq = u64::from_be_bytes(key.as_slice()[9..].try_into().unwrap());
            (modseq, u32::from_be_bytes(value[..4].try_into().unwrap()), value[4])
        })
        .collect()
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
    assert_eq!(changes(&engine).await, [(1, 1, 0), (2, 2, 0)]);
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
    let gone = mailboxes.expunge(inbox.id, &[Uid(3), Uid(1), Uid(9), Uid(1)]).await.unwrap();
    assert_eq!(gone, [Uid(1), Uid(3)]);
    assert!(matches!(mailboxes.read(&first.record, 0..99).await, Err(StoreError::NotFound)));
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (1, 17 + 5));
    assert_eq!(changes(&engine).await, [(2, 2, 0), (4, 1, 1), (5, 3, 1)]);
    assert!(mailboxes.expunge(inbox.id, &[Uid(1)]).await.unwrap().is_empty());
    assert_eq!(append(&mailboxes, &engine, inbox.id, "new").await, (4, 6), "UIDs are never used again");
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
            tokio::spawn(async move { mailboxes.expunge(inbox.id, &uids).await.unwrap() })
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
    let before = mailboxes.message(inbox.id, Uid(1)).await.unwrap().unwrap();
    let set = async |message: &StoredMessage| {
        let mut batch = Batch::new();
        let slot = mailboxes.set_flags(&mut batch, inbox.id, message, Flags(5), vec!["$Junk".to_owned()]);
        engine.commit(batch).await.map(|committed| committed.value(slot))
    };
    assert_eq!(set(&before).await.unwrap(), 3);
    assert!(matches!(set(&before).await, Err(CommitError::Conflict(_))));
    let after = mailboxes.message(inbox.id, Uid(1)).await.unwrap().unwrap();
    assert_eq!((after.modseq, after.record.flags, after.record.keywords.len()), (3, Flags(5), 1));
    assert_eq!(changes(&engine).await, [(2, 2, 0), (3, 1, 0)]);
    assert_eq!(set(&after).await.unwrap(), 4);
}

#[tokio::test]
async fn names_are_unique_in_an_account_and_inbox_has_no_case() {
    let (mailboxes, _, inbox) = fixture().await;
    assert_eq!(inbox.name, "INBOX");
    assert_eq!(mailboxes.by_name(ACCOUNT, "iNbOx").await.unwrap(), Some(inbox.clone()));
    let again = mailboxes.create(ACCOUNT, "Inbox", None, at(0)).await;
    assert!(matches!(again, Err(CommitError::Conflict(_))));
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
    mailboxes.expunge(inbox.id, &[Uid(2)]).await.unwrap();
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
    for tag in [MAILBOX, MAILBOX_NAME, MAILBOX_MESSAGE, MAILBOX_CHANGE] {
        assert!(keys(&engine, tag).await.is_empty());
    }
    assert_eq!(keys(&engine, crate::keys::COUNTER).await.len(), 1, "the last UIDVALIDITY stays");
    assert!(matches!(engine.blob_read(BlobId(1), 0..1).await, Err(StoreError::NotFound)));
}
