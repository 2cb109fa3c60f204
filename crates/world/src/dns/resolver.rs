//! The real resolver: a stub that asks recursive servers, keeps what they say for its TTL, and validates it.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError as Cause, NetError, runtime::TokioRuntimeProvider},
    proto::{
        dnssec::{Proof, TrustAnchors},
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType},
    },
};
use tokio::sync::OnceCell;

use super::{Answer, Dns, DnsError, Mx, RECORDS_MAX, Tlsa, literal};

/// For one question in all, whatever aliases and proofs it takes: so many times what one server is waited for.
const QUESTION_TIMEOUT_FACTOR: u32 = 5;
/// Answers kept.
const CACHE_ANSWERS_MAX: u64 = 8192;
/// However long a record says that it is good for.
const TTL_MAX: Duration = Duration::from_hours(24);
const NEGATIVE_TTL_MAX: Duration = Duration::from_hours(1);

/// Whom to ask and what to believe.
#[derive(Clone, Debug)]
pub struct ResolverSettings {
    /// None: those of `/etc/resolv.conf`.
    pub servers: Vec<NameServer>,
    pub dnssec: Dnssec,
    /// DNSKEY records in zone file form; without it, the root's keys.
    pub trust_anchor: Option<PathBuf>,
    /// How long a server is waited for; it is asked twice.
    pub timeout: Duration,
}

impl ResolverSettings {
    pub const TIMEOUT: Duration = Duration::from_secs(4);

    fn question_timeout(&self) -> Duration {
        self.timeout.saturating_mul(QUESTION_TIMEOUT_FACTOR)
    }
}

impl Default for ResolverSettings {
    fn default() -> Self {
        let (servers, dnssec) = (Vec::new(), Dnssec::default());
        Self { servers, dnssec, trust_anchor: None, timeout: Self::TIMEOUT }
    }
}

/// A recursive server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl std::str::FromStr for NameServer {
    type Err = String;

    /// `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`
    fn from_str(text: &str) -> Result<Self, String> {
        let with_port = text.parse::<SocketAddr>();
        let without = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        with_port
            .or_else(|_| without())
            .map(Self)
            .map_err(|_| format!("{text:?} is not a DNS server: write \"192.0.2.53\" or \"192.0.2.53:5353\""))
    }
}

/// Whether answers are validated (RFC 4035).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// If the servers pass on the signatures of the root zone.
    #[default]
    Auto,
    /// Always: answers that should be signed and are not count as failures.
    Validate,
    Off,
}

/// The system's way to names.
pub struct SystemDns {
    settings: ResolverSettings,
    /// Made at the first question, within the runtime.
    resolver: OnceCell<TokioResolver>,
}

impl std::fmt::Debug for SystemDns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SystemDns({:?})", self.settings)
    }
}

impl SystemDns {
    pub fn new(settings: ResolverSettings) -> Self {
        Self { settings, resolver: OnceCell::new() }
    }

    async fn resolver(&self) -> Result<&TokioResolver, String> {
        self.resolver
            .get_or_try_init(|| async {
                let anchors = match &self.settings.trust_anchor {
                    Some(path) => TrustAnchors::from_file(path)
                        .map_err(|error| format!("{} is no trust anchor: {error}", path.display()))?,
                    None => TrustAnchors::default(),
                };
                let anchors = Arc::new(anchors);
                match self.settings.dnssec {
                    Dnssec::Off => self.build(None),
                    Dnssec::Validate => self.build(Some(anchors)),
                    Dnssec::Auto => {
                        let validating = self.build(Some(anchors))?;
                        if self.proves_the_root(&validating).await {
                            Ok(validating)
                        } else {
                            self.build(None)
                        }
                    }
                }
            })
            .await
    }

    fn build(&self, anchors: Option<Arc<TrustAnchors>>) -> Result<TokioResolver, String> {
        let unusable = |error: NetError| format!("the resolver cannot be used: {error}");
        let mut builder = if self.settings.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(unusable)?
        } else {
            let servers = self.settings.servers.iter().map(|server| name_server(server.0)).collect();
            let config = ResolverConfig::from_name_servers(servers);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        configure(builder.options_mut(), self.settings.timeout);
        if let Some(anchors) = anchors {
            builder = builder.with_trust_anchor(anchors);
        }
        builder.build().map_err(unusable)
    }

    /// At most [`RECORDS_MAX`] records, whichever come first.
    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, DnsError> {
        let mut answer = self.ask_all(name, kind, read).await?;
        answer.records.truncate(RECORDS_MAX);
        Ok(answer)
    }

