//! Power cuts: a program that accepts, delivers and expunges is recorded, and what a cut at random moments could leave is
//! rebuilt and verified. `POWERCUT_CUTS=500` makes more of them, `POWERCUT_SEED` others.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod driver;
mod replay;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use replay::{Chance, Disk, Event, MODES, Mode, read_events};
use tempfile::TempDir;

const MESSAGES: u32 = 500;
/// Of each kind, each at another moment.
const FAILURES: u64 = 12;

#[derive(Debug, Default)]
struct Tally {
    cuts: usize,
    opened: usize,
    acknowledged: usize,
    whole: usize,
    faults: Vec<String>,
}

#[test]
#[ignore = "the program that the other tests run and pull the plug on"]
fn driver_process() {
    if let Ok(role) = std::env::var("DRIVER") {
        driver::run(&role);
    }
}

/// This program again, as the driver.
fn driver(role: &str, store: &Path, acknowledged: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["driver_process", "--exact", "--ignored", "--nocapture", "--quiet"]);
    command.env("DRIVER", role).env("STORE", store).env("ACKNOWLEDGED", acknowledged);
    command.env("MESSAGES", MESSAGES.to_string());
    command
}

/// The recorder, compiled; none if there is no C compiler.
fn recorder(dir: &Path) -> Option<PathBuf> {
    let (source, library) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/powercut/recorder.c"), dir.join("recorder.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]);
    match compiler.output() {
        Ok(output) if output.status.success() => Some(library),
        Ok(output) => panic!("the recorder does not compile: {}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            println!("SKIPPED: there is no C compiler (cc) to make the recorder of the power cuts with");
            None
        }
    }
}

struct Recording {
    dir: TempDir,
    output: Output,
    events: Vec<Event>,
}

fn record(recorder: &Path, failure: Option<(&str, u64)>) -> Recording {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name);
    let (store, recorded, acknowledged) = (path("store"), path("recorded"), path("acknowledged"));
    fs::create_dir(&store).unwrap();
    let mut command = driver("load", &store, &acknowledged);
    command.env("LD_PRELOAD", recorder).env("RECORD_DIR", &store).env("RECORD_TO", &recorded);
    command.env("RECORD_ACKNOWLEDGED", &acknowledged);
    if let Some((name, number)) = failure {
        command.env(name, number.to_string());
    }
    let output = command.output().unwrap();
    let events = read_events(&recorded);
    Recording { dir, output, events }
}

fn verify(store: &Path, acknowledged: &[u8], tally: &mut Tally, what: &str) {
    let list = store.with_extension("acknowledged");
    fs::write(&list, acknowledged).unwrap();
    let output = driver("verify", store, &list).output().unwrap();
    let code = output.status.code();
    tally.cuts += 1;
    tally.opened += usize::from([Some(driver::WHOLE), Some(driver::LOST)].contains(&code));
    tally.acknowledged += acknowledged.len() / 8;
    if code == Some(driver::WHOLE) {
        tally.whole += acknowledged.len() / 8;
    } else {
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        tally.faults.push(format!("{what}: {code:?}: {said}"));
    }
}

/// Cuts at the moments given (after so many events), in all modes by turns.
fn cut(recording: &Recording, moments: &[usize], chance: &mut Chance, tally: &mut Tally) {
    let mut disk = Disk::new();
    let mut done = 0;
    for (count, &moment) in moments.iter().enumerate() {
        recording.events[done..moment].iter().for_each(|event| disk.apply(event));
        done = moment;
        let left = recording.dir.path().join("left");
        let mode = MODES[count % MODES.len()];
        leave(&disk, mode, chance, &left);
        verify(&left, &disk.acknowledged, tally, &format!("after event {moment}, {mode:?}"));
    }
}

fn leave(disk: &Disk, mode: Mode, chance: &mut Chance, dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).unwrap();
    }
    disk.leave(mode, chance, dir);
}

/// Half of the moments are during a sync.
fn moments(events: &[Event], count: usize, chance: &mut Chance) -> Vec<usize> {
    let during: Vec<_> = (1..=events.len()).filter(|at| events[at - 1].begins_sync()).collect();
    let mut moments: Vec<_> = (0..count)
        .map(|number| match number % 2 {
            0 => during[chance.below(during.len())],
            _ => 1 + chance.below(events.len()),
        })
        .collect();
    moments.sort_unstable();
    moments
}

/// Cuts are worth as much as the work that they cut: all of it has to be in the recording.
fn assert_everything_happens(recording: &Recording) {
    let acknowledged = recording.events.iter().fold(Disk::new(), |mut disk, event| {
        disk.apply(event);
        disk
    });
    for (step, name) in [(b'1', "accept"), (b'2', "delivery"), (b'3', "expunge")] {
        let count = acknowledged.acknowledged.chunks(8).filter(|words| words[0] == step).count();
        assert!(count > 100, "{name}: {count}");
    }
    let told = String::from_utf8_lossy(&recording.output.stderr);
    for name in ["checkpoints", "moved_bytes", "segments_removed"] {
        let count = told.split([' ', ',', '}']).skip_while(|word| *word != format!("{name}:")).nth(1);
        let count: u64 = count.and_then(|count| count.parse().ok()).unwrap_or_default();
        assert!(count > 0, "{name} in {told}");
    }
}

