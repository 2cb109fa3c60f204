//! A stage for one server: the hosts that it sends to, whose manners change with time, and name servers that fail.
//! The server itself is brought along; what it gets is a [`World`], an empty disk, and certificates to trust.

mod host;
mod manners;
mod session;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use store::{
    PasswordCost, Stores,
    memory::{Chance, CrashModel, MemoryEngine},
};
use world::{
    World,
    tls::{Certificate, ClientTrust, Identity, Keyring, Keys, ListenerTls, ServerTls, TlsError},
};

use crate::world::{Disk, DnsWeather, Life, LinkRecord, Outside, WallClock};
use host::Host;
use manners::Mind;
pub use manners::{Manners, Occasion, Refusal, Window};

/// What there is outside, and when it fails.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub sites: Vec<Site>,
    /// The hosts that MX records name, best first, by domain.
    pub mx: BTreeMap<String, Vec<String>>,
    pub outages: Vec<Outage>,
}

/// Hosts that share their manners, and what they remember of callers.
#[derive(Clone, Debug)]
pub struct Site {
    pub hosts: Vec<Place>,
    pub manners: Manners,
}

/// Where a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    /// A loopback address: it is on the machine of the server.
    pub ip: IpAddr,
    pub ports: BTreeSet<u16>,
}

/// Name servers that give no answers.
#[derive(Clone, Debug)]
pub struct Outage {
    /// None: all of them.
    pub domain: Option<String>,
    /// Else they fail.
    pub silent: bool,
    pub window: Window,
}

/// Connections from the server to one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    pub host: String,
    pub in_all: usize,
    /// At any moment.
    pub most: usize,
}

/// The server's own address.
pub const SERVER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Where strangers call from.
const STRANGER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254));

/// A run that has begun.
pub struct Stage {
    outside: Outside,
    wall: Arc<WallClock>,
    life: Arc<Life>,
    chance: Mutex<Chance>,
    roots_pem: String,
    places: Vec<Place>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Stage {
    /// Call on a runtime whose clock is paused ([`crate::world::runtime`]), which plays all of it.
    pub fn set(seed: u64, script: &Script) -> Result<Self, TlsError> {
        let mut chance = Chance::new(seed);
        let outside = Outside::new(chance.draw());
        let places: Vec<_> = script.sites.iter().flat_map(|site| site.hosts.iter().cloned()).collect();
        let names = places.iter().map(|place| place.name.clone());
        let identity = Identity::self_signed(names.collect())?;
        let stage = Self {
            wall: outside.wall_clock(),
            life: Arc::default(),
            chance: Mutex::new(chance),
            roots_pem: identity.certificate_pem.clone(),
            outside,
            places,
        };
        for (domain, hosts) in &script.mx {
            stage.outside.names.set_mx(domain, hosts);
        }
        stage.open_sites(&script.sites, &identity)?;
        stage.schedule_outages(&script.outages);
        Ok(stage)
    }

    /// Of one process on the server's machine.
    pub fn world(&self) -> World {
        self.world_of(SERVER_IP)
    }

    /// Of somebody else who calls the server.
    pub fn stranger(&self) -> World {
        self.world_of(STRANGER_IP)
    }

    /// The server's disk.
    pub fn stores(&self) -> Stores {
        let engine = Arc::new(MemoryEngine::with_crash_model(CrashModel::calm(self.draw())));
        let disk = Disk::new(engine, self.life.clone(), self.draw());
        Stores::with_password_cost(Arc::new(disk), PasswordCost::least_with_scram())
    }

    /// What vouches for the hosts' certificates.
    pub fn roots_pem(&self) -> &str {
        &self.roots_pem
    }

    /// Makes the server itself findable, as MX records may name it.
    pub fn name_server(&self, hostname: &str) {
        self.outside.names.set_address(&hostname.to_ascii_lowercase(), SERVER_IP);
    }

    /// Since the run began.
    pub fn elapsed(&self) -> Duration {
        self.outside.elapsed()
    }

    /// To each host that was called, but for those on the server's own machine.
    pub fn connections(&self) -> Vec<Connections> {
        let records = self.outside.internet.records();
        let to = |place: &Place| {
            let calls: Vec<_> =
                records.iter().filter(|link| link.from == SERVER_IP && link.to == place.ip).collect();
            let (host, in_all) = (place.name.clone(), calls.len());
            (in_all > 0).then(|| Connections { host, in_all, most: most_at_once(&calls) })
        };
        self.places.iter().filter_map(to).collect()
    }

    fn world_of(&self, ip: IpAddr) -> World {
        self.outside.world(ip, &self.life, &self.wall, self.draw())
    }

    fn draw(&self) -> u64 {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).draw()
    }

