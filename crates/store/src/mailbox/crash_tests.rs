//! Sessions that append, flag, copy, move and expunge at once, on the crash model: what was acknowledged is there after every
//! crash, a UID never means another message, and whoever asks what changed comes to the same view.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::*;
use crate::{
    memory::{Chance, CrashModel, Fault, MemoryEngine},
    testing::{add_body, at, record},
};

const ACCOUNT: AccountId = AccountId(7);
const LIVES: u64 = 4;
const SESSIONS: u64 = 4;
const STEPS: u64 = 25;

type Place = (MailboxId, Uid);

/// What was acknowledged, and what was seen.
#[derive(Default)]
struct Truth {
    /// What each UID means.
    bodies: BTreeMap<Place, String>,
    /// Told to be there.
    there: BTreeSet<Place>,
    /// Somebody tried to take them away, with whatever outcome.
    doubtful: BTreeSet<Place>,
    gone: BTreeSet<Place>,
    keywords: Vec<(Place, String)>,
    /// What a client knows of each mailbox, up to which MODSEQ.
    views: BTreeMap<MailboxId, (u64, BTreeMap<Uid, ListedMessage>)>,
}

impl Truth {
    fn arrived(&mut self, place: Place, body: &str) {
        let before = self.bodies.insert(place, body.to_owned());
        assert!(before.is_none_or(|before| before == body), "{place:?} was another message");
        self.there.insert(place);
    }
}

#[derive(Clone)]
struct House {
    mailboxes: Mailboxes,
    engine: Arc<dyn Engine>,
    truth: Arc<Mutex<Truth>>,
    boxes: [MailboxId; 2],
}

impl House {
    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    /// One session until the engine stops, or it has done enough.
    async fn session(self, name: u64, mut chance: Chance) {
        for step in 0..STEPS {
            let from = self.boxes[usize::try_from(chance.below(2)).unwrap()];
            let to = self.boxes[usize::try_from(chance.below(2)).unwrap()];
            let Ok(listing) = self.mailboxes.listing(from).await else { return };
            let uids: Vec<Uid> =
                listing.messages.iter().map(|one| one.uid).filter(|_| chance.one_in(4)).collect();
            match chance.below(6) {
                0 | 1 => self.append(from, &format!("{name}.{step}.{}", chance.draw())).await,
                2 => self.flag(from, &uids, format!("k{name}.{step}")).await,
                3 => self.expunge(from, &uids).await,
                4 => self.transfer(from, &uids, to, true).await,
                _ => self.transfer(from, &uids[..uids.len().min(2)], to, false).await,
            }
            tokio::task::yield_now().await;
        }
    }

    async fn append(&self, mailbox: MailboxId, body: &str) {
        let mut batch = Batch::new();
        let blob = add_body(&self.engine, &mut batch, &Bytes::from(body.to_owned())).await;
        let slots = self.mailboxes.append(&mut batch, mailbox, &record(blob, body.len() as u64, None));
        if let Ok(committed) = self.engine.commit(batch).await {
            let uid = Uid(u32::try_from(committed.value(slots.uid)).unwrap());
            self.truth().arrived((mailbox, uid), body);
        }
    }

    async fn flag(&self, mailbox: MailboxId, uids: &[Uid], keyword: String) {
        let change =
            FlagChange { how: FlagChangeKind::Add, flags: Flags::SEEN, keywords: vec![keyword.clone()] };
        if let Ok(stored) = self.mailboxes.store_flags(mailbox, uids, &change, None).await {
            let places = stored.messages.iter().map(|one| ((mailbox, one.uid), keyword.clone()));
            self.truth().keywords.extend(places);
        }
    }

    async fn expunge(&self, mailbox: MailboxId, uids: &[Uid]) {
        self.truth().doubtful.extend(uids.iter().map(|uid| (mailbox, *uid)));
        if let Ok(expunged) = self.mailboxes.expunge(mailbox, uids, at(0)).await {
            self.truth().gone.extend(expunged.uids.iter().map(|uid| (mailbox, *uid)));
        }
    }

    async fn transfer(&self, from: MailboxId, uids: &[Uid], to: MailboxId, moves: bool) {
        let done = if moves {
            self.truth().doubtful.extend(uids.iter().map(|uid| (from, *uid)));
            self.mailboxes.move_messages(from, uids, to, at(0)).await
        } else {
            self.mailboxes.copy(from, uids, to, Quota::default(), at(0)).await
        };
        let Ok(done) = done else { return };
        let mut truth = self.truth();
        for (old, new) in done.uids {
            if let Some(body) = truth.bodies.get(&(from, old)).cloned() {
                truth.arrived((to, new), &body);
            }
            if moves {
                truth.gone.insert((from, old));
            }
        }
    }

    async fn verify(&self) {
        let mut usage = (0, 0);
        for mailbox in self.boxes {
            let listing = self.mailboxes.listing(mailbox).await.unwrap();
            let messages = self.mailboxes.messages(mailbox, Uid(1), usize::MAX).await.unwrap();
            self.verify_messages(mailbox, &messages, &listing).await;
            self.verify_counts(mailbox, &messages).await;
            self.catch_up(mailbox, &listing).await;
            usage.0 += messages.len() as u64;
            usage.1 += messages.iter().map(|one| one.record.octets()).sum::<u64>();
        }
        assert_eq!(self.mailboxes.usage(ACCOUNT).await.unwrap(), usage);
    }

