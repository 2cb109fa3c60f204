//! The Outbox, in front of a queue whose deliveries are what the test says.

use std::{
    collections::BTreeSet,
    sync::{Mutex, atomic::AtomicU32, atomic::Ordering},
};

use ::store::{
    Batch, BlobId, CommitError, StoreError,
    mailbox::{AccountId, Uid},
    spool::{Cancelled, EntryStatus, LaneId, QueueEntry, QueuedRecipient},
};
use async_trait::async_trait;
use bytes::Bytes;
use mail::{MailParameters, QueueId, RcptParameters, ReversePath, Timestamp};

use super::*;

/// The agent's part.
struct Queue {
    stores: Stores,
    /// In the hand of a worker.
    busy: Mutex<BTreeSet<QueueId>>,
}

#[async_trait]
impl Outgoing for Queue {
    async fn waits_for(&self, id: QueueId) -> Result<Option<String>, StoreError> {
        Ok(self.stores.spool.entries_of(id).await?.first().map(|entry| {
            let error = entry.last_error.as_deref().unwrap_or("nothing");
            format!("for {} it waits because of {error}.", entry.recipients[0].address)
        }))
    }

    async fn cancel(&self, id: QueueId, _whole: bool, also: Batch) -> Result<Cancelled, CommitError> {
        if self.busy.lock().unwrap().contains(&id) {
            return Ok(Cancelled::Busy);
        }
        let mut batch = also;
        let entries = self.stores.spool.entries_of(id).await?;
        for entry in &entries {
            self.stores.spool.remove(&mut batch, entry);
        }
        if entries.is_empty() {
            return Ok(Cancelled::Gone);
        }
        Ok(Cancelled::Whole(self.stores.engine.commit(batch).await?))
    }
}

struct Site {
    house: House,
    queue: Arc<Queue>,
    account: AccountId,
    next: AtomicU32,
}

impl std::ops::Deref for Site {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

impl Site {
    async fn new() -> Self {
        let base = Base::new();
        base.add_alice().await;
        let account = base.alice().await.id;
        let queue = Arc::new(Queue { stores: base.stores.clone(), busy: Mutex::default() });
        let service = ImapService::new(
            base.logins.clone(),
            base.stores.clone(),
            base.clock.clone(),
            Arc::new(SystemEntropy),
        );
        let service = Arc::new(service.with_outgoing(queue.clone()));
        Self { house: House { base, service }, queue, account, next: AtomicU32::new(1) }
    }

    /// Alice has submitted this; one entry.
    async fn submit(&self, subject: &str) -> QueueEntry {
        let mut writer = self.stores.engine.blob_writer().await.unwrap();
        writer.write(Bytes::from(format!("Subject: {subject}\r\n\r\nhello\r\n"))).await.unwrap();
        let body = writer.finish().await.unwrap();
        let at = Timestamp::from_millis(1_000_000_000_000);
        let entry = QueueEntry {
            queue_id: QueueId::new(at, self.next.fetch_add(1, Ordering::Relaxed)),
            part: 0,
            lane: LaneId("mx:there.example".into()),
            reverse_path: ReversePath::Null,
            mail: MailParameters::default(),
            recipients: vec![QueuedRecipient {
                address: "carol@there.example".parse().unwrap(),
                original: None,
                rcpt: RcptParameters::default(),
            }],
            blob: body.id,
            blob_bytes: body.bytes,
            accepted_at: at,
            due: at,
            attempts: 0,
            status: EntryStatus::Waiting,
            last_error: None,
            delay_told: false,
            release_at: at,
            deadline: None,
            rerouted: false,
            submitter: Some(self.account),
        };
        let mut batch = Batch::new();
        batch.blob(body);
        self.stores.spool.add(&mut batch, &entry);
        self.stores.engine.commit(batch).await.unwrap();
        entry
    }

    async fn replace(&self, old: &QueueEntry, new: &QueueEntry) {
        let mut batch = Batch::new();
        self.stores.spool.replace(&mut batch, old, new);
        self.stores.engine.commit(batch).await.unwrap();
    }

    /// A try in vain.
    async fn defer(&self, entry: &QueueEntry) -> QueueEntry {
        let error = Some("451 try later".to_owned());
        let deferred = QueueEntry { attempts: 1, last_error: error, ..entry.clone() };
        self.replace(entry, &deferred).await;
        deferred
    }

    async fn deliver_out(&self, entry: &QueueEntry) {
        let mut batch = Batch::new();
        self.stores.spool.remove(&mut batch, entry);
        self.stores.engine.commit(batch).await.unwrap();
    }

