//! `cargo xtask bench`: Postfix, Dovecot and Postrider side by side, interleaved in one run.

mod connections;
mod debian;
mod destinations;
mod dovecot;
mod group;
mod hostile;
mod imap;
mod load;
mod measure;
mod memory;
mod peer;
mod postfix;
mod postrider;
mod queue;
mod report;
mod scenario;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use crate::error::{Context, Result, fail};
use crate::shell;
use measure::Field;
use peer::{Ceiling, Peer};
use report::Report;
use scenario::Scenario;

#[derive(Debug)]
pub struct Options {
    quick: bool,
    only: Vec<String>,
    only_peer: Vec<String>,
    seconds: f64,
    repeats: u32,
    program: Option<PathBuf>,
    /// Lengths of the queue.
    entries: Vec<u64>,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            quick: false,
            only: Vec::new(),
            only_peer: Vec::new(),
            seconds: 5.0,
            repeats: 3,
            program: None,
            entries: vec![1_000, 100_000, 1_000_000],
        };
        if arguments.iter().any(|argument| argument == "--quick") {
            (options.quick, options.seconds, options.repeats) = (true, 2.0, 1);
        }
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => (),
                "--only" => options.only.push(one_of(
                    argument,
                    arguments.next(),
                    &["accept", "deliver", "relay", "memory", "hostile", "destinations", "queue", "imap"],
                )?),
                "--only-peer" => options.only_peer.push(one_of(
                    argument,
                    arguments.next(),
                    &["ceiling", "postfix", "dovecot", "postrider"],
                )?),
                "--seconds" => options.seconds = number(argument, arguments.next(), 0.5, 60.0)?,
                "--repeats" => options.repeats = number(argument, arguments.next(), 1, 20)?,
                "--entries" => options.entries = numbers(argument, arguments.next())?,
                "--program" => {
                    let path = arguments.next().context("--program needs the path of a postrider binary")?;
                    options.program = Some(PathBuf::from(path));
                }
                other => fail!("unknown option `{other}`"),
            }
        }
        Ok(options)
    }

    fn wants_scenario(&self, name: &str) -> bool {
        if self.only.is_empty() {
            !(self.quick && matches!(name, "memory" | "hostile" | "destinations" | "queue" | "imap"))
        } else {
            self.only.iter().any(|only| only == name)
        }
    }

    /// A long queue is measured without Postfix, and mailboxes are, where there has to be, without Dovecot.
    fn needs_debian(&self) -> bool {
        let alone = ["queue", "imap"];
        let is_alone = !self.only.is_empty() && self.only.iter().all(|only| alone.contains(&only.as_str()));
        !is_alone || (self.wants_scenario("imap") && self.wants_peer("dovecot") && shell::is_root())
    }

    fn program(&self) -> PathBuf {
        self.program.clone().unwrap_or_else(|| shell::target_dir().join("release/postrider"))
    }

    fn wants_peer(&self, name: &str) -> bool {
        self.only_peer.is_empty() || self.only_peer.iter().any(|only| only == name)
    }
}

fn one_of(option: &str, value: Option<&String>, allowed: &[&str]) -> Result<String> {
    match value {
        Some(value) if allowed.contains(&value.as_str()) => Ok(value.clone()),
        _ => fail!("{option} needs one of: {}", allowed.join(", ")),
    }
}

/// Separated by commas.
fn numbers(option: &str, value: Option<&String>) -> Result<Vec<u64>> {
    let parts = value.map(|value| value.split(',')).into_iter().flatten();
    let numbers: Option<Vec<u64>> =
        parts.map(|part| part.trim().parse().ok().filter(|number| *number > 0)).collect();
    match numbers {
        Some(numbers) if !numbers.is_empty() => Ok(numbers),
        _ => fail!("{option} needs numbers such as 1000,100000"),
    }
}

fn number<T: Copy + FromStr + PartialOrd + std::fmt::Display>(
    option: &str,
    value: Option<&String>,
    least: T,
    most: T,
) -> Result<T> {
    match value.and_then(|value| value.parse::<T>().ok()) {
        Some(number) if number >= least && number <= most => Ok(number),
        _ => fail!("{option} needs a number from {least} to {most}"),
    }
}

/// Where everything of the benchmark lives, and the programs it uses.
#[derive(Debug, Clone)]
pub struct Bench {
    dir: PathBuf,
    templates: PathBuf,
    debian_root: PathBuf,
}

impl Bench {
    fn template(&self, name: &str, words: &[(&str, &str)]) -> Result<String> {
        let path = self.templates.join(name);
        let mut text = std::fs::read_to_string(&path).context(path.display())?;
        for (word, value) in words {
            text = text.replace(&format!("@{word}@"), value);
        }
        Ok(text)
    }
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let dir = shell::target_dir().join("bench");
    std::fs::create_dir_all(&dir).context(dir.display())?;
    let lock = File::create(dir.join("lock")).context("cannot make the lock file")?;
    if lock.try_lock().is_err() {
        println!("waiting for another benchmark to end");
        lock.lock().context("cannot lock the benchmark directory")?;
    }
    if options.wants_peer("postrider") && options.program.is_none() {
        shell::run(shell::cargo().args(["build", "--release", "-p", "postrider"]))?;
    }
    let debian_root = if options.needs_debian() { debian::prepare(&dir)? } else { PathBuf::new() };
    let bench = Bench { templates: shell::workspace_root().join("bench"), debian_root, dir };
    measure_all(options, &bench)
}

fn measure_all(options: &Options, bench: &Bench) -> Result<ExitCode> {
    let mut peers = peers(options, bench)?;
    let mut field = Field::new(bench)?;
    let mut report = Report::open(&bench.dir.join("results.jsonl"))?;
    for scenario in [Scenario::Accept, Scenario::Deliver, Scenario::Relay] {
        if options.wants_scenario(scenario.name()) {
            for cell in scenario.cells(options.quick) {
                measure::cell(options, &cell, &mut peers, &mut field, &mut report)?;
            }
        }
    }
    if options.wants_scenario("memory") {
        memory::measure(&mut peers, &mut field, &mut report)?;
    }
    if options.wants_scenario("hostile") {
        hostile::measure(options, &mut peers, &mut report)?;
    }
    if options.wants_scenario("destinations") {
        destinations::measure(options, &mut peers, &mut report)?;
    }
    if options.wants_scenario("queue") && options.wants_peer("postrider") {
        queue::measure(options, bench, &mut report)?;
    }
    if options.wants_scenario("imap") {
        drop(peers);
        imap::measure(options, bench, &mut report)?;
    }
    print!("{}", report.render());
    println!("\neach run as a line of JSON: {}", bench.dir.join("results.jsonl").display());
    Ok(if report.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn peers(options: &Options, bench: &Bench) -> Result<Vec<Box<dyn Peer>>> {
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    // Both live in the Debian root.
    let has_root = !bench.debian_root.as_os_str().is_empty();
    if has_root && options.wants_peer("ceiling") {
        peers.push(Box::new(Ceiling::new(bench)));
    }
    if has_root && options.wants_peer("postfix") {
        peers.push(Box::new(postfix::Postfix::new(bench)));
    }
    if options.wants_peer("postrider") {
        peers.push(Box::new(postrider::Postrider::new(bench, &options.program())?));
    }
    Ok(peers)
}

/// The end of a log, for errors.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
}
