//! From options to services: what the configuration says in the words of the crates that do the work.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use access::{
    imap::{ImapListener, ImapService},
    pop3::{Pop3Listener, Pop3Service},
};
use login::Logins;
use mta::{
    Mta,
    config::{
        ClientTlsPair, Disclosure, Forward, Forwarding, ListenerConfig, ProxyNetworks, Suppressing, TlsMode,
        TransportPolicies,
    },
    tls_reports::TlsReporting,
};
use proto::smtp::server::{Flavour, Limits};
use store::Stores;
use tokio::task::JoinSet;
use web::{Mode, StsPolicy, Web};
use world::{
    Listener, Shutdown, World,
    tls::{ClientTls, Keyring, ServerTls, Verify},
};

use crate::{
    Failure,
    admin::protocol::ListenerView,
    config::{
        Config,
        options::{self, AskedFor, ListenerTls, Service},
        types::Network,
    },
    serve::{
        certificates::Certificates, logins, outgoing::Underway, proxied::ProxiedListener, routing,
        urls::ImapUrls,
    },
    tls,
};

/// Histories are kept this long.
const HISTORY_KEPT_FOR: Duration = Duration::from_hours(30 * 24);
/// After sessions were drained, deliveries under way may go on for so long.
const DELIVERY_DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Everything that runs.
#[derive(Debug)]
pub struct Services {
    world: World,
    mta: Arc<Mta>,
    logins: Arc<Logins>,
    certificates: Arc<Certificates>,
    web: Arc<Web>,
    pop3: Vec<Slot<Pop3Listener>>,
    imap: Vec<Slot<ImapListener>>,
    listeners: Vec<ListenerView>,
    tasks: JoinSet<()>,
}

/// What a listener offers; a reload puts something else there.
type Slot<L> = Arc<RwLock<Arc<L>>>;

/// Those that let people read.
struct Readers {
    pop3: Arc<Pop3Service>,
    imap: Arc<ImapService>,
}

impl Services {
    /// Binds every listener before anything is served, so that a start fails whole or not at all.
    pub async fn start(
        config: &Config,
        stores: &Stores,
        world: &World,
        shutdown: &Shutdown,
    ) -> Result<Self, Failure> {
        let certificates = Arc::new(Certificates::load(config, world.clock.clone())?);
        let mta_config = mta_config(config)?;
        let bound = bind(config, world).await?;
        let logins = logins::start(config, stores, world)?;
        let mta =
            Mta::start(mta_config, stores.clone(), logins.clone(), world.clone(), shutdown.clone()).await?;
        mta.serve_urls(Arc::new(ImapUrls { stores: stores.clone() }));
        let (clock, entropy) = (world.clock.clone(), world.entropy.clone());
        let mailboxes = stores.mailboxes.clone();
        let imap = ImapService::new(logins.clone(), stores.clone(), clock.clone(), entropy)
            .with_outgoing(Arc::new(Underway::new(&mta, stores, world)));
        let readers = Readers {
            pop3: Arc::new(Pop3Service::new(logins.clone(), mailboxes, clock)),
            imap: Arc::new(imap),
        };
        let web = Web::new(stores.clone(), world.clone(), web_options(config), shutdown.clone());
        let web = Arc::new(web);
        let mut services = Self {
            world: world.clone(),
            mta,
            logins,
            certificates,
            web,
            pop3: Vec::new(),
            imap: Vec::new(),
            listeners: Vec::new(),
            tasks: JoinSet::new(),
        };
        services.tasks.spawn(services.certificates.clone().watch(shutdown.clone()));
        for (listener, options) in bound {
            services.serve(listener, options, config, &readers, shutdown)?;
        }
        Ok(services)
    }

