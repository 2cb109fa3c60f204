use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    keys::MESSAGE_SUMMARY,
    memory::MemoryEngine,
    testing::{add_body, at, keys, record},
};

const ACCOUNT: AccountId = AccountId(7);
const MESSAGE: &str = "Subject: Hello\r\nMessage-ID: <2@x>\r\nReferences: <1@x> <0@x>\r\n\r\nSome words\r\n";

async fn fixture() -> (Mailboxes, Arc<dyn Engine>, MailboxId) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mailboxes = Mailboxes::new(engine.clone());
    let inbox = mailboxes.create(ACCOUNT, "INBOX", None, at(0)).await.unwrap().id;
    (mailboxes, engine, inbox)
}

fn with() -> AppendWith {
    AppendWith { internal_date: at(3), flags: Flags::SEEN, keywords: vec!["k".to_owned()] }
}

async fn write(mailboxes: &Mailboxes, message: &'static str) -> WrittenMessage {
    let mut writer = mailboxes.message_writer().await.unwrap();
    for octet in message.as_bytes().chunks(7) {
        writer.write(Bytes::from_static(octet)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

fn subject(summary: &Summary) -> Option<&str> {
    summary.structure.parts()[0].envelope.as_ref()?.subject.as_deref()
}

#[tokio::test]
async fn dates_are_those_that_were_written_or_those_of_the_arrival() {
    let (mailboxes, engine, inbox) = fixture().await;
    let append = async |message: &'static str| {
        let mut batch = Batch::new();
        let message = write(&mailboxes, message).await;
        mailboxes.append_written(&mut batch, inbox, message, with(), Quota::default(), at(9));
        engine.commit(batch).await.unwrap();
    };
    append("Date: 1 Jan 1970 00:00:05 +0000\r\n\r\n").await;
    append("Date: who knows\r\n\r\n").await;
    append(MESSAGE).await;
    let uids = |uids: &[u32]| uids.iter().copied().map(Uid).collect::<Vec<_>>();
    let came = at(3).millis();
    let dates = mailboxes.sent_dates(inbox, &uids(&[1, 2])).await.unwrap();
    assert_eq!(dates, [(Uid(1), 5000), (Uid(2), came)]);
    let dates = mailboxes.sent_dates(inbox, &uids(&[1, 2, 3, 4])).await.unwrap();
    assert_eq!(dates, [(Uid(1), 5000), (Uid(2), came), (Uid(3), came)]);
}

#[tokio::test]
async fn a_message_is_summed_up_as_it_is_written_and_its_copies_share_that() {
    let (mailboxes, engine, inbox) = fixture().await;
    let other = mailboxes.create(ACCOUNT, "other", None, at(0)).await.unwrap().id;
    let mut batch = Batch::new();
    let message = write(&mailboxes, MESSAGE).await;
    let slots = mailboxes.append_written(&mut batch, inbox, message, with(), Quota::default(), at(9));
    let uid = Uid(u32::try_from(engine.commit(batch).await.unwrap().value(slots.uid)).unwrap());
    let stored = mailboxes.message(inbox, uid).await.unwrap().unwrap();
    assert_eq!(
        (stored.record.internal_date, stored.record.saved_at, stored.record.flags.0),
        (at(3), at(9), 1)
    );
    mailboxes.move_messages(inbox, &[uid], other, at(10)).await.unwrap();
    assert_eq!(keys(&engine, MESSAGE_SUMMARY).await, [keyspace::summary_key(other, Uid(1))]);
    let moved = mailboxes.message(other, Uid(1)).await.unwrap().unwrap();
    let summary = mailboxes.summary(other, &moved).await.unwrap();
    assert_eq!((subject(&summary), &*summary.preview), (Some("Hello"), "Some words"));
    assert_eq!(summary.structure.octets(), moved.record.octets());
    mailboxes.expunge(other, &[Uid(1)], at(0)).await.unwrap();
    assert!(keys(&engine, MESSAGE_SUMMARY).await.is_empty());
}

#[tokio::test]
async fn a_message_without_a_summary_gets_one_that_is_kept() {
    let (mailboxes, engine, inbox) = fixture().await;
    for _ in 0..3 {
        let mut batch = Batch::new();
        let blob = add_body(&engine, &mut batch, &Bytes::from_static(MESSAGE.as_bytes())).await;
        mailboxes.append(&mut batch, inbox, &record(blob, MESSAGE.len() as u64, None));
        engine.commit(batch).await.unwrap();
    }
    let messages = mailboxes.messages(inbox, Uid(1), 9).await.unwrap();
    let first = mailboxes.summary(inbox, &messages[0]).await.unwrap();
    assert_eq!((keys(&engine, MESSAGE_SUMMARY).await.len(), subject(&first)), (1, Some("Hello")));
    assert!(
        first.structure.parts()[0].body().start > MESSAGE.find("Some").unwrap() as u64,
        "the prefix counts"
    );
    mailboxes.expunge(inbox, &[Uid(2)], at(0)).await.unwrap();
    let all = mailboxes.summaries(inbox, &messages).await.unwrap();
    assert_eq!((all[0].as_ref(), &all[1], all[2].as_ref()), (Some(&first), &None, Some(&first)));
    let all = mailboxes.summaries(inbox, &messages[2..]).await.unwrap();
    assert_eq!((all.len(), keys(&engine, MESSAGE_SUMMARY).await.len()), (1, 2));
}

#[tokio::test]
async fn messages_of_one_thread_say_so() {
    let (mailboxes, ..) = fixture().await;
    let thread = async |message| write(&mailboxes, message).await.summary.thread_id();
    let first = thread("Message-ID: <1@x>\r\n\r\n").await;
    assert!(first.is_some());
    assert_eq!(thread(MESSAGE).await, first);
    assert_eq!(thread("In-Reply-To: < 1@x >\r\nMessage-ID: <9@x>\r\n\r\n").await, first);
    assert_ne!(thread("Message-ID: <2@x>\r\n\r\n").await, first);
    assert_eq!(thread("Message-ID: none\r\nReferences: <>\r\n\r\n").await, None);
}
