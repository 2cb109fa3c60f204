//! Which hosts an entry is handed to, and in which order they are tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt, stream};
use mail::{Address, TlsDemand, mta_sts::StsMode};
use store::{
    spool::{LaneId, QueueEntry, QueuedRecipient},
    sts::KeptPolicy,
};

use super::security;
use crate::{
    Config, Mta,
    outcome::{Fate, Trouble},
    route::{
        self, MxDelivery, NextHost, RouteTls, Via,
        limits::DestinationLimits,
        site::{NoSite, Site},
    },
    scheduler::{RulePlace, SiteLimits},
    transport_security::sts::StsFinding,
};

/// Domains whose policies are looked up at once.
const DOMAINS_TOGETHER_MAX: usize = 16;

/// Where to turn to.
#[derive(Debug)]
pub(super) struct NextHop {
    /// Hosts of one preference stand together; the first are tried first.
    pub(super) groups: Vec<Vec<NextHost>>,
    /// The operator did not name these hosts, the domain name system did.
    pub(super) from_mx: bool,
    /// Nobody on the way can have put other names in their place: a certificate for them proves that we speak to who is
    /// meant (RFC 8689 §4.2.1). The operator wrote them, or DNSSEC proves them.
    pub(super) authentic: bool,
    /// They may have addresses that no stranger should lead us to.
    pub(super) private_addresses: bool,
    /// The domains whose records named the hosts; none if the operator did.
    pub(super) domains: Vec<String>,
    /// The MTA-STS policy of all these domains.
    pub(super) sts: Option<Arc<KeptPolicy>>,
    pub(super) lane: LaneId,
    pub(super) limits: DestinationLimits,
}

/// What can be done with an entry now.
pub(super) enum Plan {
    Deliver(NextHop),
    /// Its recipients go another way than the lane it waits in.
    Reroute,
    /// Its recipients' domains have different policies: each group goes on its own.
    Apart(Vec<Vec<QueuedRecipient>>),
    /// All its recipients share this.
    Settle(Fate),
}

pub(super) async fn plan(mta: &Mta, config: &Config, entry: &QueueEntry) -> Plan {
    if entry.rerouted {
        let host = route::host_of(&config.routes, &entry.lane);
        return host.map_or(Plan::Reroute, |host| Plan::Deliver(NextHop::smarthost(&host, entry)));
    }
    let mut vias = entry.recipients.iter().map(|recipient| {
        route::choose(&config.routes, &recipient.address).map(|route| (&route.via, &recipient.address))
    });
    match vias.next().flatten() {
        Some((via @ Via::Smtp(smarthost), address)) if via.lane(address) == entry.lane => {
            let all_same =
                vias.all(|via| matches!(via, Some((via, address)) if via.lane(address) == entry.lane));
            if all_same { Plan::Deliver(NextHop::smarthost(smarthost, entry)) } else { Plan::Reroute }
        }
        Some((Via::Mx(delivery), _)) => {
            let all_same = vias.all(|via| matches!(via, Some((Via::Mx(other), _)) if other == delivery));
            if all_same { by_mx(mta, config, entry, delivery).await } else { Plan::Reroute }
        }
        _ => Plan::Reroute,
    }
}

/// Every recipient's domain has to lead to the site whose lane this is.
async fn by_mx(mta: &Mta, config: &Config, entry: &QueueEntry, delivery: &Arc<MxDelivery>) -> Plan {
    let mut domains: BTreeMap<LaneId, &Address> = BTreeMap::new();
    for recipient in &entry.recipients {
        let lane = Via::Mx(delivery.clone()).lane(&recipient.address);
        domains.entry(lane).or_insert(&recipient.address);
    }
    let only_one = domains.len() == 1;
    let names: Vec<String> = domains.values().map(|address| route::domain_text(address)).collect();
    let (mut site, mut dead_end) = (None, None);
    for address in domains.into_values() {
        match Site::of(&*mta.world.dns, &config.own, address).await {
            Ok(found) if found.lane() == entry.lane => site = Some(found),
            Ok(_) => return Plan::Reroute,
            // Nobody's fate is decided before it is known where he goes.
            Err(error) if error.is_temporary() => return Plan::Settle(fate(&error)),
            Err(error) => dead_end = Some(error),
        }
    }
    match (site, dead_end) {
        (Some(site), None) => {
            let hop = NextHop::site(mta, &site, delivery, entry, names);
            by_policy(mta, config, entry, delivery, hop).await
        }
        (None, Some(error)) if only_one => Plan::Settle(fate(&error)),
        _ => Plan::Reroute,
    }
}

/// Domains with one MTA-STS policy, or with none.
struct Alike {
    sts: Option<Arc<KeptPolicy>>,
    domains: Vec<String>,
}

