//! Which hosts an entry is handed to, and in which order they are tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mail::Address;
use store::spool::{LaneId, QueueEntry};

use crate::{
    Config, Mta,
    outcome::{Fate, Trouble},
    route::{
        self, MxDelivery, NextHost, Via,
        limits::DestinationLimits,
        site::{NoSite, Site},
    },
    scheduler::{RulePlace, SiteLimits},
};

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
    pub(super) lane: LaneId,
    pub(super) limits: DestinationLimits,
}

/// What can be done with an entry now.
pub(super) enum Plan {
    Deliver(NextHop),
    /// Its recipients go another way than the lane it waits in.
    Reroute,
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
    let names = domains.values().map(|address| route::domain_text(address)).collect();
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
        (Some(site), None) => Plan::Deliver(NextHop::site(mta, &site, delivery, entry, names)),
        (None, Some(error)) if only_one => Plan::Settle(fate(&error)),
        _ => Plan::Reroute,
    }
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
