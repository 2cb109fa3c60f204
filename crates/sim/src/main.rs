//! Runs by hand: `cargo run --profile sim -p sim -- campaign 1..301`, `… replay 17`, `… shrink 17`.

#![allow(clippy::print_stdout, reason = "a command's output")]

use std::{
    collections::BTreeSet,
    ops::Range,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use sim::{
    plan::{Cut, Plan, Size},
    run::{Counts, Report, run},
    shrink::{command, shrink},
};

#[derive(Debug, Parser)]
#[command(about = "A simulated internet of Postrider servers, and what goes wrong in it")]
enum Command {
    /// Plays every seed of a range; one that fails is made small and printed.
    Campaign {
        /// `1..301`
        #[arg(value_parser = range)]
        seeds: Range<u64>,
        #[command(flatten)]
        size: SizeArguments,
        /// Runs at a time; all cores if there is none.
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// Plays one seed and prints its timeline.
    Replay {
        seed: u64,
        #[command(flatten)]
        size: SizeArguments,
        /// Only so many of its messages.
        #[arg(long)]
        first: Option<usize>,
        /// Only these of its faults, by number, or `none`.
        #[arg(long, value_parser = numbers)]
        only: Option<BTreeSet<usize>>,
        /// With this bug planted in every server.
        #[cfg(feature = "planted")]
        #[arg(long, value_parser = bug)]
        plant: Option<sim::mutants::Bug>,
        /// Only lines with one of these words.
        #[arg(long, value_delimiter = ',')]
        grep: Vec<String>,
    },
    /// Plants one bug after another and looks for seeds that find them.
    #[cfg(feature = "planted")]
    Mutants {
        #[arg(value_parser = range, default_value = "1..121")]
        seeds: Range<u64>,
    },
    /// Looks for the least of a failing seed that still fails.
    Shrink {
        seed: u64,
        #[command(flatten)]
        size: SizeArguments,
    },
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct SizeArguments {
    #[arg(long, default_value_t = Size::USUAL.servers)]
    servers: usize,
    #[arg(long, default_value_t = Size::USUAL.messages)]
    messages: usize,
    #[arg(long, default_value_t = Size::USUAL.faults)]
    faults: usize,
}

impl From<SizeArguments> for Size {
    fn from(it: SizeArguments) -> Self {
        Self { servers: it.servers, messages: it.messages, faults: it.faults }
    }
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text:?} is no range of seeds: write \"1..301\"");
    let (start, end) = text.split_once("..").ok_or_else(wrong)?;
    Ok(start.parse().map_err(|_| wrong())?..end.parse().map_err(|_| wrong())?)
}

fn numbers(text: &str) -> Result<BTreeSet<usize>, String> {
    let words = text.split(',').filter(|word| *word != "none");
    words.map(|word| word.parse().map_err(|_| format!("{word:?} is no number"))).collect()
}

#[cfg(feature = "planted")]
fn bug(text: &str) -> Result<sim::mutants::Bug, String> {
    let bug = sim::mutants::Bug::all().into_iter().find(|bug| bug.to_string() == text);
    bug.ok_or_else(|| format!("there is no bug {text:?}: docs/simulation.md has a table"))
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<ExitCode> {
    match Command::parse() {
        Command::Campaign { seeds, size, jobs } => campaign(seeds, size.into(), jobs),
        Command::Replay {
            seed,
            size,
            first,
            only,
            grep,
            #[cfg(feature = "planted")]
            plant,
        } => {
            let plan = Plan::new(seed, size.into()).cut(&Cut { messages: first, faults: only });
            #[cfg(feature = "planted")]
            let plan = Plan { planted: plant, ..plan };
            let report = run(&plan)?;
            print_timeline(&report, &grep);
            Ok(code(report.violations.is_empty()))
        }
        #[cfg(feature = "planted")]
        Command::Mutants { seeds } => Ok(mutants(&seeds)),
        Command::Shrink { seed, size } => {
            let plan = Plan::new(seed, size.into());
            if run(&plan)?.violations.is_empty() {
                println!("seed {seed} does not fail");
                return Ok(ExitCode::SUCCESS);
            }
            make_small(&plan)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn code(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_timeline(report: &Report, words: &[String]) {
    for line in report.timeline.iter().map(ToString::to_string) {
        if words.is_empty() || words.iter().any(|word| line.contains(word)) {
            println!("{line}");
        }
    }
    println!("{}", report.counts);
    report.histories.iter().for_each(|line| println!("{line}"));
    report.violations.iter().for_each(|violation| println!("WRONG: {violation}"));
}

fn make_small(plan: &Plan) -> Outcome<()> {
    let cut = shrink(plan, |plan| run(plan).is_ok_and(|report| !report.violations.is_empty()));
    print_timeline(&run(&plan.clone().cut(&cut))?, &[]);
    println!("again: {}", command(plan, &cut));
    Ok(())
}

#[cfg(feature = "planted")]
fn mutants(seeds: &Range<u64>) -> ExitCode {
    let mut missed = 0;
    for bug in sim::mutants::Bug::all() {
        if let Some((seed, violation)) = bug.find(seeds.clone()) {
            println!("{bug}: found by seed {seed}: {violation}");
        } else {
            println!("{bug}: NOT FOUND by any of {seeds:?}");
            missed += 1;
        }
    }
    code(missed == 0)
}

fn campaign(seeds: Range<u64>, size: Size, jobs: Option<usize>) -> Outcome<ExitCode> {
    let began = Instant::now();
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let next = AtomicU64::new(seeds.start);
    let (sum, failed) = (Mutex::new(Counts::default()), Mutex::new(BTreeSet::new()));
    thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return;
                }
                let report = run(&Plan::new(seed, size));
                let violations =
                    report.as_ref().map_or_else(|error| vec![error.to_string()], |it| it.violations.clone());
                let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                sum.add(&report.map(|it| it.counts).unwrap_or_default());
                if let Some(first) = violations.first() {
                    println!("seed {seed} FAILED: {first} ({} in all)", violations.len());
                    failed.lock().unwrap_or_else(PoisonError::into_inner).insert(seed);
                }
            }
        };
        (0..jobs).for_each(|_| drop(scope.spawn(work)));
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let count = seeds.end.saturating_sub(seeds.start);
    let took = Duration::from_secs(began.elapsed().as_secs());
    println!("{count} seeds, {} failed, in {took:?}", failed.len());
    println!("{}", sum.into_inner().unwrap_or_else(PoisonError::into_inner));
    if let Some(seed) = failed.first() {
        println!("\nseed {seed}, made small:");
        make_small(&Plan::new(*seed, size))?;
    }
    Ok(code(failed.is_empty()))
}
