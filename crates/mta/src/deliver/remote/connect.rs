//! Opening a connection to the next hop: addresses in turn, TLS as the route asks, login.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use proto::{
    sasl::Credentials,
    smtp::client::{Cause, Event, Failure, TlsPolicy},
};

use crate::{
    Config, Mta,
    link::Link,
    outcome::Trouble,
    route::{RouteTls, Smarthost},
};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
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

/// A connection that is past greeting, TLS and login. What keeps us from it never fails a message: it may be mended.
pub(super) async fn connect(
    mta: &Arc<Mta>,
    config: &Config,
    smarthost: &Smarthost,
    chunking: bool,
) -> Result<Box<Connection>, Trouble> {
    let host = &smarthost.host;
    let addresses = match mta.world.dns.addresses(host).await {
        Ok(addresses) => addresses,
        Err(error) => return Err(Trouble::new((4, 4, 3), error.to_string())),
    };
    let mut last = Trouble::new((4, 4, 3), format!("{host} has no address"));
    for ip in addresses.into_iter().take(ADDRESSES_MAX) {
        let address = SocketAddr::new(ip, smarthost.port);
        match open(mta, config, smarthost, address, chunking).await {
            Ok(connection) => return Ok(connection),
            Err(trouble) => last = trouble,
        }
    }
    Err(last)
}

async fn open(
    mta: &Arc<Mta>,
    config: &Config,
    smarthost: &Smarthost,
    address: SocketAddr,
    chunking: bool,
) -> Result<Box<Connection>, Trouble> {
    let policy = match smarthost.tls {
        RouteTls::None => TlsPolicy::None,
        RouteTls::Opportunistic => TlsPolicy::Opportunistic,
        RouteTls::Required => TlsPolicy::Required,
    };
    match greet(mta, config, smarthost, address, policy, chunking).await {
        // RFC 3207 §4.1, RFC 7435: where TLS was only hoped for, clear text is better than no mail.
        Err(Refusal { failure: Some(failure), .. })
            if failure.cause == Cause::TlsFailed && policy == TlsPolicy::Opportunistic =>
        {
            greet(mta, config, smarthost, address, TlsPolicy::None, chunking).await
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
    address: SocketAddr,
    policy: TlsPolicy,
    chunking: bool,
) -> Result<Box<Connection>, Refusal> {
    let clock = &mta.world.clock;
    let unreachable = |reason: String| {
        let reason = format!("{} at {address} cannot be reached: {reason}", smarthost.host);
        Refusal { trouble: Trouble::new((4, 4, 1), reason), failure: None }
    };
    let stream = tokio::select! {
        connected = mta.world.net.connect(address, None) => connected.map_err(|error| unreachable(error.to_string()))?,
        () = clock.sleep_until(clock.now() + CONNECT_TIMEOUT) => return Err(unreachable("no answer in time".to_owned())),
    };
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
        _ => Err(unreachable("it closed the connection".to_owned())),
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
