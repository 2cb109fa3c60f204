//! Pairs, ranges, checks, counters.

use bytes::Bytes;

use super::{Subject, counter, everything, get, is_conflict, key, put};
use crate::{
    batch::{Batch, Expect, HoleWidth, Template},
    engine::{KeyRange, Order},
};

pub async fn a_pair_is_read_back(subject: impl Subject) {
    let engine = subject.engine();
    assert_eq!(get(&engine, b"k").await, None);
    put(&engine, &[(b"k", b"one")]).await;
    assert_eq!(get(&engine, b"k").await.unwrap(), "one");
    put(&engine, &[(b"k", b"two")]).await;
    assert_eq!(get(&engine, b"k").await.unwrap(), "two");
    let mut batch = Batch::new();
    batch.delete(key(b"k"));
    batch.delete(key(b"never there"));
    engine.commit(batch).await.unwrap();
    assert_eq!(get(&engine, b"k").await, None);
}

pub async fn an_empty_value_is_not_an_absent_one(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"k", b"")]).await;
    assert_eq!(get(&engine, b"k").await, Some(Bytes::new()));
    assert_eq!(everything(&engine).await, [(key(b"k"), Bytes::new())]);
}

pub async fn keys_are_ordered_as_octets(subject: impl Subject) {
    let engine = subject.engine();
    let ordered: [&[u8]; 7] =
        [&[0x00], &[0x00, 0x00], &[0x01], &[0x7F, 0xFF], &[0x80], &[0x80, 0x00], &[0xEF, 0xFF, 0xFF]];
    let mut mixed: Vec<(&[u8], &[u8])> = ordered.iter().map(|key| (*key, *key)).collect();
    mixed.rotate_left(4);
    put(&engine, &mixed).await;
    let found: Vec<Vec<u8>> = everything(&engine).await.iter().map(|(key, _)| key.0.to_vec()).collect();
    assert_eq!(found, ordered);
}

pub async fn scans_obey_range_order_and_limit(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"a", b"0"), (b"b1", b"1"), (b"b2", b"2"), (b"b3", b"3"), (b"c", b"4")]).await;
    let scan = async |range, order, limit| -> String {
        let found = engine.scan(range, order, limit).await.unwrap();
        found.iter().map(|(_, value)| char::from(value[0])).collect()
    };
    let between = |start: &str, end: &str| KeyRange { start: key(start), end: key(end) };
    assert_eq!(scan(KeyRange::prefix(b"b"), Order::Ascending, 10).await, "123");
    assert_eq!(scan(KeyRange::prefix(b"b"), Order::Descending, 10).await, "321");
    assert_eq!(scan(KeyRange::prefix(b"b"), Order::Ascending, 2).await, "12");
    assert_eq!(scan(KeyRange::prefix(b"b"), Order::Descending, 2).await, "32");
    assert_eq!(scan(KeyRange::prefix(b"b"), Order::Ascending, 0).await, "");
    assert_eq!(scan(KeyRange::prefix(b""), Order::Ascending, usize::MAX).await, "01234");
    assert_eq!(scan(between("b1", "b3"), Order::Ascending, 10).await, "12", "the end is outside");
    assert_eq!(scan(between("b1\0", "c\0"), Order::Descending, 10).await, "432");
    assert_eq!(scan(between("b10", "b2"), Order::Ascending, 10).await, "");
}

pub async fn empty_ranges_hold_nothing(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"a", b""), (b"b", b"")]).await;
    for (start, end) in [("a", "a"), ("b", "a"), ("x", "y")] {
        for order in [Order::Ascending, Order::Descending] {
            let range = KeyRange { start: key(start), end: key(end) };
            assert!(engine.scan(range, order, 10).await.unwrap().is_empty());
        }
    }
}

pub async fn steps_apply_in_order(subject: impl Subject) {
    let engine = subject.engine();
    let mut batch = Batch::new();
    batch.put(key(b"stays"), b"old".to_vec());
    batch.delete(key(b"stays"));
    batch.put(key(b"stays"), b"new".to_vec());
    batch.put(key(b"goes"), b"old".to_vec());
    batch.delete(key(b"goes"));
    engine.commit(batch).await.unwrap();
    assert_eq!(everything(&engine).await, [(key(b"stays"), Bytes::from_static(b"new"))]);
}

pub async fn a_batch_is_all_or_nothing(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"a", b"before")]).await;
    let mut batch = Batch::new();
    batch.put(key(b"a"), b"after".to_vec());
    batch.put(key(b"b"), b"after".to_vec());
    batch.next(key(b"n"));
    batch.check(key(b"missing"), Expect::Present);
    let result = engine.commit(batch).await;
    assert!(is_conflict(&result, b"missing"));
    assert_eq!(everything(&engine).await, [(key(b"a"), Bytes::from_static(b"before"))]);
}

