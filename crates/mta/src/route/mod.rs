//! Which way an address goes: the directory's own addresses to their mailboxes, others by the first route that matches.

pub mod gateway;
pub mod limits;
mod pattern;
pub mod site;
pub mod template;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::{Address, Delivery, Domain, ForwardPath, Host};
use store::{
    Directory, StoreError,
    directory::{Resolution, Target},
    spool::LaneId,
};

use gateway::{Capture, Maildir, Pipe, Webhook};
pub use pattern::RecipientPattern;

/// The lane of final delivery on this machine.
pub const LOCAL_LANE: &str = "local";
/// How the lanes of domains begin whose site is not known yet.
pub const DOMAIN_LANE: &str = "domain:";
/// The lane of mailing lists and their commands.
pub const LIST_LANE: &str = "list";
/// How the lanes begin that their customers fetch.
const PICKUP_LANES: &str = "odmr:";

/// The lane to the terminals of this machine, one for each verb; none for MAIL.
pub fn live_lane(delivery: Delivery) -> Option<LaneId> {
    let verb = Delivery::LIVE.contains(&delivery).then(|| delivery.verb().to_ascii_lowercase());
    verb.map(|verb| LaneId(format!("terminal:{verb}").into()))
}

/// The verb that a lane serves.
pub fn delivery_of(lane: &LaneId) -> Delivery {
    let found = Delivery::LIVE.into_iter().find(|delivery| live_lane(*delivery).as_ref() == Some(lane));
    found.unwrap_or_default()
}
/// How the lanes of single hosts begin.
const SMTP_LANES: &str = "smtp:";
const LMTP_LANES: &str = "lmtp:";
/// How the lanes of hosts begin that MX records name.
const MX_LANES: &str = "mx:";

/// Recipients that one queue entry holds at most.
const ENTRY_RECIPIENTS_MAX: usize = 1000;

/// One `[[route]]`.
#[derive(Clone, Debug)]
pub struct Route {
    pub recipient: RecipientPattern,
    pub via: Via,
}

#[derive(Clone, Debug)]
pub enum Via {
    /// To the hosts that the domain name system names for the recipient's domain.
    Mx(Arc<MxDelivery>),
    /// To one host, by SMTP or LMTP.
    Smtp(Arc<NextHost>),
    Pipe(Arc<Pipe>),
    Maildir(Arc<Maildir>),
    Http(Arc<Webhook>),
    Capture(Arc<Capture>),
    /// Accepted, kept on hold until an operator releases or reroutes it.
    Hold,
    /// Accepted and thrown away, with a word in the history.
    Discard,
    /// Refused at RCPT.
    Reject,
}

/// How the hosts of [`Via::Mx`] are talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MxDelivery {
    /// 25, but for tests.
    pub port: u16,
    pub tls: RouteTls,
    /// Hosts may have loopback, link-local and private addresses. The domain name system is not ours: without this, what it
    /// says leads nobody into our own networks.
    pub private_addresses: bool,
    /// Their mail is taken from anybody: this host is one of them, and keeps it while better ones are away.
    pub backup: bool,
}

/// A fixed next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHost {
    /// A name or an address; for LMTP also `unix:/path`.
    pub host: String,
    pub port: u16,
    pub tls: RouteTls,
    pub login: Option<Login>,
    /// RFC 2033: it delivers, and says so for each recipient.
    pub lmtp: bool,
}

impl NextHost {
    /// The Unix socket, if it is one.
    pub fn socket(&self) -> Option<&Path> {
        self.host.strip_prefix("unix:").map(Path::new)
    }

