//! What is measured, and what Postrider sets out to reach.

use serde::Serialize;

pub const KIB_4: u32 = 4 * 1024;
pub const KIB_100: u32 = 100 * 1024;
/// CPU time per message, as a share of what Postfix takes.
pub const CPU_SHARE_MAX: f64 = 1.0 / 8.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Until the server has taken responsibility; nothing is delivered.
    Accept,
    /// Until the last message is in the mailbox.
    Deliver,
    /// Until the next host has the last message.
    Relay,
}

/// How a peer has to be set up for a scenario.
pub type Mode = Scenario;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Cell {
    pub scenario: Scenario,
    pub sessions: u32,
    pub bytes: u32,
}

impl Scenario {
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Deliver => "deliver",
            Self::Relay => "relay",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Accept => "durable accept",
            Self::Deliver => "accept + local delivery",
            Self::Relay => "accept + relay to a sink",
        }
    }

    pub fn recipient(self) -> &'static str {
        match self {
            Self::Accept => "user@hold.test",
            Self::Deliver => "user@bench.test",
            Self::Relay => "user@relay.test",
        }
    }

    pub fn cells(self, quick: bool) -> Vec<Cell> {
        let shapes: &[(u32, u32)] = match (self, quick) {
            (Self::Accept, true) => &[(1, KIB_4), (10, KIB_4), (100, KIB_4)],
            (Self::Accept, false) => {
                &[(1, KIB_4), (10, KIB_4), (100, KIB_4), (1, KIB_100), (10, KIB_100), (100, KIB_100)]
            }
            (_, true) => &[(100, KIB_4)],
            (_, false) => &[(1, KIB_4), (10, KIB_4), (100, KIB_4), (100, KIB_100)],
        };
        shapes.iter().map(|&(sessions, bytes)| Cell { scenario: self, sessions, bytes }).collect()
    }
}

impl Cell {
    /// Times Postfix's rate.
    pub fn rate_goal(&self) -> Option<f64> {
        match (self.scenario, self.sessions, self.bytes) {
            (Scenario::Accept | Scenario::Relay, 100, KIB_4) => Some(6.0),
            (Scenario::Accept, 10, KIB_4) => Some(5.0),
            (Scenario::Accept, 1, KIB_4) => Some(2.0),
            (Scenario::Deliver, 100, KIB_4) => Some(7.0),
            _ => None,
        }
    }

    pub fn cpu_goal(&self) -> Option<f64> {
        self.rate_goal().map(|_| CPU_SHARE_MAX)
    }
}