pub async fn every_kind_of_check_holds_or_conflicts(subject: impl Subject) {
    let engine = subject.engine();
    put(&engine, &[(b"k", b"v")]).await;
    let equals = |value: &'static [u8]| Expect::Equals(Bytes::from_static(value));
    for (octets, expect, holds) in [
        (b"k", Expect::Present, true),
        (b"k", Expect::Absent, false),
        (b"k", equals(b"v"), true),
        (b"k", equals(b"w"), false),
        (b"k", equals(b""), false),
        (b"x", Expect::Present, false),
        (b"x", Expect::Absent, true),
        (b"x", equals(b""), false),
    ] {
        let mut batch = Batch::new();
        batch.check(key(octets), expect.clone());
        let result = engine.commit(batch).await;
        let as_told = if holds { result.is_ok() } else { is_conflict(&result, octets) };
        assert!(as_told, "{octets:?} {expect:?}: {result:?}");
    }
}

pub async fn checks_look_at_the_state_before(subject: impl Subject) {
    let engine = subject.engine();
    let mut batch = Batch::new();
    batch.put(key(b"k"), b"v".to_vec());
    batch.check(key(b"k"), Expect::Absent);
    engine.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    batch.delete(key(b"k"));
    batch.check(key(b"k"), Expect::Present);
    engine.commit(batch).await.unwrap();
    assert_eq!(get(&engine, b"k").await, None);
}

pub async fn counters_count(subject: impl Subject) {
    let engine = subject.engine();
    for expected in 1..=3 {
        let mut batch = Batch::new();
        let slot = batch.next(key(b"n"));
        assert_eq!(engine.commit(batch).await.unwrap().value(slot), expected);
    }
    let mut batch = Batch::new();
    let slots =
        [batch.add(key(b"n"), 100), batch.next(key(b"n")), batch.add(key(b"n"), -4), batch.next(key(b"m"))];
    let committed = engine.commit(batch).await.unwrap();
    assert_eq!(slots.map(|slot| committed.value(slot)), [103, 104, 100, 1]);
    assert_eq!((counter(&engine, b"n").await, counter(&engine, b"m").await), (100, 1));
}

pub async fn counters_saturate_at_zero(subject: impl Subject) {
    let engine = subject.engine();
    let mut batch = Batch::new();
    let slot = batch.add(key(b"n"), i64::MIN);
    assert_eq!(engine.commit(batch).await.unwrap().value(slot), 0);
    let mut batch = Batch::new();
    let slots = [batch.add(key(b"n"), 5), batch.add(key(b"n"), -9), batch.add(key(b"n"), 2)];
    let committed = engine.commit(batch).await.unwrap();
    assert_eq!(slots.map(|slot| committed.value(slot)), [5, 0, 2]);
}

pub async fn slots_fill_keys_and_values(subject: impl Subject) {
    let engine = subject.engine();
    let mut batch = Batch::new();
    batch.add(key(b"n"), 0x0102_0304_0506);
    let slot = batch.next(key(b"n"));
    let other = batch.next(key(b"m"));
    batch.put(
        Template::from(b"k".to_vec()).hole(HoleWidth::Four, slot).octets(b"!"),
        Template::from(Vec::new()).hole(HoleWidth::Eight, other).octets(b"-").hole(HoleWidth::Eight, slot),
    );
    engine.commit(batch).await.unwrap();
    let found = get(&engine, b"k\x03\x04\x05\x07!").await.unwrap();
    assert_eq!(found.as_ref(), b"\0\0\0\0\0\0\0\x01-\0\0\x01\x02\x03\x04\x05\x07");
}

pub async fn an_empty_batch_commits(subject: impl Subject) {
    let engine = subject.engine();
    engine.commit(Batch::new()).await.unwrap();
    assert!(everything(&engine).await.is_empty());
}

pub async fn a_large_batch_commits(subject: impl Subject) {
    let engine = subject.engine();
    let mut batch = Batch::new();
    for number in 0..10_000_u32 {
        let slot = batch.next(key(b"n"));
        batch.put(Template::from(b"k".to_vec()).hole(HoleWidth::Four, slot), number.to_be_bytes().to_vec());
    }
    engine.commit(batch).await.unwrap();
    let found = engine.scan(KeyRange::prefix(b"k"), Order::Ascending, usize::MAX).await.unwrap();
    assert_eq!(found.len(), 10_000);
    for ((found_key, value), number) in found.iter().zip(0_u32..) {
        assert_eq!(found_key.0[1..], (number + 1).to_be_bytes());
        assert_eq!(value.as_ref(), number.to_be_bytes());
    }
}

pub async fn large_values_and_long_keys_are_kept(subject: impl Subject) {
    let engine = subject.engine();
    let (long, large) = (vec![b'k'; 1024], super::pattern(1, 3 << 20));
    put(&engine, &[(&long, &large)]).await;
    assert_eq!(get(&engine, &long).await.unwrap(), large);
}
