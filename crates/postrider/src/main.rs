//! Postrider, a complete mail system in one binary: command line, configuration, wiring. No logic of mail.

mod admin;
mod agent;
mod bench;
mod cli;
mod config;
mod failure;
mod logging;
mod serve;
mod storage;
mod tls;

use std::process::ExitCode;

use failure::Failure;

fn main() -> ExitCode {
    cli::run()
}
