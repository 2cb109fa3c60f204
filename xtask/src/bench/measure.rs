//! One cell: the peers take turns, so that a slow spell of the machine hits them alike.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::group::{Memory, View};
use super::load::{LoadTool, Sink, Volley};
use super::peer::Peer;
use super::report::{Record, Report};
use super::scenario::{Cell, Mode};
use super::{Bench, Options};
use crate::error::{Result, fail};
use crate::shell;

pub const SINK_PORT: u16 = 2799;
const MESSAGES_MAX: u32 = 400_000;
/// Keeps a run within what a small disk takes.
const RUN_BYTES_MAX: u64 = 3 << 30;
/// Without progress for so long, a run is given up.
const STALL: Duration = Duration::from_secs(20);
/// Cores' worth of other people's work from which a run is repeated.
pub const DISTURBANCE_MAX: f64 = 0.4;
const RETRIES: u32 = 2;

struct Outcome {
    seconds: f64,
    accept_seconds: f64,
    cpu_seconds: f64,
    memory: Memory,
    others: f64,
}

/// Everything a run works with besides the peer.
#[derive(Debug)]
pub struct Field {
    pub tool: LoadTool,
    pub sink: Sink,
}

impl Field {
    pub fn new(bench: &Bench) -> Result<Self> {
        Ok(Self { tool: LoadTool::new(bench)?, sink: Sink::new(bench, "sink", SINK_PORT) })
    }
}

pub fn cell(
    options: &Options,
    cell: &Cell,
    peers: &mut [Box<dyn Peer>],
    field: &mut Field,
    report: &mut Report,
) -> Result<()> {
    println!("\n{}, {} KiB, {} sessions", cell.scenario.title(), cell.bytes / 1024, cell.sessions);
    let able = peers.iter_mut().filter(|peer| peer.supports(cell.scenario));
    let mut turns: Vec<(&mut Box<dyn Peer>, Option<u32>)> = able.map(|peer| (peer, None)).collect();
    for repeat in 1..=options.repeats {
        let mut failed = Vec::new();
        for (index, (peer, count)) in turns.iter_mut().enumerate() {
            let result = one_peer(options, cell, peer.as_mut(), count, field);
            peer.stop();
            field.sink.stop();
            match result {
                Ok((messages, outcome)) => {
                    report.add(record(cell, peer.name(), repeat, messages, &outcome))?;
                }
                Err(error) => {
                    report.fail(&format!("{}: {error}", peer.name()));
                    failed.push(index);
                }
            }
        }
        // One that failed would only fail again; the others go on.
        for index in failed.into_iter().rev() {
            turns.remove(index);
        }
    }
    Ok(())
}

fn one_peer(
    options: &Options,
    cell: &Cell,
    peer: &mut dyn Peer,
    count: &mut Option<u32>,
    field: &mut Field,
) -> Result<(u32, Outcome)> {
    let messages = match *count {
        Some(messages) => messages,
        None => *count.insert(calibrate(options, cell, peer, field)?),
    };
    let mut tries = 0;
    loop {
        let outcome = fresh_run(cell, peer, messages, field)?;
        if outcome.others <= DISTURBANCE_MAX || tries == RETRIES {
            return Ok((messages, outcome));
        }
        tries += 1;
        println!("  {} repeated: {:.1} cores were busy with something else", peer.name(), outcome.others);
    }
}

