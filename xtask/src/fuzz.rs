//! `cargo xtask fuzz`: the targets under `fuzz/`, instrumented for libFuzzer by flags that stable Rust has.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Context, Result, fail};
use crate::shell;
use crate::test::Tally;

/// Coverage instrumentation as libFuzzer wants it.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Longer inputs find little that shorter ones do not.
const INPUT_BYTES_MAX: u32 = 8192;

#[derive(Debug)]
pub struct Options {
    /// All of them if none is named.
    targets: Vec<String>,
    seconds: u32,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self { targets: Vec::new(), seconds: 20 };
        let known = targets()?;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let given = arguments.next().context("--seconds needs a number")?;
                options.seconds = given.parse().ok().context("--seconds needs a number")?;
            } else if known.contains(argument) {
                options.targets.push(argument.clone());
            } else {
                fail!("no fuzz target is called `{argument}`; there are: {}", known.join(", "));
            }
        }
        if options.targets.is_empty() {
            options.targets = known;
        }
        Ok(options)
    }
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let tally = fuzz(options)?;
    println!("{tally}");
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each target for a short while; a finding counts as a failed test.
pub fn step() -> Result<Tally> {
    if !shell::on_path("g++") {
        let mut tally = Tally::default();
        tally.skip("fuzzing: libFuzzer is built with g++, which is not installed");
        return Ok(tally);
    }
    fuzz(&Options::parse(&[])?)
}

/// As many at once as there are processors; what each says is shown when it ends.
fn fuzz(options: &Options) -> Result<Tally> {
    let programs = build()?;
    let (left, results) = (Mutex::new(options.targets.iter()), Mutex::new(Vec::new()));
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                loop {
                    let Some(target) = locked(&left).next() else { break };
                    let result = one(&programs, target, options.seconds);
                    locked(&results).push(result);
                }
            });
        }
    });
    let mut tally = Tally::default();
    for passed in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        if passed? {
            tally.passed += 1;
        } else {
            tally.failed += 1;
        }
    }
    Ok(tally)
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the target found nothing.
fn one(programs: &Path, target: &str, seconds: u32) -> Result<bool> {
    let corpus = fuzz_dir().join("corpus").join(target);
    let findings = fuzz_dir().join("artifacts").join(target);
    for dir in [&corpus, &findings] {
        std::fs::create_dir_all(dir).context("cannot make a directory for the fuzzer")?;
    }
    let mut command = Command::new(programs.join(target));
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        // The same seed each time: a run that passed passes again, and a longer one goes on from there.
        .args(["-seed=1", "-verbosity=0", "-print_final_stats=1", "-timeout=10", "-rss_limit_mb=1024"])
        .arg(&corpus)
        .stdin(Stdio::null());
    let output = command.output().context(target)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let executed =
            said.lines().find(|line| line.contains("number_of_executed_units")).unwrap_or_default();
        println!("{target}: nothing found in {seconds} s; {executed}");
    } else {
        println!("{target}: {}\n{said}", output.status);
        println!("{target}: the input that did it is in {}", findings.display());
    }
    Ok(output.status.success())
}

/// Returns where the programs are.
fn build() -> Result<PathBuf> {
    let host = shell::capture(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let target_dir = shell::target_dir().join("fuzz");
    let mut cargo = shell::cargo();
    cargo.current_dir(fuzz_dir()).env("RUSTFLAGS", FLAGS);
    // An explicit target keeps the instrumentation out of build scripts and macros.
    cargo.args(["build", "--release", "--target", host.trim()]).arg("--target-dir").arg(&target_dir);
    shell::run(&mut cargo)?;
    Ok(target_dir.join(host.trim()).join("release"))
}

/// The names of the files in `fuzz/targets`.
fn targets() -> Result<Vec<String>> {
    let dir = fuzz_dir().join("targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).context("cannot read fuzz/targets")? {
        let path = entry.context("cannot read fuzz/targets")?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn fuzz_dir() -> PathBuf {
    shell::workspace_root().join("fuzz")
}
