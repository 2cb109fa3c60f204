//! One state, while others come after it.

use bytes::Bytes;

use super::{Subject, body, everything, get, key, pattern, pending, put, refer, store};
use crate::{
    batch::Batch,
    engine::{BlobId, KeyRange, StoreError},
    keys::ENGINE_FIRST,
    snapshot::Snapshot,
};

const LARGE: usize = 1024 * 1024 + 3;

async fn pairs(snapshot: &dyn Snapshot) -> Vec<(crate::Key, Bytes)> {
    let range = KeyRange { start: key([]), end: key([ENGINE_FIRST]) };
    snapshot.scan(range, usize::MAX).await.unwrap()
}

pub async fn a_snapshot_stays_as_it_was(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"a", b"1"), (b"b", b"1"), (b"c", b"1")]).await;
    let before = everything(&engine).await;
    let snapshot = engine.snapshot().await.unwrap();
    let mut batch = Batch::new();
    batch.delete(key(b"b"));
    batch.put(key(b"c"), b"2".to_vec());
    batch.put(key(b"d"), b"2".to_vec());
    engine.commit(batch).await.unwrap();
    assert_eq!(pairs(&*snapshot).await, before);
    let from_b = KeyRange { start: key(b"b"), end: key(b"c") };
    assert_eq!(snapshot.scan(from_b, 10).await.unwrap(), [(key(b"b"), Bytes::from_static(b"1"))]);
    assert_eq!(snapshot.scan(KeyRange::prefix(b""), 2).await.unwrap(), before[..2]);
    assert_eq!(get(&engine, b"c").await.unwrap(), "2");
    assert_eq!(pairs(&*engine.snapshot().await.unwrap()).await, everything(&engine).await);
}

pub async fn a_snapshot_keeps_bodies_that_are_reclaimed(subject: impl Subject) {
    let engine = subject.engine();
    let (small, large) = (pattern(1, 1000), pattern(2, LARGE));
    let ids = [store(&engine, &small, 1).await, store(&engine, &large, 3).await];
    let snapshot = engine.snapshot().await.unwrap();
    refer(&engine, ids[0], -1).await;
    refer(&engine, ids[1], -3).await;
    let late = store(&engine, &pattern(3, 10), 1).await;
    assert_eq!((body(&engine, ids[0]).await, body(&engine, ids[1]).await), (None, None));
    assert_eq!(snapshot.blob_read(ids[0], 0..u64::MAX).await.unwrap(), small);
    assert!(snapshot.blob_read(ids[1], 0..u64::MAX).await.unwrap() == large);
    assert!(snapshot.blob_read(ids[1], 70_000..140_000).await.unwrap() == large[70_000..140_000]);
    assert!(matches!(snapshot.blob_read(late, 0..1).await, Err(StoreError::NotFound)));
    let listed = snapshot.bodies(None, 10).await.unwrap();
    let told: Vec<_> = listed.iter().map(|body| (body.id, body.bytes, body.references)).collect();
    assert_eq!(told, [(ids[0], 1000, 1), (ids[1], LARGE as u64, 3)]);
}

pub async fn bodies_are_listed_in_pages(subject: impl Subject) {
    let engine = subject.engine();
    let mut ids = Vec::new();
    for seed in 0..40 {
        ids.push(store(&engine, &pattern(seed, 500), 2).await);
    }
    for id in ids.iter().skip(1).step_by(3) {
        refer(&engine, *id, -2).await;
    }
    ids.retain({
        let mut number = 0;
        move |_| {
            number += 1;
            (number - 1) % 3 != 1
        }
    });
    refer(&engine, ids[0], 5).await;
    let snapshot = engine.snapshot().await.unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.bodies(after, 7).await.unwrap();
        after = page.last().map(|body| body.id);
        let is_end = page.len() < 7;
        found.extend(page);
        if is_end {
            break;
        }
    }
    assert_eq!(found.iter().map(|body| body.id).collect::<Vec<_>>(), ids);
    assert_eq!(found[0].references, 7);
    let again = engine.snapshot().await.unwrap().bodies(None, 100).await.unwrap();
    assert_eq!(again, found, "checksums too");
    assert_ne!(found[0].checksum, found[1].checksum);
}

pub async fn a_snapshot_outlives_checkpoints_and_compaction(subject: impl Subject) {
    let engine = subject.engine();
    let mut ids = Vec::new();
    for seed in 0..60 {
        ids.push(store(&engine, &pattern(seed, 300), 1).await);
        put(&engine, &[(&seed.to_be_bytes(), b"value")]).await;
    }
    let before = everything(&engine).await;
    let snapshot = engine.snapshot().await.unwrap();
    for (id, seed) in ids.iter().zip(0_u64..) {
        if seed % 4 != 0 {
            refer(&engine, *id, -1).await;
        }
        put(&engine, &[(&seed.to_be_bytes(), b"other"), (b"more", &pattern(seed, 400))]).await;
    }
    for seed in 100..300 {
        store(&engine, &pattern(seed, 300), 1).await;
    }
    assert_eq!(pairs(&*snapshot).await, before);
    for (id, seed) in ids.iter().zip(0_u64..) {
        assert_eq!(snapshot.blob_read(*id, 0..u64::MAX).await.unwrap(), pattern(seed, 300), "body {seed}");
    }
    drop(snapshot);
    for (id, seed) in ids.iter().zip(0_u64..) {
        let expected = (seed % 4 == 0).then(|| pattern(seed, 300));
        assert_eq!(body(&engine, *id).await, expected, "body {seed}");
    }
}

pub async fn a_body_keeps_the_number_it_is_given(mut subject: impl Subject) {
    let engine = subject.engine();
    let (small, large) = (pattern(1, 1000), pattern(2, LARGE));
    for (id, octets) in [(70_000, &small), (50_000, &large)] {
        let mut writer = engine.blob_writer_as(BlobId(id)).await.unwrap();
        writer.write(octets.clone()).await.unwrap();
        let blob = writer.finish().await.unwrap();
        assert_eq!(blob.id, BlobId(id));
        let mut batch = Batch::new();
        batch.references(blob.id, 2);
        batch.blob(blob);
        engine.commit(batch).await.unwrap();
    }
    assert!(pending(&engine, &small).await.id > BlobId(70_000));
    drop(engine);
    if subject.reopen(true).await {
        let engine = subject.engine();
        assert!(store(&engine, &small, 1).await > BlobId(70_000));
        assert_eq!(body(&engine, BlobId(70_000)).await.unwrap(), small);
        assert!(body(&engine, BlobId(50_000)).await.unwrap() == large);
    }
}
