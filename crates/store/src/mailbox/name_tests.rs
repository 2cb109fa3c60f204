use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    memory::MemoryEngine,
    testing::{add_body, at, keys, record},
};

const ACCOUNT: AccountId = AccountId(7);

async fn with(names: &[&str]) -> (Mailboxes, Arc<dyn Engine>) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mailboxes = Mailboxes::new(engine.clone());
    for name in names {
        mailboxes.create(ACCOUNT, name, None, at(0)).await.unwrap();
    }
    (mailboxes, engine)
}

async fn names(mailboxes: &Mailboxes) -> Vec<String> {
    let mut names: Vec<_> =
        mailboxes.list(ACCOUNT).await.unwrap().into_iter().map(|mailbox| mailbox.name).collect();
    names.sort();
    names
}

async fn append(mailboxes: &Mailboxes, engine: &Arc<dyn Engine>, name: &str, count: usize) {
    let mailbox = mailboxes.by_name(ACCOUNT, name).await.unwrap().unwrap();
    for _ in 0..count {
        let mut batch = Batch::new();
        let blob = add_body(engine, &mut batch, &Bytes::from_static(b"body")).await;
        mailboxes.append(&mut batch, mailbox.id, &record(blob, 4, None));
        engine.commit(batch).await.unwrap();
    }
}

#[tokio::test]
async fn the_levels_above_are_made_too() {
    let (mailboxes, _) = with(&["INBOX"]).await;
    let made = mailboxes.create(ACCOUNT, "inbox/a/b/", Some("\\sent"), at(0)).await.unwrap();
    assert_eq!((&*made.name, made.special_use.as_deref()), ("INBOX/a/b", Some("\\Sent")));
    mailboxes.create(ACCOUNT, "x/y", None, at(0)).await.unwrap();
    assert_eq!(names(&mailboxes).await, ["INBOX", "INBOX/a", "INBOX/a/b", "x", "x/y"]);
    let create = async |name, special_use| mailboxes.create(ACCOUNT, name, special_use, at(0)).await;
    assert!(matches!(create("x", None).await, Err(MailboxError::Exists)));
    assert!(matches!(create("z", Some("\\All")).await, Err(MailboxError::SpecialUse)));
    assert!(matches!(create("a//b", None).await, Err(MailboxError::Name(_))));
}

#[tokio::test]
async fn a_mailbox_is_renamed_with_those_below_it() {
    let (mailboxes, engine) = with(&["INBOX", "a", "a/b", "a/b/c", "ab", "taken"]).await;
    append(&mailboxes, &engine, "a/b", 2).await;
    let before = mailboxes.by_name(ACCOUNT, "a/b").await.unwrap().unwrap();
    let rename = async |from, to| mailboxes.rename(ACCOUNT, from, to, at(0)).await;
    rename("a", "new/home").await.unwrap();
    let all = ["INBOX", "ab", "new", "new/home", "new/home/b", "new/home/b/c", "taken"];
    assert_eq!(names(&mailboxes).await, all);
    let after = mailboxes.by_name(ACCOUNT, "new/home/b").await.unwrap().unwrap();
    assert_eq!((after.id, after.uid_validity), (before.id, before.uid_validity));
    assert_eq!(mailboxes.status(after.id).await.unwrap().messages, 2);
    assert!(mailboxes.by_name(ACCOUNT, "a/b").await.unwrap().is_none());
    assert!(matches!(rename("ab", "taken").await, Err(MailboxError::Exists)));
    assert!(matches!(rename("ab", "inbox").await, Err(MailboxError::Exists)));
    assert!(matches!(rename("none", "x").await, Err(MailboxError::NotFound)));
    assert!(matches!(rename("new", "new/home/b/x").await, Err(MailboxError::Name(_))));
    assert_eq!(names(&mailboxes).await, all, "nothing happened by halves");
}

