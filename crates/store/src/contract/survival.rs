//! What outlives the process, and what happens when the disk fails.

use bytes::Bytes;

use super::{Subject, body, counter, everything, get, key, pattern, pending, put, refer, store};
use crate::{batch::Batch, engine::CommitError};

const LARGE: usize = 1024 * 1024 + 3;

async fn state_survives(mut subject: impl Subject, clean: bool) {
    let (small, large) = (pattern(1, 1000), pattern(2, LARGE));
    let engine = subject.engine();
    let ids = [store(&engine, &small, 1).await, store(&engine, &large, 2).await];
    let mut abandoned = engine.blob_writer().await.unwrap();
    abandoned.write(pattern(3, LARGE)).await.unwrap();
    drop(abandoned);
    for number in 0..50_u32 {
        put(&engine, &[(&number.to_be_bytes(), b"value")]).await;
    }
    let mut batch = Batch::new();
    batch.delete(key(7_u32.to_be_bytes()));
    engine.commit(batch).await.unwrap();
    let before = everything(&engine).await;
    assert_eq!(before.len(), 49);
    drop(engine);
    for _ in 0..2 {
        if !subject.reopen(clean).await {
            return;
        }
        let engine = subject.engine();
        assert_eq!(everything(&engine).await, before);
        assert_eq!(body(&engine, ids[0]).await.unwrap(), small);
        assert!(body(&engine, ids[1]).await.unwrap() == large);
    }
}

pub async fn acknowledged_state_survives_a_kill(subject: impl Subject) {
    state_survives(subject, false).await;
}

pub async fn acknowledged_state_survives_a_close(subject: impl Subject) {
    state_survives(subject, true).await;
}

pub async fn counters_go_on_after_a_kill(mut subject: impl Subject) {
    for expected in 1..=4 {
        let mut batch = Batch::new();
        let slot = batch.next(key(b"n"));
        assert_eq!(subject.engine().commit(batch).await.unwrap().value(slot), expected);
        if !subject.reopen(expected % 2 == 0).await {
            return;
        }
    }
    assert_eq!(counter(&subject.engine(), b"n").await, 4);
}

pub async fn reclaimed_bodies_stay_gone(mut subject: impl Subject) {
    let engine = subject.engine();
    let gone = [store(&engine, &pattern(1, 1000), 1).await, store(&engine, &pattern(2, LARGE), 1).await];
    let kept = store(&engine, &pattern(3, 1000), 2).await;
    for id in [gone[0], gone[1], kept] {
        refer(&engine, id, -1).await;
    }
    drop(engine);
    for clean in [false, true] {
        if !subject.reopen(clean).await {
            return;
        }
        let engine = subject.engine();
        assert_eq!((body(&engine, gone[0]).await, body(&engine, gone[1]).await), (None, None));
        assert_eq!(body(&engine, kept).await.unwrap(), pattern(3, 1000));
    }
    let engine = subject.engine();
    refer(&engine, kept, -1).await;
    assert_eq!(body(&engine, kept).await, None, "the count survived too");
}

pub async fn new_bodies_do_not_collide_after_a_kill(mut subject: impl Subject) {
    let mut stored = Vec::new();
    for round in 0..4 {
        let engine = subject.engine();
        for seed in round * 10..round * 10 + 5 {
            stored.push((seed, store(&engine, &pattern(seed, 2000), 1).await));
        }
        for (seed, id) in &stored {
            assert_eq!(body(&engine, *id).await.unwrap(), pattern(*seed, 2000));
        }
        drop(engine);
        if !subject.reopen(round % 2 == 0).await {
            return;
        }
    }
}

pub async fn a_closed_engine_takes_no_commits(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"k", b"v")]).await;
    engine.close().await.unwrap();
    let mut batch = Batch::new();
    batch.put(key(b"late"), Vec::new());
    assert!(matches!(engine.commit(batch).await, Err(CommitError::Poisoned(_))));
    engine.close().await.unwrap();
}

pub async fn a_failed_sync_poisons(mut subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"before", b"v")]).await;
    let id = store(&engine, &pattern(1, LARGE), 1).await;
    assert_eq!(engine.poisoned(), None);
    if !subject.fail_next_sync() {
        return;
    }
    for number in 0..3 {
        let mut batch = Batch::new();
        batch.put(key(b"after"), vec![number]);
        assert!(matches!(engine.commit(batch).await, Err(CommitError::Poisoned(_))));
        assert!(engine.poisoned().is_some());
        assert_eq!(get(&engine, b"after").await, None, "what is uncertain is not shown");
    }
    drop(engine);
    if subject.reopen(false).await {
        let engine = subject.engine();
        assert_eq!(get(&engine, b"before").await, Some(Bytes::from_static(b"v")));
        assert!(body(&engine, id).await.unwrap() == pattern(1, LARGE));
        assert_ne!(
            get(&engine, b"after").await,
            Some(Bytes::from_static(&[1])),
            "refused commits wrote nothing"
        );
        put(&engine, &[(b"again", b"v")]).await;
    }
}

pub async fn a_full_disk_refuses_and_recovers(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"before", b"v")]).await;
    let blob = pending(&engine, &pattern(1, 1000)).await;
    let id = blob.id;
    let mut batch = Batch::new();
    batch.put(key(b"full"), pattern(2, 100_000).to_vec());
    batch.next(key(b"n"));
    batch.references(id, 1);
    batch.blob(blob);
    if !subject.set_full(true) {
        return;
    }
    assert!(matches!(engine.commit(batch).await, Err(CommitError::Full)));
    assert_eq!(everything(&engine).await.len(), 1);
    assert_eq!(body(&engine, id).await, None);
    assert_eq!(engine.poisoned(), None);
    assert!(subject.set_full(false));
    put(&engine, &[(b"after", b"v")]).await;
    assert_eq!(counter(&engine, b"n").await, 0);
}
