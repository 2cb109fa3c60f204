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
    tlsa: HashMap<String, Vec<Tlsa>>,
    aliases: HashMap<String, String>,
    insecure: Vec<String>,
    txt: HashMap<String, Vec<Vec<u8>>>,
    broken: Vec<String>,
    silent: Vec<String>,
    panicking: Vec<String>,
    secure: bool,
    asked: Mutex<Vec<String>>,
}

impl Names {
    /// `name A address …`, `name MX preference exchange …`, `name TLSA usage selector matching octet`, `name TXT text …`,
    /// `name ALIAS name`, `name FAILS`, `name IS SILENT`, `name IS INSECURE`, `name PANICS`; a line each. The data of a TLSA
    /// record is 32 such octets.
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
                [name, "TLSA", usage, selector, matching, octet] => {
                    let number = |text: &str| text.parse().unwrap();
                    let (usage, selector, matching) = (number(usage), number(selector), number(matching));
                    let record = Tlsa { usage, selector, matching, data: vec![number(octet); 32] };
                    names.tlsa.entry(name.to_owned()).or_default().push(record);
                }
                [name, "ALIAS", other] => drop(names.aliases.insert(name.to_owned(), other.to_owned())),
                [name, "IS", "INSECURE"] => names.insecure.push(name.to_owned()),
                [name, "TXT", ref texts @ ..] => {
                    let texts = texts.iter().map(|text| text.as_bytes().to_vec());
                    names.txt.insert(name.to_owned(), texts.collect());
                }
                [name, "IS", "SILENT"] => names.silent.push(name.to_owned()),
                [name, "PANICS"] => names.panicking.push(name.to_owned()),
                [name, "FAILS"] => names.broken.push(name.to_owned()),
                _ => panic!("no record: {line}"),
            }
        }
        names
    }

    pub(crate) fn secure(self) -> Self {
        Self { secure: true, ..self }
    }

    fn is_secure(&self, name: &str) -> bool {
        self.secure && !self.insecure.iter().any(|insecure| insecure == name)
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
        assert!(!self.panicking.iter().any(|poison| poison == name), "{name} is poison");
        if self.silent.iter().any(|silent| silent == name) {
            std::future::pending::<()>().await;
        }
        let exists = self.addresses.contains_key(name) || self.mx.contains_key(name);
        let secure = self.is_secure(name);
        match found {
            _ if self.broken.iter().any(|broken| broken == name) => {
                Err(DnsError::Temporary { name: name.to_owned(), reason: "SERVFAIL".to_owned() })
            }
            Some(records) if !records.is_empty() => {
                Ok(Answer { records: records.clone(), canonical: None, secure, owner_secure: secure })
            }
            _ if exists => Err(DnsError::NoRecords { name: name.to_owned(), kind, secure }),
            _ => Err(DnsError::NoName { name: name.to_owned(), secure }),
        }
    }
}

#[async_trait::async_trait]
impl Dns for Names {
    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, DnsError> {
        match world::dns::literal(host) {
            Some(address) => Ok(Answer::insecure(vec![address])),
            None => match self.aliases.get(host) {
                None => self.answer("A", host, self.addresses.get(host)).await,
                Some(other) => {
                    let found = self.answer("A", other, self.addresses.get(other)).await?;
                    let owner_secure = self.is_secure(host);
                    let secure = owner_secure && found.secure;
                    Ok(Answer { canonical: Some(other.clone()), secure, owner_secure, ..found })
                }
            },
        }
    }

    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, DnsError> {
        self.answer("MX", domain, self.mx.get(domain)).await
    }

    async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, DnsError> {
        self.answer("TXT", name, self.txt.get(name)).await
    }

    async fn tlsa(&self, name: &str) -> Result<Answer<Tlsa>, DnsError> {
        self.answer("TLSA", name, self.tlsa.get(name)).await
    }

    async fn pointers(&self, ip: IpAddr) -> Result<Answer<String>, DnsError> {
        self.answer("PTR", &ip.to_string(), None).await
    }
}
