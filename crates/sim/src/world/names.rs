use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use store::memory::Chance;
use world::{
    Dns, DnsError,
    dns::{Answer, Mx, Tlsa, literal},
};

use super::{Life, between, lock};

const LEAST: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_millis(60);
/// What a resolver waits for its servers.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the name servers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsWeather {
    #[default]
    Fine,
    /// They do not answer.
    Silent,
    /// SERVFAIL
    Failing,
}

/// The domain name system.
#[derive(Clone, Debug)]
pub struct Names(Arc<Mutex<Records>>);

#[derive(Debug)]
struct Records {
    chance: Chance,
    weather: DnsWeather,
    /// Of these domains and what is below them.
    weather_of: BTreeMap<String, DnsWeather>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
    mx: BTreeMap<String, Vec<Mx>>,
}

impl Names {
    pub(super) fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(Records {
            chance,
            weather: DnsWeather::Fine,
            weather_of: BTreeMap::new(),
            addresses: BTreeMap::new(),
            mx: BTreeMap::new(),
        })))
    }

    pub fn set_weather(&self, weather: DnsWeather) {
        lock(&self.0).weather = weather;
    }

    /// Of the servers of one domain.
    pub fn set_weather_of(&self, domain: &str, weather: DnsWeather) {
        lock(&self.0).weather_of.insert(domain.to_ascii_lowercase(), weather);
    }

    pub fn set_address(&self, host: &str, ip: IpAddr) {
        lock(&self.0).addresses.insert(host.to_owned(), vec![ip]);
    }

    /// The hosts by preference, best first.
    pub fn set_mx(&self, domain: &str, hosts: &[String]) {
        let records = hosts.iter().zip(1_u16..);
        let records = records.map(|(host, rank)| Mx { preference: 10 * rank, exchange: host.clone() });
        lock(&self.0).mx.insert(domain.to_owned(), records.collect());
    }

    pub(super) fn of_process(&self, life: Arc<Life>) -> Resolver {
        Resolver { names: self.clone(), life }
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: &'static str,
        find: impl Fn(&Records, &str) -> Option<Vec<T>>,
    ) -> Result<Answer<T>, DnsError> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let (weather, delay) = {
            let mut records = lock(&self.0);
            (records.weather_at(&name), between(&mut records.chance, LEAST, MOST))
        };
        tokio::time::sleep(if weather == DnsWeather::Silent { TIMEOUT } else { delay }).await;
        let temporary = |reason: &str| DnsError::Temporary { name: name.clone(), reason: reason.to_owned() };
        match weather {
            DnsWeather::Fine => {}
            DnsWeather::Silent => return Err(temporary("no name server answers")),
            DnsWeather::Failing => return Err(temporary("the name server failed (SERVFAIL)")),
        }
        let records = lock(&self.0);
        let found = find(&records, &name);
        let exists = records.addresses.contains_key(&name) || records.mx.contains_key(&name);
        drop(records);
        match found {
            Some(records) => Ok(Answer::insecure(records)),
            None if exists => Err(DnsError::NoRecords { name, kind, secure: false }),
            None => Err(DnsError::NoName { name, secure: false }),
        }
    }
}

impl Records {
    fn weather_at(&self, name: &str) -> DnsWeather {
        let is_below = |domain: &str| {
            name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let mut own =
            self.weather_of.iter().filter(|(domain, _)| is_below(domain)).map(|(_, weather)| *weather);
        own.find(|weather| *weather != DnsWeather::Fine).unwrap_or(self.weather)
    }
}

pub(super) struct Resolver {
    names: Names,
    life: Arc<Life>,
}

#[async_trait::async_trait]
impl Dns for Resolver {
    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, DnsError> {
        if let Some(ip) = literal(host) {
            return Ok(Answer::insecure(vec![ip]));
        }
        let find = |records: &Records, name: &str| records.addresses.get(name).cloned();
        self.life.guard(self.names.ask(host, "address", find)).await
    }

    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, DnsError> {
        let find = |records: &Records, name: &str| records.mx.get(name).cloned();
        self.life.guard(self.names.ask(domain, "MX", find)).await
    }

    async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, DnsError> {
        self.life.guard(self.names.ask(name, "TXT", |_, _| None)).await
    }

    async fn tlsa(&self, name: &str) -> Result<Answer<Tlsa>, DnsError> {
        self.life.guard(self.names.ask(name, "TLSA", |_, _| None)).await
    }

    async fn pointers(&self, ip: IpAddr) -> Result<Answer<String>, DnsError> {
        self.life.guard(self.names.ask(&ip.to_string(), "PTR", |_, _| None)).await
    }
}
