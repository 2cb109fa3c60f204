//! A domain name system that says what a test wants.

use std::{collections::HashMap, net::IpAddr, sync::Mutex};

use world::{
    Dns, DnsError,
    dns::{Answer, Mx, Tlsa},
};

/// What is said of names; of others that they do not exist.
#[derive(Debug, Default)]
pub(crate) struct Names {
    addresses: HashMap<String, Vec<IpAddr>>,
    mx: HashMap<String, Vec<Mx>>,
    broken: Vec<String>,
    silent: Vec<String>,
    secure: bool,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// `name A address …`, `name MX preference exchange …`, `name FAILS`, `name IS SILENT`; a line each.
    pub(crate) fn new(zone: &str) -> Self {
        let mut names = Self::default();
        for line in zone.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                [name, "A", ref addresses @ ..] => {
                    let addresses = addresses.iter().map(|address| address.parse().unwrap());
                    names.addresses.insert(name.to_owned(), addresses.collect());
                }
                [name, "MX", ref hosts @ ..] => {
                    let hosts = hosts.chunks(2).map(|host| Mx {
                        preference: host[0].parse().unwrap(),
                        exchange: host[1].trim_end_matches('.').to_owned(),
                    });
                    names.mx.insert(name.to_owned(), hosts.collect());
                }
                [name, "IS", "SILENT"] => names.silent.push(name.to_owned()),
                [name, "FAILS"] => names.broken.push(name.to_owned()),
                _ => panic!("no record: {line}"),
            }
        }
        names
    }

    pub(crate) fn secure(self) -> Self {
        Self { secure: true, ..self }
    }

    /// `MX name`, `A name`, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn answer<T: Clone>(
        &self,
        kind: &'static str,
        name: &str,
        found: Option<&Vec<T>>,
    ) -> Result<Answer<T>, DnsError> {
        self.asked.lock().unwrap().push(format!("{kind} {name}"));
        if self.silent.iter().any(|silent| silent == name) {
            std::future::pending::<()>().await;
        }
        let exists = self.addresses.contains_key(name) || self.mx.contains_key(name);
        match found {
            _ if self.broken.iter().any(|broken| broken == name) => {
                Err(DnsError::Temporary { name: name.to_owned(), reason: "SERVFAIL".to_owned() })
            }
            Some(records) if !records.is_empty() => Ok(Answer {
                records: records.clone(),
                canonical: None,
                secure: self.secure,
                owner_secure: self.secure,
            }),
            _ if exists => Err(DnsError::NoRecords { name: name.to_owned(), kind, secure: self.secure }),
            _ => Err(DnsError::NoName { name: name.to_owned(), secure: self.secure }),
        }
    }
}

#[async_trait::async_trait]
impl Dns for Names {
    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, DnsError> {
        match world::dns::literal(host) {
            Some(address) => Ok(Answer::insecure(vec![address])),
            None => self.answer("A", host, self.addresses.get(host)).await,
        }
    }

    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, DnsError> {
        self.answer("MX", domain, self.mx.get(domain)).await
    }

    async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, DnsError> {
        self.answer("TXT", name, None).await
    }

    async fn tlsa(&self, name: &str) -> Result<Answer<Tlsa>, DnsError> {
        self.answer("TLSA", name, None).await
    }

    async fn pointers(&self, ip: IpAddr) -> Result<Answer<String>, DnsError> {
        self.answer("PTR", &ip.to_string(), None).await
    }
}