/// RFC 9051 §6.3.6
#[tokio::test]
async fn inbox_is_renamed_by_moving_its_messages() {
    let (mailboxes, engine) = with(&["INBOX", "INBOX/sub"]).await;
    append(&mailboxes, &engine, "INBOX", 3).await;
    let inbox = mailboxes.by_name(ACCOUNT, "INBOX").await.unwrap().unwrap();
    mailboxes.rename(ACCOUNT, "inbox", "old/mail", at(0)).await.unwrap();
    assert_eq!(names(&mailboxes).await, ["INBOX", "INBOX/sub", "old", "old/mail"]);
    let there = mailboxes.by_name(ACCOUNT, "old/mail").await.unwrap().unwrap();
    let uids = |listing: Arc<Listing>| listing.messages.iter().map(|one| one.uid.0).collect::<Vec<_>>();
    assert_eq!(uids(mailboxes.listing(there.id).await.unwrap()), [1, 2, 3]);
    let left = mailboxes.listing(inbox.id).await.unwrap();
    assert_eq!((left.messages.len(), left.uid_next), (0, Uid(4)));
    assert_eq!(mailboxes.usage(ACCOUNT).await.unwrap().0, 3);
}

#[tokio::test]
async fn a_deleted_mailbox_is_gone_with_its_messages_and_one_of_its_name_is_another() {
    let (mailboxes, engine) = with(&["INBOX", "a", "a/b"]).await;
    append(&mailboxes, &engine, "a", 2).await;
    let first = mailboxes.by_name(ACCOUNT, "a").await.unwrap().unwrap();
    assert!(matches!(mailboxes.delete(ACCOUNT, "inbox", at(0)).await, Err(MailboxError::Inbox)));
    let mut late = Batch::new();
    let blob = add_body(&engine, &mut late, &Bytes::from_static(b"late")).await;
    mailboxes.append(&mut late, first.id, &record(blob, 4, None));
    mailboxes.delete(ACCOUNT, "a", at(0)).await.unwrap();
    assert!(engine.commit(late).await.is_err());
    assert!(matches!(mailboxes.delete(ACCOUNT, "a", at(0)).await, Err(MailboxError::NotFound)));
    assert_eq!((names(&mailboxes).await.len(), mailboxes.usage(ACCOUNT).await.unwrap()), (2, (0, 0)));
    for tag in [crate::keys::MAILBOX_MESSAGE, crate::keys::MAILBOX_CHANGE, crate::keys::DELETED_MAILBOX] {
        assert!(keys(&engine, tag).await.is_empty());
    }
    let second = mailboxes.create(ACCOUNT, "a", None, at(0)).await.unwrap();
    assert!(second.uid_validity > first.uid_validity && second.id != first.id);
}

/// RFC 9051 §6.3.7
#[tokio::test]
async fn a_subscription_outlives_its_mailbox_until_somebody_ends_it() {
    let (mailboxes, _) = with(&["INBOX", "a", "b"]).await;
    let subscribe = async |name, on| mailboxes.subscribe(ACCOUNT, name, on).await;
    subscribe("b", false).await.unwrap();
    assert!(!mailboxes.by_name(ACCOUNT, "b").await.unwrap().unwrap().subscribed);
    assert!(matches!(subscribe("none", true).await, Err(MailboxError::NotFound)));
    for name in ["a", "b"] {
        mailboxes.delete(ACCOUNT, name, at(0)).await.unwrap();
    }
    assert_eq!(mailboxes.orphan_subscriptions(ACCOUNT).await.unwrap(), ["a"]);
    assert!(matches!(subscribe("b", false).await, Err(MailboxError::NotFound)));
    subscribe("a", false).await.unwrap();
    assert!(mailboxes.orphan_subscriptions(ACCOUNT).await.unwrap().is_empty());
}

#[tokio::test]
async fn watches_hear_of_their_mailbox_and_no_other() {
    let (mailboxes, engine) = with(&["INBOX", "a"]).await;
    let id = mailboxes.by_name(ACCOUNT, "a").await.unwrap().unwrap().id;
    let (one, all, names) =
        (mailboxes.watch(id), mailboxes.watch_messages(ACCOUNT), mailboxes.watch_names(ACCOUNT));
    let is_quiet = async |changes: &crate::Changes| {
        tokio::time::timeout(std::time::Duration::from_millis(20), changes.changed()).await.is_err()
    };
    append(&mailboxes, &engine, "INBOX", 1).await;
    all.changed().await;
    assert!(is_quiet(&one).await && is_quiet(&names).await);
    append(&mailboxes, &engine, "a", 1).await;
    one.changed().await;
    mailboxes.subscribe(ACCOUNT, "a", false).await.unwrap();
    names.changed().await;
    assert!(is_quiet(&one).await);
    mailboxes.delete(ACCOUNT, "a", at(0)).await.unwrap();
    one.changed().await;
}
