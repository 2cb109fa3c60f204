use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use store::memory::Chance;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use world::{BoxStream, ListenAddress, Listener, Peer};

use super::{
    Life, LinkRecord, between,
    link::{End, Link},
    lock,
};

/// How often a host knocks again that hears nothing, and how often in all.
const KNOCK_INTERVAL: Duration = Duration::from_secs(3);
const KNOCKS_MAX: u32 = 40;
/// Octets after which a connection that is to break does so at the latest.
const BREAK_WITHIN: u64 = 6000;

/// Hosts and what lies between them.
#[derive(Clone, Debug)]
pub struct Internet(Arc<Mutex<State>>);

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Of one way, at least and at most.
    pub delay: (Duration, Duration),
    /// A connection breaks after a random number of octets once in so many; 0 is never.
    pub break_one_in: u32,
}

#[derive(Debug)]
struct State {
    chance: Chance,
    weather: Weather,
    listeners: BTreeMap<SocketAddr, Place>,
    /// Pairs of hosts that do not reach each other; the lower address first.
    apart: BTreeSet<(IpAddr, IpAddr)>,
    links: Vec<Arc<Link>>,
    next_port: u16,
}

#[derive(Debug)]
struct Place {
    life: Arc<Life>,
    arrivals: UnboundedSender<(End, Peer)>,
}

impl Weather {
    pub fn fine() -> Self {
        Self { delay: (Duration::from_millis(1), Duration::from_millis(40)), break_one_in: 0 }
    }
}