    fn serve(
        &mut self,
        listener: Box<dyn Listener>,
        options: &options::Listener,
        config: &Config,
        readers: &Readers,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let (service, address) = (options.service, listener.local());
        tracing::info!(%service, %address, "listening");
        self.listeners.push(ListenerView { service: service.to_string(), address: address.to_string() });
        let listener = if options.proxy_protocol { self.behind_proxy(listener) } else { listener };
        let tls = tls_mode(options, self.certificates.keyring())?;
        match (flavour(service), service) {
            (Some(flavour), _) => {
                let refusal = options.refuse.as_ref().map(|refusal| Arc::new(refusal.0.clone()));
                let listener_config = ListenerConfig { flavour, tls, refusal };
                self.tasks.spawn(self.mta.clone().serve(listener, listener_config));
            }
            (None, Service::Http | Service::Https) => {
                self.tasks.spawn(self.web.clone().listen(listener, tls));
            }
            (None, Service::Imap | Service::Imaps) => {
                self.serve_imap(&readers.imap, listener, imap_offer(config, tls), shutdown);
            }
            (None, _) => {
                let offer = Pop3Listener::new(&config.hostname.0, tls);
                self.serve_pop3(&readers.pop3, listener, offer, shutdown);
            }
        }
        Ok(())
    }

    fn behind_proxy(&self, listener: Box<dyn Listener>) -> Box<dyn Listener> {
        let mta = self.mta.clone();
        let is_believed = move |ip| {
            mta.config().proxies.protocol.iter().any(|network: &mta::config::Network| network.contains(ip))
        };
        Box::new(ProxiedListener::new(listener, Box::new(is_believed), self.world.clock.clone()))
    }

    fn serve_pop3(
        &mut self,
        service: &Arc<Pop3Service>,
        listener: Box<dyn Listener>,
        offer: Pop3Listener,
        shutdown: &Shutdown,
    ) {
        let slot = Arc::new(RwLock::new(Arc::new(offer)));
        self.pop3.push(slot.clone());
        let current = move || slot.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.tasks.spawn(service.clone().listen(listener, current, shutdown.clone()));
    }

    fn serve_imap(
        &mut self,
        service: &Arc<ImapService>,
        listener: Box<dyn Listener>,
        offer: ImapListener,
        shutdown: &Shutdown,
    ) {
        let slot = Arc::new(RwLock::new(Arc::new(offer)));
        self.imap.push(slot.clone());
        let current = move || slot.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.tasks.spawn(service.clone().listen(listener, current, shutdown.clone()));
    }

    pub fn mta(&self) -> &Arc<Mta> {
        &self.mta
    }

    /// What is served where, with the ports that the system chose.
    pub fn listeners(&self) -> &[ListenerView] {
        &self.listeners
    }

    /// Puts routes, limits and certificates of another configuration in force.
    pub fn reload(&self, config: &Config) -> Result<(), Failure> {
        let renewal = self.certificates.prepare(config)?;
        let mta_config = mta_config(config)?;
        let (limits, tokens) = logins::prepare(config, &self.world)?;
        self.certificates.put_in_force(renewal);
        for slot in &self.pop3 {
            let mut listener = slot.write().unwrap_or_else(PoisonError::into_inner);
            *listener = Arc::new(Pop3Listener::new(&config.hostname.0, listener.offer.tls.clone()));
        }
        for slot in &self.imap {
            let mut listener = slot.write().unwrap_or_else(PoisonError::into_inner);
            *listener = Arc::new(imap_offer(config, listener.offer.tls.clone()));
        }
        self.logins.reload(limits, tokens);
        self.mta.reload(mta_config);
        self.web.reload(web_options(config));
        Ok(())
    }

    /// After shutdown was given: returns when sessions and deliveries have ended, or their time is over.
    pub async fn drain(mut self) {
        while self.tasks.join_next().await.is_some() {}
        if tokio::time::timeout(DELIVERY_DRAIN_TIMEOUT, self.mta.drained()).await.is_err() {
            tracing::warn!("some deliveries did not end in time; they are tried again after the next start");
        }
        self.mta.flush_tls_counts().await;
    }
}

async fn bind<'a>(
    config: &'a Config,
    world: &World,
) -> Result<Vec<(Box<dyn Listener>, &'a options::Listener)>, Failure> {
    let mut bound = Vec::with_capacity(config.listener.len());
    for options in &config.listener {
        let listener = world.net.listen(&options.address).await.map_err(|error| {
            let (service, address) = (options.service, &options.address);
            Failure::new(format!("{service} cannot listen on {address}: {error}{}", advice(&error)))
        })?;
        bound.push((listener, options));
    }
    Ok(bound)
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "; another server listens there, stop it or choose another port",
        std::io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE"
        }
        std::io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    }
}

