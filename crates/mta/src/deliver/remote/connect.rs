//! Opening a connection to the next hop: addresses in turn, TLS as the route asks, login.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use mail::EnhancedStatus;
use proto::{
    sasl::Credentials,
    smtp::client::{Cause, Event, Failure, Stage, TlsPolicy},
};
use world::{BoxStream, dns::Answer, tls::Judgement};

use super::{
    dial,
    next_hop::NextHop,
    security::{self, Demand, Secured},
    trail::{Span, Trail},
};
use crate::{
    Config, Mta,
    link::Link,
    outcome::{Fate, Trouble},
    route::{NextHost, RouteTls},
    scheduler::Reached,
    transport_security::result::ResultType,
};

/// RFC 8689 §4.2.1: no TLS, or none that authenticates the host.
const ENCRYPTION_NEEDED: (u8, u16, u16) = (5, 7, 10);
/// RFC 8689 §4.2.1: the host does not announce REQUIRETLS.
const REQUIRETLS_NEEDED: (u8, u16, u16) = (5, 7, 30);
/// Addresses tried in one attempt.
const ADDRESSES_MAX: usize = 10;

pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) host: String,
    /// None on a Unix socket, whose path is the host's name.
    pub(super) address: Option<SocketAddr>,
    /// It waits for the next message.
    pub(super) usable: bool,
    /// TLS is active, and the host has shown that it is the one that is meant.
    pub(super) authenticated: bool,
    /// Its certificate proves it to be the one that was turned to, whether it had to or not.
    pub(super) verified: bool,
    /// What it was made under; none if the other side called, or on a Unix socket.
    pub(super) secured: Option<Secured>,
    /// Content may go by BDAT.
    pub(super) chunking: bool,
    /// Its replies are about deliveries, one for each recipient.
    pub(super) lmtp: bool,
    /// Messages that went over it.
    pub(super) messages: u32,
    /// The lane's site knows of it; none if the other side called.
    pub(super) reached: Option<Reached>,
}

/// Why there is no connection.
pub(super) struct NoConnection {
    pub(super) fate: Fate,
    /// What keeps this message from the site keeps every message from it.
    pub(super) is_of_site: bool,
}

impl From<Fate> for NoConnection {
    fn from(fate: Fate) -> Self {
        Self { fate, is_of_site: false }
    }
}

impl Connection {
    pub(super) fn tls_words(&self) -> Option<String> {
        self.link.agreed_tls().map(|tls| format!("{} {}", tls.version, tls.cipher))
    }

    /// Which policy held, and what the host proved.
    pub(super) fn policy_words(&self) -> Option<String> {
        let words = self.secured.as_ref()?.policy.words(self.link.judgement());
        let is_clear = self.link.agreed_tls().is_none();
        Some(if is_clear { format!("{words}; nothing encrypts it") } else { words })
    }

    /// `relay.example[192.0.2.1]:25`
    pub(super) fn name(&self) -> String {
        match self.address {
            Some(address) => format!("{}[{}]:{}", self.host, address.ip(), address.port()),
            None => self.host.clone(),
        }
    }

    /// RFC 8689 §4.2.1
    pub(super) fn keeps_to_tls(&self) -> bool {
        self.authenticated && self.link.capabilities().require_tls
    }

    pub(super) async fn quit(self: Box<Self>) {
        Box::pin(self.link.quit()).await;
    }
}