/// Finds how many messages make a run of the wanted length.
fn calibrate(options: &Options, cell: &Cell, peer: &mut dyn Peer, field: &mut Field) -> Result<u32> {
    let most = u32::try_from(RUN_BYTES_MAX / u64::from(cell.bytes)).unwrap_or(u32::MAX).min(MESSAGES_MAX);
    let least = (3 * cell.sessions).max(20);
    let mut probe = least;
    loop {
        let outcome = fresh_run(cell, peer, probe, field)?;
        let rate = f64::from(probe) / outcome.seconds;
        if outcome.seconds > options.seconds.min(0.8) || probe == most {
            return Ok(whole(rate * options.seconds).clamp(least, most));
        }
        probe = whole(rate * 1.3).clamp(probe.saturating_mul(2), probe.saturating_mul(20)).min(most);
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the type's range")]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}

fn fresh_run(cell: &Cell, peer: &mut dyn Peer, messages: u32, field: &mut Field) -> Result<Outcome> {
    if cell.scenario == Mode::Relay {
        field.sink.start()?;
    }
    peer.start(cell.scenario)?;
    let volley = Volley {
        port: peer.port(),
        mode: cell.scenario,
        sessions: cell.sessions,
        messages,
        bytes: cell.bytes,
    };
    let warm_up = (2 * cell.sessions).max(20);
    field.tool.send(Volley { messages: warm_up, ..volley })?;
    wait_until_done(cell.scenario, peer, &field.sink, u64::from(warm_up), Instant::now())?;
    shell::run(&mut Command::new("sync"))?;
    thread::sleep(Duration::from_millis(300));
    timed_run(volley, peer, u64::from(warm_up), field)
}

fn timed_run(volley: Volley, peer: &mut dyn Peer, before: u64, field: &mut Field) -> Result<Outcome> {
    let (peer_view, tool_view, sink_view) = (peer.view(), field.tool.view(), field.sink.view());
    let tool_cpu = || tool_view.cpu_seconds() + sink_view.cpu_seconds();
    let (peer_cpu_before, tool_cpu_before, busy_before) =
        (peer_view.cpu_seconds(), tool_cpu(), machine_busy_seconds());
    let watch = MemoryWatch::start(peer_view.clone());
    let started = Instant::now();
    let accepted = field.tool.send(volley)?;
    let done = wait_until_done(volley.mode, peer, &field.sink, before + u64::from(volley.messages), started)?;
    let memory = watch.stop();
    let seconds = done.unwrap_or(accepted).as_secs_f64();
    let cpu_seconds = peer_view.cpu_seconds() - peer_cpu_before;
    let known = cpu_seconds + tool_cpu() - tool_cpu_before;
    let others = (machine_busy_seconds() - busy_before - known) / started.elapsed().as_secs_f64();
    Ok(Outcome {
        seconds,
        accept_seconds: accepted.as_secs_f64(),
        cpu_seconds,
        memory,
        others: others.max(0.0),
    })
}

/// Waits for the last delivery and says when it came; nothing to wait for where nothing is delivered.
fn wait_until_done(
    mode: Mode,
    peer: &dyn Peer,
    sink: &Sink,
    wanted: u64,
    started: Instant,
) -> Result<Option<Duration>> {
    let count = || match mode {
        Mode::Accept => Ok(wanted),
        Mode::Deliver => peer.delivered(),
        Mode::Relay => Ok(sink.count()),
    };
    if mode == Mode::Accept {
        return Ok(None);
    }
    let mut last = (count()?, Instant::now());
    while last.0 < wanted {
        thread::sleep(pause(last.0, wanted, started.elapsed()));
        let now = count()?;
        if now > last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > STALL {
            fail!("{}: {now} of {wanted} messages arrived, and no more are coming", peer.name());
        }
    }
    Ok(Some(started.elapsed()))
}

/// Counting costs the machine under test something, so look seldom while much is missing, and often near the end.
fn pause(have: u64, wanted: u64, elapsed: Duration) -> Duration {
    let remaining = elapsed.as_secs_f64() * (wanted - have) as f64 / have.max(1) as f64;
    Duration::from_secs_f64((remaining / 2.0).clamp(0.02, 0.5))
}

fn record(cell: &Cell, peer: &'static str, repeat: u32, messages: u32, outcome: &Outcome) -> Record {
    let messages_f = f64::from(messages);
    Record {
        cell: *cell,
        peer,
        repeat,
        messages,
        seconds: outcome.seconds,
        per_second: messages_f / outcome.seconds,
        accept_per_second: messages_f / outcome.accept_seconds,
        cpu_seconds_per_1000: outcome.cpu_seconds * 1000.0 / messages_f,
        memory: outcome.memory,
        others: outcome.others,
    }
}

/// Seconds of CPU time the whole machine has spent on anything but waiting.
fn machine_busy_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let ticks = first.split_whitespace().skip(1).take(8).map(|field| field.parse::<f64>().unwrap_or(0.0));
    // Fields 3 and 4 are idle and waiting for the disk.
    ticks.enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, ticks)| ticks / 100.0).sum()
}

/// Looks at a group's memory now and then and keeps the peak.
pub struct MemoryWatch {
    over: Arc<AtomicBool>,
    peak: Arc<Mutex<Memory>>,
    thread: JoinHandle<()>,
}

impl MemoryWatch {
    pub fn start(view: View) -> Self {
        let (over, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Memory::default())));
        let thread = thread::spawn({
            let (over, peak) = (over.clone(), peak.clone());
            move || watch(&view, &over, &peak)
        });
        Self { over, peak, thread }
    }

    pub fn stop(self) -> Memory {
        self.over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let _ = self.thread.join();
        *self.peak.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn watch(view: &View, over: &AtomicBool, peak: &Mutex<Memory>) {
    loop {
        let now = view.memory();
        let mut peak = peak.lock().unwrap_or_else(PoisonError::into_inner);
        if now.pss_kib > peak.pss_kib {
            *peak = now;
        }
        drop(peak);
        if over.load(Ordering::Relaxed) {
            return;
        }
        thread::park_timeout(Duration::from_secs(1));
    }
}
