//! Bodies: streaming, ranges, references.

use bytes::Bytes;

use super::{Subject, body, is_conflict, key, pattern, pending, refer, store};
use crate::batch::{Batch, Expect};

/// Larger than what any engine keeps in memory before its commit.
const LARGE: usize = 3 * 1024 * 1024 + 17;

pub async fn small_bodies_are_read_back(subject: impl Subject) {
    let engine = subject.engine();
    for length in [1, 100, 4096, 65_536, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1] {
        let octets = pattern(length as u64, length);
        let id = store(&engine, &octets, 1).await;
        assert!(body(&engine, id).await.unwrap() == octets, "{length} octets");
    }
}

pub async fn an_empty_body_is_a_body(subject: impl Subject) {
    let engine = subject.engine();
    let id = store(&engine, &Bytes::new(), 1).await;
    assert_eq!(body(&engine, id).await, Some(Bytes::new()));
    refer(&engine, id, -1).await;
    assert_eq!(body(&engine, id).await, None);
}

pub async fn large_bodies_stream_through(subject: impl Subject) {
    let engine = subject.engine();
    let octets = pattern(7, LARGE);
    let id = store(&engine, &octets, 1).await;
    let mut read = Vec::new();
    while read.len() < LARGE {
        let at = read.len() as u64;
        let part = engine.blob_read(id, at..at + 100_000).await.unwrap();
        assert!(!part.is_empty());
        read.extend_from_slice(&part);
    }
    assert!(read == octets);
}

pub async fn ranges_are_cut_to_what_exists(subject: impl Subject) {
    let engine = subject.engine();
    for length in [1000, LARGE] {
        let octets = pattern(3, length);
        let id = store(&engine, &octets, 1).await;
        let end = length as u64;
        for (from, to) in
            [(0, 1), (1, 999), (999, 1000), (end - 1, end), (end - 10, end + 10), (end, end + 1)]
        {
            let read = engine.blob_read(id, from..to).await.unwrap();
            let cut = |position: u64| usize::try_from(position.min(end)).unwrap();
            assert!(read == octets[cut(from)..cut(to)], "{from}..{to} of {length}");
        }
        assert!(engine.blob_read(id, end + 5..u64::MAX).await.unwrap().is_empty());
        assert!(engine.blob_read(id, 5..5).await.unwrap().is_empty());
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
        let reversed = 9..5;
        assert!(engine.blob_read(id, reversed).await.unwrap().is_empty());
    }
}

pub async fn a_body_is_invisible_before_its_batch(subject: impl Subject) {
    let engine = subject.engine();
    for length in [1000, LARGE] {
        let blob = pending(&engine, &pattern(1, length)).await;
        assert_eq!(body(&engine, blob.id).await, None);
    }
}

pub async fn the_last_reference_reclaims(subject: impl Subject) {
    let engine = subject.engine();
    for length in [1000, LARGE] {
        let octets = pattern(2, length);
        let id = store(&engine, &octets, 2).await;
        refer(&engine, id, 1).await;
        refer(&engine, id, -1).await;
        refer(&engine, id, -1).await;
        assert!(body(&engine, id).await.unwrap() == octets);
        refer(&engine, id, -1).await;
        assert_eq!(body(&engine, id).await, None);
    }
}

pub async fn references_move_within_a_batch(subject: impl Subject) {
    let engine = subject.engine();
    let octets = pattern(4, 5000);
    let id = store(&engine, &octets, 1).await;
    let mut batch = Batch::new();
    batch.references(id, -1);
    batch.references(id, 1);
    engine.commit(batch).await.unwrap();
    assert_eq!(body(&engine, id).await.unwrap(), octets, "only the sum at the end counts");
}

pub async fn a_body_without_references_is_reclaimed_at_once(subject: impl Subject) {
    let engine = subject.engine();
    for length in [1000, LARGE] {
        for deltas in [&[][..], &[1, -1]] {
            let blob = pending(&engine, &pattern(5, length)).await;
            let id = blob.id;
            let mut batch = Batch::new();
            batch.blob(blob);
            for delta in deltas {
                batch.references(id, *delta);
            }
            engine.commit(batch).await.unwrap();
            assert_eq!(body(&engine, id).await, None);
        }
    }
}

pub async fn a_conflict_reclaims_its_bodies(subject: impl Subject) {
    let engine = subject.engine();
    for length in [1000, LARGE] {
        let blob = pending(&engine, &pattern(6, length)).await;
        let id = blob.id;
        let mut batch = Batch::new();
        batch.check(key(b"missing"), Expect::Present);
        batch.blob(blob);
        batch.references(id, 1);
        assert!(is_conflict(&engine.commit(batch).await, b"missing"));
        assert_eq!(body(&engine, id).await, None);
    }
}

pub async fn dropped_writers_leave_nothing(subject: impl Subject) {
    let engine = subject.engine();
    let kept = store(&engine, &pattern(8, 1000), 1).await;
    for length in [1000, LARGE] {
        let mut writer = engine.blob_writer().await.unwrap();
        writer.write(pattern(9, length)).await.unwrap();
        let unfinished = writer.id();
        drop(writer);
        let finished = pending(&engine, &pattern(9, length)).await;
        let finished_id = finished.id;
        assert!(unfinished != finished_id && finished_id != kept && unfinished != kept);
        drop(finished);
        assert_eq!((body(&engine, unfinished).await, body(&engine, finished_id).await), (None, None));
    }
    assert_eq!(body(&engine, kept).await.unwrap(), pattern(8, 1000));
}

pub async fn one_batch_carries_many_bodies(subject: impl Subject) {
    let engine = subject.engine();
    let mut batch = Batch::new();
    let mut ids = Vec::new();
    for (seed, length) in [(1, 10), (2, LARGE), (3, 70_000), (4, LARGE)] {
        let blob = pending(&engine, &pattern(seed, length)).await;
        ids.push((blob.id, seed, length));
        batch.references(blob.id, 1);
        batch.blob(blob);
    }
    engine.commit(batch).await.unwrap();
    for (id, seed, length) in ids {
        assert!(body(&engine, id).await.unwrap() == pattern(seed, length));
    }
}