/// A connection that is past greeting, TLS and login, to the first host that gives one. What keeps us from all of them
/// never fails a message, as it may be mended, unless there is no host at all, or none that meets the message's demand
/// (RFC 8689 §4.2.1).
pub(super) async fn connect(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    demand: Demand,
    chunking: bool,
    trail: &mut Trail,
) -> Result<Box<Connection>, NoConnection> {
    if demand == Demand::RequireTls && !hop.authentic && hop.sts.is_none() {
        let name = hop.name().unwrap_or("the next host");
        let reason = format!("nobody vouches that {name} takes mail for this domain (REQUIRETLS)");
        return Err(Fate::Failed(Trouble::new(ENCRYPTION_NEEDED, reason)).into());
    }
    let mut found = Found::default();
    for group in &hop.groups {
        for host in group {
            if let Some(path) = host.socket() {
                if demand == Demand::RequireTls {
                    let reason = format!("{} does not keep messages to TLS (REQUIRETLS)", host.host);
                    return Err(Fate::Failed(Trouble::new(REQUIRETLS_NEEDED, reason)).into());
                }
                return open_socket(mta, config, host, path, chunking, trail)
                    .await
                    .map_err(|trouble| NoConnection { fate: Fate::Deferred(trouble), is_of_site: true });
            }
            found.look_up(mta, config, hop, host, trail).await;
        }
        // RFC 5321 §5.1: hosts that are not better than ourselves would only send it back.
        if found.ours {
            break;
        }
        for (host, answer) in std::mem::take(&mut found.hosts) {
            if demand == Demand::RequireTls && !security::is_vouched_for(hop, &host.host) {
                let reason =
                    format!("nobody vouches that {} takes mail for this domain (REQUIRETLS)", host.host);
                found.unfit = Some(Trouble::new(ENCRYPTION_NEEDED, reason));
                continue;
            }
            let began = trail.now();
            let secured = match security::policy(mta, config, hop, host, &answer, demand).await {
                Ok(secured) => secured,
                Err(skip) => {
                    trail.unreached(&host.host, None, &skip.trouble.reason, began);
                    found.trouble = Some(skip.trouble);
                    found.kept_off = true;
                    continue;
                }
            };
            let to_socket = |ip| SocketAddr::new(ip, host.port);
            let mut addresses: Vec<SocketAddr> = answer.records.into_iter().map(to_socket).collect();
            while found.tries < ADDRESSES_MAX && !addresses.is_empty() {
                found.tries += 1;
                let opened =
                    open(mta, config, (hop, host), &mut addresses, &secured, (demand, chunking), trail).await;
                match opened {
                    Ok(mut connection) => {
                        connection.authenticated &= security::is_vouched_for(hop, &host.host);
                        return Ok(connection);
                    }
                    Err(Refusal { unfit: true, trouble, .. }) => found.unfit = Some(trouble),
                    Err(refusal) => {
                        found.kept_off |= refusal.result.is_some();
                        found.trouble = Some(refusal.trouble);
                    }
                }
            }
        }
    }
    Err(found.nothing(hop))
}

/// What the search for a host has found so far.
#[derive(Default)]
struct Found<'a> {
    /// Of the group that is next, with their addresses.
    hosts: Vec<(&'a NextHost, Answer<IpAddr>)>,
    /// One of them is ourselves.
    ours: bool,
    tries: usize,
    /// What happened last.
    trouble: Option<Trouble>,
    /// Why a host that answered does not do.
    unfit: Option<Trouble>,
    /// Its TLS, or what its domain says of that, kept us from a host. Other domains may want less of it.
    kept_off: bool,
    /// Why a host has no address, if trying again will not help.
    dead_end: Option<Trouble>,
}

impl<'a> Found<'a> {
    async fn look_up(
        &mut self,
        mta: &Mta,
        config: &Config,
        hop: &NextHop,
        host: &'a NextHost,
        trail: &mut Trail,
    ) {
        let began = trail.now();
        let answer = mta.world.dns.addresses(&host.host).await;
        trail.ended(Span::Dns, began);
        if let Err(error) = &answer {
            trail.unreached(&host.host, None, &error.to_string(), began);
        }
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_temporary() || !hop.from_mx => {
                self.trouble = Some(Trouble::new((4, 4, 3), error.to_string()));
                return;
            }
            Err(error) => {
                self.dead_end = Some(Trouble::new((5, 4, 4), error.to_string()));
                return;
            }
        };
        if hop.from_mx {
            self.ours |= answer.records.iter().any(|ip| config.own.addresses.contains(&ip.to_canonical()));
            if !hop.private_addresses {
                answer.records.retain(|ip| world::is_public(*ip));
            }
        }
        answer.records.retain(|ip| !hop.limits.source.exclude(*ip));
        if answer.records.is_empty() {
            let reason = format!("{} has no address that mail from here may go to", host.host);
            trail.unreached(&host.host, None, &reason, began);
            self.dead_end = Some(Trouble::new((5, 4, 4), reason));
            return;
        }
        self.hosts.push((host, answer));
    }

    /// No host gave a connection.
    fn nothing(self, hop: &NextHop) -> NoConnection {
        let is_of_site = self.unfit.is_none() && !self.kept_off;
        let fate = match (self.trouble, self.ours, self.unfit.or(self.dead_end)) {
            (Some(trouble), ..) => Fate::Deferred(trouble),
            (None, true, _) => {
                Fate::Failed(Trouble::new((5, 4, 6), "the best host for it is this one: a loop"))
            }
            (None, false, Some(trouble)) => Fate::Failed(trouble),
            (None, false, None) => {
                let name = hop.name().unwrap_or("the next host");
                Fate::Deferred(Trouble::new((4, 4, 4), format!("{name} has no address")))
            }
        };
        let is_deferred = matches!(fate, Fate::Deferred(_));
        NoConnection { fate, is_of_site: is_of_site && is_deferred }
    }
}

