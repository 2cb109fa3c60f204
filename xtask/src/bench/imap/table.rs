//! Medians of both servers, beside each other.

use std::fmt::Write as _;

use serde::Serialize;

use super::tasks::TASKS;
use crate::bench::report::{goal, median, number};

/// A figure of one server by itself.
#[derive(Debug, Clone)]
pub struct Measured {
    pub what: String,
    pub unit: &'static str,
    pub value: f64,
    pub goal: Goal,
}

#[derive(Debug, Clone, Copy)]
pub enum Goal {
    None,
    /// In the figure's own unit.
    Below(f64),
}

/// One run, or one figure.
#[derive(Debug, Clone, Serialize)]
pub struct ImapRecord {
    pub scenario: &'static str,
    pub peer: &'static str,
    pub what: String,
    pub unit: &'static str,
    pub value: f64,
    #[serde(skip)]
    pub goal: Goal,
}

pub const RATE: &str = "per second";

pub fn table(records: &[ImapRecord]) -> String {
    let mut out = String::new();
    if records.iter().any(|record| record.unit == RATE) {
        out.push_str("\nIMAP and POP3, per second, medians\n");
        let _ = writeln!(out, "{:<34} {:>10} {:>10} {:>7}", "", "Dovecot", "Postrider", "ratio");
    }
    for task in TASKS {
        let of = |peer: &str| {
            let runs = records.iter().filter(|run| run.peer == peer && run.what == task.title());
            median(runs.map(|run| run.value).collect())
        };
        let (dovecot, postrider) = (of("dovecot"), of("postrider"));
        if dovecot.is_none() && postrider.is_none() {
            continue;
        }
        let ratio = postrider.zip(dovecot).map(|(ours, theirs)| ours / theirs);
        let reached = goal(Some(task.goal()), ratio, "≥", |least, reached| reached >= least);
        let [theirs, ours] = [dovecot, postrider].map(|rate| number(rate, 10, 0));
        let _ = writeln!(out, "{:<34} {theirs} {ours} {} {reached}", task.title(), number(ratio, 7, 2));
    }
    for record in records.iter().filter(|record| record.unit != RATE) {
        let ImapRecord { peer, what, unit, value, goal: wanted, .. } = record;
        let wanted = match wanted {
            Goal::None => String::new(),
            Goal::Below(most) => goal(Some(*most), Some(*value), "<", |most, reached| reached < most),
        };
        let _ = writeln!(out, "{peer:<9} {what}: {value:.1} {unit} {wanted}");
    }
    out
}
