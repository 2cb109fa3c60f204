//! When a domain's day is over: does it want a report, and where to?

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mail::{
    Address, Timestamp, TlsDemand,
    tls_report::{
        DateRange, Destination, FailureDetail, GZIP_TYPE, Policy, PolicyResult, Report, ReportMessage,
        Summary, gzip, record,
    },
};
use store::{
    Batch, CommitError, StoreError,
    spool::QueueEntry,
    tls_reports::{Day, PolicyCounts, ReportState, TlsDay},
};
use world::http::{Http, HttpClient, HttpRequest, HttpUrl};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Config, Mta, accept, notice};

/// Nobody's reports leave all at midnight.
const SPREAD: Duration = Duration::from_hours(4);
/// Before a day counts as over; by then all of it is written down.
const SETTLING: Duration = Duration::from_mins(5);
/// RFC 8460 §5.5
const RETRY_FOR: Duration = Duration::from_hours(24);
const RETRY_DELAY: Duration = Duration::from_hours(1);
/// Days back that are looked at: what is older was sent, or tried for too long.
const DAYS_BACK: u32 = 3;
const PAGE_MAX: usize = 500;
/// Domains that are asked at once.
const DOMAINS_AT_ONCE: usize = 16;
/// Outcomes that are told of.
const OUTCOMES_MAX: usize = 1000;

/// What an operator wants sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendNow {
    /// What was counted today too.
    pub today: bool,
    /// Nothing is sent, only told.
    pub dry_run: bool,
}

/// What became of one report, or would.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub day: Day,
    pub domain: String,
    pub said: String,
    /// As it was sent, or would be.
    pub report: Option<Report>,
}

/// One report on its way.
struct Sending<'a> {
    mta: &'a Arc<Mta>,
    config: &'a Config,
    contact: &'a Address,
    day: Day,
    domain: &'a str,
    stored: &'a TlsDay,
    now: Timestamp,
}

/// Where the places of one report stand.
#[derive(Default)]
struct Places {
    mail: Vec<Address>,
    sent: Vec<String>,
    left: Vec<String>,
    trouble: Option<String>,
}

/// Sends what is due.
pub(super) async fn send_due(mta: &Arc<Mta>) {
    let config = mta.config();
    let Some(contact) = &config.tls_reporting.contact else { return };
    let now = mta.world.clock.wall();
    let is_due = |day: Day, domain: &str, stored: &TlsDay| match &stored.report {
        ReportState::Waiting => due_at(&config.hostname, day, domain) <= now,
        ReportState::Retrying { next_at, .. } => *next_at <= now,
        ReportState::Unwanted | ReportState::Sent { .. } | ReportState::Failed { .. } => false,
    };
    let done = each(mta, &config, contact, &is_due, None).await;
    match done {
        Ok(outcomes) => outcomes.iter().for_each(
            |outcome| tracing::info!(day = %outcome.day, domain = outcome.domain, "TLS report: {}", outcome.said),
        ),
        Err(error) => tracing::error!(%error, "TLS reports cannot be sent"),
    }
}

impl Mta {
    /// Sends reports that are not sent yet, whatever their time. An error is a text for the operator.
    pub async fn send_tls_reports(self: &Arc<Self>, what: SendNow) -> Result<Vec<Outcome>, String> {
        let config = self.config();
        let contact = config.tls_reporting.contact.as_ref();
        let contact = contact.ok_or("no reports are sent: [tls_reports] names no contact")?;
        self.flush_tls_counts().await;
        let today = Day::of(self.world.clock.wall());
        let is_meant = |day: Day, _: &str, stored: &TlsDay| {
            let is_open = matches!(stored.report, ReportState::Waiting | ReportState::Retrying { .. });
            is_open && (what.today || day < today) && stored.counts.sessions() > 0
        };
        each(self, &config, contact, &is_meant, Some(what)).await.map_err(|error| error.to_string())
    }
}

/// Deterministic, so that a restart changes nothing.
fn due_at(hostname: &str, day: Day, domain: &str) -> Timestamp {
    let chance = xxh3_64(format!("{hostname} {day} {domain}").as_bytes());
    let spread = Duration::from_secs(chance % SPREAD.as_secs());
    day.end().plus(SETTLING).plus(spread)
}

