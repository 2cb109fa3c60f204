//! Routes and names: what the configuration says about where mail goes and whom to ask.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use mta::route::{
    Login, MxDelivery, NextHost, RecipientPattern, Route, RouteTls, Via,
    gateway::{Capture, Maildir, Pipe, Webhook, WebhookFormat},
    site::OwnHosts,
};
use world::{ListenAddress, ResolverSettings, dns};

use crate::config::{
    Config,
    options::{self, Dnssec},
};

const SMTP_PORT: u16 = 25;
const LMTP_PORT: u16 = 24;

/// As configured; what none of them matches goes by MX.
pub fn routes(config: &Config) -> Vec<Route> {
    let by_mx =
        MxDelivery { port: SMTP_PORT, tls: RouteTls::Opportunistic, private_addresses: false, backup: false };
    let rest = Route { recipient: RecipientPattern::ANY, via: Via::Mx(Arc::new(by_mx)) };
    config.route.iter().map(route).chain([rest]).collect()
}

fn route(route: &options::Route) -> Route {
    let via = match route.via {
        options::Via::Mx => Via::Mx(Arc::new(MxDelivery {
            port: route.port.unwrap_or(SMTP_PORT),
            tls: tls(route.tls),
            private_addresses: route.private_addresses,
            backup: route.backup_mx,
        })),
        options::Via::Smtp | options::Via::Lmtp => Via::Smtp(Arc::new(smarthost(route))),
        options::Via::Pipe => Via::Pipe(Arc::new(pipe(route))),
        options::Via::Maildir => maildir(route).map_or(Via::Hold, |maildir| Via::Maildir(Arc::new(maildir))),
        options::Via::Http => webhook(route).map_or(Via::Hold, |webhook| Via::Http(Arc::new(webhook))),
        options::Via::Capture => capture(route).map_or(Via::Hold, |capture| Via::Capture(Arc::new(capture))),
        options::Via::Hold => Via::Hold,
        options::Via::Discard => Via::Discard,
        options::Via::Reject => Via::Reject,
    };
    Route { recipient: route.recipient.value.clone(), via }
}

fn smarthost(route: &options::Route) -> NextHost {
    let lmtp = route.via == options::Via::Lmtp;
    let login = route.username.clone().zip(route.password_file.clone());
    NextHost {
        host: route.host.clone().unwrap_or_default(),
        port: route.port.unwrap_or(if lmtp { LMTP_PORT } else { SMTP_PORT }),
        tls: tls(route.tls),
        login: login.map(|(username, password_file)| Login { username, password_file }),
        lmtp,
    }
}

fn pipe(route: &options::Route) -> Pipe {
    let mut command = route.command.iter();
    Pipe {
        program: command.next().map(|program| program.text.clone()).unwrap_or_default().into(),
        arguments: command.map(|argument| argument.value.clone()).collect(),
        directory: route.directory.clone(),
        user: route.user.clone(),
        timeout: route.timeout.0,
    }
}

/// None, and so on hold, without its path; the configuration is checked for that.
fn maildir(route: &options::Route) -> Option<Maildir> {
    let path = route.path.as_ref()?;
    Some(Maildir {
        path: path.value.clone(),
        path_text: path.text.clone(),
        create: route.create,
        user: route.user.clone(),
    })
}

/// As [`maildir`], without its URL and secret.
fn webhook(route: &options::Route) -> Option<Webhook> {
    Some(Webhook {
        url: route.url.clone()?,
        secret_file: route.secret_file.clone()?,
        format: match route.format {
            options::Posted::Raw => WebhookFormat::Raw,
            options::Posted::Json => WebhookFormat::Json,
        },
        timeout: route.timeout.0,
    })
}

/// As [`maildir`], without its mailbox.
fn capture(route: &options::Route) -> Option<Capture> {
    Some(Capture { mailbox: route.mailbox.as_ref()?.parse().ok()? })
}

pub fn tls(tls: options::RouteTls) -> RouteTls {
    match tls {
        options::RouteTls::None => RouteTls::None,
        options::RouteTls::Opportunistic => RouteTls::Opportunistic,
        options::RouteTls::Required => RouteTls::Required,
        options::RouteTls::Dane => RouteTls::Dane,
    }
}

/// Our name, and the addresses that mail would come back to: those we listen on, and those of the interfaces where we
/// listen on all.
pub fn own_hosts(config: &Config) -> OwnHosts {
    let mut addresses = BTreeSet::new();
    for listener in &config.listener {
        match &listener.address {
            ListenAddress::Tcp(address) if address.ip().is_unspecified() => {
                addresses.extend(world::own_addresses().iter().map(IpAddr::to_canonical));
            }
            ListenAddress::Tcp(address) => {
                addresses.insert(address.ip().to_canonical());
            }
            ListenAddress::Unix(_) => {}
        }
    }
    OwnHosts { names: BTreeSet::from([config.hostname.0.to_ascii_lowercase()]), addresses }
}

/// Whom to ask about names.
pub fn resolver(config: &Config) -> ResolverSettings {
    ResolverSettings {
        servers: config.dns.servers.iter().map(|server| server.value).collect(),
        dnssec: match config.dns.dnssec {
            Dnssec::Auto => dns::Dnssec::Auto,
            Dnssec::Validate => dns::Dnssec::Validate,
            Dnssec::Off => dns::Dnssec::Off,
        },
        trust_anchor: config.dns.trust_anchor.clone(),
        timeout: config.dns.timeout.0,
    }
}