/// To the first of the host's addresses that answers; it and those before it are taken out.
async fn open(
    mta: &Arc<Mta>,
    config: &Config,
    (hop, host): (&NextHop, &NextHost),
    addresses: &mut Vec<SocketAddr>,
    secured: &Secured,
    (demand, chunking): (Demand, bool),
    trail: &mut Trail,
) -> Result<Box<Connection>, Refusal> {
    let began = trail.now();
    let (stream, address) = dial::first(mta, hop, &host.host, addresses, trail).await?;
    trail.ended(Span::Connect, began);
    let opened = enter(mta, config, (hop, host), (stream, address), secured, (demand, chunking), trail).await;
    if let Err(refusal) = &opened {
        trail.unreached(&host.host, Some(address), &refusal.trouble.reason, began);
    }
    opened
}

/// Past greeting, TLS and login, as the policy and the message want them.
async fn enter(
    mta: &Arc<Mta>,
    config: &Config,
    (hop, host): (&NextHop, &NextHost),
    (stream, address): (BoxStream, SocketAddr),
    secured: &Secured,
    (demand, chunking): (Demand, bool),
    trail: &mut Trail,
) -> Result<Box<Connection>, Refusal> {
    let (first, tls) = ((stream, Some(address)), secured.policy.tls);
    let greeted = greet(mta, config, host, first, (Some((secured, tls)), chunking), trail).await;
    security::report_greeted(mta, hop, host, address, secured, &greeted);
    let greeted = match greeted {
        // RFC 3207 §4.1, RFC 7435: where TLS was only hoped for, clear text is better than no mail.
        Err(Refusal { failure: Some(failure), .. })
            if failure.cause == Cause::TlsFailed && tls == TlsPolicy::Opportunistic =>
        {
            let again = dial::one(mta, hop, &host.host, address).await?;
            let in_clear = (Some((secured, TlsPolicy::None)), chunking);
            greet(mta, config, host, (again, Some(address)), in_clear, trail).await
        }
        greeted => greeted,
    };
    match (greeted, demand) {
        (Ok(connection), Demand::RequireTls) if !connection.keeps_to_tls() => {
            let reason = format!("the host {} does not keep messages to TLS (REQUIRETLS)", connection.name());
            connection.quit().await;
            Err(Refusal { unfit: true, ..Trouble::new(REQUIRETLS_NEEDED, reason).into() })
        }
        (Err(refusal), Demand::RequireTls) if refusal.unfit => {
            let (class, subject, detail) = ENCRYPTION_NEEDED;
            let status = EnhancedStatus { class, subject, detail };
            Err(Refusal { trouble: Trouble { status, ..refusal.trouble }, ..refusal })
        }
        (greeted, _) => greeted.map_err(|refusal| Refusal { unfit: false, ..refusal }),
    }
}

async fn open_socket(
    mta: &Arc<Mta>,
    config: &Config,
    host: &NextHost,
    path: &Path,
    chunking: bool,
    trail: &mut Trail,
) -> Result<Box<Connection>, Trouble> {
    let began = trail.now();
    let stream = dial::socket(mta, host, path).await?;
    trail.ended(Span::Connect, began);
    // Nobody listens in on a socket of this machine.
    let greeted = greet(mta, config, host, (stream, None), (None, chunking), trail).await;
    greeted.map_err(|refusal| refusal.trouble)
}

pub(super) struct Refusal {
    pub(super) trouble: Trouble,
    failure: Option<Failure>,
    /// The host has no TLS, or none that we can rely on.
    unfit: bool,
    /// What that is in a TLS report.
    pub(super) result: Option<ResultType>,
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, failure: None, unfit: false, result: None }
    }
}

