//! Every run as a line of JSON, and at the end one table of medians, ratios and goals.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::destinations::{self, DestinationsRecord};
use super::group::Memory;
use super::hostile::{self, CrowdRecord};
use super::imap::{self, ImapRecord};
use super::measure::DISTURBANCE_MAX;
use super::memory::MemoryRecord;
use super::queue::{self, QueueRecord};
use super::scenario::Cell;
use crate::error::{Context, Result};
use crate::shell;

#[derive(Debug, Clone, Serialize)]
pub struct Record {
    #[serde(flatten)]
    pub cell: Cell,
    pub peer: &'static str,
    pub repeat: u32,
    pub messages: u32,
    /// From the first connection until the last message was where it had to go.
    pub seconds: f64,
    pub per_second: f64,
    pub accept_per_second: f64,
    pub cpu_seconds_per_1000: f64,
    /// Peak while the load ran.
    pub memory: Memory,
    /// Cores' worth of work that was neither the peer's nor the load's.
    pub others: f64,
}

#[derive(Debug)]
pub struct Report {
    file: File,
    started: u64,
    revision: String,
    records: Vec<Record>,
    memory: Vec<MemoryRecord>,
    crowds: Vec<CrowdRecord>,
    destinations: Vec<DestinationsRecord>,
    queues: Vec<QueueRecord>,
    imap: Vec<ImapRecord>,
    failures: u32,
}

#[derive(Serialize)]
struct Line<'a, T> {
    started: u64,
    revision: &'a str,
    #[serde(flatten)]
    record: &'a T,
}

/// Medians over the repeats of one peer in one cell.
#[derive(Debug, Clone, Copy)]
struct Summary {
    rate: f64,
    cpu: f64,
    pss_mib: f64,
}

impl Report {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path).context(path.display())?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut git = Command::new("git");
        git.args(["describe", "--always", "--dirty"]).current_dir(shell::workspace_root());
        let revision =
            shell::capture(&mut git).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned());
        Ok(Self {
            file,
            started,
            revision,
            records: Vec::new(),
            memory: Vec::new(),
            crowds: Vec::new(),
            destinations: Vec::new(),
            queues: Vec::new(),
            imap: Vec::new(),
            failures: 0,
        })
    }

    pub fn add(&mut self, record: Record) -> Result<()> {
        println!("  {record}");
        self.write(&record)?;
        self.records.push(record);
        Ok(())
    }

    pub fn add_memory(&mut self, record: MemoryRecord) -> Result<()> {
        println!("  {record}");
        self.write(&record)?;
        self.memory.push(record);
        Ok(())
    }

    pub fn add_crowd(&mut self, record: CrowdRecord) -> Result<()> {
        println!("  {record}");
        self.write(&record)?;
        self.crowds.push(record);
        Ok(())
    }

    pub fn add_destinations(&mut self, record: DestinationsRecord) -> Result<()> {
        println!("  {record}");
        self.write(&record)?;
        self.destinations.push(record);
        Ok(())
    }

    pub fn add_queue(&mut self, record: QueueRecord) -> Result<()> {
        self.write(&record)?;
        self.queues.push(record);
        Ok(())
    }

    pub fn add_imap(&mut self, record: ImapRecord) -> Result<()> {
        self.write(&record)?;
        self.imap.push(record);
        Ok(())
    }

    pub fn fail(&mut self, what: &str) {
        println!("  FAILED {what}");
        self.failures += 1;
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn write<T: Serialize>(&mut self, record: &T) -> Result<()> {
        let line = Line { started: self.started, revision: &self.revision, record };
        let line = serde_json::to_string(&line).context("cannot write a result as JSON")?;
        writeln!(self.file, "{line}").context("cannot write the results")
    }

    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut cells: Vec<Cell> = Vec::new();
        for record in &self.records {
            if !cells.contains(&record.cell) {
                cells.push(record.cell);
            }
        }
        let mut scenario = None;
        for cell in cells {
            if scenario != Some(cell.scenario) {
                scenario = Some(cell.scenario);
                out.push_str(&heading(cell.scenario.title()));
            }
            out.push_str(&self.row(&cell));
        }
        if !self.memory.is_empty() {
            out.push_str("\nmemory\n");
        }
        out.extend(self.memory.iter().map(|record| format!("  {record}\n")));
        if let Some(summary) = hostile::summary(&self.crowds) {
            let _ = writeln!(out, "\nhostile, medians\n  {summary}");
        }
        if let Some(summary) = destinations::summary(&self.destinations) {
            let _ = writeln!(out, "\ndestinations, medians\n  {summary}");
        }
        out.push_str(&queue::table(&self.queues));
        out.push_str(&imap::table(&self.imap));
        let disturbed = self.records.iter().filter(|run| run.others > DISTURBANCE_MAX).count();
        if disturbed > 0 {
            let all = self.records.len();
            let _ = writeln!(out, "\n{disturbed} of {all} runs were disturbed by other work on this machine");
        }
        out
    }

    fn row(&self, cell: &Cell) -> String {
        let [postfix, postrider, ceiling] =
            ["postfix", "postrider", "ceiling"].map(|peer| self.summary(cell, peer));
        let ratio = |value: fn(Summary) -> f64| Some(value(postrider?) / value(postfix?));
        let (rate, cpu, pss) = (ratio(|s| s.rate), ratio(|s| s.cpu), ratio(|s| s.pss_mib));
        let of_ceiling = postrider.zip(ceiling).map(|(ours, top)| ours.rate / top.rate * 100.0);
        let pair = |value: fn(Summary) -> f64, decimals| {
            format!(
                "{} {}",
                number(postfix.map(value), 9, decimals),
                number(postrider.map(value), 9, decimals)
            )
        };
        format!(
            "{:>4} {:>8} │ {} {} {} {:<11} {} │ {} {} {:<14} │ {} {}\n",
            cell.bytes / 1024,
            cell.sessions,
            number(ceiling.map(|s| s.rate), 9, 0),
            pair(|s| s.rate, 0),
            number(rate, 6, 2),
            goal(cell.rate_goal(), rate, "≥", |least, reached| reached >= least),
            number(of_ceiling, 9, 0),
            pair(|s| s.cpu, 3),
            number(cpu, 6, 3),
            goal(cell.cpu_goal(), cpu, "≤", |most, reached| reached <= most),
            pair(|s| s.pss_mib, 1),
            number(pss, 6, 3),
        )
    }

    fn summary(&self, cell: &Cell, peer: &str) -> Option<Summary> {
        let runs: Vec<&Record> =
            self.records.iter().filter(|run| run.cell == *cell && run.peer == peer).collect();
        let of = |value: fn(&Record) -> f64| median(runs.iter().map(|run| value(run)).collect());
        Some(Summary {
            rate: of(|run| run.per_second)?,
            cpu: of(|run| run.cpu_seconds_per_1000)?,
            pss_mib: of(|run| run.memory.pss_kib as f64 / 1024.0)?,
        })
    }
}

