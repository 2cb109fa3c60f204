//! Postrider, a complete mail system in one binary: command line, configuration, wiring. No logic of mail.

mod admin;
mod agent;
mod bench;
mod cli;
mod config;
mod failure;
mod logging;
mod mailfiles;
mod rehearse;
mod serve;
mod storage;
mod tls;

use std::process::ExitCode;

use failure::Failure;

/// Gives memory back soon after a burst, which a server that idles for hours should.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
