//! `tls-reports`.

use clap::Subcommand;

use super::Output;
use crate::{
    Failure,
    admin::protocol::{
        AdminRequest, TlsDayView, TlsFailureView, TlsPolicyView, TlsReceivedView, TlsReportView,
        TlsReportsAction,
    },
};

#[derive(Debug, Subcommand)]
pub enum TlsReportsCommand {
    /// What sessions with other hosts came to, by day and domain
    List,
    /// The days of one domain: policies, failures, what became of the report
    Show { domain: String },
    /// What others report: who failed to reach us under TLS, and why
    Received,
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
            Self::Received => TlsReportsAction::Received,
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
    days.iter()
        .try_for_each(|day| show_policies(&day.day, day.policies.as_deref().unwrap_or_default(), output))
}

fn show_policies(when: &str, policies: &[TlsPolicyView], output: &mut Output) -> Result<(), Failure> {
    for policy in policies {
        output.line(format_args!(
            "\n{when} {}, {}: {} as it asks for, {} failed",
            policy.domain, policy.policy, policy.successes, policy.failures
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

/// Who failed to reach us, and why.
pub fn show_received(reports: &[TlsReceivedView], output: &mut Output) -> Result<(), Failure> {
    let sum = |report: &TlsReceivedView, count: fn(&TlsPolicyView) -> u64| {
        report.policies.iter().map(count).fold(0_u64, u64::saturating_add).to_string()
    };
    let row = |report: &TlsReceivedView| {
        vec![
            report.from.clone(),
            report.organization.clone(),
            sum(report, |policy| policy.successes),
            sum(report, |policy| policy.failures),
        ]
    };
    let nothing = "no reports were received; [tls_reports] names the address that they are sent to";
    output.listing(reports, &["FROM", "REPORTED BY", "SUCCEEDED", "FAILED"], row, nothing)?;
    if output.is_json() {
        return Ok(());
    }
    reports.iter().try_for_each(|report| {
        let failed = report.policies.iter().filter(|policy| policy.failures > 0);
        let failed: Vec<TlsPolicyView> = failed.cloned().collect();
        show_policies(&format!("{}, {}:", report.from, report.organization), &failed, output)
    })
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