    /// As many records as a DNS message holds.
    async fn ask_all<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, DnsError> {
        let temporary = |reason: String| DnsError::Temporary { name: bare(name).to_owned(), reason };
        // A name that no question can be asked about is nobody's.
        let Some(asked) = absolute(name) else {
            return Err(DnsError::NoName { name: bare(name).to_owned(), secure: false });
        };
        let resolver = self.resolver().await.map_err(temporary)?;
        let patience = self.settings.question_timeout();
        let found = tokio::time::timeout(patience, resolver.lookup(asked.clone(), kind)).await;
        match found {
            Ok(Ok(found)) => answer(&asked, &found, kind, read),
            Ok(Err(error)) => Err(failure(name, kind, &error)),
            Err(_) => Err(temporary("no answer in time".to_owned())),
        }
    }

    /// RFC 4035 §3.2: a forwarder that drops signatures leaves nothing to validate.
    async fn proves_the_root(&self, resolver: &TokioResolver) -> bool {
        let keys = resolver.lookup(Name::root(), RecordType::DNSKEY);
        let keys = tokio::time::timeout(self.settings.question_timeout(), keys).await;
        let proven =
            matches!(keys, Ok(Ok(keys)) if keys.answers().iter().any(|key| key.proof == Proof::Secure));
        if !proven {
            tracing::warn!(
                "the DNS servers do not pass on DNSSEC signatures: answers are not validated, and DANE is off"
            );
        }
        proven
    }
}

fn configure(options: &mut ResolverOpts, timeout: Duration) {
    options.timeout = timeout;
    options.attempts = 1;
    options.cache_size = CACHE_ANSWERS_MAX;
    options.positive_max_ttl = Some(TTL_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    options.try_tcp_on_error = true;
    options.case_randomization = true;
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// As a fully qualified name, so that no search list applies.
fn absolute(name: &str) -> Option<Name> {
    Name::from_ascii(format!("{}.", bare(name))).ok()
}

fn answer<T>(
    asked: &Name,
    found: &Lookup,
    kind: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Result<Answer<T>, DnsError> {
    let (owner, aliases) = follow(asked, found.answers());
    // What else stands in the answer was not asked for (RFC 5452 §6).
    let of_owner = |record: &&Record| record.record_type() == kind && record.name == *owner;
    let own: Vec<&Record> = found.answers().iter().filter(of_owner).collect();
    let records: Vec<T> = own.iter().filter_map(|record| read(&record.data)).collect();
    if records.is_empty() {
        let of_others = found.answers().iter().any(|record| record.record_type() == kind);
        return Err(match (text(asked), of_others) {
            (name, true) => {
                DnsError::Temporary { name, reason: "the answer is about other names".to_owned() }
            }
            (name, false) => DnsError::NoRecords { name, kind: kind.into(), secure: false },
        });
    }
    let of_answer = || aliases.iter().chain(&own).copied();
    // RFC 4035 §5.5: what is proven wrong is no answer, and not one without proof either.
    if of_answer().any(|record| record.proof == Proof::Bogus) {
        return Err(bogus(text(asked)));
    }
    let is_secure = |record: &Record| record.proof == Proof::Secure;
    Ok(Answer {
        records,
        canonical: (owner != asked).then(|| text(owner)),
        secure: of_answer().all(is_secure),
        owner_secure: of_answer().filter(|record| record.name == *asked).all(is_secure),
    })
}

fn bogus(name: String) -> DnsError {
    DnsError::Temporary { name, reason: "DNSSEC proves the answer wrong".to_owned() }
}

/// The name that the aliases of an answer lead to, and those aliases.
fn follow<'a>(asked: &'a Name, records: &'a [Record]) -> (&'a Name, Vec<&'a Record>) {
    let (mut owner, mut aliases) = (asked, Vec::new());
    // A circle is no longer than that.
    while aliases.len() <= records.len() {
        let next = records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *owner => Some((record, &target.0)),
            _ => None,
        });
        let Some((alias, target)) = next else { break };
        aliases.push(alias);
        owner = target;
    }
    (owner, aliases)
}

/// RFC 2308 §2: what the server is sure of, and what it is not.
fn failure(name: &str, kind: RecordType, error: &NetError) -> DnsError {
    let name = bare(name).to_owned();
    let (code, secure) = match error {
        NetError::Dns(Cause::NoRecordsFound(none)) => (none.response_code, false),
        NetError::Dns(Cause::Nsec { response, proof, .. }) if *proof != Proof::Bogus => {
            (response.response_code, *proof == Proof::Secure)
        }
        NetError::Dns(Cause::Nsec { .. } | Cause::DnssecBogus) => {
            return bogus(name);
        }
        other => return DnsError::Temporary { name, reason: other.to_string() },
    };
    match code {
        ResponseCode::NXDomain => DnsError::NoName { name, secure },
        ResponseCode::NoError => DnsError::NoRecords { name, kind: kind.into(), secure },
        code => DnsError::Temporary { name, reason: code.to_string() },
    }
}

