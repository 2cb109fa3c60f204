//! Which policy of transport security holds for a host, and what came of it: the route's, the message's, or what the
//! recipient's side says by DANE (RFC 7672). A policy that cannot be learned or kept to puts the message off; nothing
//! makes less of it.

pub mod dane;
pub(crate) mod result;

use proto::smtp::client::TlsPolicy;
use world::tls::{Authentication, Dane, Flaw, Judgement};

use crate::{outcome::Trouble, route::RouteTls};
use dane::DaneFinding;
use result::ResultType;

/// RFC 3463 §3.8: what was shown does not prove what had to be proven.
const NOT_PROVEN: (u8, u16, u16) = (4, 7, 5);
/// RFC 7505 §4 registers X.7.10 beside it: encryption is needed.
const ENCRYPTION_NEEDED: (u8, u16, u16) = (4, 7, 10);
/// What the policy is cannot be learned.
const UNKNOWN: (u8, u16, u16) = (4, 4, 3);

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
}

/// Why a host is passed over.
#[derive(Clone, Debug)]
pub(crate) struct Skip {
    pub(crate) trouble: Trouble,
    pub(crate) result: ResultType,
}

impl Skip {
    fn new(status: (u8, u16, u16), result: ResultType, reason: String) -> Self {
        Self { trouble: Trouble::new(status, reason), result }
    }
}

/// The policy that holds, or why the host must not be turned to.
pub(crate) fn decide(facts: &Facts<'_>) -> Result<Policy, Skip> {
    let policy = match facts.route {
        RouteTls::None => Policy::new(PolicyKind::Clear, Authentication::Nothing, TlsPolicy::None),
        route => with_tls(facts, route, of_recipient(facts)?)?,
    };
    Ok(if facts.require_tls { policy.strengthened() } else { policy })
}

fn with_tls(facts: &Facts<'_>, route: RouteTls, of_recipient: Option<Policy>) -> Result<Policy, Skip> {
    let by_dane = matches!(of_recipient, Some(Policy { kind: PolicyKind::Dane { .. }, .. }));
    Ok(match (route, of_recipient) {
        (RouteTls::Dane, _) if !by_dane => return Err(without_dane(facts)),
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
fn of_recipient(facts: &Facts<'_>) -> Result<Option<Policy>, Skip> {
    // A route that insists is the operator's word, which the sender cannot set aside.
    if facts.waived && facts.route != RouteTls::Dane {
        return Ok(None);
    }
    match facts.dane {
        DaneFinding::Unproven(_) | DaneFinding::NoRecords => Ok(None),
        // RFC 7672 §2.1.1: the records may be there, and whoever keeps them from us would have us go without.
        DaneFinding::Unknown(reason) => {
            let reason = format!("{} may have TLSA records (DANE): {reason}", facts.host);
            Err(Skip::new(UNKNOWN, ResultType::DnssecInvalid, reason))
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

fn without_dane(facts: &Facts<'_>) -> Skip {
    let why = match facts.dane {
        DaneFinding::Unproven(why) => (*why).to_owned(),
        DaneFinding::Unusable { base } => format!("none of the TLSA records of {base} can be used"),
        _ => "it has no TLSA records".to_owned(),
    };
    let reason = format!("the route to {} has tls = \"dane\", and {why}", facts.host);
    Skip::new(NOT_PROVEN, ResultType::DaneRequired, reason)
}

impl Policy {
    fn new(kind: PolicyKind, expected: Authentication, tls: TlsPolicy) -> Self {
        Self { kind, expected, tls }
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
    pub(crate) fn without_tls(&self, host: &str) -> Skip {
        let reason = format!("{host} does not offer STARTTLS{}", self.demand());
        Skip::new(ENCRYPTION_NEEDED, ResultType::StarttlsNotSupported, reason)
    }

    /// What it comes to that the handshake failed, or that a certificate will not do.
    pub(crate) fn without_proof(&self, host: &str, flaw: &Flaw) -> Skip {
        let reason = format!("TLS with {host} failed: {flaw}{}", self.demand());
        Skip::new(NOT_PROVEN, result::of_flaw(flaw), reason)
    }

    /// Who says that it must not go without.
    fn demand(&self) -> String {
        match &self.kind {
            PolicyKind::Dane { base } | PolicyKind::DaneUnusable { base } => {
                format!(", and its TLSA records ({base}) let nothing go without (DANE)")
            }
            PolicyKind::Required => ", and the route has tls = \"required\"".to_owned(),
            PolicyKind::Clear | PolicyKind::Opportunistic | PolicyKind::Waived => String::new(),
        }
    }
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