    async fn in_outbox(&self) -> Client {
        let mut client = self.logged_in().await;
        client.say("s SELECT Outbox").await;
        while !client.hear().await.starts_with("s OK [READ-WRITE]") {}
        client
    }
}

#[tokio::test]
async fn it_shows_what_is_on_its_way_and_what_that_waits_for() {
    let site = Site::new().await;
    let (one, _two) = (site.submit("one").await, site.submit("two").await);
    site.defer(&one).await;
    let mut client = site.logged_in().await;
    client
        .converse(
            "C: a LIST \"\" O*
             S: * LIST (\\Noinferiors) \"/\" Outbox
             S: a OK listed
             C: b STATUS Outbox (MESSAGES UNSEEN UIDNEXT)
             S: * STATUS Outbox (MESSAGES 2 UNSEEN 0 UIDNEXT 3)
             S: b OK that is all
             C: c SELECT Outbox
             S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Queued $Scheduled $Held $Deferred $Delayed)
             S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)] flags that stay
             S: * 2 EXISTS",
        )
        .await;
    while !client.hear().await.starts_with("c OK") {}
    client
        .converse(
            "C: d FETCH 1:2 (UID FLAGS PREVIEW BODY.PEEK[HEADER.FIELDS (Subject)])
             S: * 1 FETCH (UID 1 FLAGS (\\Seen $Deferred) PREVIEW \"for carol@there.example it waits because of 451 try later.\" BODY[HEADER.FIELDS (Subject)] {16}
             S: Subject: one
             S: \n             S: )
             S: * 2 FETCH (UID 2 FLAGS (\\Seen $Queued) PREVIEW \"for carol@there.example it waits because of nothing.\" BODY[HEADER.FIELDS (Subject)] {16}
             S: Subject: two
             S: \n             S: )
             S: d OK fetched
             C: e SEARCH KEYWORD $Deferred
             S: * SEARCH 1
             S: e OK searched
             C: f SORT (REVERSE SUBJECT) UTF-8 ALL
             S: * SORT 2 1
             S: f OK sorted
             C: g STORE 1 FLAGS (\\Flagged $Held)
             S: * 1 FETCH (FLAGS (\\Flagged $Deferred))
             S: g OK stored",
        )
        .await;
}

#[tokio::test]
async fn who_idles_sees_deliveries_proceed() {
    let site = Site::new().await;
    let mut client = site.in_outbox().await;
    client.converse("C: a IDLE\nS: + idling").await;
    let one = site.submit("one").await;
    client.expect("* 1 EXISTS").await;
    let one = site.defer(&one).await;
    client.expect("* 1 FETCH (FLAGS (\\Seen $Deferred))").await;
    let held = QueueEntry { status: EntryStatus::Held, delay_told: true, ..one.clone() };
    site.replace(&one, &held).await;
    client.expect("* 1 FETCH (FLAGS (\\Seen $Held $Delayed))").await;
    site.deliver_out(&held).await;
    client.converse("S: * 1 EXPUNGE\nC: DONE\nS: a OK idle no more").await;
    site.submit("two").await;
    client.converse("C: b NOOP\nS: * 1 EXISTS\nS: b OK nothing else is new").await;
    client.converse("C: c FETCH 1 UID\nS: * 1 FETCH (UID 2)\nS: c OK fetched").await;
    // What changed meanwhile is told to who was away (RFC 7162 §3.2.5).
    client.say("d SELECT Outbox (CONDSTORE)").await;
    while !client.hear().await.starts_with("d OK") {}
    client
        .converse("C: e FETCH 1:* FLAGS (CHANGEDSINCE 1)\nS: * 1 FETCH (FLAGS (\\Seen $Queued) MODSEQ (5))")
        .await;
    client.expect("e OK fetched").await;
}

#[tokio::test]
async fn expunging_calls_off_and_what_is_being_delivered_is_refused() {
    let site = Site::new().await;
    let (one, two) = (site.submit("one").await, site.submit("two").await);
    site.queue.busy.lock().unwrap().insert(one.queue_id);
    let mut client = site.in_outbox().await;
    client
        .converse(
            "C: a STORE 1:2 +FLAGS.SILENT (\\Deleted)
             S: a OK stored
             C: b EXPUNGE
             S: * 2 EXPUNGE
             S: b NO [INUSE] 1 of the messages are just being delivered; see what comes of it and try again",
        )
        .await;
    assert!(site.stores.spool.entry(two.id()).await.unwrap().is_none());
    assert!(site.stores.spool.entry(one.id()).await.unwrap().is_some());
    site.queue.busy.lock().unwrap().clear();
    client.converse("C: c CLOSE\nS: c OK the mailbox is closed").await;
    assert!(site.stores.spool.entry(one.id()).await.unwrap().is_none(), "CLOSE expunges");
}