    pub fn lane(&self) -> LaneId {
        let protocol = if self.lmtp { LMTP_LANES } else { SMTP_LANES };
        LaneId(match self.socket() {
            Some(_) => format!("{protocol}{}", self.host).into(),
            None => format!("{protocol}{}:{}", self.host.to_ascii_lowercase(), self.port).into(),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTls {
    None,
    /// TLS if offered, whatever the certificate (RFC 7435).
    Opportunistic,
    /// TLS with a certificate that verifies, or no delivery.
    Required,
    /// TLS with a key that DNSSEC proves (RFC 7672), or no delivery.
    Dane,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    /// Read at each use, so that a changed secret needs no restart.
    pub password_file: PathBuf,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.username)
    }
}

impl Via {
    /// The lane that entries to this address wait in. By MX it is one for the domain, until the site is known
    /// ([`site::Site::lane`]).
    pub fn lane(&self, address: &Address) -> LaneId {
        match self {
            Self::Mx(_) => LaneId(format!("{DOMAIN_LANE}{}", domain_text(address)).into()),
            Self::Smtp(smarthost) => smarthost.lane(),
            Self::Pipe(pipe) => pipe.lane(),
            Self::Maildir(maildir) => maildir.lane(),
            Self::Http(webhook) => webhook.lane(),
            Self::Capture(capture) => capture.lane(),
            Self::Hold => LaneId("hold".into()),
            Self::Discard => LaneId("discard".into()),
            Self::Reject => LaneId("reject".into()),
        }
    }
}

/// Recipients that an entry of this lane holds at most: where each is delivered to apart, each settles in its own time.
pub(crate) fn recipients_max(lane: &LaneId) -> usize {
    if *lane.0 == *LIST_LANE || gateway::is_gateway(lane) { 1 } else { ENTRY_RECIPIENTS_MAX }
}

pub(crate) fn domain_text(address: &Address) -> String {
    match address.host() {
        Host::Domain(domain) => domain.to_lookup(),
        literal => literal.to_string(),
    }
}

/// Where an address leads.
#[derive(Clone, Debug)]
pub enum Destination {
    /// `foreign`: the address itself is not ours, so that taking it is relaying (an alias may still lead abroad).
    Ways {
        ways: Vec<Way>,
        foreign: bool,
    },
    UnknownUser,
    /// A sender that we rewrote, too long ago for a report to come back to.
    Expired,
    /// Aliases lead in a circle.
    Loop,
    /// No route leads there.
    NoRoute,
    /// A route says to refuse it.
    Refused,
}

/// One address to deliver to and the lane it travels in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub address: Address,
    pub lane: LaneId,
    pub held: bool,
    /// An alias leads it abroad, so that it goes on under a sender of ours.
    pub forwarded: bool,
}

/// Follows a forward-path through the directory and the routes.
pub async fn destination(
    directory: &Directory,
    routes: &[Route],
    path: &ForwardPath,
) -> Result<Destination, StoreError> {
    let resolution = match path {
        ForwardPath::Postmaster => directory.resolve_postmaster().await?,
        ForwardPath::Address(address) => directory.resolve(address).await?,
    };
    Ok(match (resolution, path) {
        (Resolution::UnknownUser, _) | (Resolution::NotHosted, ForwardPath::Postmaster) => {
            Destination::UnknownUser
        }
        (Resolution::Loop, _) => Destination::Loop,
        (Resolution::NotHosted, ForwardPath::Address(address)) => {
            match foreign_way(directory, routes, address).await? {
                // Whoever fetches its mail here wants it taken from anybody, as the operator does whose gateway it is.
                Ok(way) => {
                    let is_ours = is_pickup(&way.lane) || ends_here(&way.lane);
                    Destination::Ways { ways: vec![way], foreign: !is_ours }
                }
                Err(refusal) => refusal,
            }
        }
        (Resolution::Targets(targets), _) => {
            let mut ways = Vec::with_capacity(targets.len());
            for target in targets {
                match target {
                    Target::Account(account) => ways.push(local_way(account.address)),
                    // Fails at delivery, so that the sender hears of it and the others get theirs.
                    Target::Unknown(address) => ways.push(local_way(address)),
                    Target::List(list) => ways.push(list_way(list.address)),
                    Target::Foreign(address) => match foreign_way(directory, routes, &address).await? {
                        Ok(way) => ways.push(Way { forwarded: !ends_here(&way.lane), ..way }),
                        Err(refusal) => return Ok(refusal),
                    },
                }
            }
            Destination::Ways { ways, foreign: false }
        }
    })
}

pub(crate) fn local_way(address: Address) -> Way {
    Way { address, lane: LaneId(LOCAL_LANE.into()), held: false, forwarded: false }
}

pub(crate) fn list_way(address: Address) -> Way {
    Way { address, lane: LaneId(LIST_LANE.into()), held: false, forwarded: false }
}

/// To whoever fetches the domain's mail, else by the first route that matches.
async fn foreign_way(
    directory: &Directory,
    routes: &[Route],
    address: &Address,
) -> Result<Result<Way, Destination>, StoreError> {
    if let Some(domain) = address.domain()
        && directory.turn_domain(domain).await?.is_some()
    {
        let (address, lane) = (address.clone(), pickup_lane(domain));
        return Ok(Ok(Way { address, lane, held: false, forwarded: false }));
    }
    Ok(match choose(routes, address).map(|route| &route.via) {
        None => Err(Destination::NoRoute),
        Some(Via::Reject) => Err(Destination::Refused),
        Some(via) => {
            let held = matches!(via, Via::Hold);
            Ok(Way { address: address.clone(), lane: via.lane(address), held, forwarded: false })
        }
    })
}

/// Where mail for this domain waits to be fetched with ATRN.
pub fn pickup_lane(domain: &Domain) -> LaneId {
    LaneId(format!("{PICKUP_LANES}{}", domain.to_lookup()).into())
}

/// The domain whose mail waits in this lane to be fetched; none if it is another lane.
pub fn pickup_domain(lane: &LaneId) -> Option<&str> {
    lane.0.strip_prefix(PICKUP_LANES)
}

pub(crate) fn is_pickup(lane: &LaneId) -> bool {
    pickup_domain(lane).is_some()
}

/// Hosts that we connect to, or a domain whose hosts are looked for.
pub fn leads_to_hosts(lane: &LaneId) -> bool {
    is_site(lane) || lane.0.starts_with(DOMAIN_LANE)
}

/// Hosts that we connect to.
pub(crate) fn is_site(lane: &LaneId) -> bool {
    [MX_LANES, SMTP_LANES, LMTP_LANES].iter().any(|beginning| lane.0.starts_with(beginning))
}

/// The operator made what this lane leads to the mail's last stop, so that taking it from anybody is not relaying.
fn ends_here(lane: &LaneId) -> bool {
    gateway::is_gateway(lane) || lane.0.starts_with(LMTP_LANES)
}

/// This host keeps mail for the address while better hosts are away (RFC 5321 §5.1), whoever brings it.
pub fn is_kept_for(routes: &[Route], address: &Address) -> bool {
    let route = choose(routes, address);
    route.is_some_and(|route| matches!(&route.via, Via::Mx(delivery) if delivery.backup))
}

/// The host that a lane of one host leads to: as its route says, else with TLS if offered and no login. None for other
/// lanes.
pub fn host_of(routes: &[Route], lane: &LaneId) -> Option<NextHost> {
    let routed = routes.iter().find_map(|route| match &route.via {
        Via::Smtp(host) if host.lane() == *lane => Some(NextHost::clone(host)),
        _ => None,
    });
    routed.or_else(|| {
        let (rest, lmtp) = match lane.0.strip_prefix(SMTP_LANES) {
            Some(rest) => (rest, false),
            None => (lane.0.strip_prefix(LMTP_LANES)?, true),
        };
        let (host, port) = if rest.starts_with("unix:/") {
            (rest, 0)
        } else {
            let (host, port) = rest.rsplit_once(':')?;
            (host, port.parse().ok().filter(|port| *port > 0)?)
        };
        let is_host =
            !host.is_empty() && !host.contains(|letter: char| letter.is_whitespace() || letter.is_control());
        is_host.then(|| NextHost {
            host: host.to_owned(),
            port,
            tls: if lmtp { RouteTls::None } else { RouteTls::Opportunistic },
            login: None,
            lmtp,
        })
    })
}

/// The first route that matches.
pub fn choose<'a>(routes: &'a [Route], address: &Address) -> Option<&'a Route> {
    routes.iter().find(|route| route.recipient.matches(address))
}
