//! How many messages a second the store takes, and at what cost: `commit_rate DIR [SECONDS] [BODY_BYTES]`.
//!
//! Each message is a commit like an accept: a body and four small pairs. With `deliver` as the fourth argument a second
//! commit moves it to a mailbox.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a tool for developers"
)]

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use store::{Batch, BlobId, Engine, Expect, Key, batch::HoleWidth, batch::Template};
use store_embedded::{EmbeddedEngine, Options};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| "commit_rate.data".to_owned()));
    let seconds = arguments.next().map_or(5, |text| text.parse().unwrap());
    let body_bytes = arguments.next().map_or(4096, |text| text.parse().unwrap());
    let deliver = arguments.next().is_some();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!(
        "sessions  messages/s  p50 ms  p99 ms  CPU µs/message  commits/sync  written/body  RSS MiB after"
    );
    for sessions in [1, 10, 100, 1000] {
        let _ = std::fs::remove_dir_all(&dir);
        runtime.block_on(measure(&dir, sessions, Duration::from_secs(seconds), body_bytes, deliver));
    }
}

async fn measure(dir: &Path, sessions: usize, time: Duration, body_bytes: usize, deliver: bool) {
    let engine = EmbeddedEngine::open(dir, Options::default()).unwrap();
    let numbers = Arc::new(AtomicU64::new(0));
    let body = Bytes::from(vec![b'x'; body_bytes]);
    let (cpu, written, start) = (cpu_seconds(), written_bytes(), Instant::now());
    let tasks: Vec<_> = (0..sessions)
        .map(|_| {
            let (engine, numbers, body) = (Arc::clone(&engine), Arc::clone(&numbers), body.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < time {
                    let begun = Instant::now();
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let blob = accept(&engine, number, &body).await;
                    latencies.push(begun.elapsed());
                    if deliver {
                        deliver_one(&engine, number, blob).await;
                    }
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let (elapsed, count) = (start.elapsed().as_secs_f64(), latencies.len() as f64);
    let cpu = (cpu_seconds() - cpu) * 1e6 / count;
    let statistics = engine.statistics();
    engine.close().await.unwrap();
    let written = (written_bytes() - written) as f64 / (count * body_bytes as f64);
    latencies.sort_unstable();
    let percentile =
        |hundredth: usize| latencies[(latencies.len() - 1) * hundredth / 100].as_secs_f64() * 1000.0;
    let per_sync = statistics.commits as f64 / statistics.groups as f64;
    println!(
        "{sessions:8}  {:10.0}  {:6.2}  {:6.2}  {cpu:14.1}  {per_sync:12.1}  {written:12.2}  {:13.1}",
        count / elapsed,
        percentile(50),
        percentile(99),
        resident_mib(),
    );
}

fn queue_key(number: u64) -> Key {
    let mut key = vec![0x10];
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&[0, 0]);
    key.into()
}

fn due_key(number: u64) -> Key {
    let mut key = b"\x11local\0".to_vec();
    key.extend_from_slice(&[0x80, 0, 1, 0x8F, 0, 0, 0, 0]);
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&[0, 0]);
    key.into()
}

fn ledger_key(tag: u8, number: u64, kind: u8) -> Vec<u8> {
    let mut key = vec![tag];
    if tag == 0x41 {
        key.extend_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    }
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&[0x80, 0, 1, 0x8F, 0, 0, 0, 0, 0, kind]);
    key
}

async fn accept(engine: &Arc<EmbeddedEngine>, number: u64, body: &Bytes) -> BlobId {
    let mut writer = engine.blob_writer().await.unwrap();
    writer.write(body.clone()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let id = blob.id;
    let mut batch = Batch::new();
    batch.blob(blob);
    batch.references(id, 1);
    batch.check(queue_key(number), Expect::Absent);
    batch.put(queue_key(number), vec![1; 220]);
    batch.put(due_key(number), Vec::new());
    batch.put(ledger_key(0x40, number, 1), vec![2; 180]);
    batch.put(ledger_key(0x41, number, 1), Vec::new());
    engine.commit(batch).await.unwrap();
    id
}

async fn deliver_one(engine: &Arc<EmbeddedEngine>, number: u64, blob: BlobId) {
    let mut batch = Batch::new();
    let uid = batch.next(b"\x01Uinbox".to_vec().into());
    batch.put(Template::from(b"\x32inbox".to_vec()).hole(HoleWidth::Four, uid), vec![3; 90]);
    batch.check(queue_key(number), Expect::Present);
    batch.delete(queue_key(number));
    batch.delete(due_key(number));
    batch.put(ledger_key(0x40, number, 2), vec![4; 60]);
    batch.references(blob, 1);
    batch.references(blob, -1);
    engine.commit(batch).await.unwrap();
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = [11, 12].map(|at: usize| fields[at].parse::<f64>().unwrap()).iter().sum();
    ticks / 100.0
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn written_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
    line.parse().unwrap()
}