fn imap_offer(config: &Config, tls: TlsMode) -> ImapListener {
    ImapListener::new(&config.hostname.0, tls, config.smtp.message_bytes_max.0)
}

/// None: not a service of the transfer agent.
fn flavour(service: Service) -> Option<Flavour> {
    match service {
        Service::Smtp => Some(Flavour::Smtp),
        Service::Submission | Service::Submissions => Some(Flavour::Submission),
        Service::Lmtp => Some(Flavour::Lmtp),
        Service::Odmr => Some(Flavour::Odmr),
        Service::Pop3 | Service::Pop3s | Service::Imap | Service::Imaps | Service::Http | Service::Https => {
            None
        }
    }
}

fn tls_mode(listener: &options::Listener, keyring: &Keyring) -> Result<TlsMode, Failure> {
    let asks_certificate = listener.client_certificates == AskedFor::Optional;
    let protocols = alpn_names(listener.service);
    let server_tls = || {
        ServerTls::new(keyring, world::tls::ListenerTls { protocols, asks_certificate }).map_err(Failure::new)
    };
    Ok(match (listener.tls, listener.service) {
        (Some(ListenerTls::None), _) | (None, Service::Http) => TlsMode::None,
        (Some(ListenerTls::Implicit), _)
        | (None, Service::Submissions | Service::Pop3s | Service::Imaps | Service::Https) => {
            TlsMode::Implicit(server_tls()?)
        }
        (Some(ListenerTls::Starttls) | None, _) => TlsMode::Starttls(server_tls()?),
    })
}

/// IANA has registered `pop3` and `imap` (RFC 2595), and none for SMTP, where clients that use ALPN at all say these.
fn alpn_names(service: Service) -> &'static [&'static str] {
    match service {
        Service::Smtp | Service::Submission | Service::Submissions | Service::Odmr => &["smtp", "esmtp"],
        Service::Lmtp => &["lmtp", "smtp"],
        Service::Pop3 | Service::Pop3s => &["pop3"],
        Service::Imap | Service::Imaps => &["imap"],
        Service::Http | Service::Https => &["http/1.1"],
    }
}

/// What the transfer agent is to do, trusting whom the system trusts.
pub fn mta_config(config: &Config) -> Result<mta::Config, Failure> {
    mta_config_trusting(config, &tls::system_roots())
}

/// The same with other certificates to trust, in PEM.
pub fn mta_config_trusting(config: &Config, roots_pem: &str) -> Result<mta::Config, Failure> {
    let session = Limits {
        message_bytes_max: config.smtp.message_bytes_max.0,
        recipients_max: usize::try_from(config.smtp.recipients_max).unwrap_or(usize::MAX),
        transactions_max: config.smtp.transactions_max.unwrap_or(u32::MAX),
        command_timeout: config.smtp.command_timeout.0,
        progress_timeout: config.smtp.data_timeout.0,
        ..Limits::default()
    };
    let client_tls = ClientTlsPair {
        opportunistic: ClientTls::new(Verify::Nothing, "").map_err(Failure::new)?,
        verified: ClientTls::new(Verify::RootsAndName, roots_pem).map_err(Failure::new)?,
    };
    Ok(mta::Config {
        hostname: config.hostname.0.as_str().into(),
        trusted_networks: networks(&config.smtp.trusted_networks),
        proxies: proxy_networks(&config.smtp),
        vrfy: audience(config.smtp.vrfy),
        expn: audience(config.smtp.expn),
        send: audience(config.smtp.send),
        send_to_ttys: config.smtp.send_to_ttys,
        sender_check: sender_check(config.smtp.sender_check),
        etrn: audience(config.smtp.etrn),
        turn: config.smtp.turn == options::TurnAudience::Authenticated,
        own: routing::own_hosts(config),
        routes: routing::routes(config),
        forward: forward(&config.forward),
        delivery: config.delivery.limits(&config.destination),
        retry_delays: config.queue.retry_delays.iter().map(|delay| delay.0).collect(),
        expire_after: config.queue.expire_after.0,
        report_expire_after: config.reports.expire_after.0,
        dead_letters: config.reports.dead_letters,
        verp: config.reports.verp,
        suppression: suppression(&config.suppression),
        delay_notice_after: config.queue.delay_notice_after.0,
        transport: TransportPolicies {
            dane: config.tls_policy.dane,
            mta_sts: config.tls_policy.mta_sts,
            mta_sts_port: config.tls_policy.mta_sts_port,
        },
        client_tls,
        session,
        clients: config.limits.clients(config.smtp.greeting_delay),
        disclosure: disclosure(&config.smtp),
        deliver_by_min: config.smtp.deliver_by_min.0,
        hold_max: config.smtp.future_release_max.0,
        no_soliciting: no_soliciting(&config.smtp),
        tracking: config.smtp.mtrk,
        tls_reporting: tls_reporting(&config.tls_reports),
        web_url: config.web.base_url.as_ref().map(|url| url.to_string().trim_end_matches('/').into()),
        history_kept_for: HISTORY_KEPT_FOR,
    })
}

