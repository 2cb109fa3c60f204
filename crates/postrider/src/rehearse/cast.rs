//! From configuration and scenario to what is played: the same routes and limits as in service, and hosts where they lead.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use mail::{Address, Domain, Host};
use mta::route::{self, Route, Via};
use sim::rehearsal::{Manners, Occasion, Outage, Place, Refusal, Script, Site, Window};

use super::scenario::{DnsFault, Peer, RefuseAt, Scenario, TestMessage};
use crate::{
    Failure,
    config::{Config, options, types::Span},
    serve::routing,
};

/// Addresses for hosts outside: the networks that are for documentation.
const NETWORKS: [[u8; 3]; 2] = [[198, 51, 100], [203, 0, 113]];
const SMTP_PORT: u16 = 25;

/// A configuration that can be played: what leads out of the simulated world is taken out of it.
#[derive(Clone, Debug)]
pub struct Playable {
    pub config: Config,
    pub routes: Vec<Route>,
    /// What is not as in service, a sentence each.
    pub notes: Vec<String>,
}

impl Playable {
    pub fn new(config: &Config) -> Self {
        let (mut config, mut notes) = (config.clone(), Vec::new());
        for (index, route) in config.route.iter_mut().enumerate() {
            notes.extend(tame(route).map(|note| format!("{}: {note}", described(index, route))));
        }
        for sources in std::iter::once(&mut config.delivery.source_address)
            .chain(config.destination.iter_mut().map(|destination| &mut destination.source_address))
        {
            let count = sources.len();
            sources.retain(|source| source.text.parse::<Ipv4Addr>().is_ok());
            if sources.len() < count {
                notes.push(
                    "source_address: the simulated hosts have IPv4 only; those of IPv6 are left out"
                        .to_owned(),
                );
            }
        }
        notes.dedup();
        Self { routes: routing::routes(&config), config, notes }
    }

    /// The domains that a scenario's addresses are hosted for.
    pub fn domains(&self, scenario: &Scenario) -> Result<Vec<Domain>, Failure> {
        let named: Vec<Domain> = scenario.domains.iter().filter_map(|name| name.0.parse().ok()).collect();
        let captured = self.routes.iter().filter_map(|route| match &route.via {
            Via::Capture(capture) => capture.mailbox.domain().cloned(),
            _ => None,
        });
        let mut domains = if named.is_empty() { vec![self.own_domain()?] } else { named };
        for domain in captured {
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        Ok(domains)
    }

    /// The hostname without its first label, unless a route is about that.
    fn own_domain(&self) -> Result<Domain, Failure> {
        let hostname = &self.config.hostname.0;
        let parent = hostname.split_once('.').map(|(_, parent)| parent).filter(|parent| parent.contains('.'));
        let is_routed = |domain: &Domain| {
            let address = Address::new("postmaster", domain.clone());
            let route = address.ok().and_then(|address| route::choose(&self.routes, &address).cloned());
            route.is_some_and(|route| !route.recipient.is_of_any_domain())
        };
        let parent = parent.and_then(|parent| parent.parse().ok()).filter(|domain| !is_routed(domain));
        parent.map_or_else(|| hostname.parse().map_err(Failure::new), Ok)
    }
}

/// Takes out of a route what is not played, and says so.
fn tame(route: &mut options::Route) -> Option<String> {
    let reached = match route.via {
        options::Via::Pipe => "programs are not run",
        options::Via::Maildir => "Maildirs are not written",
        options::Via::Http => "web servers are not called",
        options::Via::Lmtp => "LMTP hosts are not called",
        _ if route.username.is_some() => {
            (route.username, route.password_file) = (None, None);
            return Some("the simulated host asks for no login, and the password is not read".to_owned());
        }
        _ if route.tls == options::RouteTls::Dane => {
            route.tls = options::RouteTls::Required;
            return Some(
                "simulated names have no DNSSEC, so a certificate that verifies stands for DANE".to_owned(),
            );
        }
        _ => return None,
    };
    route.via = options::Via::Hold;
    Some(format!("not simulated, as {reached}; its mail is put on hold instead"))
}

/// `[[route]] number 2 ("*@tickets.example.org")`
pub fn described(index: usize, route: &options::Route) -> String {
    format!("[[route]] number {} (\"{}\")", index + 1, route.recipient)
}

/// Everything for one run.
#[derive(Clone, Debug)]
pub struct Cast {
    pub script: Script,
    /// Hosted here, the first is that of senders without a name.
    pub domains: Vec<Domain>,
    /// Where nobody outside listens on this machine.
    pub submission_port: u16,
}

#[derive(Debug, Default)]
struct Hosts<'a> {
    /// By name: at which ports, and which peer's manners it has.
    found: BTreeMap<String, (BTreeSet<u16>, Option<&'a Peer>)>,
    mx: BTreeMap<String, Vec<String>>,
}

impl Cast {
    pub fn new(playable: &Playable, scenario: &Scenario) -> Result<Self, Failure> {
        let domains = playable.domains(scenario)?;
        let mut hosts = Hosts::default();
        hosts.add_smarthosts(playable, scenario);
        hosts.add_domains(playable, scenario, &domains);
        let sites = hosts.sites()?;
        let taken: BTreeSet<u16> =
            sites.iter().flat_map(|site| &site.hosts).flat_map(|host| host.ports.iter().copied()).collect();
        let submission_port = (587..=u16::MAX).find(|port| !taken.contains(port)).unwrap_or_default();
        let outages = scenario.dns.iter().flat_map(|dns| {
            let outage = |window: &Window| Outage {
                domain: dns.domain.as_ref().map(|domain| domain.0.clone()),
                silent: dns.answer == DnsFault::Silent,
                window: *window,
            };
            dns.during.value.0.iter().map(outage).collect::<Vec<_>>()
        });
        let script = Script { sites, mx: hosts.mx, outages: outages.collect() };
        Ok(Self { script, domains, submission_port })
    }

