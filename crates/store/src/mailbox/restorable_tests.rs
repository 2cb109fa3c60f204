use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    memory::MemoryEngine,
    testing::{add_body, at, keys, record},
};

const ACCOUNT: AccountId = AccountId(7);
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Keeps expunged messages for a day; the account has an INBOX and a mailbox `work` with so many messages of 21 octets.
async fn with_messages(count: usize) -> (Mailboxes, Arc<MemoryEngine>, MailboxId) {
    let memory = Arc::new(MemoryEngine::new());
    let engine: Arc<dyn Engine> = memory.clone();
    let mailboxes = Mailboxes::new(engine.clone());
    mailboxes.keep_expunged(Duration::from_hours(24), 10_000);
    mailboxes.create(ACCOUNT, "INBOX", None, at(0)).await.unwrap();
    let work = mailboxes.create(ACCOUNT, "work", None, at(0)).await.unwrap().id;
    for _ in 0..count {
        let mut batch = Batch::new();
        let blob = add_body(&engine, &mut batch, &Bytes::from_static(b"body")).await;
        mailboxes.append(&mut batch, work, &record(blob, 4, None));
        engine.commit(batch).await.unwrap();
    }
    (mailboxes, memory, work)
}

async fn restorable(mailboxes: &Mailboxes) -> Vec<ExpungedMessage> {
    mailboxes.restorable(ACCOUNT, at(0), usize::MAX).await.unwrap()
}

async fn left_over(engine: &Arc<MemoryEngine>) -> usize {
    let engine: Arc<dyn Engine> = engine.clone();
    keys(&engine, crate::keys::EXPUNGED_MESSAGE).await.len()
}

#[tokio::test]
async fn an_expunged_message_comes_back_with_a_new_uid_and_without_its_mark() {
    let (mailboxes, engine, work) = with_messages(3).await;
    let deleted = FlagChange {
        how: FlagChangeKind::Add,
        flags: Flags::DELETED | Flags::SEEN,
        keywords: vec!["k".to_owned()],
    };
    mailboxes.store_flags(work, &[Uid(2)], &deleted, None).await.unwrap();
    mailboxes.expunge(work, &[Uid(2)], at(100)).await.unwrap();
    mailboxes.expunge(work, &[Uid(3)], at(200)).await.unwrap();
    assert_eq!((mailboxes.usage(ACCOUNT).await.unwrap(), engine.bodies().0), ((1, 21), 3));
    let kept = restorable(&mailboxes).await;
    assert_eq!(
        kept.iter().map(|one| (one.uid.0, &*one.mailbox_name)).collect::<Vec<_>>(),
        [(2, "work"), (3, "work")]
    );
    assert_eq!(mailboxes.restorable(ACCOUNT, at(150), 9).await.unwrap(), kept[1..]);
    let too_much = Quota { octets: Some(41), messages: None };
    let over = mailboxes.restore(ACCOUNT, &kept[..1], too_much, at(300)).await;
    assert!(matches!(over, Err(MailboxError::OverQuota)));
    assert_eq!(mailboxes.restore(ACCOUNT, &kept[..1], Quota::default(), at(300)).await.unwrap(), 1);
    assert_eq!(mailboxes.restore(ACCOUNT, &kept[..1], Quota::default(), at(300)).await.unwrap(), 0);
    let back = mailboxes.message(work, Uid(4)).await.unwrap().unwrap().record;
    assert_eq!((back.flags, back.keywords.len(), back.saved_at), (Flags::SEEN, 1, at(300)));
    assert!(mailboxes.read(&back, 0..99).await.unwrap().ends_with(b"body"));
    assert_eq!((mailboxes.usage(ACCOUNT).await.unwrap(), restorable(&mailboxes).await.len()), ((2, 42), 1));
}

#[tokio::test]
async fn a_deleted_mailbox_comes_back_with_its_messages() {
    let (mailboxes, _, _) = with_messages(3).await;
    mailboxes.delete(ACCOUNT, "work", at(100)).await.unwrap();
    let kept = restorable(&mailboxes).await;
    assert_eq!(kept.len(), 3);
    assert_eq!(mailboxes.restore(ACCOUNT, &kept, Quota::default(), at(200)).await.unwrap(), 3);
    let again = mailboxes.by_name(ACCOUNT, "work").await.unwrap().unwrap();
    assert_eq!(mailboxes.listing(again.id).await.unwrap().messages.len(), 3);
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap(), (3, 63));
}

#[tokio::test]
async fn what_was_expunged_is_let_go_after_a_while_and_what_is_too_much_at_once() {
    let (mailboxes, engine, work) = with_messages(5).await;
    mailboxes.expunge(work, &[Uid(1)], at(100)).await.unwrap();
    mailboxes.expunge(work, &[Uid(2)], at(200)).await.unwrap();
    assert_eq!(mailboxes.let_go(at(100 + DAY_MS)).await.unwrap(), 0);
    assert_eq!(mailboxes.let_go(at(101 + DAY_MS)).await.unwrap(), 1);
    assert_eq!((engine.bodies().0, restorable(&mailboxes).await[0].uid), (4, Uid(2)));
    mailboxes.keep_expunged(Duration::from_hours(24), 2 * 21);
    mailboxes.expunge(work, &[Uid(3), Uid(4)], at(300)).await.unwrap();
    assert_eq!((engine.bodies().0, left_over(&engine).await), (3, 2), "one of the three did not fit");
    mailboxes.keep_expunged(Duration::ZERO, 0);
    mailboxes.expunge(work, &[Uid(5)], at(400)).await.unwrap();
    assert_eq!((engine.bodies().0, mailboxes.let_go(at(500)).await.unwrap()), (2, 2));
    assert_eq!((engine.bodies().0, left_over(&engine).await), (0, 0));
}

#[tokio::test]
async fn an_account_that_goes_takes_along_what_could_be_restored() {
    let (mailboxes, engine, work) = with_messages(3).await;
    mailboxes.expunge(work, &[Uid(1)], at(100)).await.unwrap();
    mailboxes.delete(ACCOUNT, "work", at(100)).await.unwrap();
    let mut removal = Batch::new();
    mailboxes.stage_removal(&mut removal, ACCOUNT).await.unwrap();
    Engine::commit(&*engine, removal).await.unwrap();
    assert_eq!((engine.bodies().0, left_over(&engine).await), (0, 0));
}
