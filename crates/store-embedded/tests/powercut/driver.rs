//! The program to pull the plug on. `load` accepts, delivers and expunges messages and writes an acknowledgement of eight
//! hex digits (the step, then the message's number in seven) for each step that was committed; `verify` looks for them in
//! what is left.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use store::{
    Batch, BlobId, CommitError, Engine, Expect, Key, KeyRange, Order, PendingBlob, StoreError,
    apply::counter_value,
};
use store_embedded::{EmbeddedEngine, Options};

const WORKERS: u32 = 12;
/// The steps of a message, with the tag of the key that holds it then.
const STEPS: [(u8, u8); 3] = [(1, b'q'), (2, b'm'), (3, b'x')];

pub const LOADED: i32 = 0;
pub const POISONED: i32 = 3;
pub const WHOLE: i32 = 0;
/// Something acknowledged is lost or not whole.
pub const LOST: i32 = 1;
pub const DOES_NOT_OPEN: i32 = 2;

/// Does what the environment says and ends the process: `DRIVER` is `load` or `verify`, `STORE` a directory,
/// `ACKNOWLEDGED` the file of acknowledgements, `MESSAGES` how many to load, `FIRST` the first one's number.
pub fn run(role: &str) -> ! {
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let (dir, acknowledged) = (path("STORE"), path("ACKNOWLEDGED"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let code = match role {
        "load" => {
            let count: u32 = std::env::var("MESSAGES").unwrap().parse().unwrap();
            let acknowledgements = File::options().create(true).append(true).open(acknowledged).unwrap();
            let first = std::env::var("FIRST").map_or(0, |text| text.parse().unwrap());
            runtime.block_on(load(&dir, first..first + count, acknowledgements))
        }
        _ => runtime.block_on(verify(&dir, &acknowledged)),
    };
    // As a killed process: nothing is closed.
    std::process::exit(code)
}

/// Small, so that segments, checkpoints and compaction come by often.
fn options() -> Options {
    Options {
        segment_bytes: 192 * 1024,
        memtable_bytes: 48 * 1024,
        checkpoint_interval_ms: 30,
        ..Options::default()
    }
}

fn body(number: u32) -> Bytes {
    let length = match number % 40 {
        7 => 300_000 + number % 50_000,
        13 | 27 => 70_000,
        _ => 300 + number % 1000 * 37 % 6000,
    };
    let mut state = u64::from(number) | 1 << 40;
    let octets = (0..length).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    octets.collect()
}

fn key(tag: u8, number: u32) -> Key {
    let mut octets = vec![tag];
    octets.extend_from_slice(&number.to_be_bytes());
    octets.into()
}

fn counter(step: u8) -> Key {
    vec![1, step].into()
}

fn acknowledge(mut acknowledgements: &File, step: u8, number: u32) {
    acknowledgements.write_all(format!("{step:x}{number:07x}").as_bytes()).unwrap();
}

/// Why a worker goes no further.
enum Stop {
    Full,
    Poisoned(String),
}

impl From<CommitError> for Stop {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full => Self::Full,
            other => Self::Poisoned(other.to_string()),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            other => Self::Poisoned(other.to_string()),
        }
    }
}

async fn load(dir: &Path, numbers: Range<u32>, acknowledgements: File) -> i32 {
    let engine = match EmbeddedEngine::open(dir, options()) {
        Ok(engine) => engine,
        Err(error) => {
            eprintln!("{error}");
            return POISONED;
        }
    };
    let (next, acknowledgements) = (Arc::new(AtomicU32::new(numbers.start)), Arc::new(acknowledgements));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (engine, next) = (Arc::clone(&engine), Arc::clone(&next));
            let numbers = numbers.clone();
            let acknowledgements = Arc::clone(&acknowledgements);
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return true;
                    }
                    if let Err(reason) = whole_life(&engine, number, &acknowledgements).await {
                        eprintln!("{reason}");
                        return false;
                    }
                }
            })
        })
        .collect();
    let mut fine = true;
    for worker in workers {
        fine &= worker.await.unwrap();
    }
    // For what the threads do in the background.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let after = engine.commit(Batch::new()).await;
    assert!(fine || after.is_err(), "a poisoned store commits nothing");
    let statistics = engine.statistics();
    eprintln!("{statistics:?}");
    if fine { LOADED } else { POISONED }
}

/// Some messages stay in the queue, some in the mailbox.
pub fn last_step(number: u32) -> usize {
    [1, 3, 3, 3, 2][number as usize % 5]
}

/// Each step is tried again when the disk is full.
async fn whole_life(
    engine: &Arc<EmbeddedEngine>,
    number: u32,
    acknowledgements: &File,
) -> Result<(), String> {
    for (step, _) in &STEPS[..last_step(number)] {
        for attempt in 0.. {
            let outcome = match step {
                1 => accept(engine, number).await,
                2 => deliver(engine, number).await,
                _ => expunge(engine, number).await,
            };
            match outcome {
                Ok(()) => break,
                Err(Stop::Full) if attempt < 20 => {}
                Err(Stop::Full) => return Err("the disk stays full".to_owned()),
                Err(Stop::Poisoned(reason)) => return Err(reason),
            }
        }
        acknowledge(acknowledgements, *step, number);
    }
    Ok(())
}