    pub fn is_hosted(&self, address: &Address) -> bool {
        address
            .domain()
            .is_some_and(|domain| self.domains.iter().any(|hosted| hosted.to_lookup() == domain.to_lookup()))
    }

    /// Who sends a message.
    pub fn sender(&self, message: &TestMessage) -> Result<Address, Failure> {
        if let Some(from) = &message.from {
            return Ok(from.0.clone());
        }
        let domain = self.domains.first().ok_or_else(|| Failure::usage("no domain is hosted"))?;
        Address::new("sender", domain.clone()).map_err(Failure::new)
    }
}

impl<'a> Hosts<'a> {
    fn add_smarthosts(&mut self, playable: &Playable, scenario: &'a Scenario) {
        for route in &playable.routes {
            let Via::Smtp(next) = &route.via else { continue };
            let name = lookup(&next.host).unwrap_or_else(|| next.host.to_ascii_lowercase());
            let peer = peer_of_host(scenario, &name);
            self.found.entry(name).or_insert_with(|| (BTreeSet::new(), peer)).0.insert(next.port);
        }
    }

    /// Recipients' domains that are not hosted here, and those that peers are.
    fn add_domains(&mut self, playable: &Playable, scenario: &'a Scenario, hosted: &[Domain]) {
        let is_hosted = |name: &str| hosted.iter().any(|domain| domain.to_lookup() == *name);
        let addressed = scenario.message.iter().flat_map(|message| message.to.iter().chain(&message.from));
        let addressed = addressed.filter_map(|address| address.0.domain().map(Domain::to_lookup));
        let named = scenario.peer.iter().filter_map(|peer| lookup(&peer.domain.as_ref()?.0));
        let names: BTreeSet<String> = addressed.chain(named).filter(|name| !is_hosted(name)).collect();
        let ports: BTreeSet<u16> = playable
            .routes
            .iter()
            .filter_map(|route| match &route.via {
                Via::Mx(delivery) => Some(delivery.port),
                _ => None,
            })
            .chain([SMTP_PORT])
            .collect();
        for address in scenario.message.iter().flat_map(|message| &message.to) {
            let Host::Literal(ip) = address.0.host() else { continue };
            let name = ip.to_string();
            let peer = peer_of_host(scenario, &name);
            self.found.entry(name).or_insert_with(|| (BTreeSet::new(), peer)).0.extend(&ports);
        }
        for name in names {
            let is_it = |peer: &&Peer| {
                peer.domain.as_ref().and_then(|domain| lookup(&domain.0)) == Some(name.clone())
            };
            let peer = scenario.peer.iter().find(is_it);
            let own =
                peer.map(|peer| peer.mx.iter().map(|host| host.0.to_ascii_lowercase()).collect::<Vec<_>>());
            let mut hosts =
                own.filter(|hosts| !hosts.is_empty()).unwrap_or_else(|| vec![format!("mx.{name}")]);
            for host in &hosts {
                let manners = peer_of_host(scenario, host).or(peer);
                self.found.entry(host.clone()).or_insert_with(|| (BTreeSet::new(), manners)).0.extend(&ports);
            }
            let postmaster = format!("postmaster@{name}").parse::<Address>();
            if postmaster.is_ok_and(|address| route::is_kept_for(&playable.routes, &address)) {
                hosts.push(playable.config.hostname.0.to_ascii_lowercase());
            }
            self.mx.insert(name, hosts);
        }
    }

