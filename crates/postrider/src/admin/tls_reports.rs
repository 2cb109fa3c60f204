//! Reports on TLS: what was counted, and sending what is due.

use mail::{
    Timestamp,
    tls_report::{PolicyResult, Report},
};
use mta::tls_reports::{Outcome, SendNow};
use store::{
    StoreError,
    tls_reports::{Day, PolicyCounts, ReportState, TlsDay},
};

use super::{
    Admin, QueueHand,
    protocol::{
        AdminResponse, TlsDayView, TlsFailureView, TlsPolicyView, TlsReceivedView, TlsReportView,
        TlsReportsAction,
    },
};

/// Days and domains that are told at once.
const LISTED_MAX: usize = 10_000;
/// Counts are kept for no longer.
const DAYS_BACK: u32 = 31;

pub async fn execute(admin: &Admin, action: TlsReportsAction) -> AdminResponse {
    let answer = match action {
        TlsReportsAction::List => list(admin, None).await,
        TlsReportsAction::Show { domain } => match domain.parse::<mail::Domain>() {
            Ok(domain) => list(admin, Some(&domain.to_lookup())).await,
            Err(_) => return AdminResponse::error(format_args!("{domain:?} is not a domain")),
        },
        TlsReportsAction::Received => received(admin).await,
        TlsReportsAction::SendNow { today, dry_run } => {
            return send_now(admin, SendNow { today, dry_run }).await;
        }
    };
    answer.unwrap_or_else(AdminResponse::error)
}

/// With a domain its details, the oldest day first.
async fn list(admin: &Admin, domain: Option<&str>) -> Result<AdminResponse, StoreError> {
    if let QueueHand::Running(mta) = &admin.queue {
        mta.flush_tls_counts().await;
    }
    let reports = &admin.stores.tls_reports;
    let today = Day::of(admin.world.clock.wall());
    let mut days = Vec::new();
    match domain {
        None => {
            let listed = reports.list(today.minus(DAYS_BACK), None, LISTED_MAX).await?;
            days.extend(listed.iter().map(|(day, domain, stored)| view(*day, domain, stored, false)));
        }
        Some(domain) => {
            for back in (0..=DAYS_BACK).rev() {
                let day = today.minus(back);
                if let Some(stored) = reports.get(day, domain).await? {
                    days.push(view(day, domain, &stored, true));
                }
            }
        }
    }
    Ok(AdminResponse::TlsDays { days })
}

/// The latest first.
async fn received(admin: &Admin) -> Result<AdminResponse, StoreError> {
    let kept = admin.stores.tls_reports.received().await?;
    let reports = kept.iter().filter_map(|kept| Some((kept.at, kept.report()?)));
    let view = |(at, report): (Timestamp, Report)| TlsReceivedView {
        received_at: at.rfc3339_seconds(),
        organization: report.organization_name.clone(),
        from: report.date_range.start_datetime.clone(),
        until: report.date_range.end_datetime.clone(),
        policies: report.policies.iter().map(reported).collect(),
        report: serde_json::to_value(&report).unwrap_or_default(),
    };
    Ok(AdminResponse::TlsReceived { reports: reports.map(view).collect() })
}

fn reported(result: &PolicyResult) -> TlsPolicyView {
    TlsPolicyView {
        policy: result.policy.policy_type.clone(),
        domain: result.policy.policy_domain.clone(),
        strings: result.policy.policy_string.clone(),
        mx_hosts: result.policy.mx_host.clone(),
        successes: result.summary.total_successful_session_count,
        failures: result.summary.total_failure_session_count,
        kinds: result
            .failure_details
            .iter()
            .map(|detail| TlsFailureView {
                result: detail.result_type.clone(),
                host: detail.receiving_mx_hostname.clone(),
                ip: detail.receiving_ip.clone(),
                reason: detail.failure_reason_code.clone().or_else(|| detail.additional_information.clone()),
                count: detail.failed_session_count,
            })
            .collect(),
    }
}

fn view(day: Day, domain: &str, stored: &TlsDay, details: bool) -> TlsDayView {
    TlsDayView {
        day: day.to_string(),
        domain: domain.to_owned(),
        sessions: stored.counts.sessions(),
        failures: stored.counts.failures(),
        report: words(&stored.report),
        policies: details.then(|| stored.counts.0.iter().map(|counts| policy(domain, counts)).collect()),
    }
}

fn words(state: &ReportState) -> String {
    match state {
        ReportState::Waiting => "waiting for the day's end".to_owned(),
        ReportState::Unwanted => "not wanted".to_owned(),
        ReportState::Retrying { next_at, reason, .. } => {
            format!("tried again at {}: {reason}", next_at.rfc3339_seconds())
        }
        ReportState::Sent { at, to } => format!("sent at {} to {}", at.rfc3339_seconds(), to.join(", ")),
        ReportState::Failed { reason, .. } => format!("given up: {reason}"),
    }
}

fn policy(domain: &str, counts: &PolicyCounts) -> TlsPolicyView {
    TlsPolicyView {
        domain: domain.to_owned(),
        policy: counts.policy.kind.word().to_owned(),
        strings: counts.policy.strings.clone(),
        mx_hosts: counts.policy.mx_hosts.clone(),
        successes: counts.successes,
        failures: counts.failures,
        kinds: counts
            .kinds
            .iter()
            .map(|(kind, count)| TlsFailureView {
                result: kind.result.word().to_owned(),
                host: kind.receiving_mx_hostname.clone(),
                ip: kind.receiving_ip.clone(),
                reason: kind.reason.clone(),
                count: *count,
            })
            .collect(),
    }
}

async fn send_now(admin: &Admin, what: SendNow) -> AdminResponse {
    let QueueHand::Running(mta) = &admin.queue else {
        return AdminResponse::error("no server runs that could send; start it with `postrider serve`");
    };
    match mta.send_tls_reports(what).await {
        Ok(outcomes) => AdminResponse::TlsReports {
            reports: outcomes.into_iter().map(|outcome| report_view(outcome, what.dry_run)).collect(),
        },
        Err(reason) => AdminResponse::error(reason),
    }
}

fn report_view(outcome: Outcome, with_report: bool) -> TlsReportView {
    let as_json = |report: &Report| serde_json::to_value(report).unwrap_or_default();
    TlsReportView {
        day: outcome.day.to_string(),
        domain: outcome.domain,
        outcome: outcome.said,
        report: outcome.report.as_ref().filter(|_| with_report).map(as_json),
    }
}
