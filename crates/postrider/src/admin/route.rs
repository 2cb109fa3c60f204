//! Where mail to an address would go, and what decided it.

use std::{fmt::Write, sync::Arc};

use mail::{Address, ForwardPath};
use mta::{
    route::{self, Destination, MxDelivery, NextHost, RouteTls, Via, site::Site},
    transport_security::{self, Facts, StsFinder, dane},
};
use store::{StoreError, spool::LaneId, sts::KeptPolicy};

use super::{
    Admin, QueueHand,
    protocol::{AdminResponse, HostView, LimitsView, RouteView, StsView, WayView},
    sites,
};

pub async fn route(admin: &Admin, address: &str) -> Result<AdminResponse, StoreError> {
    let bare = address.trim().trim_start_matches('<').trim_end_matches('>');
    let Ok(address) = bare.parse::<Address>() else {
        return Ok(AdminResponse::error(format_args!("{bare:?} is not an address; write user@example.org")));
    };
    let Some(routing) = admin.config() else {
        return Ok(AdminResponse::error("no configuration says where mail goes"));
    };
    let path = ForwardPath::Address(address.clone());
    let destination = route::destination(&admin.stores.directory, &routing.routes, &path).await?;
    let (verdict, ways) = match destination {
        Destination::Ways { ways, foreign } => {
            let verdict = match (foreign, &ways[..]) {
                (true, _) if route::is_kept_for(&routing.routes, &address) => {
                    "relayed for anybody, as a backup MX does"
                }
                (true, _) => "relayed",
                (false, [only]) if &*only.lane.0 == route::LOCAL_LANE => "delivered here",
                (false, [only]) if only.address == address && route::pickup_domain(&only.lane).is_some() => {
                    "kept here until an account fetches it with ATRN"
                }
                (false, [only]) if only.address == address && &*only.lane.0 != route::LIST_LANE => {
                    "delivered through a gateway"
                }
                (false, _) => "led elsewhere by an alias",
            };
            (verdict, ways)
        }
        Destination::UnknownUser => ("refused: there is no such user here", Vec::new()),
        Destination::Expired => ("refused: a rewritten sender, too old for reports", Vec::new()),
        Destination::Loop => ("refused: its aliases lead in a circle", Vec::new()),
        Destination::NoRoute => ("refused: no route leads there", Vec::new()),
        Destination::Refused => ("refused: a route says so", Vec::new()),
    };
    let refused_by = ways.is_empty().then(|| rule(&routing, &address)).flatten();
    let mut views = Vec::with_capacity(ways.len());
    for way in ways {
        views.push(view(admin, &routing, &way.address, &way.lane).await);
    }
    Ok(AdminResponse::Route(RouteView {
        address: address.to_string(),
        verdict: verdict.to_owned(),
        rule: refused_by,
        ways: views,
    }))
}

async fn view(admin: &Admin, routing: &mta::Config, address: &Address, lane: &LaneId) -> WayView {
    let mut way = WayView {
        address: address.to_string(),
        lane: lane.0.to_string(),
        rule: None,
        tls: None,
        hosts: Vec::new(),
        proven: false,
        mta_sts: None,
        trouble: None,
        limits: None,
    };
    if *lane.0 == *route::LOCAL_LANE {
        return way;
    }
    if let Some(domain) = route::pickup_domain(lane) {
        way.rule = Some(format!("turn-domain {domain}"));
        return way;
    }
    way.rule = rule(routing, address);
    match route::choose(&routing.routes, address).map(|route| &route.via) {
        Some(Via::Smtp(host)) if host.socket().is_some() => {}
        Some(Via::Smtp(host)) => {
            way.tls = Some(tls_words(host.tls).to_owned());
            let domains = &[];
            let way_there = Way { proven: true, domains, sts: None };
            way.hosts.push(look_up(admin, routing, host, None, &way_there).await);
            way.limits = Some(limits(routing, &way, address, false));
        }
        Some(Via::Mx(delivery)) => by_mx(admin, routing, address, delivery, &mut way).await,
        _ => {}
    }
    way
}

async fn by_mx(
    admin: &Admin,
    routing: &mta::Config,
    address: &Address,
    delivery: &MxDelivery,
    way: &mut WayView,
) {
    way.tls = Some(tls_words(delivery.tls).to_owned());
    match Site::of(&*admin.world.dns, &routing.own, address).await {
        Ok(site) => {
            way.lane = site.lane().0.to_string();
            way.proven = site.secure;
            let domains = [domain_of(address)];
            let sts = sts_policy(admin, routing, &domains[0], delivery, way).await;
            let way_there = Way { proven: site.secure, domains: &domains, sts };
            for host in site.hosts() {
                let (name, port, tls) = (host.exchange.clone(), delivery.port, delivery.tls);
                let next = NextHost { host: name, port, tls, login: None, lmtp: false };
                way.hosts.push(look_up(admin, routing, &next, Some(host.preference), &way_there).await);
            }
            way.limits = Some(limits(routing, way, address, true));
        }
        Err(error) => way.trouble = Some(format!("{} {error}", error.status())),
    }
}

