//! Which policy of transport security holds for a host, and what came of it: the route's, the message's, or what the
//! recipient's side says by DANE (RFC 7672) and by MTA-STS (RFC 8461). A policy that cannot be learned or kept to puts the message off; nothing
//! makes less of it.

pub mod dane;
mod finder;
pub(crate) mod result;
pub mod sts;

use std::sync::Arc;

use mail::mta_sts::{HostPattern, StsMode};
use proto::smtp::client::TlsPolicy;
use store::sts::KeptPolicy;
use world::tls::{Authentication, Dane, Flaw, Judgement};

use crate::{outcome::Trouble, route::RouteTls};
use dane::DaneFinding;
pub use finder::StsFinder;
pub(crate) use finder::look_after;
use result::{PolicyInForce, ResultType};

/// RFC 3463 §3.8: what was shown does not prove what had to be proven.
const NOT_PROVEN: (u8, u16, u16) = (4, 7, 5);
/// RFC 7505 §4 registers X.7.10 beside it: encryption is needed.
const ENCRYPTION_NEEDED: (u8, u16, u16) = (4, 7, 10);
/// What the policy is cannot be learned.
const UNKNOWN: (u8, u16, u16) = (4, 4, 3);

/// Hosts of a policy that a sentence tells.
const NAMED_MAX: usize = 5;
/// What can be done where the recipient's side makes demands that its hosts do not meet.
const ADVICE: &str =
    "its operators have to mend that, or the sender may say that it need not be kept to (TLS-Required: No)";

/// What is known of a host before it is turned to.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub host: &'a str,
    pub route: RouteTls,
    /// REQUIRETLS: under TLS to a host that proves itself, whatever the policies say.
    pub require_tls: bool,
    /// `TLS-Required: No`: what the recipient's side says is set aside (RFC 8689 §3).
    pub waived: bool,
    pub dane: &'a DaneFinding,
    /// What the domains say, all the same.
    pub sts: Option<&'a Arc<KeptPolicy>>,
    /// The domains that the message is for.
    pub domains: &'a [String],
}

/// What holds for a host, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub kind: PolicyKind,
    pub expected: Authentication,
    pub(crate) tls: TlsPolicy,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// The route has `tls = "none"`.
    Clear,
    /// TLS where it is offered.
    Opportunistic,
    /// The same, as the sender set aside what the recipient's side may say.
    Waived,
    /// The route has `tls = "required"`.
    Required,
    /// TLSA records at this name.
    Dane { base: String },
    /// TLSA records at this name that nobody can use: TLS all the same (RFC 7672 §2.2).
    DaneUnusable { base: String },
    /// What the domain said over HTTPS (RFC 8461), and the pattern in it that the host matches.
    Sts { kept: Arc<KeptPolicy>, pattern: Option<String> },
}

/// Why a host is passed over.
#[derive(Clone, Debug)]
pub(crate) struct Skip {
    pub(crate) trouble: Trouble,
    pub(crate) result: ResultType,
    /// What says so.
    pub(crate) in_force: PolicyInForce,
}

impl Skip {
    fn new(
        status: (u8, u16, u16),
        result: ResultType,
        in_force: PolicyInForce,
        reason: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self { trouble: Trouble::new(status, reason), result, in_force })
    }
}

/// What would hold for a host, or why it would not be turned to, for an operator who wants to know beforehand.
pub fn foretell(facts: &Facts<'_>) -> Result<String, String> {
    decide(facts).map(|policy| policy.words(None)).map_err(|skip| skip.trouble.reason)
}

/// The policy that holds, or why the host must not be turned to.
pub(crate) fn decide(facts: &Facts<'_>) -> Result<Policy, Box<Skip>> {
    let policy = match facts.route {
        RouteTls::None => Policy::new(PolicyKind::Clear, Authentication::Nothing, TlsPolicy::None),
        route => with_tls(facts, route, of_recipient(facts)?)?,
    };
    Ok(if facts.require_tls { policy.strengthened() } else { policy })
}

fn with_tls(facts: &Facts<'_>, route: RouteTls, of_recipient: Option<Policy>) -> Result<Policy, Box<Skip>> {
    let by_dane = matches!(of_recipient, Some(Policy { kind: PolicyKind::Dane { .. }, .. }));
    Ok(match (route, of_recipient) {
        (RouteTls::Dane, _) if !by_dane => return Err(without_dane(facts)),
        (RouteTls::Required, Some(policy)) if policy.enforces_sts() => policy,
        (RouteTls::Required, _) if !by_dane => {
            Policy::new(PolicyKind::Required, Authentication::RootsAndName, TlsPolicy::Required)
        }
        (_, Some(policy)) => policy,
        (_, None) => {
            let kind = if facts.waived { PolicyKind::Waived } else { PolicyKind::Opportunistic };
            Policy::new(kind, Authentication::Nothing, TlsPolicy::Opportunistic)
        }
    })
}

