//! What a long queue costs: start, memory, accepts, deliveries and operators' commands, at several lengths side by side.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::connections::greeted;
use super::group::Group;
use super::measure::MemoryWatch;
use super::report::{Report, median};
use super::{Bench, Options, tail};
use crate::error::{Context, Result, fail};
use crate::shell;

const FILLED_PORT: u16 = 2704;
const EMPTY_PORT: u16 = 2706;
const SINK_PORT: u16 = 2797;
/// Messages of one sender that are tried again and delivered.
const BURST: u64 = 2_000;
/// Sends of one measurement of accepting.
const ACCEPT_SESSIONS: &str = "20";
/// Each message of the many lanes is tried once in this time. Mail servers wait up to an hour or four.
const TRIED_EACH: Duration = Duration::from_hours(1);
/// Lanes wake for so long before anything is measured.
const WAKE_UPS_BEFORE: Duration = Duration::from_secs(20);
const START_PATIENCE: Duration = Duration::from_mins(5);
const SETTLE: Duration = Duration::from_secs(3);
const MEMORY_MIB_MAX: f64 = 300.0;
const START_SECONDS_MAX: f64 = 5.0;
const ACCEPT_RATIO_MIN: f64 = 0.9;

#[derive(Debug, Clone, Serialize)]
pub struct QueueRecord {
    scenario: &'static str,
    entries: u64,
    /// From the start of the process until EHLO is answered.
    start_seconds: f64,
    /// Resident, after the start, and the peak of everything that follows.
    started_mib: f64,
    peak_mib: f64,
    /// Durable accepts per second, and of an empty queue in turns with it.
    accepted_per_second: f64,
    empty_per_second: f64,
    /// Of one sender's messages, from `queue retry` until the last is delivered.
    retried_per_second: f64,
    /// Milliseconds of a command as its user waits for it.
    list_page_ms: f64,
    list_id_ms: f64,
    count_sender_ms: f64,
    count_domain_ms: f64,
    count_held_ms: f64,
    hold_ten_ms: f64,
}

/// One server with its data.
struct Site {
    group: Group,
    program: PathBuf,
    dir: PathBuf,
    config: PathBuf,
    port: u16,
}

pub fn measure(options: &Options, bench: &Bench, report: &mut Report) -> Result<()> {
    let built = || shell::target_dir().join("release/postrider");
    let program = options.program.clone().unwrap_or_else(built);
    let program = program.canonicalize().context(program.display())?;
    let mut sink = Group::open("queue-sink");
    let log = bench.dir.join("queue-sink.log");
    let address = format!("127.0.0.1:{SINK_PORT}");
    sink.spawn(&[&*program.to_string_lossy(), "bench", "sink", "--listen", &address], &log)?;
    for entries in &options.entries {
        println!("\na queue of {entries} deferred messages");
        match at_length(options, bench, &program, *entries) {
            Ok(record) => report.add_queue(record)?,
            Err(error) => report.fail(&format!("a queue of {entries}: {error}")),
        }
    }
    Ok(())
}

fn at_length(options: &Options, bench: &Bench, program: &Path, entries: u64) -> Result<QueueRecord> {
    let mut filled = Site::new(bench, program, "queue-filled", FILLED_PORT)?;
    let mut empty = Site::new(bench, program, "queue-empty", EMPTY_PORT)?;
    let began = Instant::now();
    filled.fill(entries)?;
    println!("  filled in {:.0} s", began.elapsed().as_secs_f64());
    let start_seconds = filled.start()?;
    empty.start()?;
    thread::sleep(SETTLE);
    let started_mib = mib(filled.group.view().memory().rss_kib);
    println!("  started in {start_seconds:.2} s, {started_mib:.0} MiB");
    let watch = MemoryWatch::start(filled.group.view());
    thread::sleep(WAKE_UPS_BEFORE);
    let rates = accept_in_turns(options, &filled, &empty)?;
    let accepted = |side: fn(&(f64, f64)) -> f64| median(rates.iter().map(side).collect()).context("no run");
    let mut record = QueueRecord {
        scenario: "queue",
        entries,
        start_seconds,
        started_mib,
        peak_mib: 0.0,
        accepted_per_second: accepted(|(filled, _)| *filled)?,
        empty_per_second: accepted(|(_, empty)| *empty)?,
        retried_per_second: filled.retry_burst(entries)?,
        list_page_ms: 0.0,
        list_id_ms: 0.0,
        count_sender_ms: 0.0,
        count_domain_ms: 0.0,
        count_held_ms: 0.0,
        hold_ten_ms: 0.0,
    };
    filled.time_commands(entries, &mut record)?;
    record.peak_mib = mib(watch.stop().rss_kib);
    Ok(record)
}