/// Lower case, without the dot at the end.
fn text(name: &Name) -> String {
    bare(&name.to_lowercase().to_ascii()).to_owned()
}

#[async_trait::async_trait]
impl Dns for SystemDns {
    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, DnsError> {
        if let Some(address) = literal(host) {
            return Ok(Answer::insecure(vec![address]));
        }
        let v6 = self.ask(host, RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
        let v4 = self.ask(host, RecordType::A, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        });
        let (v6, v4) = tokio::join!(v6, v4);
        both(v6, v4)
    }

    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, DnsError> {
        let read = |data: &RData| match data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: text(&mx.exchange) }),
            _ => None,
        };
        let mut answer = self.ask_all(domain, RecordType::MX, read).await?;
        // Of too many hosts the best are kept.
        answer.records.sort();
        answer.records.truncate(RECORDS_MAX);
        Ok(answer)
    }

    async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, DnsError> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        })
        .await
    }

    async fn tlsa(&self, name: &str) -> Result<Answer<Tlsa>, DnsError> {
        self.ask(name, RecordType::TLSA, |data| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        })
        .await
    }

    async fn pointers(&self, ip: IpAddr) -> Result<Answer<String>, DnsError> {
        let name = Name::from(ip.to_canonical()).to_ascii();
        self.ask(&name, RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(text(&name.0)),
            _ => None,
        })
        .await
    }
}

/// RFC 3974 §3: one family that cannot be had does not hide the other.
fn both(
    v6: Result<Answer<IpAddr>, DnsError>,
    v4: Result<Answer<IpAddr>, DnsError>,
) -> Result<Answer<IpAddr>, DnsError> {
    match (v6, v4) {
        (Ok(v6), Ok(v4)) => {
            let secure = v6.secure && v4.secure;
            let owner_secure = v6.owner_secure && v4.owner_secure;
            let canonical = v4.canonical.or(v6.canonical);
            Ok(Answer { records: interleaved(v6.records, v4.records), canonical, secure, owner_secure })
        }
        // Whoever keeps one family from us must not make what is proven of the other count for less.
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(error @ DnsError::Temporary { .. }), Err(_)) => Err(error),
        (Err(_), Err(error)) => Err(no_address(error)),
    }
}

fn no_address(error: DnsError) -> DnsError {
    match error {
        DnsError::NoRecords { name, secure, .. } => DnsError::NoRecords { name, kind: "address", secure },
        other => other,
    }
}

/// RFC 8305 §4: the families take turns.
fn interleaved(v6: Vec<IpAddr>, v4: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut all = Vec::new();
    loop {
        match (v6.next(), v4.next()) {
            (None, None) => return all,
            (a, b) => all.extend(a.into_iter().chain(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> DnsError {
        DnsError::Temporary { name: "mx.example".to_owned(), reason: "no answer in time".to_owned() }
    }

    fn none() -> DnsError {
        DnsError::NoRecords { name: "mx.example".to_owned(), kind: "A", secure: true }
    }

    fn one(address: &str) -> Answer<IpAddr> {
        Answer { records: vec![address.parse().unwrap()], canonical: None, secure: true, owner_secure: true }
    }

    #[test]
    fn one_family_that_cannot_be_had_does_not_hide_the_other() {
        let found = both(Err(temporary()), Ok(one("192.0.2.1"))).unwrap();
        assert_eq!(found.records, one("192.0.2.1").records);
        assert!(found.secure, "or keeping it from us would switch DANE off");
        assert_eq!(both(Err(none()), Err(temporary())), Err(temporary()));
        assert!(!both(Err(none()), Err(none())).unwrap_err().is_temporary());
        let both = both(Ok(one("2001:db8::1")), Ok(one("192.0.2.1"))).unwrap();
        assert_eq!((both.records.len(), both.secure), (2, true));
    }

    #[test]
    fn names_of_servers() {
        assert_eq!("192.0.2.53".parse(), Ok(NameServer("192.0.2.53:53".parse().unwrap())));
        assert_eq!("[::1]:5353".parse(), Ok(NameServer("[::1]:5353".parse().unwrap())));
        assert!("dns.example".parse::<NameServer>().unwrap_err().contains("192.0.2.53:5353"));
    }

    #[test]
    fn names_that_no_question_can_be_asked_about() {
        assert!(absolute("a..b").is_none());
        assert!(absolute(&"x".repeat(64)).is_none());
        assert!(absolute("mx.example").unwrap().is_fqdn());
    }
}
