//! `cargo xtask test` and `cargo xtask ci`: everything that has to hold before a change lands.

mod tally;
mod tools;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::error::{Context, Result, fail};
use crate::shell;
pub use tally::Tally;

/// `test` covers the integration tests of every crate, the whole-system tests among them; `system` repeats
/// only those and is for working on them, and `release` takes minutes to compile what others have compiled before.
const STEPS: [&str; 8] = ["tools", "fmt", "clippy", "release", "test", "sim", "fuzz", "system"];
/// Seeds that the simulated internet plays for each change.
const SEEDS: &str = "1..301";

#[derive(Debug)]
pub struct Options {
    only: Option<String>,
    ci: bool,
}

impl Options {
    pub fn parse(arguments: &[String], ci: bool) -> Result<Self> {
        let mut options = Self { only: None, ci };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--only" => {
                    let step = arguments.next().context("--only needs the name of a step")?;
                    if !STEPS.contains(&step.as_str()) {
                        fail!("no step is called `{step}`; there are: {}", STEPS.join(", "));
                    }
                    options.only = Some(step.clone());
                }
                other => fail!("unknown option `{other}`"),
            }
        }
        Ok(options)
    }

    fn wants(&self, step: &str) -> bool {
        match self.only.as_deref() {
            Some("system") => matches!(step, "tools" | "system"),
            Some(only) => only == step,
            None => !matches!(step, "release" | "system"),
        }
    }
}

struct Outcome {
    step: &'static str,
    seconds: f64,
    tally: Tally,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let tools_dir = shell::target_dir().join("test-tools");
    std::fs::create_dir_all(&tools_dir).context("cannot make the directory of the test tools")?;
    let skips = tools_dir.join("skipped.txt");
    std::fs::write(&skips, "").context("cannot empty the list of skipped tests")?;

    let mut outcomes = Vec::new();
    for step in STEPS.into_iter().filter(|step| options.wants(step)) {
        println!("\n=== {step}");
        let started = Instant::now();
        let tally = match step {
            "tools" => tools::install(&tools_dir, options.ci),
            "fmt" => check(cargo(options, &["fmt", "--all", "--check"]))?,
            "clippy" => {
                check(cargo(options, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?
            }
            "release" => check(cargo(options, &["build", "--release", "-p", "postrider"]))?,
            "test" => tests(cargo(options, &["test", "--workspace", "--no-fail-fast"]), &tools_dir, &skips)?,
            "sim" => simulations(options)?,
            "fuzz" => crate::fuzz::step()?,
            _ => tests(cargo(options, &["test", "-p", "postrider", "--no-fail-fast"]), &tools_dir, &skips)?,
        };
        outcomes.push(Outcome { step, seconds: started.elapsed().as_secs_f64(), tally });
    }
    Ok(summarise(&outcomes))
}

fn cargo(options: &Options, arguments: &[&str]) -> Command {
    let mut command = shell::cargo();
    command.args(arguments);
    if options.ci {
        command
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "never");
    }
    command
}

fn check(mut command: Command) -> Result<Tally> {
    let succeeded = shell::run_watched(&mut command, |_| ())?;
    Ok(if succeeded { Tally::default() } else { Tally::one_failure() })
}

/// Runs that must hold, and planted bugs that must be found.
fn simulations(options: &Options) -> Result<Tally> {
    let run = ["run", "--profile", "sim", "-p", "sim", "--features", "planted", "--"];
    let mut tally = check(cargo(options, &[&run[..], &["campaign", SEEDS]].concat()))?;
    tally.add(&check(cargo(options, &[&run[..], &["mutants"]].concat()))?);
    Ok(tally)
}

fn tests(mut command: Command, tools_dir: &PathBuf, skips: &PathBuf) -> Result<Tally> {
    command.env("POSTRIDER_TEST_TOOLS", tools_dir).env("POSTRIDER_TEST_SKIPS", skips);
    let mut tally = Tally::default();
    let succeeded = shell::run_watched(&mut command, |line| tally.read_line(line))?;
    if !succeeded && tally.failed == 0 {
        // The tests did not build, or a test program died without its closing line.
        tally.failed = 1;
    }
    let skipped = std::fs::read_to_string(skips).context("cannot read the list of skipped tests")?;
    tally.move_to_skipped(&skipped);
    Ok(tally)
}

fn summarise(outcomes: &[Outcome]) -> ExitCode {
    let mut total = Tally::default();
    println!("\n=== summary");
    for Outcome { step, seconds, tally } in outcomes {
        let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
        println!("{step:<8} {verdict:<6} {seconds:>7.1} s   {tally}");
        for skipped in &tally.skips {
            println!("         skipped: {skipped}");
        }
        total.add(tally);
    }
    println!("{total}");
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
