//! Commands that take long, or name very many messages.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use ::store::{
    Batch,
    mailbox::{COPY_MAX, MailboxId, MessageRecord, Quota, Uid},
};
use mail::Timestamp;

use super::*;

/// Whoever looks at it makes it go on.
struct HastyClock {
    clock: Arc<dyn Clock>,
    step_seconds: AtomicU64,
    ahead_seconds: AtomicU64,
}

#[async_trait::async_trait]
impl Clock for HastyClock {
    fn now(&self) -> Instant {
        let step = self.step_seconds.load(Ordering::Relaxed);
        let ahead = self.ahead_seconds.fetch_add(step, Ordering::Relaxed);
        self.clock.now() + Duration::from_secs(ahead)
    }

    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    async fn sleep_until(&self, deadline: Instant) {
        self.clock.sleep_until(deadline).await;
    }
}

async fn fill(house: &House, mailbox: MailboxId, count: usize) {
    house.deliver_to(mailbox, b"Subject: x\r\n\r\n").await;
    let first = house.stores.mailboxes.message(mailbox, Uid(1)).await.unwrap().unwrap();
    let mut batch = Batch::new();
    for _ in 1..count {
        let record: MessageRecord = first.record.clone();
        house.stores.mailboxes.append(&mut batch, mailbox, &record);
    }
    house.stores.engine.commit(batch).await.unwrap();
}

#[tokio::test]
async fn who_waits_long_hears_that_it_goes_on() {
    let base = Base::new();
    let clock = Arc::new(HastyClock {
        clock: base.clock.clone(),
        step_seconds: AtomicU64::new(0),
        ahead_seconds: AtomicU64::new(0),
    });
    let house = House::of(base, clock.clone());
    house.add_alice().await;
    let inbox = house.alice().await.inbox;
    fill(&house, inbox, 700).await;
    let mut client = house.in_inbox().await;
    client.converse("C: a SEARCH TEXT nothing\nS: * SEARCH\nS: a OK searched").await;
    clock.step_seconds.store(11, Ordering::Relaxed);
    client
        .converse(
            "C: b1 SEARCH TEXT nothing
             S: * OK [INPROGRESS (\"b1\" 0 700)] it goes on
             S: * OK [INPROGRESS (\"b1\" 200 700)] it goes on
             S: * OK [INPROGRESS (\"b1\" 400 700)] it goes on
             S: * OK [INPROGRESS (\"b1\" 600 700)] it goes on
             S: * SEARCH
             S: b1 OK searched
             C: c THREAD REFERENCES UTF-8 1:210
             S: * OK [INPROGRESS (\"c\" 0 210)] it goes on
             S: * OK [INPROGRESS (\"c\" 200 210)] it goes on
             S: * OK [INPROGRESS (\"c\" 210 NIL)] it goes on
             S: * OK [INPROGRESS (\"c\" 410 NIL)] it goes on
             S: * THREAD …
             S: c OK threaded
             C: d UID MOVE 1:3 Archive
             S: * OK [INPROGRESS (\"d\" 0 3)] it goes on
             S: * OK [COPYUID …",
        )
        .await;
}

#[tokio::test]
async fn any_number_of_messages_is_copied_as_a_whole_or_not_at_all() {
    let house = House::with_alice().await;
    let inbox = house.alice().await.inbox;
    let count = COPY_MAX + 1;
    fill(&house, inbox, count).await;
    let mut client = house.in_inbox().await;
    let status = format!("* STATUS Archive (MESSAGES {count})");
    client.converse(&format!("C: a COPY 1:* Archive\nS: a OK [COPYUID …\nC: s STATUS Archive (MESSAGES)\nS: {status}\nS: s OK …")).await;
    let alice: mail::Address = "alice@example.org".parse().unwrap();
    // There is room for the first page.
    let quota = Quota { octets: None, messages: Some(3 * COPY_MAX as u64 + 2) };
    house.stores.directory.set_quota(&alice, quota).await.unwrap();
    client
        .converse(
            "C: b COPY 1:* Trash
             S: b NO [OVERQUOTA] the account may not hold so much
             C: s STATUS Trash (MESSAGES SIZE)
             S: * STATUS Trash (MESSAGES 0 SIZE 0)
             S: s OK that is all",
        )
        .await;
    assert_eq!(house.stores.mailboxes.usage(inbox.account()).await.unwrap().0, 2 * count as u64);
}
