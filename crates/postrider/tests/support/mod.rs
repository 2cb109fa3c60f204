//! What the whole-system tests share: a Postrider with its own data, the wire, other people's programs, samples.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `POSTRIDER_BINARY` | the program under test, instead of the one cargo just built; `target/release/postrider` |
//! | `POSTRIDER_TEST_ROUNDS` | how often `kill.rs` kills |
//! | `POSTRIDER_TEST_SEED` | repeats a run whose seed was printed |
//! | `POSTRIDER_TESTS_MAY_SKIP` | `0`: a test whose program is missing fails instead of being skipped |
//! | `POSTRIDER_TEST_TOOLS`, `POSTRIDER_TEST_SKIPS` | where `cargo xtask test` puts programs, and reads what was skipped |
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod certificates;
pub mod control;
pub mod dialog;
pub mod load;
pub mod maildir;
pub mod ports;
pub mod random;
pub mod s_client;
pub mod samples;
pub mod server;
pub mod sink;
pub mod tools;
pub mod wire;

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up. No test is about speed.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A result that is worth seeing although the test passes, past libtest's capture.
pub fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(200));
    }
}