    /// Hosts of one peer are one site; those of none are one each.
    fn sites(&self) -> Result<Vec<Site>, Failure> {
        let mut free = NETWORKS.iter().flat_map(|[a, b, c]| (1..255).map(|d| Ipv4Addr::new(*a, *b, *c, d)));
        let literal = |name: &str| name.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let taken: BTreeSet<IpAddr> = self.found.keys().filter_map(|name| literal(name)).collect();
        let mut sites: Vec<(Option<&Peer>, Site)> = Vec::new();
        for (name, (ports, peer)) in &self.found {
            let next = || free.find(|ip| !taken.contains(&IpAddr::V4(*ip))).map(IpAddr::V4);
            let ip = literal(name).or_else(next).ok_or_else(|| {
                Failure::usage("the scenario has more than 508 hosts outside; send to fewer domains")
            })?;
            let place = Place { name: name.clone(), ip, ports: ports.clone() };
            let same = |(other, _): &&mut (Option<&Peer>, Site)| {
                peer.is_some_and(|peer| other.is_some_and(|other| std::ptr::eq(peer, other)))
            };
            if let Some((_, site)) = sites.iter_mut().find(same) {
                site.hosts.push(place);
            } else {
                let manners = peer.map(manners).unwrap_or_default();
                sites.push((*peer, Site { hosts: vec![place], manners }));
            }
        }
        Ok(sites.into_iter().map(|(_, site)| site).collect())
    }
}

fn lookup(name: &str) -> Option<String> {
    name.parse::<Domain>().ok().map(|domain| domain.to_lookup())
}

fn peer_of_host<'a>(scenario: &'a Scenario, name: &str) -> Option<&'a Peer> {
    let is_it = |peer: &&Peer| peer.host.as_ref().is_some_and(|host| host.eq_ignore_ascii_case(name));
    scenario.peer.iter().find(is_it)
}

fn manners(peer: &Peer) -> Manners {
    let windows =
        |during: &Option<super::values::During>| during.as_ref().map(|during| during.value.0.clone());
    let refusal = peer.refuse.as_ref().map(|said| Refusal {
        occasion: match peer.refuse_at {
            RefuseAt::Greeting => Occasion::Greeting,
            RefuseAt::Recipient => Occasion::Recipient,
            RefuseAt::Content => Occasion::Content,
        },
        reply: said.value.0.clone(),
        during: windows(&peer.refuse_during).unwrap_or_else(|| vec![Window::ALWAYS]),
    });
    Manners {
        down: windows(&peer.down).unwrap_or_default(),
        greylist: peer.greylist.map(|Span(after)| after),
        rate: peer.limit.0,
        rate_reply: peer.limit_reply.as_ref().map(|said| said.value.0.clone()),
        messages_per_connection: peer.messages_per_connection,
        connections: peer.connections_max,
        refusal,
        full: windows(&peer.full).unwrap_or_default(),
        slow: peer.slow.0,
        without_tls: !peer.tls,
    }
}