async fn greet(
    mta: &Arc<Mta>,
    config: &Config,
    host: &NextHost,
    (stream, address): (BoxStream, Option<SocketAddr>),
    (secured, chunking): (Option<(&Secured, TlsPolicy)>, bool),
    trail: &mut Trail,
) -> Result<Box<Connection>, Refusal> {
    let clock = &mta.world.clock;
    let credentials = credentials(host)?;
    let client = proto::smtp::client::Config {
        tls: secured.map_or(TlsPolicy::None, |(_, tls)| tls),
        credentials,
        scram_nonce: Some(mta.world.entropy.array()),
        // A password in clear stays within this machine, or the operator said that TLS is not wanted.
        plaintext_auth: address.is_none_or(|address| address.ip().is_loopback())
            || host.tls == RouteTls::None,
        chunking,
        lmtp: host.lmtp,
        ..proto::smtp::client::Config::new(config.hostname.clone())
    };
    let (mut name, mut tls) = (&*host.host, config.client_tls.verified.clone());
    if let Some((Secured { policy, .. }, TlsPolicy::Opportunistic | TlsPolicy::Required)) = secured {
        (name, tls) = (policy.server_name(name), tls.expecting(policy.expected.clone()));
    }
    let mut link = Link::new(clock.clone(), stream, client, name.to_owned(), tls, None);
    let began = trail.now();
    let event = link.next_event().await;
    let (took, handshake) = (trail.now().saturating_duration_since(began), link.tls_took());
    trail.took(Span::Greeting, took.saturating_sub(handshake.unwrap_or_default()));
    if let Some(handshake) = handshake {
        trail.took(Span::Tls, handshake);
    }
    match event {
        Some(Event::Ready) => {
            let (name, lmtp) = (host.host.clone(), host.lmtp);
            let verified = link.agreed_tls().is_some() && link.judgement().is_some_and(Judgement::proves);
            Ok(Box::new(Connection {
                link,
                host: name,
                address,
                usable: true,
                authenticated: verified,
                verified,
                secured: secured.map(|(secured, _)| secured.clone()),
                chunking,
                lmtp,
                messages: 0,
                reached: None,
            }))
        }
        Some(Event::Failed(failure)) => Err(refused(host, secured, &link, failure)),
        _ => Err(dial::lost(&host.host, address).into()),
    }
}

fn refused(
    host: &NextHost,
    secured: Option<(&Secured, TlsPolicy)>,
    link: &Link,
    failure: Failure,
) -> Refusal {
    let detail = link.tls_error().map(|error| format!(" ({error})")).unwrap_or_default();
    let mut trouble = Trouble::new((4, 4, 2), format!("{}: {}{detail}", host.host, failure.cause));
    if let Cause::Reply(reply) = &failure.cause {
        trouble.remote_mta = Some(host.host.clone());
        trouble.diagnostic = Some(reply.transcript());
    }
    let name = &host.host;
    let skip = secured.and_then(|(Secured { policy, .. }, _)| match &failure.cause {
        Cause::TlsNotOffered => Some(policy.without_tls(name)),
        Cause::TlsFailed if link.tls_is_unfit() => Some(policy.without_proof(name, &link.flaw(policy))),
        Cause::Reply(reply) if failure.stage == Stage::StartTls && reply.is_permanent() => {
            Some(policy.without_tls(name))
        }
        _ => None,
    });
    let (unfit, result) = (skip.is_some(), skip.as_ref().map(|skip| skip.result));
    if let Some(skip) = skip {
        trouble = Trouble { status: skip.trouble.status, reason: skip.trouble.reason, ..trouble };
    }
    Refusal { trouble, failure: Some(failure), unfit, result }
}

fn credentials(host: &NextHost) -> Result<Option<Credentials>, Trouble> {
    let Some(login) = &host.login else { return Ok(None) };
    let unusable = |reason: String| {
        Trouble::new((4, 7, 0), format!("the password for {} cannot be used: {reason}", host.host))
    };
    let password = std::fs::read_to_string(&login.password_file)
        .map_err(|error| unusable(format!("{}: {error}", login.password_file.display())))?;
    Credentials::new(&login.username, password.trim_end_matches(['\r', '\n']))
        .map(Some)
        .ok_or_else(|| unusable("name and password may have up to 255 octets each, without NUL".to_owned()))
}
