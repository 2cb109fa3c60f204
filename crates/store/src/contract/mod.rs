//! What every engine must do, as tests that an engine calls with itself:
//!
//! ```ignore
//! store::contract_tests!(|| async { MySubject::new().await });
//! ```
//!
//! makes one `#[tokio::test]` of each case; each gets a new, empty [`Subject`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests; they stand outside cfg(test) so that other crates can run them"
)]

pub mod blobs;
pub mod concurrency;
pub mod pairs;
pub mod random;
pub mod snapshots;
pub mod survival;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    batch::Batch,
    engine::{BlobId, CommitError, Engine, Key, KeyRange, Order, PendingBlob, StoreError},
};

/// An engine under test.
#[async_trait::async_trait]
pub trait Subject: Send + Sync {
    fn engine(&self) -> Arc<dyn Engine>;

    /// Opens the same store again, after closing it if `clean`, else as if the process had been killed. No reference
    /// to the earlier engine is left. False if the engine keeps nothing.
    async fn reopen(&mut self, clean: bool) -> bool {
        let _ = clean;
        false
    }

    /// Makes the next sync fail; false if that cannot be done.
    fn fail_next_sync(&self) -> bool {
        false
    }

    /// Fills the disk or frees it; false if that cannot be done.
    fn set_full(&self, full: bool) -> bool {
        let _ = full;
        false
    }
}

/// Makes a `#[tokio::test]` of every case of the contract. The argument is a closure that returns a future of a
/// [`Subject`](crate::contract::Subject).
#[macro_export]
macro_rules! contract_tests {
    ($make:expr) => {
        $crate::contract_tests!(@cases $make, pairs:
            a_pair_is_read_back, an_empty_value_is_not_an_absent_one, keys_are_ordered_as_octets,
            scans_obey_range_order_and_limit, empty_ranges_hold_nothing, steps_apply_in_order,
            a_batch_is_all_or_nothing, every_kind_of_check_holds_or_conflicts, checks_look_at_the_state_before,
            counters_count, counters_saturate_at_zero, slots_fill_keys_and_values, an_empty_batch_commits,
            a_large_batch_commits, large_values_and_long_keys_are_kept);
        $crate::contract_tests!(@cases $make, concurrency:
            concurrent_counters_are_unique_and_consecutive, one_of_many_rivals_wins, many_commits_at_once_all_hold,
            a_change_wakes_its_watchers, other_changes_do_not_wake, a_change_before_the_wait_is_not_lost,
            a_conflict_wakes_nobody);
        $crate::contract_tests!(@cases $make, blobs:
            small_bodies_are_read_back, an_empty_body_is_a_body, large_bodies_stream_through,
            ranges_are_cut_to_what_exists, a_body_is_invisible_before_its_batch, the_last_reference_reclaims,
            references_move_within_a_batch, a_body_without_references_is_reclaimed_at_once,
            a_conflict_reclaims_its_bodies, dropped_writers_leave_nothing, one_batch_carries_many_bodies);
        $crate::contract_tests!(@cases $make, snapshots:
            a_snapshot_stays_as_it_was, a_snapshot_keeps_bodies_that_are_reclaimed, bodies_are_listed_in_pages,
            a_snapshot_outlives_checkpoints_and_compaction, a_body_keeps_the_number_it_is_given);
        $crate::contract_tests!(@cases $make, survival:
            acknowledged_state_survives_a_kill, acknowledged_state_survives_a_close, counters_go_on_after_a_kill,
            reclaimed_bodies_stay_gone, new_bodies_do_not_collide_after_a_kill, a_closed_engine_takes_no_commits,
            a_failed_sync_poisons, a_full_disk_refuses_and_recovers);
        $crate::contract_tests!(@cases $make, random:
            random_batches_agree_with_the_model, random_batches_agree_across_restarts);
    };
    (@cases $make:expr, $module:ident: $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let subject = ($make)().await;
                $crate::contract::$module::$case(subject).await;
            }
        )+
    };
}

fn key(octets: impl AsRef<[u8]>) -> Key {
    Key(Bytes::copy_from_slice(octets.as_ref()))
}

async fn get(engine: &Arc<dyn Engine>, octets: impl AsRef<[u8]>) -> Option<Bytes> {
    engine.get(&key(octets)).await.unwrap()
}

async fn put(engine: &Arc<dyn Engine>, pairs: &[(&[u8], &[u8])]) {
    let mut batch = Batch::new();
    for (key, value) in pairs {
        batch.put(key.to_vec(), value.to_vec());
    }
    engine.commit(batch).await.unwrap();
}

/// Every key there is, below the engine's own.
async fn everything(engine: &Arc<dyn Engine>) -> Vec<(Key, Bytes)> {
    let range = KeyRange { start: key([]), end: key([crate::keys::ENGINE_FIRST]) };
    engine.scan(range, Order::Ascending, usize::MAX).await.unwrap()
}

async fn counter(engine: &Arc<dyn Engine>, name: &[u8]) -> u64 {
    get(engine, name).await.map_or(0, |octets| u64::from_be_bytes(octets.as_ref().try_into().unwrap()))
}

/// Octets that tell their place: a wrong offset or a mixed-up body shows.
fn pattern(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// A finished body, written in uneven chunks.
async fn pending(engine: &Arc<dyn Engine>, octets: &Bytes) -> PendingBlob {
    let mut writer = engine.blob_writer().await.unwrap();
    let id = writer.id();
    let mut rest = octets.clone();
    let mut step = 1000;
    while !rest.is_empty() {
        writer.write(rest.split_to(step.min(rest.len()))).await.unwrap();
        step = step * 3 % 65_521 + 1;
    }
    let blob = writer.finish().await.unwrap();
    assert_eq!((blob.id, blob.bytes), (id, octets.len() as u64));
    blob
}

/// Stores a body with so many references.
async fn store(engine: &Arc<dyn Engine>, octets: &Bytes, references: i64) -> BlobId {
    let blob = pending(engine, octets).await;
    let id = blob.id;
    let mut batch = Batch::new();
    batch.blob(blob);
    batch.references(id, references);
    engine.commit(batch).await.unwrap();
    id
}

async fn refer(engine: &Arc<dyn Engine>, id: BlobId, delta: i64) {
    let mut batch = Batch::new();
    batch.references(id, delta);
    engine.commit(batch).await.unwrap();
}

async fn body(engine: &Arc<dyn Engine>, id: BlobId) -> Option<Bytes> {
    match engine.blob_read(id, 0..u64::MAX).await {
        Ok(octets) => Some(octets),
        Err(StoreError::NotFound) => None,
        Err(error) => panic!("reading {id:?} failed: {error}"),
    }
}

fn is_conflict<T>(result: &Result<T, CommitError>, octets: impl AsRef<[u8]>) -> bool {
    matches!(result, Err(CommitError::Conflict(at)) if *at == key(octets))
}