/// What one domain demands must neither hold up the mail of others nor be left out for their sake.
async fn by_policy(
    mta: &Mta,
    config: &Config,
    entry: &QueueEntry,
    delivery: &MxDelivery,
    hop: NextHop,
) -> Plan {
    let is_asked = delivery.tls != RouteTls::None && entry.mail.tls != TlsDemand::Waived;
    if !is_asked || !config.transport.mta_sts {
        return Plan::Deliver(hop);
    }
    let find = async |domain: String| {
        let found = mta.sts.find(config, &domain, delivery.private_addresses).await;
        (domain, found)
    };
    let mut found = stream::iter(hop.domains.clone()).map(find).buffered(DOMAINS_TOGETHER_MAX);
    let mut alike: Vec<Alike> = Vec::new();
    while let Some((domain, found)) = found.next().await {
        let StsFinding { policy, failure } = match found {
            Ok(found) => found,
            Err(error) => {
                let reason = format!("the MTA-STS policies that are kept cannot be read: {error}");
                return Plan::Settle(Fate::Deferred(Trouble::new((4, 3, 0), reason)));
            }
        };
        if let Some(failure) = failure {
            security::report_unfetched(mta, &domain, failure);
        }
        let sts = policy.filter(|kept| kept.policy.mode != StsMode::None);
        match alike.iter_mut().find(|group| is_same(group.sts.as_deref(), sts.as_deref())) {
            Some(group) => group.domains.push(domain),
            None => alike.push(Alike { sts, domains: vec![domain] }),
        }
    }
    match alike.pop() {
        Some(Alike { sts, domains }) if alike.is_empty() => Plan::Deliver(NextHop { domains, sts, ..hop }),
        last => Plan::Apart(alike.iter().chain(&last).map(|group| recipients_of(entry, group)).collect()),
    }
}

fn is_same(a: Option<&KeptPolicy>, b: Option<&KeptPolicy>) -> bool {
    let said = |kept: &KeptPolicy| (kept.policy.mode, kept.policy.hosts.clone());
    a.map(said) == b.map(said)
}

fn recipients_of(entry: &QueueEntry, group: &Alike) -> Vec<QueuedRecipient> {
    let belongs =
        |recipient: &&QueuedRecipient| group.domains.contains(&route::domain_text(&recipient.address));
    entry.recipients.iter().filter(belongs).cloned().collect()
}

fn fate(error: &NoSite) -> Fate {
    let status = error.status();
    let trouble = Trouble::new((status.class, status.subject, status.detail), error.to_string());
    if error.is_temporary() { Fate::Deferred(trouble) } else { Fate::Failed(trouble) }
}

impl NextHop {
    fn smarthost(smarthost: &NextHost, entry: &QueueEntry) -> Self {
        Self {
            groups: vec![vec![smarthost.clone()]],
            from_mx: false,
            authentic: true,
            private_addresses: true,
            domains: Vec::new(),
            sts: None,
            lane: entry.lane.clone(),
            limits: DestinationLimits::default(),
        }
    }

    fn site(mta: &Mta, site: &Site, delivery: &MxDelivery, entry: &QueueEntry, domains: Vec<String>) -> Self {
        let host = |name: String| NextHost {
            host: name,
            port: delivery.port,
            tls: delivery.tls,
            login: None,
            lmtp: false,
        };
        let groups = site.in_order(&*mta.world.entropy).into_iter();
        let groups = groups.map(|group| group.into_iter().map(host).collect());
        Self {
            groups: groups.collect(),
            from_mx: true,
            authentic: site.secure,
            private_addresses: delivery.private_addresses,
            domains,
            sts: None,
            lane: entry.lane.clone(),
            limits: DestinationLimits::default(),
        }
    }

    /// Finds the rule that holds for this site, and keeps to it.
    pub(super) fn limit(&mut self, mta: &Arc<Mta>, config: &Config, entry: &QueueEntry) {
        let rules = &config.delivery;
        let hosts: BTreeSet<&str> = self.groups.iter().flatten().map(|host| &*host.host).collect();
        let recipients: Vec<&Address> = entry.recipients.iter().map(|recipient| &recipient.address).collect();
        let place = rules.place(&Vec::from_iter(hosts), &recipients, self.from_mx);
        let limits = rules.limits(place);
        let site = SiteLimits { connections_max: limits.connections_max, rate: limits.rate };
        let rule = RulePlace { version: rules.version, place };
        let holds = mta.dispatcher.rule(mta, &entry.lane, rule, &site);
        self.limits = rules.limits(holds.place).clone();
        if let Some(tls) = self.limits.tls {
            self.groups.iter_mut().flatten().for_each(|host| host.tls = tls);
        }
    }

    /// What the history calls it before a host has answered.
    pub(super) fn name(&self) -> Option<&str> {
        self.groups.first().and_then(|group| group.first()).map(|host| &*host.host)
    }
}
