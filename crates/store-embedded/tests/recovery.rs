//! What opening finds after crashes and damage.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use store::{Batch, BlobId, Engine, Key, StoreError};
use store_embedded::{EmbeddedEngine, OpenError, Options};

/// No checkpoint comes by itself.
fn lazy() -> Options {
    Options { checkpoint_interval_ms: 3_600_000, ..Options::default() }
}

fn open(dir: &Path, options: Options) -> Arc<EmbeddedEngine> {
    EmbeddedEngine::open(dir, options).unwrap()
}

fn key(number: u32) -> Key {
    number.to_be_bytes().to_vec().into()
}

async fn store_body(engine: &Arc<EmbeddedEngine>, number: u32, octets: Bytes) -> BlobId {
    let mut writer = engine.blob_writer().await.unwrap();
    writer.write(octets).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let id = blob.id;
    let mut batch = Batch::new();
    batch.blob(blob);
    batch.references(id, 1);
    batch.put(key(number), id.0.to_be_bytes().to_vec());
    engine.commit(batch).await.unwrap();
    id
}

fn body(number: u32, length: usize) -> Bytes {
    (0..length).map(|at| (at as u32).wrapping_mul(number | 1).to_be_bytes()[2]).collect()
}

fn log_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A store of three commits, its last log file, and where the last record begins.
async fn three_commits(dir: &Path) -> (PathBuf, usize) {
    let engine = open(dir, lazy());
    store_body(&engine, 1, body(1, 100)).await;
    store_body(&engine, 2, body(2, 50)).await;
    let log = log_files(dir).pop().unwrap();
    let before_last = usize::try_from(fs::metadata(&log).unwrap().len()).unwrap();
    store_body(&engine, 3, body(3, 40)).await;
    (log, before_last)
}

async fn holds(dir: &Path, expected: [bool; 3]) {
    let engine = open(dir, lazy());
    assert_eq!(engine.damage(), []);
    for (number, expected) in (1..).zip(expected) {
        let stored = engine.get(&key(number)).await.unwrap();
        assert_eq!(stored.is_some(), expected, "commit {number}");
        if let Some(stored) = stored {
            let id = BlobId(u64::from_be_bytes(stored.as_ref().try_into().unwrap()));
            let length = [100, 50, 40][number as usize - 1];
            assert_eq!(engine.blob_read(id, 0..1000).await.unwrap(), body(number, length));
        }
    }
    // What was torn must not come back behind what is written now.
    store_body(&engine, 3, body(3, 40)).await;
    drop(engine);
    let engine = open(dir, lazy());
    assert!(engine.get(&key(3)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_tail_torn_at_any_octet_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before_last) = three_commits(dir.path()).await;
    let whole = fs::read(&log).unwrap();
    let copied = tempfile::tempdir().unwrap();
    for (count, length) in (before_last..whole.len()).enumerate() {
        let left = copied.path().join(count.to_string());
        copy(dir.path(), &left);
        let log = log_files(&left).pop().unwrap();
        fs::write(&log, &whole[..length]).unwrap();
        holds(&left, [true, true, false]).await;
        fs::remove_dir_all(&left).unwrap();
    }
    holds(dir.path(), [true, true, true]).await;
}

#[tokio::test]
async fn a_tail_with_any_octet_wrong_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before_last) = three_commits(dir.path()).await;
    let whole = fs::read(&log).unwrap();
    let copied = tempfile::tempdir().unwrap();
    for (count, at) in (before_last..whole.len()).step_by(3).enumerate() {
        let left = copied.path().join(count.to_string());
        copy(dir.path(), &left);
        let mut torn = whole.clone();
        torn[at] ^= 0x40;
        fs::write(log_files(&left).pop().unwrap(), torn).unwrap();
        holds(&left, [true, true, false]).await;
        fs::remove_dir_all(&left).unwrap();
    }
}

#[tokio::test]
async fn damage_before_what_was_synced_later_is_no_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let (log, before_last) = three_commits(dir.path()).await;
    let mut octets = fs::read(&log).unwrap();
    // In the second record's header or writes, as it ends with 50 octets of body.
    octets[before_last - 60] ^= 1;
    fs::write(&log, octets).unwrap();
    let engine = open(dir.path(), lazy());
    let damage = engine.damage();
    assert_eq!((damage.len(), &damage[0].file), (1, &log));
    let found = async |number| engine.get(&key(number)).await.unwrap().is_some();
    assert!(found(1).await && !found(2).await && found(3).await);
}

