//! Opening a connection to the next hop: addresses in turn, TLS as the route asks, login.

use std::{net::SocketAddr, sync::Arc};

use proto::{
    sasl::Credentials,
    smtp::client::{Cause, Event, Failure, TlsPolicy},
};

use world::BoxStream;

use super::{
    dial::{self, is_public},
    next_hop::NextHop,
};
use crate::{
    Config, Mta,
    link::Link,
    outcome::{Fate, Trouble},
    route::{RouteTls, Smarthost},
};

/// Addresses tried in one attempt.
const ADDRESSES_MAX: usize = 10;

pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) host: String,
    pub(super) address: SocketAddr,
    /// It waits for the next message.
    pub(super) usable: bool,
    /// Content may go by BDAT.
    pub(super) chunking: bool,
}

impl Connection {
    pub(super) fn tls_words(&self) -> Option<String> {
        self.link.agreed_tls().map(|tls| format!("{} {}", tls.version, tls.cipher))
    }

    /// `relay.example[192.0.2.1]:25`
    pub(super) fn name(&self) -> String {
        format!("{}[{}]:{}", self.host, self.address.ip(), self.address.port())
    }

    pub(super) async fn quit(self: Box<Self>) {
        Box::pin(self.link.quit()).await;
    }
}

/// A connection that is past greeting, TLS and login, to the first host that gives one. What keeps us from all of them
/// never fails a message, as it may be mended, unless there is no host at all.
pub(super) async fn connect(
    mta: &Arc<Mta>,
    config: &Config,
    hop: &NextHop,
    chunking: bool,
) -> Result<Box<Connection>, Fate> {
    let mut found = Found::default();
    for group in &hop.groups {
        for host in group {
            found.look_up(mta, config, hop, host).await;
        }
        // RFC 5321 §5.1: hosts that are not better than ourselves would only send it back.
        if found.ours {
            break;
        }
        for (host, mut addresses) in std::mem::take(&mut found.hosts) {
            while found.tries < ADDRESSES_MAX && !addresses.is_empty() {
                found.tries += 1;
                match open(mta, config, host, &mut addresses, chunking).await {
                    Ok(connection) => return Ok(connection),
                    Err(trouble) => found.trouble = Some(trouble),
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
    hosts: Vec<(&'a Smarthost, Vec<SocketAddr>)>,
    /// One of them is ourselves.
    ours: bool,
    tries: usize,
    /// What happened last.
    trouble: Option<Trouble>,
    /// Why a host has no address, if trying again will not help.
    dead_end: Option<Trouble>,
}

impl<'a> Found<'a> {
    async fn look_up(&mut self, mta: &Mta, config: &Config, hop: &NextHop, host: &'a Smarthost) {
        let mut addresses = match mta.world.dns.addresses(&host.host).await {
            Ok(answer) => answer.records,
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
            self.ours |= addresses.iter().any(|ip| config.own.addresses.contains(&ip.to_canonical()));
            if !hop.private_addresses {
                addresses.retain(|ip| is_public(*ip));
            }
        }
        if addresses.is_empty() {
            let reason = format!("{} has no address that mail from here may go to", host.host);
            self.dead_end = Some(Trouble::new((5, 4, 4), reason));
            return;
        }
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, host.port));
        self.hosts.push((host, addresses.collect()));
    }

    /// No host gave a connection.
    fn nothing(self, hop: &NextHop) -> Fate {
        match (self.trouble, self.ours, self.dead_end) {
            (Some(trouble), ..) => Fate::Deferred(trouble),
            (None, true, _) => {
                Fate::Failed(Trouble::new((5, 4, 6), "the best host for it is this one: a loop"))
            }
            (None, false, Some(trouble)) => Fate::Failed(trouble),
            (None, false, None) => {
                let name = hop.name().unwrap_or("the next host");
                Fate::Deferred(Trouble::new((4, 4, 4), format!("{name} has no address")))
            }
        }
    }
}

/// To the first of the host's addresses that answers; it and those before it are taken out.
async fn open(
    mta: &Arc<Mta>,
    config: &Config,
    smarthost: &Smarthost,
    addresses: &mut Vec<SocketAddr>,
    chunking: bool,
) -> Result<Box<Connection>, Trouble> {
    let (stream, address) = dial::first(mta, &smarthost.host, addresses).await?;
    let policy = match smarthost.tls {
        RouteTls::None => TlsPolicy::None,
        RouteTls::Opportunistic => TlsPolicy::Opportunistic,
        RouteTls::Required => TlsPolicy::Required,
    };
    match greet(mta, config, smarthost, (stream, address), policy, chunking).await {
        // RFC 3207 §4.1, RFC 7435: where TLS was only hoped for, clear text is better than no mail.
        Err(Refusal { failure: Some(failure), .. })
            if failure.cause == Cause::TlsFailed && policy == TlsPolicy::Opportunistic =>
        {
            let again = dial::one(mta, &smarthost.host, address).await?;
            greet(mta, config, smarthost, (again, address), TlsPolicy::None, chunking).await
        }
        greeted => greeted,
    }
    .map_err(|refusal| refusal.trouble)
}

struct Refusal {
    trouble: Trouble,
    failure: Option<Failure>,
}

async fn greet(
    mta: &Arc<Mta>,
    config: &Config,
    smarthost: &Smarthost,
    (stream, address): (BoxStream, SocketAddr),
    policy: TlsPolicy,
    chunking: bool,
) -> Result<Box<Connection>, Refusal> {
    let clock = &mta.world.clock;
    let credentials = credentials(smarthost).map_err(|trouble| Refusal { trouble, failure: None })?;
    let client = proto::smtp::client::Config {
        tls: policy,
        credentials,
        scram_nonce: Some(mta.world.entropy.array()),
        // A password in clear stays within this machine, or the operator said that TLS is not wanted.
        plaintext_auth: address.ip().is_loopback() || smarthost.tls == RouteTls::None,
        chunking,
        ..proto::smtp::client::Config::new(config.hostname.clone())
    };
    let tls = match smarthost.tls {
        RouteTls::Required => config.client_tls.verified.clone(),
        RouteTls::None | RouteTls::Opportunistic => config.client_tls.opportunistic.clone(),
    };
    let mut link = Link::new(clock.clone(), stream, client, smarthost.host.clone(), tls, None);
    match link.next_event().await {
        Some(Event::Ready) => {
            let host = smarthost.host.clone();
            Ok(Box::new(Connection { link, host, address, usable: true, chunking }))
        }
        Some(Event::Failed(failure)) => Err(refused(smarthost, &link, failure)),
        _ => {
            let trouble = dial::unreachable(&smarthost.host, address, "it closed the connection");
            Err(Refusal { trouble, failure: None })
        }
    }
}

fn refused(smarthost: &Smarthost, link: &Link, failure: Failure) -> Refusal {
    let detail = link.tls_error().map(|error| format!(" ({error})")).unwrap_or_default();
    let mut trouble = Trouble::new((4, 4, 2), format!("{}: {}{detail}", smarthost.host, failure.cause));
    if let Cause::Reply(reply) = &failure.cause {
        trouble.remote_mta = Some(smarthost.host.clone());
        trouble.diagnostic = Some(reply.to_string());
    }
    Refusal { trouble, failure: Some(failure) }
}

fn credentials(smarthost: &Smarthost) -> Result<Option<Credentials>, Trouble> {
    let Some(login) = &smarthost.login else { return Ok(None) };
    let unusable = |reason: String| {
        Trouble::new((4, 7, 0), format!("the password for {} cannot be used: {reason}", smarthost.host))
    };
    let password = std::fs::read_to_string(&login.password_file)
        .map_err(|error| unusable(format!("{}: {error}", login.password_file.display())))?;
    Credentials::new(&login.username, password.trim_end_matches(['\r', '\n']))
        .map(Some)
        .ok_or_else(|| unusable("name and password may have up to 255 octets each, without NUL".to_owned()))
}