/// By the hosts, and by MX by the recipient's domain.
fn limits(routing: &mta::Config, way: &WayView, address: &Address, by_mx: bool) -> LimitsView {
    let hosts: Vec<&str> = way.hosts.iter().map(|host| &*host.host).collect();
    sites::limits(routing, routing.delivery.place(&hosts, &[address], by_mx))
}

/// How a host was found.
struct Way<'a> {
    /// The operator named it, or DNSSEC proves that it is the one.
    proven: bool,
    domains: &'a [String],
    sts: Option<Arc<KeptPolicy>>,
}

/// The policy in force, fetched if need be as for a delivery.
async fn sts_policy(
    admin: &Admin,
    routing: &mta::Config,
    domain: &str,
    delivery: &MxDelivery,
    way: &mut WayView,
) -> Option<Arc<KeptPolicy>> {
    if delivery.tls == RouteTls::None {
        return None;
    }
    let found = match &admin.queue {
        QueueHand::Running(mta) => mta.sts().find(routing, domain, delivery.private_addresses).await,
        QueueHand::Offline => {
            let finder = StsFinder::new(&admin.world, &admin.stores);
            finder.find(routing, domain, delivery.private_addresses).await
        }
    };
    let policy = match found {
        Ok(found) => found.policy,
        Err(error) => {
            way.trouble = Some(format!("the MTA-STS policies that are kept cannot be read: {error}"));
            None
        }
    };
    way.mta_sts = policy.as_deref().map(|kept| StsView {
        domain: kept.domain.clone(),
        id: kept.id.clone(),
        mode: kept.policy.mode.to_string(),
        hosts: kept.policy.hosts.iter().map(ToString::to_string).collect(),
        fetched_at: kept.fetched_at.to_string(),
        expires_at: kept.expires_at().to_string(),
    });
    policy
}

fn domain_of(address: &Address) -> String {
    address.domain().map(mail::Domain::to_lookup).unwrap_or_default()
}

async fn look_up(
    admin: &Admin,
    routing: &mta::Config,
    host: &NextHost,
    preference: Option<u16>,
    way: &Way<'_>,
) -> HostView {
    let mut view = HostView {
        host: host.host.clone(),
        preference,
        port: host.port,
        addresses: Vec::new(),
        policy: None,
        trouble: None,
    };
    match admin.world.dns.addresses(&host.host).await {
        Ok(answer) => {
            let dns = &*admin.world.dns;
            let dane = dane::find(dns, routing.transport, host, &answer, (way.proven, false)).await;
            let facts = Facts {
                host: &host.host,
                route: host.tls,
                require_tls: false,
                waived: false,
                dane: &dane,
                sts: way.sts.as_ref(),
                domains: way.domains,
            };
            view.addresses = answer.records.iter().map(ToString::to_string).collect();
            view.policy = Some(match transport_security::foretell(&facts) {
                Ok(policy) => policy,
                Err(reason) => format!("no mail goes there: {reason}"),
            });
        }
        Err(error) => view.trouble = Some(error.to_string()),
    }
    view
}

/// The route that decides, as the configuration counts it.
fn rule(routing: &mta::Config, address: &Address) -> Option<String> {
    let at = routing.routes.iter().position(|route| route.recipient.matches(address))?;
    let mut text = String::new();
    // The last one is there whatever the configuration says.
    if at + 1 == routing.routes.len() {
        text.push_str("no [[route]] matches: by MX");
    } else if let Some(route) = routing.routes.get(at) {
        let _ = write!(text, "[[route]] number {}, via {}", at + 1, via_word(&route.via));
    }
    Some(text)
}

fn via_word(via: &Via) -> &'static str {
    match via {
        Via::Mx(_) => "mx",
        Via::Smtp(host) if host.lmtp => "lmtp",
        Via::Smtp(_) => "smtp",
        Via::Pipe(_) => "pipe",
        Via::Maildir(_) => "maildir",
        Via::Http(_) => "http",
        Via::Capture(_) => "capture",
        Via::Hold => "hold",
        Via::Discard => "discard",
        Via::Reject => "reject",
    }
}

fn tls_words(tls: RouteTls) -> &'static str {
    match tls {
        RouteTls::None => "none",
        RouteTls::Opportunistic => "opportunistic: taken if offered, whatever the certificate",
        RouteTls::Required => "required, with a certificate that verifies",
        RouteTls::Dane => "required, with a key that DNSSEC proves (DANE)",
    }
}
