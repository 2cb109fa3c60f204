//! `rehearse`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Common, Output};
use crate::{
    Failure,
    rehearse::{Order, Tally, keys, rehearse},
};

/// What would happen to mail with this configuration if hosts were down, greylisted, limited; in seconds
///
/// Routes, schedule, limits, smarthosts and reports are those of the configuration; the hosts outside, their name servers
/// and the time are simulated. Nothing is sent, no program is run, and the data directory is not touched.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// What happens outside and which messages are sent (TOML; --keys tells what may stand in it); without it a quiet day,
    /// two days down, greylisting, a limit of messages and name servers that fail, on each way that mail takes
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Days to play at most, instead of what the scenario says
    #[arg(long, value_name = "NUMBER")]
    days: Option<u32>,
    /// The same seed gives the same run
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Tell of every message, every try, and what policy said
    #[arg(long)]
    all: bool,
    /// End with status 1 if a message comes to this end (may be given more than once)
    #[arg(long, value_name = "END")]
    fail_on: Vec<BadEnd>,
    /// Print what may stand in a scenario, in Markdown
    #[arg(long)]
    keys: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum BadEnd {
    /// It failed, and its sender got it back
    Bounced,
    /// It was still in the queue when the run was over
    Waiting,
    /// The server did not take it
    Refused,
}

impl BadEnd {
    fn count(self, tally: &Tally) -> (usize, &'static str) {
        match self {
            Self::Bounced => (tally.bounced, "bounced"),
            Self::Waiting => (tally.waiting, "still waited at the end"),
            Self::Refused => (tally.refused, "were refused"),
        }
    }
}

impl Rehearse {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        if self.keys {
            return output.line(keys().trim_end());
        }
        let config = common.location.config().map_err(Failure::usage)?;
        let order =
            Order { config: &config, scenario: self.scenario.as_deref(), days: self.days, seed: self.seed };
        let report = rehearse(&order)?;
        report.show(self.all, output)?;
        let tally = report.tally();
        if tally.lost > 0 {
            let Order { seed, .. } = order;
            let lost = format!(
                "{} messages were lost, which is a defect of Postrider; seed {seed} shows it",
                tally.lost
            );
            return Err(Failure::new(lost));
        }
        let bad = self.fail_on.iter().map(|end| end.count(&tally)).find(|(count, _)| *count > 0);
        bad.map_or(Ok(()), |(count, what)| Err(Failure::new(format!("{count} messages {what}"))))
    }
}
