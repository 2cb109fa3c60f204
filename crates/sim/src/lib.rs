//! A simulated internet: Postrider servers with the code that ships, clients, peers with bad habits, and faults.
//!
//! A run is a function of its seed: the same seed gives the same timeline, octet for octet. [`plan`] says what is to
//! happen, [`run`] plays it on a virtual clock, [`oracle`] says what must hold at the end whatever happened.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "numbers here come from the plan, and what is wrong with the simulator shall be loud"
)]

pub mod client;
pub mod faults;
pub mod imap;
pub mod journal;
pub mod letter;
pub mod mutants;
pub mod oracle;
pub mod peer;
pub mod plan;
pub mod reader;
pub mod rehearsal;
pub mod run;
pub mod server;
pub mod shrink;
mod tls;
mod wire;
pub mod world;