async fn each(
    mta: &Arc<Mta>,
    config: &Config,
    contact: &Address,
    is_meant: &(dyn Fn(Day, &str, &TlsDay) -> bool + Sync),
    asked: Option<SendNow>,
) -> Result<Vec<Outcome>, StoreError> {
    let now = mta.world.clock.wall();
    let first = Day::of(now).minus(DAYS_BACK);
    let last = if asked.is_some_and(|asked| asked.today) { Day::of(now) } else { Day::of(now).minus(1) };
    let mut outcomes = Vec::new();
    let mut after: Option<(Day, String)> = None;
    loop {
        let behind = after.as_ref().map(|(day, domain)| (*day, domain.as_str()));
        let page = mta.stores.tls_reports.list(first, behind, PAGE_MAX).await?;
        let Some((day, domain, _)) = page.last() else { break };
        after = Some((*day, domain.clone()));
        let meant =
            page.iter().filter(|(day, domain, stored)| *day <= last && is_meant(*day, domain, stored));
        let sendings = meant.map(|(day, domain, stored)| {
            let sending = Sending { mta, config, contact, day: *day, domain, stored, now };
            async move { sending.carry_out(asked.is_some_and(|asked| asked.dry_run)).await }
        });
        let sendings: Vec<_> = sendings.collect();
        let done: Vec<Outcome> = stream::iter(sendings).buffer_unordered(DOMAINS_AT_ONCE).collect().await;
        outcomes.extend(done.into_iter().take(OUTCOMES_MAX.saturating_sub(outcomes.len())));
    }
    outcomes.sort_by(|a, b| (a.day, &a.domain).cmp(&(b.day, &b.domain)));
    Ok(outcomes)
}

impl Sending<'_> {
    async fn carry_out(self, dry_run: bool) -> Outcome {
        let report = self.report();
        let destinations = self.destinations().await;
        let told = match destinations {
            Ok(Some(places)) if dry_run => {
                let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                Ok(format!("would be sent to {}", places.join(", ")))
            }
            Ok(None) if dry_run => Ok("wants no reports".to_owned()),
            Err(reason) if dry_run => Ok(format!("would be tried again: {reason}")),
            Ok(Some(places)) => self.deliver(&report, places).await,
            Ok(None) => self.keep(ReportState::Unwanted).await.map(|()| "wants no reports".to_owned()),
            Err(reason) => {
                let places = Places { trouble: Some(reason), ..Places::default() };
                self.settle(&report, places).await
            }
        };
        let said = told.unwrap_or_else(|error| format!("could not be noted: {error}"));
        Outcome { day: self.day, domain: self.domain.to_owned(), said, report: Some(report) }
    }

    /// None: no report is wanted. The error says why it is not known.
    async fn destinations(&self) -> Result<Option<Vec<Destination>>, String> {
        if let ReportState::Retrying { left, .. } = &self.stored.report
            && !left.is_empty()
        {
            return Ok(Some(left.iter().map(|url| Destination::Https(url.clone())).collect()));
        }
        match self.mta.world.dns.txt(&format!("_smtp._tls.{}", self.domain)).await {
            Ok(answer) => Ok(record(&answer.records)),
            Err(error) if error.is_temporary() => Err(error.to_string()),
            Err(_) => Ok(None),
        }
    }

    /// HTTPS first: what becomes of it is committed with the mail.
    async fn deliver(&self, report: &Report, to: Vec<Destination>) -> Result<String, CommitError> {
        let mut places = Places::default();
        if let ReportState::Retrying { sent, .. } = &self.stored.report {
            places.sent.clone_from(sent);
        }
        for destination in to {
            match destination {
                Destination::Mail(address) => places.mail.push(address),
                Destination::Https(url) => match self.post(&url, report).await {
                    Ok(()) => places.sent.push(url),
                    Err(reason) => {
                        places.trouble = Some(format!("{url}: {reason}"));
                        places.left.push(url);
                    }
                },
            }
        }
        self.settle(report, places).await
    }

    /// RFC 8460 §5.4
    async fn post(&self, url: &str, report: &Report) -> Result<(), String> {
        let url: HttpUrl = url.parse()?;
        let client = HttpClient::new(self.mta.world.clone(), self.config.client_tls.verified.clone());
        let client =
            if self.config.tls_reporting.private_addresses { client } else { client.to_public_hosts() };
        let body = Some((GZIP_TYPE, Bytes::from(gzip(&report.json()))));
        let request = HttpRequest { url, body, authorization: None, accept: "*/*" };
        match client.ask(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!("the server says {}", answer.status)),
            Err(error) => Err(error.reason),
        }
    }

    /// What goes by mail is accepted in the batch that notes it.
    async fn settle(&self, report: &Report, mut places: Places) -> Result<String, CommitError> {
        let mut batch = Batch::new();
        let mut entries = Vec::new();
        for to in std::mem::take(&mut places.mail) {
            match self.mail(&mut batch, report, &to).await? {
                Some(added) => {
                    entries.extend(added);
                    places.sent.push(format!("mailto:{to}"));
                }
                None => places.trouble = Some(format!("mailto:{to} leads nowhere")),
            }
        }
        let said = told(&places);
        self.stage(&mut batch, self.state(places));
        self.mta.stores.engine.commit(batch).await?;
        accept::hand_over(self.mta, entries);
        Ok(said)
    }

    async fn mail(
        &self,
        batch: &mut Batch,
        report: &Report,
        to: &Address,
    ) -> Result<Option<Vec<QueueEntry>>, StoreError> {
        let (mta, now) = (self.mta, self.now);
        let Some(recipient) = notice::recipient(mta, self.config, to, now).await? else { return Ok(None) };
        let queue_id = mta.queue_ids.next(now);
        let unique_id = self.unique_id();
        let message = ReportMessage {
            report,
            domain: self.domain,
            submitter: &self.submitter(),
            from: self.contact,
            to,
            message_id: format!("{queue_id}@{}", self.config.hostname),
            at: now,
            range: self.range(),
            unique_id: &unique_id,
        };
        let octets = message.write();
        let smtputf8 = !octets.is_ascii();
        let mut accepted =
            notice::acceptance(mta, queue_id, now, "tls-report", recipient, octets, smtputf8).await?;
        // RFC 8460 §5.3: it is to arrive although TLS fails, which it may be about.
        accepted.mail.tls = TlsDemand::Waived;
        Ok(Some(accept::add_to_batch(mta, batch, accepted)))
    }

    fn state(&self, places: Places) -> ReportState {
        let since = match &self.stored.report {
            ReportState::Retrying { since, .. } => *since,
            _ => self.now,
        };
        let Places { sent, left, trouble, .. } = places;
        match trouble {
            // What leads nowhere today will not tomorrow.
            _ if left.is_empty() && !sent.is_empty() => ReportState::Sent { at: self.now, to: sent },
            Some(reason) if self.now.since(since) >= RETRY_FOR => {
                ReportState::Failed { at: self.now, reason }
            }
            reason => ReportState::Retrying {
                left,
                sent,
                since,
                next_at: self.now.plus(RETRY_DELAY),
                reason: reason.unwrap_or_default(),
            },
        }
    }

    async fn keep(&self, state: ReportState) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        self.stage(&mut batch, state);
        self.mta.stores.engine.commit(batch).await.map(drop)
    }

    /// Of a day that goes on, what is reported is taken out once it has left.
    fn stage(&self, batch: &mut Batch, state: ReportState) {
        let goes_on = self.day.end() > self.now;
        let new = match state {
            ReportState::Sent { .. } if goes_on => TlsDay { since: Some(self.now), ..TlsDay::default() },
            _ if goes_on => self.stored.clone(),
            report => TlsDay { report, ..self.stored.clone() },
        };
        self.mta.stores.tls_reports.stage(batch, self.day, self.domain, self.stored, &new);
    }

    fn report(&self) -> Report {
        let (start, end) = self.range();
        Report {
            organization_name: self
                .config
                .tls_reporting
                .organization
                .clone()
                .unwrap_or_else(|| self.submitter()),
            date_range: DateRange {
                start_datetime: start.rfc3339_seconds(),
                end_datetime: end.rfc3339_seconds(),
            },
            contact_info: self.contact.to_string(),
            report_id: format!("{}.{}@{}", self.day, self.unique_id(), self.config.hostname),
            policies: self.stored.counts.0.iter().map(|counts| result(self.domain, counts)).collect(),
        }
    }

    /// The last second is part of it.
    fn range(&self) -> (Timestamp, Timestamp) {
        let last = Timestamp::from_millis(self.day.end().millis().saturating_sub(1000));
        (self.stored.since.unwrap_or_else(|| self.day.start()), last.min(self.now))
    }

    /// The same for each attempt at one report.
    fn unique_id(&self) -> String {
        let start = self.range().0.millis();
        format!("{:016x}", xxh3_64(format!("{} {start} {}", self.config.hostname, self.domain).as_bytes()))
    }

    /// RFC 8460 §5.3: our own domain.
    fn submitter(&self) -> String {
        self.contact.domain().map(mail::Domain::to_lookup).unwrap_or_default()
    }
}