    async fn verify_messages(&self, mailbox: MailboxId, messages: &[StoredMessage], listing: &Listing) {
        let of_record = |one: &StoredMessage| ListedMessage {
            uid: one.uid,
            modseq: one.modseq,
            flags: one.record.flags,
            keywords: one.record.keywords.clone(),
        };
        assert_eq!(messages.iter().map(of_record).collect::<Vec<_>>(), listing.messages);
        for one in messages {
            let octets = self.engine.blob_read(one.record.blob, 0..u64::MAX).await.unwrap();
            let mut truth = self.truth();
            truth.arrived((mailbox, one.uid), std::str::from_utf8(&octets).unwrap());
            assert!(!truth.gone.contains(&(mailbox, one.uid)), "{} was expunged", one.uid.0);
            let promised = truth.keywords.iter().filter(|(place, _)| *place == (mailbox, one.uid));
            for (_, keyword) in promised {
                assert!(one.record.keywords.contains(keyword), "{} lost {keyword}", one.uid.0);
            }
        }
        let truth = self.truth();
        let promised = truth.there.difference(&truth.doubtful).filter(|(of, _)| *of == mailbox);
        for (_, uid) in promised {
            assert!(messages.binary_search_by_key(uid, |one| one.uid).is_ok(), "{} is lost", uid.0);
        }
        let last = truth.bodies.keys().filter(|(of, _)| *of == mailbox).map(|(_, uid)| *uid).max();
        assert!(last.is_none_or(|last| last < listing.uid_next), "a UID could come again");
    }

    async fn verify_counts(&self, mailbox: MailboxId, messages: &[StoredMessage]) {
        let status = self.mailboxes.status(mailbox).await.unwrap();
        let unseen = messages.iter().filter(|one| !one.record.flags.has(Flags::SEEN)).count();
        let octets = messages.iter().map(|one| one.record.octets()).sum::<u64>();
        let counted = (status.messages, status.unseen, status.octets, status.deleted);
        assert_eq!(counted, (messages.len() as u64, unseen as u64, octets, 0));
    }

    /// A client that was away since the life before.
    async fn catch_up(&self, mailbox: MailboxId, listing: &Listing) {
        let since = self.truth().views.entry(mailbox).or_default().0;
        let changes = self.mailboxes.changes_since(mailbox, since).await.unwrap();
        let mut truth = self.truth();
        let (known, view) = truth.views.entry(mailbox).or_default();
        view.extend(changes.changed.iter().map(|one| (one.uid, one.clone())));
        view.retain(|uid, _| !changes.vanished.contains(*uid));
        *known = changes.highest_modseq;
        assert!(view.values().eq(listing.messages.iter()), "a client and the server have two views");
    }
}

fn stormy(seed: u64) -> CrashModel {
    CrashModel::calm(seed).crash_one_in(120).sync_error_one_in(200).full_one_in(40)
}

/// Some lives with a crash after each; how many crashes the model made by itself.
async fn run(seed: u64, model: CrashModel) -> usize {
    let start = Arc::new(MemoryEngine::new());
    let mailboxes = Mailboxes::new(start.clone());
    let mut boxes = [MailboxId(0); 2];
    for (place, name) in boxes.iter_mut().zip(["INBOX", "other"]) {
        *place = mailboxes.create(ACCOUNT, name, None, at(0)).await.unwrap().id;
    }
    let mut engine = Arc::new(start.crash_into(Some(model)));
    let truth = Arc::<Mutex<Truth>>::default();
    let mut stops = 0;
    for life in 0..LIVES {
        let house = |engine: &Arc<MemoryEngine>| House {
            mailboxes: Mailboxes::new(engine.clone()),
            engine: engine.clone(),
            truth: truth.clone(),
            boxes,
        };
        let mut sessions = JoinSet::new();
        for name in 0..SESSIONS {
            let chance = Chance::new(seed * 1000 + life * 100 + name);
            sessions.spawn(house(&engine).session(life * SESSIONS + name, chance));
        }
        sessions.join_all().await;
        stops += usize::from(Engine::poisoned(&*engine).is_some());
        engine = Arc::new(engine.crash());
        house(&engine).verify().await;
    }
    stops
}

#[tokio::test]
async fn no_crash_loses_what_was_acknowledged_or_moves_a_uid() {
    let mut stops = 0;
    for seed in 0..120 {
        stops += run(seed, stormy(seed)).await;
    }
    assert!(stops > 100, "the model crashed {stops} times only");
}

#[tokio::test]
async fn a_reply_before_its_sync_is_found() {
    let mut found = 0;
    for seed in 0..20 {
        let lived = tokio::spawn(run(seed, stormy(seed).plant(Fault::ReplyBeforeSync)));
        found += usize::from(lived.await.is_err());
    }
    assert!(found >= 10, "found with {found} of 20 seeds only");
}

/// The same where commits of several threads meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_on_many_threads_end_with_one_view() {
    for seed in 1000..1020 {
        run(seed, stormy(seed)).await;
    }
}