fn heading(title: &str) -> String {
    format!(
        "\n{title}, medians\n\
         {:13} │ {:59} │ {:41} │ peak memory (PSS), MiB\n\
         {:>4} {:>8} │ {:>9} {:>9} {:>9} {:>6} {:<11} {:>9} │ {:>9} {:>9} {:>6} {:<14} │ {:>9} {:>9} {:>6}\n",
        "",
        "messages per second, end to end",
        "CPU seconds per 1000 messages",
        "KiB",
        "sessions",
        "ceiling",
        "Postfix",
        "Postrider",
        "ratio",
        "goal",
        "% of ceil",
        "Postfix",
        "Postrider",
        "ratio",
        "goal",
        "Postfix",
        "Postrider",
        "ratio",
    )
}

pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(*values.get(middle - 1)?, upper)) }
}

pub fn number(value: Option<f64>, width: usize, decimals: usize) -> String {
    value.map_or_else(|| format!("{:>width$}", "–"), |value| format!("{value:>width$.decimals$}"))
}

/// "≥6 met", "≥6 missed", or only the goal where there is nothing to compare.
pub fn goal(
    goal: Option<f64>,
    reached: Option<f64>,
    sign: &str,
    is_met: impl Fn(f64, f64) -> bool,
) -> String {
    let Some(goal) = goal else { return String::new() };
    match reached.map(|reached| is_met(goal, reached)) {
        Some(true) => format!("{sign}{goal} met"),
        Some(false) => format!("{sign}{goal} missed"),
        None => format!("{sign}{goal}"),
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<10} run {}: {:>7} messages in {:>5.2} s = {:>7.0}/s",
            self.peer, self.repeat, self.messages, self.seconds, self.per_second
        )?;
        if self.accept_per_second > self.per_second * 1.005 {
            write!(f, " (accepted {:.0}/s)", self.accept_per_second)?;
        }
        let Memory { rss_kib, pss_kib, processes, .. } = self.memory;
        write!(f, ", CPU {:.3} s/1000", self.cpu_seconds_per_1000)?;
        write!(
            f,
            ", PSS {:.1} RSS {:.1} MiB in {processes} processes",
            pss_kib as f64 / 1024.0,
            rss_kib as f64 / 1024.0
        )?;
        write!(f, ", others {:.2} cores", self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::{goal, median};

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn goals_say_met_missed_or_only_themselves() {
        let at_least = |least: f64, reached: f64| reached >= least;
        assert_eq!(goal(Some(6.0), Some(6.1), "≥", at_least), "≥6 met");
        assert_eq!(goal(Some(6.0), Some(5.9), "≥", at_least), "≥6 missed");
        assert_eq!(goal(Some(6.0), None, "≥", at_least), "≥6");
        assert_eq!(goal(None, Some(9.0), "≥", at_least), "");
    }
}
