//! Many at once, and waking up.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Subject, body, counter, everything, key, pattern, pending, put};
use crate::{
    batch::{Batch, Expect, HoleWidth, Template},
    changes::Changes,
    engine::{CommitError, Engine},
};

pub async fn concurrent_counters_are_unique_and_consecutive(subject: impl Subject) {
    const TASKS: u64 = 40;
    const EACH: u64 = 10;
    let engine = subject.engine();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                let mut got = Vec::new();
                for _ in 0..EACH {
                    let mut batch = Batch::new();
                    let slot = batch.next(key(b"uid"));
                    batch.put(Template::from(b"m".to_vec()).hole(HoleWidth::Four, slot), Vec::new());
                    got.push(engine.commit(batch).await.unwrap().value(slot));
                }
                got
            })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for task in tasks {
        let got = task.await.unwrap();
        assert!(got.is_sorted(), "one task's commits are in order");
        seen.extend(got);
    }
    assert!(seen.into_iter().eq(1..=TASKS * EACH));
    assert_eq!(counter(&engine, b"uid").await, TASKS * EACH);
    assert_eq!(everything(&engine).await.len() as u64, TASKS * EACH + 1);
}

pub async fn one_of_many_rivals_wins(subject: impl Subject) {
    let engine = subject.engine();
    let tasks: Vec<_> = (0..32_u8)
        .map(|number| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                let mut batch = Batch::new();
                batch.check(key(b"k"), Expect::Absent);
                batch.put(key(b"k"), vec![number]);
                batch.next(key(b"n"));
                engine.commit(batch).await
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(CommitError::Conflict(at)) => assert_eq!(at, key(b"k")),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((won, counter(&engine, b"n").await), (1, 1));
}

pub async fn many_commits_at_once_all_hold(subject: impl Subject) {
    let engine = subject.engine();
    let tasks: Vec<_> = (0..100_u64)
        .map(|number| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                let octets = pattern(number, 4096);
                let blob = pending(&engine, &octets).await;
                let id = blob.id;
                let mut batch = Batch::new();
                batch.blob(blob);
                batch.references(id, 1);
                batch.put(number.to_be_bytes().to_vec(), id.0.to_be_bytes().to_vec());
                engine.commit(batch).await.unwrap();
                assert_eq!(body(&engine, id).await.unwrap(), octets, "visible once acknowledged");
                id
            })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.unwrap());
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 100);
    for (number, id) in (0..).zip(ids) {
        assert_eq!(body(&engine, id).await.unwrap(), pattern(number, 4096));
    }
}

async fn wakes(changes: &Changes) -> bool {
    tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.is_ok()
}

async fn sleeps(changes: &Changes) -> bool {
    tokio::time::timeout(Duration::from_millis(50), changes.changed()).await.is_err()
}

pub async fn a_change_wakes_its_watchers(subject: impl Subject) {
    let engine = subject.engine();
    let watchers: Vec<_> = [&b"a"[..], b"a1", b""]
        .into_iter()
        .map(|prefix| {
            let (changes, engine): (_, Arc<dyn Engine>) = (engine.changes(key(prefix)), Arc::clone(&engine));
            tokio::spawn(async move {
                let woken = wakes(&changes).await;
                (woken, engine.get(&key(b"a1")).await.unwrap())
            })
        })
        .collect();
    tokio::task::yield_now().await;
    put(&engine, &[(b"a1", b"v")]).await;
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), (true, Some(Bytes::from_static(b"v"))), "what woke it is visible");
    }
    let changes = engine.changes(key(b"a"));
    let mut batch = Batch::new();
    batch.delete(key(b"a1"));
    engine.commit(batch).await.unwrap();
    assert!(wakes(&changes).await, "deletions are changes");
    let mut batch = Batch::new();
    batch.next(key(b"a-counter"));
    engine.commit(batch).await.unwrap();
    assert!(wakes(&changes).await, "so are counters");
}

pub async fn other_changes_do_not_wake(subject: impl Subject) {
    let engine = subject.engine();
    let changes = engine.changes(key(b"a"));
    put(&engine, &[(b"b", b""), (b"\0a", b"")]).await;
    assert!(sleeps(&changes).await);
}

pub async fn a_change_before_the_wait_is_not_lost(subject: impl Subject) {
    let engine = subject.engine();
    let changes = engine.changes(key(b"a"));
    put(&engine, &[(b"a", b"1")]).await;
    put(&engine, &[(b"a", b"2")]).await;
    assert!(wakes(&changes).await);
    assert!(sleeps(&changes).await, "what was missed wakes once");
}

pub async fn a_conflict_wakes_nobody(subject: impl Subject) {
    let engine = subject.engine();
    let changes = engine.changes(key(b"a"));
    let mut batch = Batch::new();
    batch.check(key(b"x"), Expect::Present);
    batch.put(key(b"a"), Vec::new());
    assert!(engine.commit(batch).await.is_err());
    assert!(sleeps(&changes).await);
}
