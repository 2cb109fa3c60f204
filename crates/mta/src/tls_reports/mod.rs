//! Reports on TLS (RFC 8460), the sending side: sessions are counted in memory, written to the store each minute, and told
//! to the domains that want to know when their day is over.
//!
//! Mail of reports is sent whatever TLS it finds (`TLS-Required: No`), is not counted itself, and nobody is told if it
//! fails: no report leads to another.

mod counter;
pub(crate) mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use mail::{
    Address,
    tls_report::{AppliedPolicy, FailureKind},
};
use store::{
    CommitError,
    tls_reports::{Day, TlsCounts},
};

pub(crate) use counter::Counter;
pub use send::{Outcome, SendNow};

use crate::{Mta, transport_security::result::TlsResult};

/// How often counts are written down.
const FLUSH_INTERVAL: Duration = Duration::from_mins(1);
/// How often it is looked which reports are due.
const SEND_INTERVAL: Duration = Duration::from_mins(10);
/// Days that counts are kept, for operators.
const KEPT_DAYS: u32 = 14;
/// Records forgotten in one batch.
const PRUNE_MAX: usize = 1000;
/// Octets of what is said of a failure.
const REASON_BYTES_MAX: usize = 200;
/// Domains written in one batch.
const BATCH_DOMAINS_MAX: usize = 500;

/// How we report to others. Without a contact we do not.
#[derive(Clone, Debug, Default)]
pub struct TlsReporting {
    /// Who reports; without it the contact's domain.
    pub organization: Option<String>,
    /// Who answers for the reports, and sends them.
    pub contact: Option<Address>,
    /// Mail to it is read for reports on us.
    pub address: Option<Address>,
    /// Reports by HTTPS may go to hosts with private addresses.
    pub private_addresses: bool,
}

impl Mta {
    /// Counts what attempts at hosts showed.
    pub(crate) fn count_tls(&self, results: &[TlsResult]) {
        let day = Day::of(self.world.clock.wall());
        // An address literal is no domain that could ask for reports.
        let of_domains = results.iter().filter(|result| !result.policy.domain.starts_with('['));
        for TlsResult { policy, mx_host, receiving_ip, outcome } in of_domains {
            let applied = AppliedPolicy {
                kind: policy.kind,
                strings: policy.strings.clone(),
                mx_hosts: policy.mx_hosts.clone(),
            };
            let failure = outcome.as_ref().err().map(|failure| FailureKind {
                result: failure.kind,
                sending_mta_ip: None,
                receiving_mx_hostname: mx_host.clone(),
                receiving_ip: receiving_ip.map(|ip| ip.to_string()),
                reason: Some(mail::text::clean_within(failure.detail.as_bytes(), REASON_BYTES_MAX)),
            });
            self.tls_counts.count(day, &policy.domain, &applied, failure.as_ref());
        }
    }

    /// Writes down what was counted. What cannot be written is kept for the next time.
    pub async fn flush_tls_counts(&self) {
        let counted = self.tls_counts.take();
        for page in counted.chunks(BATCH_DOMAINS_MAX) {
            match self.stores.tls_reports.add(page).await {
                Ok(()) => {}
                // A report on one of them was under way.
                Err(CommitError::Conflict(_)) => self.tls_counts.put_back(page),
                Err(error) => {
                    tracing::warn!(%error, "counts of TLS sessions cannot be written");
                    self.tls_counts.put_back(page);
                }
            }
        }
    }
}

/// Writes, sends and forgets, until shutdown. The last counts are written by whoever drains.
pub(crate) async fn run(mta: Arc<Mta>) {
    let mut shutdown = mta.shutdown.clone();
    let clock = mta.world.clock.clone();
    let mut send_at = clock.now();
    loop {
        tokio::select! {
            biased;
            () = clock.sleep_until(clock.now() + FLUSH_INTERVAL) => {}
            () = shutdown.given() => return,
        }
        mta.flush_tls_counts().await;
        if clock.now() < send_at {
            continue;
        }
        send_at = clock.now() + SEND_INTERVAL;
        tokio::select! {
            biased;
            () = send::send_due(&mta) => {}
            () = shutdown.given() => return,
        }
        forget(&mta).await;
    }
}

async fn forget(mta: &Mta) {
    let first = Day::of(mta.world.clock.wall()).minus(KEPT_DAYS);
    while let Ok(PRUNE_MAX) = mta.stores.tls_reports.prune(first, PRUNE_MAX).await {
        tokio::task::yield_now().await;
    }
}
