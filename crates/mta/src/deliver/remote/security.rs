//! What a connection has to be: by the message's own demand (RFC 8689 §4.2.1), and by the policy that holds for the host.

use std::net::{IpAddr, SocketAddr};

use mail::TlsDemand;
use proto::smtp::client::TlsPolicy;
use world::dns::Answer;

use super::{
    connect::{Connection, Refusal},
    next_hop::NextHop,
};
use crate::{
    Config, Mta,
    route::NextHost,
    transport_security::{
        Facts, Policy, Skip,
        dane::{self, DaneFinding},
        decide,
        result::{self, PolicyInForce, PolicyType, TlsFailure, TlsResult},
    },
};

/// What a message asks of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// What the policies say.
    Usual,
    /// What the route says; what the recipient's side says is set aside (RFC 8689 §3).
    Waived,
    /// TLS, a certificate that verifies for an authenticated name, and REQUIRETLS announced, whatever the route says.
    RequireTls,
}

impl Demand {
    /// What to ask for first; where that cannot be had, [`Preferred`](TlsDemand::Preferred) makes do with the usual.
    pub(super) fn of(tls: TlsDemand) -> Self {
        match tls {
            TlsDemand::Usual => Self::Usual,
            TlsDemand::Waived => Self::Waived,
            TlsDemand::Required | TlsDemand::Preferred => Self::RequireTls,
        }
    }

    pub(super) fn is_met_by(self, connection: &Connection) -> bool {
        self != Self::RequireTls || connection.keeps_to_tls()
    }
}

/// What a connection was made under.
#[derive(Clone, Debug)]
pub(super) struct Secured {
    pub(super) policy: Policy,
    dane: DaneFinding,
    /// DNSSEC proved the way to the host.
    proven_way: bool,
    /// The sender set aside what the recipient's side says, so that nobody asked.
    waived: bool,
    /// TLS reports are about it.
    reported: bool,
}

/// Somebody vouches that the host takes mail for the domains (RFC 8689 §4.2.1): the operator, DNSSEC, or the policy that the
/// domain gave over HTTPS.
pub(super) fn is_vouched_for(hop: &NextHop, host: &str) -> bool {
    hop.authentic || hop.sts.as_ref().is_some_and(|kept| kept.policy.pattern_of(host).is_some())
}

/// The policy for a host with these addresses, which are those that are connected to.
pub(super) async fn policy(
    mta: &Mta,
    config: &Config,
    hop: &NextHop,
    host: &NextHost,
    addresses: &Answer<IpAddr>,
    demand: Demand,
) -> Result<Secured, Box<Skip>> {
    let way = (hop.authentic, demand == Demand::Waived);
    let dane = dane::find(&*mta.world.dns, config.transport, host, addresses, way).await;
    match decide(&facts(hop, host, &dane, demand)) {
        Ok(policy) => Ok(Secured {
            policy,
            dane,
            proven_way: hop.authentic,
            waived: demand == Demand::Waived,
            reported: is_reported(hop, demand),
        }),
        Err(skip) => {
            let failure = TlsFailure { kind: skip.result, detail: skip.trouble.reason.clone() };
            if is_reported(hop, demand) {
                report(mta, hop, &skip.in_force, host, None, &Err(failure));
            }
            Err(skip)
        }
    }
}

/// RFC 8460 §4: sessions with the hosts that a domain names itself. Mail that sets TLS aside, as reports do, is not counted,
/// so that no report leads to another.
fn is_reported(hop: &NextHop, demand: Demand) -> bool {
    hop.from_mx && demand != Demand::Waived
}

fn facts<'a>(hop: &'a NextHop, host: &'a NextHost, dane: &'a DaneFinding, demand: Demand) -> Facts<'a> {
    Facts {
        host: &host.host,
        route: host.tls,
        require_tls: demand == Demand::RequireTls,
        waived: demand == Demand::Waived,
        dane,
        sts: hop.sts.as_ref(),
        domains: &hop.domains,
    }
}

/// Whether a connection that was made for another message will do for this one.
pub(super) fn fits(hop: &NextHop, connection: &Connection, demand: Demand) -> bool {
    let host = hop.groups.iter().flatten().find(|host| host.host == connection.host);
    let Some(host) = host else { return false };
    let is_vouched_for = demand != Demand::RequireTls || is_vouched_for(hop, &host.host);
    if !is_vouched_for || !demand.is_met_by(connection) {
        return false;
    }
    let Some(secured) = &connection.secured else { return host.socket().is_some() };
    // What was not asked for the sake of one message is not known for the next.
    if secured.proven_way != hop.authentic || (secured.waived && demand != Demand::Waived) {
        return false;
    }
    match decide(&facts(hop, host, &secured.dane, demand)) {
        Ok(policy) => connection.link.meets(&policy),
        Err(_) => false,
    }
}

/// Notes what came of TLS with a host that was reached. What failed for other reasons says nothing of it.
pub(super) fn report_greeted(
    mta: &Mta,
    hop: &NextHop,
    host: &NextHost,
    address: SocketAddr,
    secured: &Secured,
    greeted: &Result<Box<Connection>, Refusal>,
) {
    let failure = |skip: Box<Skip>| TlsFailure { kind: skip.result, detail: skip.trouble.reason };
    let outcome = match greeted {
        _ if !secured.reported || secured.policy.tls == TlsPolicy::None => return,
        Ok(connection) if connection.link.agreed_tls().is_none() => {
            Err(failure(secured.policy.without_tls(&host.host)))
        }
        Ok(connection) => match secured.policy.shortfall(&host.host, connection.link.judgement()) {
            Some(skip) => Err(failure(skip)),
            None => Ok(()),
        },
        Err(Refusal { result: Some(kind), trouble, .. }) => {
            Err(TlsFailure { kind: *kind, detail: trouble.reason.clone() })
        }
        Err(_) => return,
    };
    report(mta, hop, &PolicyInForce::of(&secured.policy), host, Some(address), &outcome);
}

/// Notes that a domain's policy is not the one that it announces.
pub(super) fn report_unfetched(mta: &Mta, domain: &str, failure: TlsFailure) {
    let policy = PolicyInForce { domain: domain.to_owned(), ..PolicyInForce::of_kind(PolicyType::Sts) };
    let results = [TlsResult { policy, mx_host: None, receiving_ip: None, outcome: Err(failure) }];
    result::note(&results);
    mta.count_tls(&results);
}

/// Notes what an attempt at a host showed, for each domain that the message is for.
pub(super) fn report(
    mta: &Mta,
    hop: &NextHop,
    policy: &PolicyInForce,
    host: &NextHost,
    address: Option<SocketAddr>,
    outcome: &Result<(), TlsFailure>,
) {
    let of_domain = |domain: &String| TlsResult {
        policy: PolicyInForce { domain: domain.clone(), ..policy.clone() },
        mx_host: Some(host.host.clone()),
        receiving_ip: address.map(|address| address.ip()),
        outcome: outcome.clone(),
    };
    let results: Vec<TlsResult> = hop.domains.iter().map(of_domain).collect();
    result::note(&results);
    mta.count_tls(&results);
}