fn number_from(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let build = tempfile::tempdir().unwrap();
    let Some(recorder) = recorder(build.path()) else { return };
    let (cuts, mut chance) =
        (number_from("POWERCUT_CUTS", 60) as usize, Chance(number_from("POWERCUT_SEED", 1)));
    let mut tally = Tally::default();
    // Several recordings, as each has its own course.
    let recordings = cuts.div_ceil(100);
    for _ in 0..recordings {
        let recording = record(&recorder, None);
        assert!(recording.output.status.success(), "{:?}", recording.output);
        let acknowledged = recording.events.iter().filter(|event| event.is_acknowledgement()).count();
        assert!(acknowledged >= MESSAGES as usize * 2);
        assert_everything_happens(&recording);
        let moments = moments(&recording.events, cuts.div_ceil(recordings), &mut chance);
        cut(&recording, &moments, &mut chance, &mut tally);
    }
    report("power cuts", &tally);
}

#[test]
fn a_failed_sync_poisons_and_loses_nothing() {
    let build = tempfile::tempdir().unwrap();
    let Some(recorder) = recorder(build.path()) else { return };
    let (mut tally, mut chance) = (Tally::default(), Chance(2));
    for number in 0..FAILURES {
        // The first syncs make the store.
        let recording = record(&recorder, Some(("FAIL_SYNC", 1 + number * number * 5)));
        let Some(failed) = recording.events.iter().position(Event::is_failed_sync) else {
            assert_eq!(recording.output.status.code(), Some(driver::LOADED), "{:?}", recording.output);
            continue;
        };
        let ends = recording.events.len();
        cut(&recording, &[failed + 1, ends, ends, ends, ends], &mut chance, &mut tally);
        let all = recording.events.iter().fold(Disk::new(), |mut disk, event| {
            disk.apply(event);
            disk
        });
        verify(&recording.dir.path().join("store"), &all.acknowledged, &mut tally, "a failed sync, no cut");
    }
    report("failed syncs", &tally);
}

#[test]
fn a_full_disk_loses_nothing() {
    let build = tempfile::tempdir().unwrap();
    let Some(recorder) = recorder(build.path()) else { return };
    let (mut tally, mut chance, mut injected) = (Tally::default(), Chance(3), 0);
    for number in 0..FAILURES {
        let recording = record(&recorder, Some(("FAIL_WRITE", 30 + number * number * 9)));
        injected +=
            usize::from(String::from_utf8_lossy(&recording.output.stderr).contains("injected ENOSPC"));
        let ends = recording.events.len();
        let mut moments = moments(&recording.events, 4, &mut chance);
        moments.push(ends);
        cut(&recording, &moments, &mut chance, &mut tally);
    }
    assert!(injected > 0);
    report("full disks", &tally);
}

/// As a file system does on which an error was found.
#[test]
fn a_disk_that_becomes_read_only_loses_nothing() {
    let build = tempfile::tempdir().unwrap();
    let Some(recorder) = recorder(build.path()) else { return };
    let (mut tally, mut chance, mut injected) = (Tally::default(), Chance(5), 0);
    for number in 0..FAILURES {
        let recording = record(&recorder, Some(("READ_ONLY", 30 + number * number * 9)));
        let told = String::from_utf8_lossy(&recording.output.stderr);
        let is_read_only = told.contains("injected EROFS");
        injected += usize::from(is_read_only);
        let ends = recording.events.len();
        cut(&recording, &[ends, ends, ends], &mut chance, &mut tally);
        let all = recording.events.iter().fold(Disk::new(), |mut disk, event| {
            disk.apply(event);
            disk
        });
        // It may come when every step is done, and meet the threads in the background alone.
        let is_done = all.acknowledged.len() / 8 == (0..MESSAGES).map(driver::last_step).sum::<usize>();
        let code = if is_done { driver::LOADED } else { driver::POISONED };
        assert_eq!(recording.output.status.code(), Some(code), "{:?}", recording.output);
        assert!(is_read_only || is_done, "{:?}", recording.output);
        verify(&recording.dir.path().join("store"), &all.acknowledged, &mut tally, "read-only, no cut");
    }
    assert!(injected > 0);
    report("disks that become read-only", &tally);
}

/// A test of the test: if syncs do nothing, it must find what is lost.
#[test]
fn a_lying_disk_is_found_out() {
    let build = tempfile::tempdir().unwrap();
    let Some(recorder) = recorder(build.path()) else { return };
    let (mut tally, mut chance) = (Tally::default(), Chance(4));
    let mut recording = record(&recorder, None);
    for event in &mut recording.events {
        event.lie();
    }
    let moments = moments(&recording.events, 8, &mut chance);
    cut(&recording, &moments, &mut chance, &mut tally);
    assert!(tally.whole < tally.acknowledged && !tally.faults.is_empty(), "{tally:?}");
}

/// As a killed process leaves it: everything written is there. Each store is killed again and again.
#[test]
fn nothing_acknowledged_is_lost_in_a_kill() {
    let mut tally = Tally::default();
    for store_number in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let (store, list) = (dir.path().join("store"), dir.path().join("list"));
        for kill in 0..4 {
            let mut command = driver("load", &store, &list);
            command.env("FIRST", (kill * 1_000_000).to_string()).env("MESSAGES", "1000000");
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(60 + store_number * 70 + kill * 30));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        verify(&store, &fs::read(&list).unwrap_or_default(), &mut tally, "killed");
    }
    assert!(tally.acknowledged > 1000);
    report("kills (four a store)", &tally);
}

fn report(what: &str, tally: &Tally) {
    println!(
        "{what}: {} cuts, {} opened; {} steps acknowledged, {} whole",
        tally.cuts, tally.opened, tally.acknowledged, tally.whole
    );
    assert!(tally.faults.is_empty(), "{:#?}", tally.faults);
    assert_eq!((tally.opened, tally.whole), (tally.cuts, tally.acknowledged));
}