/// What the web server is to serve.
fn web_options(config: &Config) -> web::Options {
    let policy = &config.mta_sts;
    let mx = if policy.mx.is_empty() { vec![config.hostname.0.clone()] } else { policy.mx.clone() };
    let mta_sts = policy.mode.map(|mode| StsPolicy {
        mode: match mode {
            options::StsMode::Enforce => Mode::Enforce,
            options::StsMode::Testing => Mode::Testing,
            options::StsMode::None => Mode::None,
        },
        mx,
        max_age: policy.max_age.0,
    });
    web::Options { mta_sts }
}

fn tls_reporting(reports: &options::TlsReports) -> TlsReporting {
    TlsReporting {
        organization: reports.organization.clone(),
        contact: reports.contact.as_ref().map(|contact| contact.0.clone()),
        address: reports.address.as_ref().map(|address| address.0.clone()),
        private_addresses: reports.private_addresses,
    }
}

fn proxy_networks(smtp: &options::Smtp) -> ProxyNetworks {
    ProxyNetworks {
        protocol: networks(&smtp.proxy_networks),
        xclient: networks(&smtp.xclient_networks),
        xforward: networks(&smtp.xforward_networks),
    }
}

fn suppression(suppression: &options::Suppression) -> Suppressing {
    Suppressing {
        senders: suppression.senders.iter().map(|pattern| pattern.value.clone()).collect(),
        failures: suppression.failures,
        kept_for: suppression.keep_for.0,
    }
}

fn forward(forward: &options::Forward) -> Forward {
    Forward { srs: forward.srs, srs_domain: forward.srs_domain.as_ref().and_then(|name| name.0.parse().ok()) }
}

fn disclosure(smtp: &options::Smtp) -> Disclosure {
    Disclosure {
        submitter: !smtp.hide_submitter,
        forwarding: match smtp.tell_forwarding {
            options::TellForwarding::Never => Forwarding::Silent,
            options::TellForwarding::Accept => Forwarding::Told,
            options::TellForwarding::Redirect => Forwarding::Redirected,
        },
    }
}

fn no_soliciting(smtp: &options::Smtp) -> mail::Solicitation {
    let classes: Vec<_> = smtp.no_soliciting.iter().map(|class| class.text.as_str()).collect();
    classes.join(",").parse().unwrap_or_default()
}

fn networks(networks: &[Network]) -> Vec<mta::config::Network> {
    networks.iter().map(|network| network.value).collect()
}

fn audience(audience: options::Audience) -> mta::config::Audience {
    match audience {
        options::Audience::Anyone => mta::config::Audience::Anyone,
        options::Audience::Authenticated => mta::config::Audience::Authenticated,
        options::Audience::Never => mta::config::Audience::Never,
    }
}

fn sender_check(check: options::SenderCheck) -> mta::config::SenderCheck {
    match check {
        options::SenderCheck::Header => mta::config::SenderCheck::Header,
        options::SenderCheck::Envelope => mta::config::SenderCheck::Envelope,
        options::SenderCheck::Off => mta::config::SenderCheck::Off,
    }
}
