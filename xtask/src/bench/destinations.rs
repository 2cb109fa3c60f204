//! A thousand sites, of which a hundred are dead and a hundred slow: what the others feel of that.

mod bad;
mod sender;

use std::fmt::{self, Write};
use std::net::TcpStream;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Options;
use super::peer::Peer;
use super::report::{Report, median};
use crate::error::{Context, Result, fail};
use bad::{SilentPort, SlowServer, closed_port};

const SITES: u32 = 1_000;
/// Half of them refuse connections, half take them and never say a word.
const DEAD: u32 = 100;
/// Each reply comes late.
const SLOW: u32 = 100;
const HEALTHY: u32 = SITES - DEAD - SLOW;
const MESSAGES_EACH: u32 = 20;
const HEALTHY_PORT: u16 = 2705;
const OTHERS_PORT: u16 = 2706;
const PATIENCE: Duration = Duration::from_mins(4);
/// What the healthy ones may keep at least of their speed.
const RATIO_MIN: f64 = 0.9;

/// One run: all sites healthy, and then the same load with the dead and the slow among them.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationsRecord {
    scenario: &'static str,
    peer: &'static str,
    /// Messages a second that the healthy sites got.
    alone_per_second: f64,
    beside_per_second: f64,
}

/// Runs for each server that takes a route for each site.
pub fn measure(options: &Options, peers: &mut [Box<dyn Peer>], report: &mut Report) -> Result<()> {
    println!("\n{SITES} sites, of which {DEAD} are dead and {SLOW} slow; {MESSAGES_EACH} messages for each");
    for peer in peers.iter_mut().filter(|peer| peer.takes_routes()) {
        for _ in 0..options.repeats {
            let result = one_run(peer.as_mut());
            peer.stop();
            match result {
                Ok(record) => report.add_destinations(record)?,
                Err(error) => report.fail(&format!("{}: {error}", peer.name())),
            }
        }
    }
    Ok(())
}

/// The ports of those that are not healthy, when they are to be.
#[derive(Debug, Clone, Copy)]
struct Ports {
    refusing: u16,
    silent: u16,
    slow: u16,
}

fn one_run(peer: &mut dyn Peer) -> Result<DestinationsRecord> {
    let well = Ports { refusing: OTHERS_PORT, silent: OTHERS_PORT, slow: OTHERS_PORT };
    let alone_per_second = rate(peer, well).context("all healthy")?;
    let (silent, slow) = (SilentPort::open()?, SlowServer::start()?);
    let ports = Ports { refusing: closed_port()?, silent: silent.port(), slow: slow.port() };
    let beside_per_second = rate(peer, ports).context("beside the dead and the slow")?;
    Ok(DestinationsRecord {
        scenario: "destinations",
        peer: peer.name(),
        alone_per_second,
        beside_per_second,
    })
}

/// Messages a second at the healthy sites, from the first that was sent to the last that arrived.
fn rate(peer: &mut dyn Peer, ports: Ports) -> Result<f64> {
    peer.start_with_routes(&routes(ports))?;
    let wanted = HEALTHY * MESSAGES_EACH;
    let mut healthy = peer.sink(HEALTHY_PORT, Some(wanted))?;
    let mut others = peer.sink(OTHERS_PORT, None)?;
    let result = [HEALTHY_PORT, OTHERS_PORT].into_iter().try_for_each(listening);
    let result = result.and_then(|()| timed(peer.port(), &mut healthy));
    for sink in [&mut healthy, &mut others] {
        // It may have ended already.
        let _ = sink.kill();
        let _ = sink.wait();
    }
    peer.stop();
    Ok(f64::from(wanted) / result?.as_secs_f64())
}

/// A site that does not listen yet would be taken for dead.
fn listening(port: u16) -> Result<()> {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > PATIENCE {
            fail!("no sink listens on port {port}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn timed(port: u16, healthy: &mut Child) -> Result<Duration> {
    let began = Instant::now();
    sender::send(port, SITES, MESSAGES_EACH)?;
    while began.elapsed() < PATIENCE {
        if healthy.try_wait().context("the sink")?.is_some() {
            return Ok(began.elapsed());
        }
        thread::sleep(Duration::from_millis(5));
    }
    fail!("the healthy sites did not get all their mail in {} s", PATIENCE.as_secs())
}

/// One for each site; each has an address of its own, and so a lane.
fn routes(ports: Ports) -> String {
    let mut text = String::new();
    for number in 0..SITES {
        // Spread among the others.
        let port = match number % 10 {
            0 if number % 20 == 0 => ports.refusing,
            0 => ports.silent,
            5 => ports.slow,
            _ => HEALTHY_PORT,
        };
        let host = format!("127.1.{}.{}", number / 250, number % 250 + 1);
        let _ = write!(
            text,
            "\n[[route]]\nrecipient = \"*@site{number}.test\"\nvia = \"smtp\"\nhost = \"{host}\"\nport = {port}\ntls = \"none\"\n"
        );
    }
    text
}

/// The ratio of the medians; none without runs.
pub fn summary(records: &[DestinationsRecord]) -> Option<String> {
    let of = |value: fn(&DestinationsRecord) -> f64| median(records.iter().map(value).collect());
    let ratio = of(|record| record.beside_per_second / record.alone_per_second)?;
    let verdict = if ratio > RATIO_MIN { "met" } else { "missed" };
    Some(format!(
        "healthy sites beside dead and slow ones to all healthy: {ratio:.2} (goal >{RATIO_MIN}: {verdict})"
    ))
}

impl fmt::Display for DestinationsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, alone_per_second: alone, beside_per_second: beside, .. } = self;
        write!(
            f,
            "{peer:<10} all healthy {alone:.0}/s; beside dead and slow ones {beside:.0}/s ({:.2})",
            beside / alone
        )
    }
}
