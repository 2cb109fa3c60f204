//! `tls-reports`.

use clap::Subcommand;

use super::Output;
use crate::{
    Failure,
    admin::protocol::{AdminRequest, TlsDayView, TlsFailureView, TlsReportView, TlsReportsAction},
};

#[derive(Debug, Subcommand)]
pub enum TlsReportsCommand {
    /// What sessions with other hosts came to, by day and domain
    List,
    /// The days of one domain: policies, failures, what became of the report
    Show { domain: String },
    /// Send reports that wait, whatever their time
    SendNow {
        /// What was counted today too: a report on a part of the day
        #[arg(long)]
        today: bool,
        /// Only tell what would be sent, and where to
        #[arg(long)]
        dry_run: bool,
    },
}

impl TlsReportsCommand {
    pub fn request(self) -> AdminRequest {
        let action = match self {
            Self::List => TlsReportsAction::List,
            Self::Show { domain } => TlsReportsAction::Show { domain },
            Self::SendNow { today, dry_run } => TlsReportsAction::SendNow { today, dry_run },
        };
        AdminRequest::TlsReports { action }
    }
}

pub fn show_days(days: &[TlsDayView], output: &mut Output) -> Result<(), Failure> {
    let row = |day: &TlsDayView| {
        vec![
            day.day.clone(),
            day.domain.clone(),
            day.sessions.to_string(),
            day.failures.to_string(),
            day.report.clone(),
        ]
    };
    let heading = ["DAY", "DOMAIN", "SESSIONS", "FAILED", "REPORT"];
    output.listing(days, &heading, row, "no sessions with other hosts were counted")?;
    if output.is_json() {
        return Ok(());
    }
    days.iter().filter(|day| day.policies.is_some()).try_for_each(|day| show_policies(day, output))
}

fn show_policies(day: &TlsDayView, output: &mut Output) -> Result<(), Failure> {
    for policy in day.policies.iter().flatten() {
        output.line(format_args!(
            "\n{} {}: {} as it asks for, {} failed",
            day.day, policy.policy, policy.successes, policy.failures
        ))?;
        for text in &policy.strings {
            output.line(format_args!("  {text}"))?;
        }
        let row = |kind: &TlsFailureView| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            vec![
                format!("  {}", kind.count),
                kind.result.clone(),
                text(&kind.host),
                text(&kind.ip),
                text(&kind.reason),
            ]
        };
        if !policy.kinds.is_empty() {
            let rows: Vec<_> = policy.kinds.iter().map(row).collect();
            output.table(&["  TIMES", "RESULT", "HOST", "ADDRESS", "REASON"], &rows, "")?;
        }
    }
    Ok(())
}

pub fn show_reports(reports: &[TlsReportView], output: &mut Output) -> Result<(), Failure> {
    let row =
        |report: &TlsReportView| vec![report.day.clone(), report.domain.clone(), report.outcome.clone()];
    output.listing(reports, &["DAY", "DOMAIN", "REPORT"], row, "no report waits")?;
    if output.is_json() {
        return Ok(());
    }
    for report in reports.iter().filter_map(|report| report.report.as_ref()) {
        output.line("")?;
        output.line(serde_json::to_string_pretty(report).map_err(Failure::new)?)?;
    }
    Ok(())
}