async fn write_body(engine: &Arc<EmbeddedEngine>, octets: &Bytes) -> Result<PendingBlob, StoreError> {
    let mut writer = engine.blob_writer().await?;
    for chunk in octets.chunks(32 * 1024) {
        writer.write(octets.slice_ref(chunk)).await?;
    }
    writer.finish().await
}

async fn accept(engine: &Arc<EmbeddedEngine>, number: u32) -> Result<(), Stop> {
    let blob = write_body(engine, &body(number)).await?;
    let mut batch = Batch::new();
    batch.check(key(b'q', number), Expect::Absent);
    batch.references(blob.id, 1);
    batch.put(key(b'q', number), blob.id.0.to_be_bytes().to_vec());
    batch.blob(blob);
    batch.next(counter(1));
    engine.commit(batch).await?;
    Ok(())
}

async fn deliver(engine: &Arc<EmbeddedEngine>, number: u32) -> Result<(), Stop> {
    let stored = engine.get(&key(b'q', number)).await?.unwrap();
    let id = BlobId(u64::from_be_bytes(stored.as_ref().try_into().unwrap()));
    if engine.blob_read(id, 0..u64::MAX).await? != body(number) {
        return Err(Stop::Poisoned(format!("the body of message {number} is not what was accepted")));
    }
    let mut batch = Batch::new();
    batch.check(key(b'q', number), Expect::Equals(stored.clone()));
    batch.delete(key(b'q', number));
    batch.put(key(b'm', number), stored.to_vec());
    batch.references(id, 1);
    batch.references(id, -1);
    batch.next(counter(2));
    engine.commit(batch).await?;
    Ok(())
}

async fn expunge(engine: &Arc<EmbeddedEngine>, number: u32) -> Result<(), Stop> {
    let stored = engine.get(&key(b'm', number)).await?.unwrap();
    let mut batch = Batch::new();
    batch.delete(key(b'm', number));
    batch.put(key(b'x', number), Vec::new());
    batch.references(BlobId(u64::from_be_bytes(stored.as_ref().try_into().unwrap())), -1);
    batch.next(counter(3));
    engine.commit(batch).await?;
    Ok(())
}

async fn verify(dir: &Path, acknowledged: &Path) -> i32 {
    let engine = match EmbeddedEngine::open(dir, options()) {
        Ok(engine) => engine,
        Err(error) => {
            println!("does not open: {error}");
            return DOES_NOT_OPEN;
        }
    };
    let mut faults: Vec<_> = engine.damage().iter().map(|damage| format!("{damage:?}")).collect();
    let found = messages(&engine, &mut faults).await;
    for (number, step) in steps(&std::fs::read_to_string(acknowledged).unwrap()) {
        match found.get(&number) {
            Some(&at) if at >= step => {}
            other => faults.push(format!("message {number}, acknowledged at step {step}, is at {other:?}")),
        }
    }
    for (step, _) in STEPS {
        let stored = engine.get(&counter(step)).await.unwrap();
        let counted = counter_value(stored.as_ref()).unwrap();
        let there = found.values().filter(|at| **at >= step).count() as u64;
        if counted != there {
            faults.push(format!("step {step}: {counted} counted, {there} there"));
        }
    }
    if accept(&engine, u32::MAX >> 4).await.is_err() || engine.close().await.is_err() {
        faults.push("the store takes nothing".to_owned());
    }
    println!("{} messages, {} faults", found.len(), faults.len());
    faults.iter().take(5).for_each(|fault| println!("{fault}"));
    if faults.is_empty() { WHOLE } else { LOST }
}

/// The highest step acknowledged for each message.
fn steps(acknowledged: &str) -> BTreeMap<u32, u8> {
    let mut steps = BTreeMap::new();
    for at in (0..acknowledged.len() / 8).map(|count| count * 8) {
        let step = u8::from_str_radix(&acknowledged[at..=at], 16).unwrap();
        let number = u32::from_str_radix(&acknowledged[at + 1..at + 8], 16).unwrap();
        let highest = steps.entry(number).or_insert(step);
        *highest = step.max(*highest);
    }
    steps
}

/// Every message there is and the step it is at; each must be there once, and whole.
async fn messages(engine: &Arc<EmbeddedEngine>, faults: &mut Vec<String>) -> BTreeMap<u32, u8> {
    let mut found = BTreeMap::new();
    for (step, tag) in STEPS {
        let pairs = engine.scan(KeyRange::prefix(&[tag]), Order::Ascending, usize::MAX).await.unwrap();
        for (key, value) in pairs {
            let number = u32::from_be_bytes(key.0[1..].try_into().unwrap());
            if let Some(other) = found.insert(number, step) {
                faults.push(format!("message {number} is at steps {other} and {step}"));
            }
            if step < 3 {
                let id = BlobId(u64::from_be_bytes(value.as_ref().try_into().unwrap()));
                match engine.blob_read(id, 0..u64::MAX).await {
                    Ok(octets) if octets == body(number) => {}
                    Ok(octets) => faults.push(format!("message {number}: {} wrong octets", octets.len())),
                    Err(error) => faults.push(format!("message {number}: {error}")),
                }
            }
        }
    }
    found
}
