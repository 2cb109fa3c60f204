//! A crowd at one listener, a tenth of it hostile: what honest clients feel of that, and what it costs in memory.

mod attackers;
mod honest;

use std::fmt;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::Options;
use super::connections::{open_idle, raise_own_file_limit};
use super::group::Memory;
use super::measure::MemoryWatch;
use super::peer::Peer;
use super::report::{Report, median};
use super::scenario::Mode;
use crate::error::{Context, Result};
use attackers::Storm;
use honest::Latencies;

const IDLE: u32 = 9_000;
const HOSTILE: u32 = 1_000;
/// Honest clients may take so many times as long as without the crowd, at the 99th percentile.
const RATIO_MAX: f64 = 3.0;
const MEMORY_MIB_MAX: u64 = 400;
const SETTLE: Duration = Duration::from_secs(2);

/// One run: the same honest clients alone, and in the crowd.
#[derive(Debug, Clone, Serialize)]
pub struct CrowdRecord {
    scenario: &'static str,
    peer: &'static str,
    alone: Latencies,
    crowded: Latencies,
    /// Peak while the crowd was there.
    memory: Memory,
    /// Hostile connections that the server ended; each came back.
    ended: u64,
    hostile_bytes: u64,
}

/// Medians over the runs, for the table at the end.
#[derive(Debug)]
pub struct CrowdSummary {
    p50_ratio: f64,
    p99_ratio: f64,
    peak_mib: f64,
}

/// Runs for each server that bears so many connections.
pub fn measure(options: &Options, peers: &mut [Box<dyn Peer>], report: &mut Report) -> Result<()> {
    println!("\n{IDLE} idle and {HOSTILE} hostile connections beside {} honest clients", honest::CLIENTS);
    raise_own_file_limit();
    for peer in peers.iter_mut().filter(|peer| peer.idle_connections() >= IDLE + HOSTILE) {
        for _ in 0..options.repeats {
            let result = one_run(peer.as_mut(), Duration::from_secs_f64(options.seconds * 2.0));
            peer.stop();
            match result {
                Ok(record) => report.add_crowd(record)?,
                Err(error) => report.fail(&format!("{}: {error}", peer.name())),
            }
        }
    }
    Ok(())
}

fn one_run(peer: &mut dyn Peer, length: Duration) -> Result<CrowdRecord> {
    peer.start(Mode::Accept)?;
    thread::sleep(SETTLE);
    honest::send(peer.port(), SETTLE).context("warming up")?;
    let alone = honest::send(peer.port(), length).context("alone")?;

    let idle = open_idle(peer.port(), IDLE)?;
    let watch = MemoryWatch::start(peer.view());
    let storm = Storm::begin(peer.port(), HOSTILE);
    thread::sleep(SETTLE);
    let crowded = honest::send(peer.port(), length).context("in the crowd");
    let (ended, hostile_bytes) = storm.end();
    let memory = watch.stop();
    drop(idle);
    Ok(CrowdRecord {
        scenario: "hostile",
        peer: peer.name(),
        alone,
        crowded: crowded?,
        memory,
        ended,
        hostile_bytes,
    })
}

/// None without runs.
pub fn summary(records: &[CrowdRecord]) -> Option<CrowdSummary> {
    let of = |value: fn(&CrowdRecord) -> f64| median(records.iter().map(value).collect());
    Some(CrowdSummary {
        p50_ratio: of(|record| record.crowded.p50_ms / record.alone.p50_ms)?,
        p99_ratio: of(|record| record.crowded.p99_ms / record.alone.p99_ms)?,
        peak_mib: of(|record| record.memory.pss_kib as f64 / 1024.0)?,
    })
}

impl fmt::Display for CrowdRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, alone, crowded, memory, ended, hostile_bytes, .. } = self;
        write!(f, "{peer:<10} alone {alone}; in the crowd {crowded}")?;
        write!(f, "; PSS {:.1} MiB", memory.pss_kib as f64 / 1024.0)?;
        write!(f, "; {:.0} MiB hostile", *hostile_bytes as f64 / f64::from(1 << 20))?;
        write!(f, ", {ended} of those connections ended by the server")
    }
}

impl fmt::Display for CrowdSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = |met: bool| if met { "met" } else { "missed" };
        let (p99, peak) = (self.p99_ratio, self.peak_mib);
        write!(f, "latency in the crowd to alone: p50 {:.2}, p99 {p99:.2}", self.p50_ratio)?;
        write!(f, " (goal ≤{RATIO_MAX}: {})", verdict(p99 <= RATIO_MAX))?;
        write!(f, "; memory {peak:.1} MiB (goal <{MEMORY_MIB_MAX} MiB: ")?;
        write!(f, "{})", verdict(peak < MEMORY_MIB_MAX as f64))
    }
}