#[tokio::test]
async fn a_move_to_trash_keeps_the_message_and_calls_it_off() {
    let site = Site::new().await;
    let (one, two) = (site.submit("one").await, site.submit("two").await);
    site.queue.busy.lock().unwrap().insert(two.queue_id);
    let mut client = site.in_outbox().await;
    client
        .converse(
            "C: a MOVE 2 Trash
             S: a NO [INUSE] …
             C: b COPY 2 Trash
             S: b OK [COPYUID …
             C: c MOVE 1 Trash
             S: * OK [COPYUID …
             S: * 1 EXPUNGE
             S: c OK moved
             C: d SELECT Trash",
        )
        .await;
    while !client.hear().await.starts_with("d OK") {}
    client
        .converse(
            "C: e FETCH 1:* (FLAGS BODY.PEEK[HEADER])
             S: * 1 FETCH (FLAGS (\\Seen) BODY[HEADER] {16}
             S: Subject: two
             S: \n             S: )
             S: * 2 FETCH (FLAGS (\\Seen) BODY[HEADER] {16}
             S: Subject: one
             S: \n             S: )
             S: e OK fetched",
        )
        .await;
    assert!(site.stores.spool.entry(one.id()).await.unwrap().is_none());
    assert!(site.stores.spool.entry(two.id()).await.unwrap().is_some());
    let trash = site.stores.mailboxes.by_name(site.account, "Trash").await.unwrap().unwrap();
    let kept = site.stores.mailboxes.message(trash.id, Uid(2)).await.unwrap().unwrap();
    assert_ne!(kept.record.blob, BlobId(0));
    assert_eq!(site.stores.mailboxes.usage(site.account).await.unwrap().0, 2, "and only there it counts");
}

#[tokio::test]
async fn it_is_not_put_into_made_renamed_or_deleted() {
    let site = Site::new().await;
    site.submit("one").await;
    let mut client = site.in_outbox().await;
    client
        .converse(
            "C: a CREATE Outbox
             S: a NO [CANNOT] …
             C: b CREATE Outbox/below
             S: b NO [CANNOT] …
             C: c RENAME Outbox Other
             S: c NO [CANNOT] …
             C: d RENAME Drafts Outbox
             S: d NO [CANNOT] …
             C: e DELETE Outbox
             S: e NO [CANNOT] …
             C: f APPEND Outbox {3+}\\r\\nabc
             S: f NO [CANNOT] …
             C: g COPY 1 Outbox
             S: g NO [CANNOT] …
             C: h UNSUBSCRIBE Outbox
             S: h OK not subscribed any more
             C: i LSUB \"\" Out*
             S: i OK listed
             C: j SUBSCRIBE Outbox
             S: j OK subscribed
             C: k EXAMINE Outbox",
        )
        .await;
    while !client.hear().await.starts_with("k OK [READ-ONLY]") {}
    client
        .converse("C: l STORE 1 +FLAGS (\\Deleted)\nS: l NO [NOPERM] …\nC: m EXPUNGE\nS: m NO [NOPERM] …")
        .await;
}

#[tokio::test]
async fn a_mailbox_of_that_name_that_was_there_before_stays_what_it_is() {
    let site = Site::new().await;
    site.stores.mailboxes.create(site.account, "Outbox", None, Timestamp::from_millis(0)).await.unwrap();
    site.submit("one").await;
    let mut client = site.logged_in().await;
    client
        .converse(
            "C: a STATUS Outbox (MESSAGES)
             S: * STATUS Outbox (MESSAGES 0)
             S: a OK that is all
             C: b APPEND Outbox {3+}\\r\\nabc
             S: b OK [APPENDUID …
             C: c RENAME Outbox Old
             S: c OK renamed
             C: d STATUS Outbox (MESSAGES)
             S: * STATUS Outbox (MESSAGES 1)
             S: d OK that is all
             C: e LIST \"\" O*
             S: * LIST (\\HasNoChildren) \"/\" Old
             S: * LIST (\\Noinferiors) \"/\" Outbox
             S: e OK listed",
        )
        .await;
}

#[tokio::test]
async fn a_body_that_goes_while_it_is_read_is_a_message_that_is_gone() {
    let site = Site::new().await;
    let one = site.submit("one").await;
    let mut client = site.in_outbox().await;
    site.deliver_out(&one).await;
    client.converse("C: a FETCH 1 BODY.PEEK[]\nS: * 1 FETCH ()\nS: a NO [EXPUNGEISSUED] …").await;
    client.converse("C: b NOOP\nS: * 1 EXPUNGE\nS: b OK nothing else is new").await;
}
