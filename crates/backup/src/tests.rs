use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use bytes::Bytes;
use mail::{QueueId, ReversePath, Timestamp};
use store::{
    Batch, BlobId, Body, Engine, Key, KeyRange, Order, PasswordCost, Snapshot, Stores,
    mailbox::{Flags, MessageRecord},
    memory::MemoryEngine,
    spool::{EntryStatus, LaneId, QueueEntry},
};
use tempfile::TempDir;
use world::World;

use crate::{
    Adoption, Backup, BackupEngine, Damage, End, Error, Header, Part, Place, Source, Taken, VolumeId, adopt,
    copy, take, verify,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Octets that tell their place.
fn pattern(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

async fn store_body(engine: &MemoryEngine, octets: &Bytes, references: i64) -> BlobId {
    let mut writer = engine.blob_writer().await.unwrap();
    writer.write(octets.clone()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let id = blob.id;
    let mut batch = Batch::new();
    batch.references(id, references);
    batch.blob(blob);
    engine.commit(batch).await.unwrap();
    id
}

async fn put(engine: &MemoryEngine, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let mut batch = Batch::new();
        let key = [&[0x32][..], &number.to_be_bytes()].concat();
        batch.put(key, pattern(u64::from(number), 150).to_vec());
        engine.commit(batch).await.unwrap();
    }
}

async fn pairs(engine: &dyn Engine) -> Vec<(Key, Bytes)> {
    let range = KeyRange { start: vec![].into(), end: vec![0xF0].into() };
    engine.scan(range, Order::Ascending, usize::MAX).await.unwrap()
}

async fn bodies(engine: &dyn Engine) -> Vec<(Body, Bytes)> {
    let snapshot = engine.snapshot().await.unwrap();
    let mut read = Vec::new();
    for body in (*snapshot).bodies(None, usize::MAX).await.unwrap() {
        read.push((body, snapshot.blob_read(body.id, 0..u64::MAX).await.unwrap()));
    }
    read
}

/// Some hundred pairs, and bodies of all sizes.
async fn filled() -> MemoryEngine {
    let engine = MemoryEngine::new();
    put(&engine, 0..400).await;
    for (seed, length) in [(1, 10), (2, 0), (3, 256 * 1024), (4, 700_000), (5, 4000)] {
        store_body(&engine, &pattern(seed, length), i64::try_from(seed).unwrap()).await;
    }
    engine
}

fn about(id: &str) -> Header {
    let id = VolumeId(id.to_owned());
    Header { number: 0, id, taken_at: NOW.rfc3339(), release: "1".to_owned(), after: None }
}

async fn back_up(engine: &MemoryEngine, place: &Place, id: &str) -> Result<Taken, Error> {
    let mut source = engine.snapshot().await.unwrap();
    take(&mut source, place, about(id), &mut |_| {}).await
}

async fn restored(place: &Place, number: Option<u32>) -> Result<MemoryEngine, Error> {
    let engine = MemoryEngine::new();
    let backup = Backup::open(place, number)?;
    copy(&backup, &engine, Damage::Refuse, &mut |_| {}).await?;
    Ok(engine)
}

async fn problems(place: &Place) -> Vec<String> {
    verify(place, &mut |_| {}).await.unwrap().problems
}

fn dir() -> (TempDir, Place) {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::at(&dir.path().join("backups/"));
    (dir, place)
}

#[tokio::test]
async fn what_is_restored_is_what_was_there() {
    let engine = filled().await;
    let (_dir, place) = dir();
    back_up(&engine, &place, "a").await.unwrap();
    let again = restored(&place, None).await.unwrap();
    assert_eq!(pairs(&again).await, pairs(&engine).await);
    assert!(bodies(&again).await == bodies(&engine).await, "with their numbers and references");
    let later = store_body(&again, &pattern(9, 5), 1).await;
    assert!(later > BlobId(1 << 24), "no number is given out again");
    assert_eq!(problems(&place).await, Vec::<String>::new());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.volume(1)), 0o600);
    assert_eq!(mode(place.volume(1).parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_backup_reads_like_the_store() {
    let engine = filled().await;
    let dir = tempfile::tempdir().unwrap();
    let place = Place::at(&dir.path().join("one"));
    back_up(&engine, &place, "a").await.unwrap();
    let refused = back_up(&engine, &place, "b").await.unwrap_err();
    assert!(refused.to_string().contains("name another file, or a directory"), "{refused}");
    let read = BackupEngine::new(Arc::new(Backup::open(&place, None).unwrap()));
    for order in [Order::Ascending, Order::Descending] {
        let range = KeyRange { start: vec![0x32, 0, 0, 0, 50].into(), end: vec![0x32, 0, 0, 1, 60].into() };
        for limit in [1, 7, 1000] {
            let expected = engine.scan(range.clone(), order, limit).await.unwrap();
            assert_eq!(Engine::scan(&read, range.clone(), order, limit).await.unwrap(), expected);
        }
    }
    assert_eq!(pairs(&read).await, pairs(&engine).await);
    for (body, octets) in bodies(&engine).await {
        for range in [0..u64::MAX, 5..10, 262_140..262_150, 300_000..600_000, 262_144..524_288] {
            let within = |at: u64| usize::try_from(at.min(body.bytes)).unwrap();
            let expected = octets.slice(within(range.start)..within(range.end));
            assert!(Engine::blob_read(&read, body.id, range.clone()).await.unwrap() == expected, "{range:?}");
        }
    }
    assert!(read.commit(Batch::new()).await.is_err());
}

#[tokio::test]
async fn a_second_backup_writes_what_is_new_and_both_are_whole() {
    let engine = filled().await;
    let (_dir, place) = dir();
    let first = back_up(&engine, &place, "a").await.unwrap();
    let (before, bodies_before) = (pairs(&engine).await, bodies(&engine).await);
    put(&engine, 200..205).await;
    put(&engine, 400..410).await;
    let gone = bodies_before[4].0;
    let mut batch = Batch::new();
    batch.references(gone.id, -5);
    batch.references(bodies_before[0].0.id, 7);
    engine.commit(batch).await.unwrap();
    store_body(&engine, &pattern(6, 1234), 1).await;
    let second = back_up(&engine, &place, "b").await.unwrap();
    assert_eq!((first.end.new_bodies, first.end.new_body_bytes), (5, first.end.body_bytes));
    assert_eq!((second.end.new_bodies, second.end.new_body_bytes, second.end.bodies), (1, 1234, 5));
    assert!(second.bytes * 5 < first.bytes, "{} and {}", second.bytes, first.bytes);
    let third = back_up(&engine, &place, "c").await.unwrap();
    assert_eq!(third.end.new_bodies, 0);
    assert!(third.bytes < 3000, "{}", third.bytes);
    assert_eq!(third.end.volumes.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    for (number, pairs_then, bodies_then) in [
        (Some(1), before, bodies_before),
        (Some(2), pairs(&engine).await, bodies(&engine).await),
        (None, pairs(&engine).await, bodies(&engine).await),
    ] {
        let again = restored(&place, number).await.unwrap();
        assert_eq!(pairs(&again).await, pairs_then);
        assert!(bodies(&again).await == bodies_then, "{number:?}");
    }
    assert_eq!(problems(&place).await, Vec::<String>::new());
    assert!(Backup::open(&place, Some(4)).unwrap_err().to_string().contains("no backup number 4"));
}

#[tokio::test]
async fn a_change_moves_no_cut_far_away() {
    let engine = MemoryEngine::new();
    put(&engine, 0..6000).await;
    let (_dir, place) = dir();
    let first = back_up(&engine, &place, "a").await.unwrap();
    let mut batch = Batch::new();
    batch.put([&[0x31][..], b"at the very front"].concat(), b"x".to_vec());
    batch.delete([&[0x32][..], &3000_u32.to_be_bytes()].concat().into());
    engine.commit(batch).await.unwrap();
    let second = back_up(&engine, &place, "b").await.unwrap();
    assert!(second.bytes * 8 < first.bytes, "{} and {}", second.bytes, first.bytes);
    assert_eq!(pairs(&restored(&place, None).await.unwrap()).await, pairs(&engine).await);
}

#[tokio::test]
async fn a_flipped_octet_is_found_wherever_it_is() {
    let engine = MemoryEngine::new();
    put(&engine, 0..30).await;
    store_body(&engine, &pattern(1, 800), 1).await;
    let (_dir, place) = dir();
    back_up(&engine, &place, "a").await.unwrap();
    put(&engine, 30..60).await;
    store_body(&engine, &pattern(2, 800), 1).await;
    back_up(&engine, &place, "b").await.unwrap();
    let unharmed = (pairs(&engine).await, bodies(&engine).await);
    for number in [1, 2] {
        let path = place.volume(number);
        let sound = fs::read(&path).unwrap();
        for at in (0..sound.len()).step_by(11) {
            let mut flipped = sound.clone();
            flipped[at] ^= 0x10;
            fs::write(&path, &flipped).unwrap();
            assert!(!problems(&place).await.is_empty(), "octet {at} of volume {number}");
            if let Ok(again) = restored(&place, Some(2)).await {
                let found = (pairs(&again).await, bodies(&again).await);
                assert!(found == unharmed, "octet {at} of volume {number}: restored as something else");
            }
        }
        for length in (0..sound.len()).step_by(101) {
            fs::write(&path, &sound[..length]).unwrap();
            assert!(!problems(&place).await.is_empty(), "cut at {length}");
            assert!(restored(&place, Some(number)).await.is_err(), "cut at {length}");
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(problems(&place).await, Vec::<String>::new());
}

/// Gives so many answers.
struct BreakingOff(Box<dyn Snapshot>, usize);

impl BreakingOff {
    fn count(&mut self) -> Result<(), Error> {
        self.1 = self.1.checked_sub(1).ok_or_else(|| Error::Source("the server is gone".to_owned()))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Source for BreakingOff {
    async fn pairs(&mut self, from: &Key) -> Result<Vec<(Key, Bytes)>, Error> {
        self.count()?;
        self.0.pairs(from).await
    }

    async fn bodies(&mut self, after: Option<BlobId>) -> Result<Vec<Body>, Error> {
        self.count()?;
        Source::bodies(&mut self.0, after).await
    }

    async fn parts(&mut self, parts: &[Part]) -> Result<Vec<Result<Bytes, String>>, Error> {
        self.count()?;
        self.0.parts(parts).await
    }
}

#[tokio::test]
async fn what_is_broken_off_harms_nothing_and_the_next_begins_anew() {
    let engine = filled().await;
    let (_dir, place) = dir();
    back_up(&engine, &place, "a").await.unwrap();
    put(&engine, 400..900).await;
    store_body(&engine, &pattern(8, 900_000), 1).await;
    let mut answers = 0;
    loop {
        let mut source = BreakingOff(engine.snapshot().await.unwrap(), answers);
        match take(&mut source, &place, about("x"), &mut |_| {}).await {
            Ok(taken) => {
                assert_eq!(taken.header.number, 2);
                break;
            }
            Err(error) => assert!(error.to_string().contains("the server is gone"), "{error}"),
        }
        assert_eq!(place.numbers().unwrap(), [1]);
        // What a crash would leave.
        fs::write(place.volume(2).with_extension("backup.partial"), b"half").unwrap();
        assert_eq!(problems(&place).await, Vec::<String>::new());
        answers += 1;
    }
    assert!(answers > 8, "{answers}");
    assert_eq!(pairs(&restored(&place, None).await.unwrap()).await, pairs(&engine).await);
    let Place::Dir(path) = &place else { panic!() };
    let names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "two volumes and the lock: {names:?}");
}

#[tokio::test]
async fn a_link_that_somebody_planted_is_not_written_through() {
    let engine = filled().await;
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    let place = Place::at(&dir.path().join("mail.backup"));
    std::os::unix::fs::symlink(&victim, dir.path().join("mail.backup.partial")).unwrap();
    back_up(&engine, &place, "a").await.unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(!fs::symlink_metadata(dir.path().join("mail.backup")).unwrap().is_symlink());
    assert_eq!(pairs(&restored(&place, None).await.unwrap()).await, pairs(&engine).await);
}

#[tokio::test]
async fn without_its_base_a_backup_is_made_whole() {
    let engine = filled().await;
    let (_dir, place) = dir();
    back_up(&engine, &place, "a").await.unwrap();
    back_up(&engine, &place, "b").await.unwrap();
    fs::remove_file(place.volume(1)).unwrap();
    assert!(restored(&place, None).await.is_err());
    assert!(!problems(&place).await.is_empty());
    let third = back_up(&engine, &place, "c").await.unwrap();
    assert_eq!((third.header.after, third.end.new_bodies), (None, 5));
    assert_eq!(pairs(&restored(&place, Some(3)).await.unwrap()).await, pairs(&engine).await);
    // A file of the same name from elsewhere is not taken for the one that is missing.
    fs::copy(place.volume(3), place.volume(1)).unwrap();
    assert!(restored(&place, Some(2)).await.is_err() && restored(&place, Some(1)).await.is_err());
}

#[tokio::test]
async fn a_number_that_was_given_again_is_another_body() {
    let engine = filled().await;
    let (_dir, place) = dir();
    back_up(&engine, &place, "a").await.unwrap();
    // The same store, put back to an earlier state by other means.
    let other = MemoryEngine::new();
    for (body, octets) in bodies(&engine).await {
        let octets = if body.id == BlobId(5) { pattern(77, 4000) } else { octets };
        assert_eq!(store_body(&other, &octets, 1).await, body.id);
    }
    let second = back_up(&other, &place, "b").await.unwrap();
    assert_eq!((second.end.new_bodies, second.end.new_body_bytes), (1, 4000));
    assert!(bodies(&restored(&place, None).await.unwrap()).await == bodies(&other).await);
}

/// A store of which one body cannot be read.
#[derive(Debug)]
struct Damaged(Box<dyn Snapshot>, BlobId);

#[async_trait::async_trait]
impl Snapshot for Damaged {
    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Bytes)>, store::StoreError> {
        self.0.scan(range, limit).await
    }

    async fn bodies(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<Body>, store::StoreError> {
        (*self.0).bodies(after, limit).await
    }

    async fn blob_read(&self, id: BlobId, range: std::ops::Range<u64>) -> Result<Bytes, store::StoreError> {
        if id == self.1 {
            return Err(store::StoreError::Damaged("a bad sector".to_owned()));
        }
        self.0.blob_read(id, range).await
    }
}

#[tokio::test]
async fn one_damaged_body_does_not_keep_the_others_out() {
    let engine = filled().await;
    let (_dir, place) = dir();
    let mut source: Box<dyn Snapshot> = Box::new(Damaged(engine.snapshot().await.unwrap(), BlobId(4)));
    let taken = take(&mut source, &place, about("a"), &mut |_| {}).await.unwrap();
    assert_eq!((taken.end.missing_bodies, taken.problems.len()), (1, 1), "{:?}", taken.problems);
    assert!(
        taken.problems[0].contains("body 4 cannot be read") && taken.problems[0].contains("a bad sector")
    );
    assert!(restored(&place, None).await.is_err());
    // By then number 4 can be read, and number 5, which no longer can be, is in the first backup.
    let mut source: Box<dyn Snapshot> = Box::new(Damaged(engine.snapshot().await.unwrap(), BlobId(5)));
    let taken = take(&mut source, &place, about("b"), &mut |_| {}).await.unwrap();
    assert_eq!((taken.end.missing_bodies, taken.end.new_bodies), (0, 1));
    assert!(bodies(&restored(&place, None).await.unwrap()).await == bodies(&engine).await);
    let engine_again = MemoryEngine::new();
    let backup = Backup::open(&place, Some(1)).unwrap();
    let copied = copy(&backup, &engine_again, Damage::Skip, &mut |_| {}).await.unwrap();
    assert_eq!((copied.bodies, copied.left_out.len()), (4, 1));
    assert_eq!(pairs(&engine_again).await, pairs(&engine).await);
}

async fn stores_with_mail() -> (Stores, Arc<MemoryEngine>) {
    let engine = Arc::new(MemoryEngine::new());
    let stores = Stores::with_password_cost(engine.clone(), PasswordCost::least());
    stores.directory.add_domain(&"a.test".parse().unwrap(), NOW).await.unwrap();
    let address = "ann@a.test".parse().unwrap();
    stores.directory.add_account(&address, "secret", None, &*World::system().entropy, NOW).await.unwrap();
    let account = stores.directory.account(&address).await.unwrap().unwrap();
    let blob = store_body(&engine, &pattern(1, 300), 1).await;
    let record = MessageRecord {
        blob,
        blob_bytes: 300,
        prefix: Bytes::from_static(b"Delivered-To: ann@a.test\r\n"),
        internal_date: NOW,
        flags: Flags::SEEN,
        keywords: vec!["work".to_owned()],
        queue_id: None,
        saved_at: NOW,
    };
    let mut batch = Batch::new();
    stores.mailboxes.append(&mut batch, account.inbox, &record);
    let entry = QueueEntry {
        queue_id: QueueId::new(NOW, 1),
        part: 0,
        lane: LaneId("smtp:b.test:25".into()),
        reverse_path: ReversePath::Null,
        mail: mail::MailParameters::default(),
        recipients: Vec::new(),
        blob,
        blob_bytes: 300,
        accepted_at: NOW,
        due: NOW,
        attempts: 0,
        status: EntryStatus::Waiting,
        last_error: None,
        delay_told: false,
        release_at: NOW,
        deadline: None,
        rerouted: false,
        submitter: None,
    };
    stores.spool.add(&mut batch, &entry);
    batch.put(vec![store::keys::TLS_DAY, 1], b"a day".to_vec());
    engine.commit(batch).await.unwrap();
    (stores, engine)
}

#[tokio::test]
async fn a_store_put_back_sends_nothing_twice_and_confuses_no_client() {
    let (stores, engine) = stores_with_mail().await;
    let (_dir, place) = dir();
    let taken = back_up(&engine, &place, "a").await.unwrap();
    assert_eq!(problems(&place).await, Vec::<String>::new());
    let End { bodies, .. } = taken.end;
    assert_eq!(bodies, 1);
    let account = stores.directory.account(&"ann@a.test".parse().unwrap()).await.unwrap().unwrap();
    let inbox = stores.mailboxes.by_id(account.inbox).await.unwrap().unwrap();
    let messages = stores.mailboxes.messages(inbox.id, store::mailbox::Uid(1), 10).await.unwrap();
    for (release_queue, keep_uid_validity) in [(false, false), (true, true)] {
        let engine = Arc::new(restored(&place, None).await.unwrap());
        let stores = Stores::with_password_cost(engine.clone(), PasswordCost::least());
        let reason = "restored".to_owned();
        let adoption = Adoption { now: NOW, reason, release_queue, keep_uid_validity };
        let adopted = adopt(&stores, &adoption).await.unwrap();
        assert_eq!((adopted.queued, adopted.held), (1, u64::from(!release_queue)));
        let entry = &stores.spool.list(None, 10).await.unwrap()[0];
        assert_eq!(entry.status == EntryStatus::Held, !release_queue);
        assert_eq!(stores.spool.lanes(None, 10).await.unwrap().len(), usize::from(release_queue));
        assert_eq!(stores.ledger.events(entry.queue_id).await.unwrap().len(), usize::from(!release_queue));
        let now = stores.mailboxes.by_id(account.inbox).await.unwrap().unwrap();
        assert_eq!(now.uid_validity > inbox.uid_validity, !keep_uid_validity);
        assert_eq!(stores.mailboxes.messages(inbox.id, store::mailbox::Uid(1), 10).await.unwrap(), messages);
        let next = stores.mailboxes.listing(inbox.id).await.unwrap().uid_next;
        assert_eq!(next.0, if keep_uid_validity { 2 } else { 2 + (1 << 16) });
        let made = stores.mailboxes.create(account.id, "New", None, NOW).await.unwrap();
        assert!(made.uid_validity > now.uid_validity && made.id > now.id);
        let days = engine.scan(KeyRange::prefix(&[store::keys::TLS_DAY]), Order::Ascending, 9).await.unwrap();
        assert_eq!(days.len(), usize::from(release_queue));
        let again = stores.directory.account(&account.address).await.unwrap().unwrap();
        assert_eq!(again, account, "POP3 goes on by the UIDVALIDITY that it knows");
    }
    // A message whose body is not there is told of.
    let mut batch = Batch::new();
    batch.references(messages[0].record.blob, -3);
    engine.commit(batch).await.unwrap();
    back_up(&engine, &place, "b").await.unwrap();
    let problems = problems(&place).await;
    assert!(problems.iter().any(|problem| problem.contains("ann@a.test, INBOX, UID 1")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("queue entry")), "{problems:?}");
}