/// What the recipient's side asks for.
fn of_recipient(facts: &Facts<'_>) -> Result<Option<Policy>, Box<Skip>> {
    // A route that insists is the operator's word, which the sender cannot set aside.
    if facts.waived && facts.route != RouteTls::Dane {
        return Ok(None);
    }
    let by_dane = of_dane(facts)?;
    match (by_dane, of_sts(facts)) {
        // RFC 8461 §2: where DANE decides, MTA-STS has no say.
        (Some(policy @ Policy { kind: PolicyKind::Dane { .. }, .. }), _) => Ok(Some(policy)),
        (_, Err(skip)) => Err(skip),
        (_, Ok(Some(policy))) if policy.enforces_sts() => Ok(Some(policy)),
        (by_dane @ Some(_), Ok(_)) => Ok(by_dane),
        (None, Ok(by_sts)) => Ok(by_sts),
    }
}

fn of_dane(facts: &Facts<'_>) -> Result<Option<Policy>, Box<Skip>> {
    match facts.dane {
        DaneFinding::Unproven(_) | DaneFinding::NoRecords => Ok(None),
        // RFC 7672 §2.1.1: the records may be there, and whoever keeps them from us would have us go without.
        DaneFinding::Unknown(reason) => {
            let reason = format!("{} may have TLSA records (DANE): {reason}", facts.host);
            let in_force = PolicyInForce::of_finding(facts.dane);
            Err(Skip::new(UNKNOWN, ResultType::DnssecInvalid, in_force, reason))
        }
        DaneFinding::Unusable { base } => {
            let kind = PolicyKind::DaneUnusable { base: base.clone() };
            Ok(Some(Policy::new(kind, Authentication::Nothing, TlsPolicy::Required)))
        }
        DaneFinding::Records { base, records } => {
            let (records, domains) = (records.clone(), facts.domains.to_vec());
            let expected = Authentication::Dane(Dane { records, base: base.clone(), domains });
            Ok(Some(Policy::new(PolicyKind::Dane { base: base.clone() }, expected, TlsPolicy::Required)))
        }
    }
}

/// RFC 8461 §5
fn of_sts(facts: &Facts<'_>) -> Result<Option<Policy>, Box<Skip>> {
    let Some(kept) = facts.sts.filter(|kept| kept.policy.mode != StsMode::None) else { return Ok(None) };
    let pattern = kept.policy.pattern_of(facts.host).map(ToString::to_string);
    let kind = PolicyKind::Sts { kept: kept.clone(), pattern };
    match &kind {
        // RFC 8461 §5.1: it is delivered all the same, and told of.
        PolicyKind::Sts { .. } if kept.policy.mode == StsMode::Testing => {
            Ok(Some(Policy::new(kind, Authentication::Nothing, TlsPolicy::Opportunistic)))
        }
        PolicyKind::Sts { pattern: None, .. } => {
            let policy = Policy::new(kind, Authentication::RootsAndName, TlsPolicy::Required);
            Err(policy.without_match(facts.host))
        }
        _ => Ok(Some(Policy::new(kind, Authentication::RootsAndName, TlsPolicy::Required))),
    }
}

fn without_dane(facts: &Facts<'_>) -> Box<Skip> {
    let why = match facts.dane {
        DaneFinding::Unproven(why) => (*why).to_owned(),
        DaneFinding::Unusable { base } => format!("none of the TLSA records of {base} can be used"),
        _ => "it has no TLSA records".to_owned(),
    };
    let reason = format!("the route to {} has tls = \"dane\", and {why}", facts.host);
    Skip::new(NOT_PROVEN, ResultType::DaneRequired, PolicyInForce::of_finding(facts.dane), reason)
}

impl Policy {
    fn new(kind: PolicyKind, expected: Authentication, tls: TlsPolicy) -> Self {
        Self { kind, expected, tls }
    }

    fn enforces_sts(&self) -> bool {
        self.tls == TlsPolicy::Required && matches!(self.kind, PolicyKind::Sts { .. })
    }

    /// RFC 8689 §4.2.1: the host proves itself by DANE, or by roots and its name.
    fn strengthened(self) -> Self {
        let expected = match self.expected {
            dane @ Authentication::Dane(_) => dane,
            _ => Authentication::RootsAndName,
        };
        Self { expected, tls: TlsPolicy::Required, ..self }
    }

    /// The name that the host is asked for in the handshake (RFC 7672 §3.2.1, §8.1).
    pub(crate) fn server_name<'a>(&'a self, host: &'a str) -> &'a str {
        match &self.expected {
            Authentication::Dane(dane) => &dane.base,
            _ => host,
        }
    }