fn told(places: &Places) -> String {
    let sent = if places.sent.is_empty() {
        "not sent".to_owned()
    } else {
        format!("sent to {}", places.sent.join(", "))
    };
    match &places.trouble {
        Some(trouble) => format!("{sent}; {trouble}"),
        None => sent,
    }
}

fn result(domain: &str, counts: &PolicyCounts) -> PolicyResult {
    PolicyResult {
        policy: Policy {
            policy_type: counts.policy.kind.word().to_owned(),
            policy_string: counts.policy.strings.clone(),
            policy_domain: domain.to_owned(),
            mx_host: counts.policy.mx_hosts.clone(),
        },
        summary: Summary {
            total_successful_session_count: counts.successes,
            total_failure_session_count: counts.failures,
        },
        failure_details: counts
            .kinds
            .iter()
            .map(|(kind, count)| FailureDetail {
                result_type: kind.result.word().to_owned(),
                sending_mta_ip: kind.sending_mta_ip.clone(),
                receiving_mx_hostname: kind.receiving_mx_hostname.clone(),
                receiving_mx_helo: None,
                receiving_ip: kind.receiving_ip.clone(),
                failed_session_count: *count,
                additional_information: None,
                failure_reason_code: kind.reason.clone(),
            })
            .collect(),
    }
}
