//! Developer commands of the workspace. `cargo xtask` alone lists them.
#![allow(clippy::print_stdout, reason = "what a developer command says goes to standard output")]
#![allow(clippy::cast_precision_loss, reason = "counts and sizes become ratios; 53 bits are plenty")]

mod bench;
mod error;
mod fuzz;
mod shell;
mod test;

use std::process::ExitCode;

use error::{Result, fail};

const USAGE: &str = "\
cargo xtask COMMAND

  test [--only STEP]     install the test tools, then format, lint and test the whole workspace
  ci [--only STEP]       the same with the settings of continuous integration
                         STEP: tools | fmt | clippy | release | test | sim | fuzz | system
  fuzz [TARGET...]       feed the parsers and machines made-up input (see fuzz/targets)
      --seconds N        how long each target runs (default 20)
  bench [OPTIONS]        Postfix and Postrider side by side (needs root; see bench/README.md)
      --quick            fewer cells, one short run each
      --only SCENARIO    accept | deliver | relay | memory | hostile | destinations (may be repeated)
      --only-peer PEER   ceiling | postfix | postrider (may be repeated)
      --seconds N        how long one run should last (default 5)
      --repeats N        runs per cell and peer; medians are reported (default 3)
      --program PATH     measure this Postrider instead of building one
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<ExitCode> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", arguments),
    };
    match command {
        "test" => test::run(&test::Options::parse(rest, shell::in_ci())?),
        "ci" => test::run(&test::Options::parse(rest, true)?),
        "fuzz" => fuzz::run(&fuzz::Options::parse(rest)?),
        "bench" => bench::run(&bench::Options::parse(rest)?),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => fail!("unknown command `{other}`\n\n{USAGE}"),
    }
}