    /// For people, with what came of it if it is known.
    pub(crate) fn words(&self, judged: Option<&Judgement>) -> String {
        match &self.kind {
            PolicyKind::Clear => "none: the route has tls = \"none\"".to_owned(),
            PolicyKind::Opportunistic => format!("opportunistic{}", pkix_words(judged)),
            PolicyKind::Waived => {
                format!(
                    "opportunistic, as TLS-Required: No sets DANE and MTA-STS aside{}",
                    pkix_words(judged)
                )
            }
            PolicyKind::Required => format!("required by the route{}", pkix_words(judged)),
            PolicyKind::DaneUnusable { base } => {
                format!("DANE: TLS, as the TLSA records of {base} are there and none can be used")
            }
            PolicyKind::Sts { kept, pattern } => {
                let matching = match pattern {
                    Some(pattern) => format!("the host matches {pattern}"),
                    None => "the host is not among those that it names".to_owned(),
                };
                format!("{}: {matching}{}", sts_words(kept), pkix_words(judged))
            }
            PolicyKind::Dane { base } => match judged.and_then(|judged| judged.dane.as_ref()) {
                Some(Ok(record)) => {
                    let (usage, selector, matching) = (record.usage, record.selector, record.matching);
                    format!("DANE: the TLSA record {usage} {selector} {matching} of {base} matches")
                }
                Some(Err(flaw)) => format!("DANE by the TLSA records of {base}: {flaw}"),
                None => format!("DANE by the TLSA records of {base}"),
            },
        }
    }

    /// What it comes to that the host offers no TLS.
    pub(crate) fn without_tls(&self, host: &str) -> Box<Skip> {
        let reason = format!("{host} does not offer STARTTLS{}", self.demand());
        let in_force = PolicyInForce::of(self);
        Skip::new(ENCRYPTION_NEEDED, ResultType::StarttlsNotSupported, in_force, reason)
    }

    /// What it comes to that the handshake failed, or that a certificate will not do.
    pub(crate) fn without_proof(&self, host: &str, flaw: &Flaw) -> Box<Skip> {
        let reason = format!("TLS with {host} failed: {flaw}{}", self.demand());
        Skip::new(NOT_PROVEN, result::of_flaw(flaw), PolicyInForce::of(self), reason)
    }

    /// What is amiss though the message may go: a policy that is being tested would have forbidden it.
    pub(crate) fn shortfall(&self, host: &str, judged: Option<&Judgement>) -> Option<Box<Skip>> {
        match (&self.kind, judged) {
            (PolicyKind::Sts { pattern: None, .. }, _) => Some(self.without_match(host)),
            (PolicyKind::Sts { .. }, Some(Judgement { pkix: Err(flaw), .. })) => {
                Some(self.without_proof(host, flaw))
            }
            _ => None,
        }
    }

    /// What it comes to that the host is not among those that the policy names.
    pub(crate) fn without_match(&self, host: &str) -> Box<Skip> {
        let reason = match &self.kind {
            PolicyKind::Sts { kept, .. } => {
                let named: Vec<&str> =
                    kept.policy.hosts.iter().take(NAMED_MAX).map(HostPattern::as_str).collect();
                let (named, demand) = (named.join(", "), self.demand());
                format!(
                    "{host} is not among the hosts that the policy of {} names ({named}){demand}",
                    kept.domain
                )
            }
            _ => format!("{host} is not a host that was asked for"),
        };
        Skip::new(NOT_PROVEN, ResultType::ValidationFailure, PolicyInForce::of(self), reason)
    }

    /// Who says that it must not go without.
    fn demand(&self) -> String {
        match &self.kind {
            PolicyKind::Dane { base } | PolicyKind::DaneUnusable { base } => {
                format!(", and its TLSA records ({base}) let nothing go without (DANE); {ADVICE}")
            }
            PolicyKind::Sts { kept, .. } if kept.policy.mode == StsMode::Testing => String::new(),
            PolicyKind::Sts { kept, .. } => {
                format!(", and the {} lets nothing go without; {ADVICE}", sts_words(kept))
            }
            PolicyKind::Required => ", and the route has tls = \"required\"".to_owned(),
            PolicyKind::Clear | PolicyKind::Opportunistic | PolicyKind::Waived => String::new(),
        }
    }
}

/// `MTA-STS policy of example.org (enforce)`
fn sts_words(kept: &KeptPolicy) -> String {
    format!("MTA-STS policy of {} ({})", kept.domain, kept.policy.mode)
}

fn pkix_words(judged: Option<&Judgement>) -> String {
    match judged.map(|judged| &judged.pkix) {
        Some(Ok(())) => "; its certificate verifies".to_owned(),
        Some(Err(flaw)) => format!("; its certificate does not verify: {flaw}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
