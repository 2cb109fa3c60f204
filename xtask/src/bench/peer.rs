//! What the benchmark asks of a server under test.

use std::process::Child;

use super::Bench;
use super::group::View;
use super::load::Sink;
use super::scenario::Mode;
use crate::error::{Result, fail};

const CEILING_PORT: u16 = 2798;

pub trait Peer {
    fn name(&self) -> &'static str;
    fn port(&self) -> u16;
    fn supports(&self, mode: Mode) -> bool;
    /// Starts with an empty queue and empty mailboxes, and returns when the port answers.
    fn start(&mut self, mode: Mode) -> Result<()>;
    /// It can be told a route for each of many sites.
    fn takes_routes(&self) -> bool {
        false
    }
    /// As [`start`](Self::start), with these `[[route]]` sections.
    fn start_with_routes(&mut self, _routes: &str) -> Result<()> {
        fail!("{} takes no routes", self.name())
    }
    /// A server on all addresses of this machine that throws mail away and ends after so many messages.
    fn sink(&self, _port: u16, _messages: Option<u32>) -> Result<Child> {
        fail!("{} has no sink", self.name())
    }
    fn stop(&mut self);
    fn view(&self) -> View;
    /// Messages in the mailbox that `Mode::Deliver` fills.
    fn delivered(&self) -> Result<u64>;
    /// How many idle connections the memory measurement may open, 0 for none.
    fn idle_connections(&self) -> u32;
}

/// What the load generator reaches with a server that does nothing: reads, and forgets.
#[derive(Debug)]
pub struct Ceiling(Sink);

impl Ceiling {
    pub fn new(bench: &Bench) -> Self {
        Self(Sink::new(bench, "ceiling", CEILING_PORT).without_counts())
    }
}

impl Peer for Ceiling {
    fn name(&self) -> &'static str {
        "ceiling"
    }

    fn port(&self) -> u16 {
        CEILING_PORT
    }

    fn supports(&self, mode: Mode) -> bool {
        mode == Mode::Accept
    }

    fn start(&mut self, _mode: Mode) -> Result<()> {
        self.0.start()
    }

    fn stop(&mut self) {
        self.0.stop();
    }

    fn view(&self) -> View {
        self.0.view()
    }

    fn delivered(&self) -> Result<u64> {
        Ok(self.0.count())
    }

    fn idle_connections(&self) -> u32 {
        0
    }
}
