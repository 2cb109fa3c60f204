//! How much memory a server takes: idle, with many large messages at once, and with many silent connections.

use std::fmt;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::connections::{open_idle, raise_own_file_limit};
use super::group::Memory;
use super::load::Volley;
use super::measure::{Field, MemoryWatch};
use super::peer::Peer;
use super::report::Report;
use super::scenario::Mode;
use crate::error::Result;

const LARGE_SESSIONS: u32 = 100;
const LARGE_BYTES: u32 = 50 << 20;
const IDLE: &str = "idle";
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize)]
pub struct MemoryRecord {
    pub scenario: &'static str,
    pub peer: &'static str,
    pub what: String,
    pub memory: Memory,
    /// Resident memory the peer's goal allows, if it has one.
    pub goal_mib: Option<u64>,
}

pub fn measure(peers: &mut [Box<dyn Peer>], field: &mut Field, report: &mut Report) -> Result<()> {
    println!("\nmemory");
    raise_own_file_limit();
    for peer in peers.iter_mut().filter(|peer| peer.idle_connections() > 0) {
        let result = one_peer(peer.as_mut(), field);
        peer.stop();
        match result {
            Ok(records) => records.into_iter().try_for_each(|record| report.add_memory(record))?,
            Err(error) => report.fail(&format!("{}: {error}", peer.name())),
        }
    }
    Ok(())
}

fn one_peer(peer: &mut dyn Peer, field: &mut Field) -> Result<Vec<MemoryRecord>> {
    let goals = (peer.name() == "postrider").then_some([40, 300, 120]);
    let goal = |index: usize| goals.and_then(|goals| goals.get(index).copied());
    let name = peer.name();
    let record = |what: String, memory, goal_mib| MemoryRecord {
        scenario: "memory",
        peer: name,
        what,
        memory,
        goal_mib,
    };

    peer.start(Mode::Accept)?;
    thread::sleep(SETTLE);
    let mut records = vec![record(IDLE.to_owned(), peer.view().memory(), goal(0))];

    let connections = open_idle(peer.port(), peer.idle_connections())?;
    thread::sleep(SETTLE);
    records.push(record(format!("{} idle connections", connections.len()), peer.view().memory(), goal(2)));
    drop(connections);

    peer.start(Mode::Accept)?;
    let watch = MemoryWatch::start(peer.view());
    field.tool.send(Volley {
        port: peer.port(),
        mode: Mode::Accept,
        sessions: LARGE_SESSIONS,
        messages: LARGE_SESSIONS,
        bytes: LARGE_BYTES,
    })?;
    records.push(record(format!("{LARGE_SESSIONS} sessions, each sending 50 MiB"), watch.stop(), goal(1)));
    Ok(records)
}

impl fmt::Display for MemoryRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Memory { rss_kib, pss_kib, peak_rss_kib, processes } = self.memory;
        let [rss, pss, peak] = [rss_kib, pss_kib, peak_rss_kib].map(|kib| kib as f64 / 1024.0);
        write!(f, "{:<10} {:<36} PSS {pss:>7.1} MiB, RSS {rss:>7.1} MiB", self.peer, self.what)?;
        write!(f, " (highest so far {peak:.1}), {processes} processes")?;
        if let Some(goal) = self.goal_mib {
            // Starting up may have taken more than being idle does; the other two goals are about the peak.
            let reached = if self.what == IDLE { rss } else { peak };
            let verdict = if reached < goal as f64 { "met" } else { "missed" };
            write!(f, ", goal <{goal} MiB: {verdict}")?;
        }
        Ok(())
    }
}