/// Messages per second of both, each with the other's turn beside it.
fn accept_in_turns(options: &Options, filled: &Site, empty: &Site) -> Result<Vec<(f64, f64)>> {
    let messages = (options.seconds * 1000.0).max(500.0).round().to_string();
    for site in [filled, empty] {
        site.load("200")?;
    }
    (0..options.repeats.max(3)).map(|_| Ok((filled.load(&messages)?, empty.load(&messages)?))).collect()
}

impl Site {
    fn new(bench: &Bench, program: &Path, name: &str, port: u16) -> Result<Self> {
        let dir = bench.dir.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).context(dir.display())?;
        }
        fs::create_dir_all(&dir).context(dir.display())?;
        let route = format!(
            "\n[[route]]\nrecipient = \"*@hold.test\"\nvia = \"hold\"\n\
             [[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {SINK_PORT}\ntls = \"none\"\n"
        );
        let text = bench.template(
            "postrider.toml",
            &[
                ("DATA_DIR", &dir.join("data").to_string_lossy()),
                ("SMTP_PORT", &port.to_string()),
                ("POP3_PORT", &(port + 1).to_string()),
                ("ROUTE", &route),
            ],
        )?;
        let config = dir.join("postrider.toml");
        fs::write(&config, text).context(config.display())?;
        Ok(Self { group: Group::open(name), program: program.to_owned(), dir, config, port })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--config").arg(&self.config);
        command
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        shell::capture(&mut self.command(words))
    }

    /// Every second message has a lane among 50,000, and is tried hourly; the others wait for one host.
    fn fill(&self, entries: u64) -> Result<()> {
        let lane = format!("smtp:127.0.0.1:{SINK_PORT}");
        let (count, burst) = (entries.to_string(), burst(entries).to_string());
        let seconds = TRIED_EACH.as_secs().to_string();
        let words = ["--entries", &count, "--burst", &burst, "--lane", &lane, "--due-within", &seconds];
        self.ask(&[&["bench", "fill"], &words[..]].concat()).map(drop)
    }

    fn start(&mut self) -> Result<f64> {
        let (program, config) =
            (self.program.to_string_lossy().into_owned(), self.config.to_string_lossy().into_owned());
        let log = self.dir.join("log");
        let began = Instant::now();
        self.group.spawn(&[&*program, "serve", "--config", &config], &log)?;
        while began.elapsed() < START_PATIENCE && self.group.alive() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() && greeted(self.port).is_ok() {
                return Ok(began.elapsed().as_secs_f64());
            }
            thread::sleep(Duration::from_millis(10));
        }
        fail!("nothing answered on port {}:\n{}", self.port, tail(&log))
    }

    /// Messages per second that are accepted, and held.
    fn load(&self, messages: &str) -> Result<f64> {
        let server = format!("127.0.0.1:{}", self.port);
        let words =
            ["bench", "load", "--server", &server, "--sessions", ACCEPT_SESSIONS, "--messages", messages];
        let to = ["--from", "load@load.test", "--to", "someone@hold.test", "--json"];
        let said = self.ask(&[&words[..], &to[..]].concat())?;
        let said: serde_json::Value = serde_json::from_str(&said).context("bench load")?;
        said.get("messages_per_second").and_then(serde_json::Value::as_f64).context("bench load told no rate")
    }

    fn count(&self, selection: &[&str]) -> Result<u64> {
        let said = self.ask(&[&["queue", "count", "--json"], selection].concat())?;
        let said: serde_json::Value = serde_json::from_str(&said).context("queue count")?;
        said.get("count").and_then(serde_json::Value::as_u64).context("queue count told no number")
    }

    /// Messages per second from the command until the queue holds none of them.
    fn retry_burst(&self, entries: u64) -> Result<f64> {
        let sender = ["--sender", "burst@burst.test"];
        let began = Instant::now();
        self.ask(&[&["queue", "retry"], &sender[..]].concat())?;
        while self.count(&sender)? > 0 {
            if began.elapsed() > START_PATIENCE {
                fail!("the burst was not delivered");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(burst(entries) as f64 / began.elapsed().as_secs_f64())
    }

    fn time_commands(&self, entries: u64, record: &mut QueueRecord) -> Result<()> {
        // One of the huge lane that no burst has taken.
        let number = (entries - entries / 4) / 10;
        let sender = format!("s{number}@d{}.test", number % 1000);
        let listed = self.ask(&["queue", "list", "--json", "--sender", &sender])?;
        let listed: serde_json::Value = serde_json::from_str(&listed).context("queue list")?;
        let id = listed
            .pointer("/0/id")
            .and_then(serde_json::Value::as_str)
            .context("the sender has no message")?
            .to_owned();
        let domain = listed
            .pointer("/0/recipients/0")
            .and_then(serde_json::Value::as_str)
            .and_then(|address| address.split_once('@'));
        let domain = domain.context("a message has no recipient")?.1.to_owned();
        record.list_page_ms = self.time(&["queue", "list", "--limit", "100"])?;
        record.list_id_ms = self.time(&["queue", "list", &id])?;
        record.count_sender_ms = self.time(&["queue", "count", "--sender", &sender])?;
        record.count_domain_ms = self.time(&["queue", "count", "--domain", &domain])?;
        self.ask(&["queue", "delete", "--sender", "load@load.test"])?;
        record.hold_ten_ms = self.time_once(&["queue", "hold", "--sender", &sender])?;
        record.count_held_ms = self.time(&["queue", "count", "--status", "held"])?;
        Ok(())
    }

    /// The median of several.
    fn time(&self, words: &[&str]) -> Result<f64> {
        let times: Result<Vec<f64>> = (0..5).map(|_| self.time_once(words)).collect();
        median(times?).context("no run")
    }

    fn time_once(&self, words: &[&str]) -> Result<f64> {
        let began = Instant::now();
        self.ask(words)?;
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.group.stop();
        // What stays behind only takes space; the next run wipes again.
        let _ = fs::remove_dir_all(self.dir.join("data"));
    }
}

fn burst(entries: u64) -> u64 {
    BURST.min(entries / 4)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// A name, a value, and its decimals.
type Row = (&'static str, fn(&QueueRecord) -> f64, usize);

/// Side by side, a column for each length.
pub fn table(records: &[QueueRecord]) -> String {
    let mut out = String::new();
    if records.is_empty() {
        return out;
    }
    out.push_str("\nqueue, by the number of deferred messages\n");
    let rows: [Row; 12] = [
        ("entries", |record| record.entries as f64, 0),
        ("start until EHLO is answered, s", |record| record.start_seconds, 2),
        ("memory after the start (RSS), MiB", |record| record.started_mib, 0),
        ("memory at most, MiB", |record| record.peak_mib, 0),
        ("durable accept, to an empty queue's", QueueRecord::accept_ratio, 2),
        ("tried again and delivered, per second", |record| record.retried_per_second, 0),
        ("list of 100, ms", |record| record.list_page_ms, 0),
        ("list by ID, ms", |record| record.list_id_ms, 0),
        ("count of a sender, ms", |record| record.count_sender_ms, 0),
        ("count of a domain, ms", |record| record.count_domain_ms, 0),
        ("count of what is held, ms", |record| record.count_held_ms, 0),
        ("hold of a sender's ten, ms", |record| record.hold_ten_ms, 0),
    ];
    for (name, value, decimals) in rows {
        let _ = write!(out, "  {name:<40}");
        for record in records {
            let _ = write!(out, " {:>10.decimals$}", value(record));
        }
        out.push('\n');
    }
    for record in records {
        let _ = writeln!(out, "  {}", record.verdicts());
    }
    out
}

impl QueueRecord {
    fn accept_ratio(&self) -> f64 {
        self.accepted_per_second / self.empty_per_second
    }

    fn verdicts(&self) -> String {
        let verdict = |met: bool| if met { "met" } else { "missed" };
        let memory = self.peak_mib.max(self.started_mib);
        format!(
            "{}: memory <{MEMORY_MIB_MAX} MiB {}, start <{START_SECONDS_MAX} s {}, accept ≥{ACCEPT_RATIO_MIN} {}",
            self.entries,
            verdict(memory < MEMORY_MIB_MAX),
            verdict(self.start_seconds < START_SECONDS_MAX),
            verdict(self.accept_ratio() >= ACCEPT_RATIO_MIN)
        )
    }
}
