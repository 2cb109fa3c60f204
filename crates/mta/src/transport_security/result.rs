//! What an attempt showed of a host's transport security, in the terms of TLS reports (RFC 8460 §4).

use std::{fmt::Write, net::IpAddr};

use mail::mta_sts::StsPolicy;
pub(crate) use mail::tls_report::{PolicyType, ResultType};
use world::{
    dns::Tlsa,
    tls::{Authentication, Flaw},
};

use super::{Policy, PolicyKind, dane::DaneFinding};

/// One try at one host, or at learning what the policy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsResult {
    pub(crate) policy: PolicyInForce,
    /// The host's name; none if it did not come to that.
    pub(crate) mx_host: Option<String>,
    pub(crate) receiving_ip: Option<IpAddr>,
    pub(crate) outcome: Result<(), TlsFailure>,
}

/// RFC 8460 §4.2
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PolicyInForce {
    pub(crate) kind: PolicyType,
    /// The recipient's.
    pub(crate) domain: String,
    /// The records, or the lines of the policy.
    pub(crate) strings: Vec<String>,
    /// The hosts that an MTA-STS policy names.
    pub(crate) mx_hosts: Vec<String>,
}

/// What went wrong; whether the message was delivered all the same is the policy's concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFailure {
    pub(crate) kind: ResultType,
    /// For a person; cleaned where a peer said it.
    pub(crate) detail: String,
}

impl PolicyInForce {
    /// Of a domain that is put in later.
    pub(crate) fn of(policy: &Policy) -> Self {
        match (&policy.kind, &policy.expected) {
            (_, Authentication::Dane(dane)) => Self::tlsa(&dane.records),
            (PolicyKind::DaneUnusable { .. }, _) => Self::tlsa(&[]),
            (PolicyKind::Sts { kept, .. }, _) => Self::sts(&kept.policy),
            _ => Self::of_kind(PolicyType::NoPolicyFound),
        }
    }

    /// Where there is no policy yet for want of what was found.
    pub(crate) fn of_finding(finding: &DaneFinding) -> Self {
        match finding {
            DaneFinding::Unknown(_) | DaneFinding::Unusable { .. } => Self::tlsa(&[]),
            DaneFinding::Records { records, .. } => Self::tlsa(records),
            DaneFinding::Unproven(_) | DaneFinding::NoRecords => Self::of_kind(PolicyType::NoPolicyFound),
        }
    }

    pub(crate) fn of_kind(kind: PolicyType) -> Self {
        Self { kind, domain: String::new(), strings: Vec::new(), mx_hosts: Vec::new() }
    }

    fn sts(policy: &StsPolicy) -> Self {
        let mx_hosts: Vec<String> = policy.hosts.iter().map(ToString::to_string).collect();
        let first = ["version: STSv1".to_owned(), format!("mode: {}", policy.mode)];
        let hosts = mx_hosts.iter().map(|host| format!("mx: {host}"));
        let last = format!("max_age: {}", policy.max_age_seconds);
        let strings = first.into_iter().chain(hosts).chain([last]).collect();
        Self { strings, mx_hosts, ..Self::of_kind(PolicyType::Sts) }
    }

    fn tlsa(records: &[Tlsa]) -> Self {
        let text = |record: &Tlsa| {
            let mut text = format!("{} {} {} ", record.usage, record.selector, record.matching);
            record.data.iter().for_each(|octet| {
                let _ = write!(text, "{octet:02x}");
            });
            text
        };
        Self { strings: records.iter().map(text).collect(), ..Self::of_kind(PolicyType::Tlsa) }
    }
}

pub(super) fn of_flaw(flaw: &Flaw) -> ResultType {
    match flaw {
        Flaw::Expired => ResultType::CertificateExpired,
        Flaw::WrongName => ResultType::CertificateHostMismatch,
        Flaw::Untrusted => ResultType::CertificateNotTrusted,
        Flaw::NoMatch => ResultType::TlsaInvalid,
        Flaw::Other(_) => ResultType::ValidationFailure,
    }
}

/// For the log.
pub(crate) fn note(results: &[TlsResult]) {
    for TlsResult { policy, mx_host, receiving_ip, outcome } in results {
        let (kind, domain) = (policy.kind.word(), &policy.domain);
        let strings = &policy.strings;
        match outcome {
            Ok(()) => tracing::debug!(%domain, kind, ?strings, mx_host, ?receiving_ip, "TLS as it should be"),
            Err(failure) => {
                let (result, reason) = (failure.kind.word(), &failure.detail);
                tracing::info!(%domain, kind, mx_host, ?receiving_ip, result, %reason, "TLS failed");
            }
        }
    }
}
