//! Where mail to an address would go, and what decided it.

use std::fmt::Write;

use mail::{Address, ForwardPath};
use mta::route::{self, Destination, MxDelivery, RouteTls, Via, site::Site};
use store::{StoreError, spool::LaneId};

use super::{
    Admin,
    protocol::{AdminResponse, HostView, LimitsView, RouteView, WayView},
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
            way.hosts.push(look_up(admin, &host.host, None, host.port).await);
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
            for host in site.hosts() {
                way.hosts.push(look_up(admin, &host.exchange, Some(host.preference), delivery.port).await);
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

async fn look_up(admin: &Admin, host: &str, preference: Option<u16>, port: u16) -> HostView {
    let found = admin.world.dns.addresses(host).await;
    let (addresses, trouble) = match found {
        Ok(answer) => (answer.records.iter().map(ToString::to_string).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    HostView { host: host.to_owned(), preference, port, addresses, trouble }
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