    fn open_sites(&self, sites: &[Site], identity: &Identity) -> Result<(), TlsError> {
        let certificate = Certificate::new(identity, &[])?;
        let keyring = Keyring::new(Keys::new(&certificate, &[], ClientTrust::default()));
        let tls = ServerTls::new(&keyring, ListenerTls { protocols: &[], asks_certificate: false })?;
        let start = tokio::time::Instant::now();
        for site in sites {
            let mind = Arc::new(Mind::new(site.manners.clone()));
            for place in &site.hosts {
                let here = place.ip.is_loopback();
                if !here {
                    self.outside.names.set_address(&place.name.to_ascii_lowercase(), place.ip);
                    self.schedule_absences(place.ip, &site.manners.down);
                }
                let host = Host::new(&place.name, mind.clone(), &tls, start);
                let ip = if here { SERVER_IP } else { place.ip };
                for port in &place.ports {
                    let closed = if here { site.manners.down.clone() } else { Vec::new() };
                    tokio::spawn(host.clone().serve(self.world_of(ip), ip, *port, closed));
                }
            }
        }
        Ok(())
    }

    /// Nothing comes from there and nothing gets there.
    fn schedule_absences(&self, ip: IpAddr, down: &[Window]) {
        let (internet, windows) = (self.outside.internet.clone(), down.to_vec());
        at_each_end(down, move |now| {
            if windows.iter().any(|window| window.contains(now)) {
                internet.part(SERVER_IP, ip);
            } else {
                internet.rejoin(SERVER_IP, ip);
            }
        });
    }

    fn schedule_outages(&self, outages: &[Outage]) {
        let mut by_domain = BTreeMap::<_, Vec<Outage>>::new();
        for outage in outages {
            by_domain.entry(outage.domain.clone()).or_default().push(outage.clone());
        }
        for (domain, outages) in by_domain {
            let windows: Vec<Window> = outages.iter().map(|outage| outage.window).collect();
            let names = self.outside.names.clone();
            at_each_end(&windows, move |now| {
                let weather = match outages.iter().find(|outage| outage.window.contains(now)) {
                    None => DnsWeather::Fine,
                    Some(outage) if outage.silent => DnsWeather::Silent,
                    Some(_) => DnsWeather::Failing,
                };
                match &domain {
                    Some(domain) => names.set_weather_of(domain, weather),
                    None => names.set_weather(weather),
                }
            });
        }
    }
}

/// Calls it with the time whenever a window begins or ends. Call this at the start of a run: what begins with the run has
/// begun before anybody does something.
fn at_each_end(windows: &[Window], set: impl Fn(Duration) + Send + 'static) {
    let start = tokio::time::Instant::now();
    let ends: BTreeSet<Duration> = windows.iter().flat_map(|window| [window.from, window.to]).collect();
    if ends.first().is_some_and(Duration::is_zero) {
        set(Duration::ZERO);
    }
    tokio::spawn(async move {
        for end in ends {
            // Some windows have no end.
            let Some(at) = start.checked_add(end) else { return };
            tokio::time::sleep_until(at).await;
            set(end);
        }
    });
}

fn most_at_once(links: &[&LinkRecord]) -> usize {
    let open_at =
        |at| links.iter().filter(|link| link.opened <= at && link.ended.is_none_or(|end| at < end)).count();
    links.iter().map(|link| open_at(link.opened)).max().unwrap_or_default()
}