#[tokio::test]
async fn damage_in_a_sealed_segment_is_reported_and_the_rest_is_served() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), lazy()));
    let index = dir.path().join("index.redb");
    let early = fs::read(&index).unwrap();
    let options = Options { segment_bytes: 4000, ..lazy() };
    let engine = open(dir.path(), options);
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(store_body(&engine, number, body(number, 1000)).await);
    }
    engine.close().await.unwrap();
    drop(engine);
    // As if no checkpoint had been made: everything is in the log.
    fs::write(&index, early).unwrap();
    let sealed = log_files(dir.path())[1].clone();
    let mut octets = fs::read(&sealed).unwrap();
    octets[40] ^= 1;
    octets[3000] ^= 1;
    fs::write(&sealed, octets).unwrap();
    for _ in 0..2 {
        let engine = open(dir.path(), options);
        let damage = engine.damage();
        assert!(!damage.is_empty() && damage.iter().all(|damage| damage.file == sealed), "{damage:?}");
        let mut whole = 0;
        for (number, id) in (0..).zip(&ids) {
            match engine.blob_read(*id, 0..2000).await {
                Ok(octets) => {
                    assert_eq!(octets, body(number, 1000));
                    whole += 1;
                }
                Err(StoreError::NotFound | StoreError::Damaged(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(whole, 18);
        engine.close().await.unwrap();
        assert!(sealed.exists(), "kept for people to look into");
    }
}

#[tokio::test]
async fn damaged_bodies_are_told_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), Options::default());
    let large = 1_000_000;
    let (small_id, large_id) =
        (store_body(&engine, 1, body(1, 1000)).await, store_body(&engine, 2, body(2, large)).await);
    engine.close().await.unwrap();
    drop(engine);
    let log = log_files(dir.path())[0].clone();
    let file = dir.path().join(format!("blobs/{:x}/{:016x}", large_id.0 % 16, large_id.0));
    for (path, at) in [(&log, 900), (&file, 700_000)] {
        let mut octets = fs::read(path).unwrap();
        octets[at] ^= 1;
        fs::write(path, octets).unwrap();
    }
    let engine = open(dir.path(), Options::default());
    for range in [0..10, 500..600] {
        assert!(matches!(engine.blob_read(small_id, range).await, Err(StoreError::Damaged(_))));
    }
    let sound = engine.blob_read(large_id, 100_000..200_000).await.unwrap();
    assert_eq!(sound, body(2, large).slice(100_000..200_000));
    let damaged = engine.blob_read(large_id, 650_000..710_000).await;
    assert!(matches!(damaged, Err(StoreError::Damaged(_))));
    assert_eq!(engine.damage().len(), 2);
}

#[tokio::test]
async fn two_do_not_open_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), Options::default());
    let second = EmbeddedEngine::open(dir.path(), Options::default());
    assert!(matches!(second, Err(OpenError::Locked(_))));
    drop(engine);
    open(dir.path(), Options::default());
}

#[tokio::test]
async fn a_log_without_its_index_is_not_taken_for_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    three_commits(dir.path()).await;
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    let opened = EmbeddedEngine::open(dir.path(), Options::default());
    assert!(matches!(opened, Err(OpenError::Damaged { .. })));
}

#[tokio::test]
async fn half_made_files_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path(), lazy());
    let kept = store_body(&engine, 1, body(1, 400_000)).await;
    let mut unfinished = engine.blob_writer().await.unwrap();
    unfinished.write(body(2, 600_000)).await.unwrap();
    std::mem::forget(unfinished);
    drop(engine);
    fs::write(dir.path().join("log/0000000002.log"), b"half a hea").unwrap();
    fs::write(dir.path().join("index.redb.new"), b"half an index").unwrap();
    let files = || {
        let dirs = fs::read_dir(dir.path().join("blobs")).unwrap();
        dirs.map(|entry| fs::read_dir(entry.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    assert_eq!(files(), 2);
    let engine = open(dir.path(), lazy());
    assert_eq!((files(), engine.damage()), (1, Vec::new()));
    assert_eq!(engine.blob_read(kept, 0..u64::MAX).await.unwrap(), body(1, 400_000));
}

#[tokio::test]
async fn compaction_gives_space_back_and_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 100_000, checkpoint_interval_ms: 20, ..Options::default() };
    let engine = open(dir.path(), options);
    let mut ids = Vec::new();
    for number in 0..400 {
        ids.push(store_body(&engine, number, body(number, 5000)).await);
    }
    let used =
        || log_files(dir.path()).iter().filter_map(|path| path.metadata().ok()).map(|it| it.len()).sum();
    let before: u64 = used();
    for (number, id) in (0..).zip(&ids).filter(|(number, _)| number % 5 != 0) {
        let mut batch = Batch::new();
        batch.delete(key(number));
        batch.references(*id, -1);
        engine.commit(batch).await.unwrap();
    }
    let live = 80 * 5000;
    for _ in 0..500 {
        if used() < live * 2 + 200_000 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = used();
    assert!(after < live * 2 + 200_000 && before > 2_000_000, "{before} then {after}");
    assert!(engine.statistics().moved_bytes > 0);
    for close in [false, true, true] {
        let engine = Arc::clone(&engine);
        for (number, id) in (0..).zip(&ids) {
            match engine.blob_read(*id, 0..u64::MAX).await {
                Ok(octets) => assert!(number % 5 == 0 && octets == body(number, 5000)),
                Err(StoreError::NotFound) => assert_ne!(number % 5, 0),
                Err(error) => panic!("{error}"),
            }
        }
        if close {
            engine.close().await.unwrap();
        }
    }
    drop(engine);
    let engine = open(dir.path(), options);
    assert_eq!(engine.damage(), []);
    assert_eq!(engine.blob_read(ids[395], 0..u64::MAX).await.unwrap(), body(395, 5000));
}