impl Internet {
    pub(super) fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(State {
            chance,
            weather: Weather::fine(),
            listeners: BTreeMap::new(),
            apart: BTreeSet::new(),
            links: Vec::new(),
            next_port: 0,
        })))
    }

    pub(super) fn of_host(&self, ip: IpAddr, life: Arc<Life>) -> HostNet {
        HostNet { internet: self.clone(), ip, life }
    }

    pub fn set_weather(&self, weather: Weather) {
        self.state().weather = weather;
    }

    pub fn weather(&self) -> Weather {
        self.state().weather
    }

    /// From now on nothing passes between the two.
    pub fn part(&self, a: IpAddr, b: IpAddr) {
        let mut state = self.state();
        state.apart.insert(pair(a, b));
        state.links_between(a, b).for_each(|link| link.stall());
    }

    pub fn rejoin(&self, a: IpAddr, b: IpAddr) {
        let mut state = self.state();
        state.apart.remove(&pair(a, b));
        state.links_between(a, b).for_each(|link| link.resume());
    }

    /// Everybody reaches everybody.
    pub fn rejoin_all(&self) {
        let mut state = self.state();
        state.apart.clear();
        state.links.iter().for_each(|link| link.resume());
    }

    /// Breaks every open connection of this host.
    pub fn break_links(&self, ip: IpAddr) {
        let state = self.state();
        state
            .links
            .iter()
            .filter(|link| link.ends.contains(&ip) && link.is_open())
            .for_each(|link| link.break_now());
    }

    /// The process is gone, and the system closes what it had open.
    pub fn process_ended(&self, life: &Arc<Life>) {
        let mut state = self.state();
        state.listeners.retain(|_, place| !Arc::ptr_eq(&place.life, life));
        let is_its =
            |link: &&Arc<Link>| link.lives.iter().any(|end| Arc::ptr_eq(end, life)) && link.is_open();
        state.links.iter().filter(is_its).for_each(|link| link.break_now());
    }

    /// Every connection there was.
    pub fn records(&self) -> Vec<LinkRecord> {
        self.state().links.iter().map(|link| link.record()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

fn pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    (a.min(b), a.max(b))
}

impl State {
    fn links_between(&self, a: IpAddr, b: IpAddr) -> impl Iterator<Item = &Arc<Link>> {
        self.links.iter().filter(move |link| pair(link.ends[0], link.ends[1]) == pair(a, b) && link.is_open())
    }

    fn port(&mut self) -> u16 {
        self.next_port = (self.next_port + 1) % 20_000;
        40_000 + self.next_port
    }

    fn one_way(&mut self) -> Duration {
        let (least, most) = self.weather.delay;
        between(&mut self.chance, least, most)
    }

    fn connect(
        &mut self,
        ends: [IpAddr; 2],
        life: Arc<Life>,
        to: SocketAddr,
        source: IpAddr,
    ) -> io::Result<End> {
        let remote = SocketAddr::new(source, self.port());
        let breaks = self.chance.one_in(self.weather.break_one_in);
        let limit = Some(1 + self.chance.below(BREAK_WITHIN));
        let break_at = match (breaks, self.chance.below(2)) {
            (false, _) => [None, None],
            (true, 0) => [limit, None],
            (true, _) => [None, limit.map(|limit| 1 + limit % 700)],
        };
        let seed = self.chance.draw();
        let Some(place) = self.listeners.get(&to).filter(|place| !place.life.is_dead()) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let link = Link::new(ends, [life, place.life.clone()], seed, self.weather.delay, break_at);
        let [ours, theirs] = End::both(&link);
        let arrived = place.arrivals.send((theirs, Peer::Tcp { remote, local: to }));
        arrived.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        self.links.push(link);
        Ok(ours)
    }
}

/// The network as one process sees it.
pub(super) struct HostNet {
    internet: Internet,
    ip: IpAddr,
    life: Arc<Life>,
}

impl HostNet {
    /// Loopback addresses of a host are its own alone.
    fn place(&self, to: SocketAddr) -> IpAddr {
        if to.ip().is_loopback() { self.ip } else { to.ip() }
    }

    async fn dial(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<BoxStream> {
        let (there, ours) = (self.place(to), source.unwrap_or(self.ip));
        let bound = SocketAddr::new(there, to.port());
        let mut knocks = 0;
        loop {
            let delay = self.internet.state().one_way();
            tokio::time::sleep(delay).await;
            if !self.internet.state().apart.contains(&pair(self.ip, there)) {
                break;
            }
            knocks += 1;
            if knocks > KNOCKS_MAX {
                return Err(io::ErrorKind::TimedOut.into());
            }
            tokio::time::sleep(KNOCK_INTERVAL).await;
        }
        let source = if to.ip().is_loopback() { to.ip() } else { ours };
        let connected = self.internet.state().connect([self.ip, there], self.life.clone(), bound, source);
        let back = self.internet.state().one_way();
        tokio::time::sleep(back).await;
        Ok(Box::new(connected?))
    }
}

#[async_trait::async_trait]
impl world::Net for HostNet {
    async fn listen(&self, address: &ListenAddress) -> io::Result<Box<dyn Listener>> {
        let ListenAddress::Tcp(address) = *address else { return Err(io::ErrorKind::Unsupported.into()) };
        let place = SocketAddr::new(self.place(address), address.port());
        let (arrivals, queue) = unbounded_channel();
        let mut state = self.internet.state();
        if state.listeners.contains_key(&place) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        state.listeners.insert(place, Place { life: self.life.clone(), arrivals });
        drop(state);
        let (internet, life) = (self.internet.clone(), self.life.clone());
        Ok(Box::new(SimListener { internet, life, place, queue: tokio::sync::Mutex::new(queue) }))
    }

    async fn connect(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<BoxStream> {
        self.life.guard(self.dial(to, source)).await
    }

    async fn connect_unix(&self, _: &Path) -> io::Result<BoxStream> {
        Err(io::ErrorKind::NotFound.into())
    }
}

struct SimListener {
    internet: Internet,
    life: Arc<Life>,
    place: SocketAddr,
    queue: tokio::sync::Mutex<UnboundedReceiver<(End, Peer)>>,
}

#[async_trait::async_trait]
impl Listener for SimListener {
    async fn accept(&self) -> io::Result<(BoxStream, Peer)> {
        let arrived = self.life.guard(async { self.queue.lock().await.recv().await }).await;
        let (end, peer) = arrived.ok_or(io::ErrorKind::NotConnected)?;
        Ok((Box::new(end), peer))
    }

    fn local(&self) -> ListenAddress {
        ListenAddress::Tcp(self.place)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if !self.life.is_dead() {
            self.internet.state().listeners.remove(&self.place);
        }
    }
}
