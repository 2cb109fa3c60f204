//! What the options must fulfil together.

mod route;

use std::{collections::HashSet, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use world::ListenAddress;

use route::check_route;

use super::{
    delivery::has_two_of_a_family,
    options::{AskedFor, Config, Listener, ListenerTls, OAuth, Service, Tls, TlsSource},
    problem::Problems,
    types::HostName,
};

/// RFC 8461 §3.2
const STS_MAX_AGE_SECONDS: u64 = 31_557_600;
/// What goes into one line of the reply to EHLO (RFC 5321 §4.5.3.1.5).
const NO_SOLICITING_BYTES_MAX: usize = 480;

/// Adds a problem for each combination that cannot work.
pub fn check(config: &Config, root: &Spanned<DeTable<'_>>, problems: &mut Problems) {
    let root = root.get_ref();
    if config.listener.is_empty() {
        let message = "there is no [[listener]], so nothing would be served; add one, \
                       for example service = \"smtp\" and address = \"0.0.0.0:25\"";
        problems.add(0..0, message);
    }
    check_listeners(config, root, problems);
    check_tls(&config.tls, root, problems);
    check_certificates(config, root, problems);
    for (index, route) in config.route.iter().enumerate() {
        check_route(route, &|key| span_in(root, "route", Some(index), key), problems);
    }
    check_sources(config, root, problems);
    check_oauth(&config.oauth, &|key| span_in(root, "oauth", None, key), problems);
    check_web(config, root, problems);
    check_numbers(config, root, problems);
}

fn check_listeners(config: &Config, root: &DeTable<'_>, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (index, listener) in config.listener.iter().enumerate() {
        let at = |key: &str| span_in(root, "listener", Some(index), key);
        let chosen_by_system = listener.address.to_string().ends_with(":0");
        if !seen.insert(&listener.address) && !chosen_by_system {
            let message = format!("another [[listener]] has the address {} already", listener.address);
            problems.add(at("address"), message);
        }
        let on_port_25 = matches!(&listener.address, ListenAddress::Tcp(address) if address.port() == 25);
        if listener.service == Service::Lmtp && on_port_25 {
            // RFC 2033 §5
            problems
                .add(at("address"), "port 25 is for SMTP; LMTP takes another port, such as 24, or a socket");
        }
        if listener.refuse.is_some() && !listener.service.takes_mail() {
            problems
                .add(at("refuse"), "refuse is for smtp, submission and lmtp; remove the listener instead");
        }
        if listener.proxy_protocol && config.smtp.proxy_networks.is_empty() {
            let message = "proxy_protocol = true needs the proxies' addresses in proxy_networks in [smtp]";
            problems.add(at("proxy_protocol"), message);
        }
        let is_web = matches!(listener.service, Service::Http | Service::Https);
        if is_web && listener.tls == Some(ListenerTls::Starttls) {
            problems.add(at("tls"), "http has no STARTTLS; https is under TLS from the start");
        }
        check_asking(config, listener, &at, problems);
    }
}

/// A certificate that is asked for has to be of use.
fn check_asking(
    config: &Config,
    listener: &Listener,
    at: &dyn Fn(&str) -> Range<usize>,
    problems: &mut Problems,
) {
    if listener.client_certificates == AskedFor::Off {
        return;
    }
    if config.tls.client_ca.is_none() && config.client_certificate.is_empty() {
        let message =
            "client_certificates = \"optional\" needs client_ca in [tls], or a [[client_certificate]]";
        problems.add(at("client_certificates"), message);
    }
    if listener.tls == Some(ListenerTls::None) {
        problems.add(at("client_certificates"), "client certificates come with TLS, and tls = \"none\" here");
    }
    if matches!(listener.service, Service::Smtp | Service::Lmtp | Service::Http | Service::Https) {
        let message = "client certificates are for logging in, which submission, submissions, pop3, pop3s, imap and imaps offer";
        problems.add(at("client_certificates"), message);
    }
}

/// RFC 8461 §3.2
fn check_web(config: &Config, root: &DeTable<'_>, problems: &mut Problems) {
    let policy = &config.mta_sts;
    let is_wrong = |name: &&String| HostName::parse(name.strip_prefix("*.").unwrap_or(name)).is_err();
    if let Some(wrong) = policy.mx.iter().find(is_wrong) {
        let message = format!("{wrong:?} is no host name, and no \"*.\" with one behind it");
        problems.add(span_in(root, "mta_sts", None, "mx"), message);
    }
    if config.web.base_url.as_ref().is_some_and(|url| url.to_string().contains('?')) {
        problems.add(span_in(root, "web", None, "base_url"), "base_url has no query: paths are added to it");
    }
    if policy.max_age.0.as_secs() > STS_MAX_AGE_SECONDS {
        problems.add(span_in(root, "mta_sts", None, "max_age"), "max_age may be a year at most");
    }
}

fn check_certificates(config: &Config, root: &DeTable<'_>, problems: &mut Problems) {
    for (index, certificate) in config.certificate.iter().enumerate() {
        let is_wrong = |name: &&String| HostName::parse(name.strip_prefix("*.").unwrap_or(name)).is_err();
        if let Some(wrong) = certificate.names.iter().find(is_wrong) {
            let message = format!("{wrong:?} is no host name, and no \"*.\" with one behind it");
            problems.add(span_in(root, "certificate", Some(index), "names"), message);
        }
    }
    for (index, certificate) in config.client_certificate.iter().enumerate() {
        if certificate.account.parse::<mail::Address>().is_err() {
            let message = format!("{:?} is not an address such as \"ann@example.org\"", certificate.account);
            problems.add(span_in(root, "client_certificate", Some(index), "account"), message);
        }
    }
}

fn check_tls(tls: &Tls, root: &DeTable<'_>, problems: &mut Problems) {
    let given = [("certificate", tls.certificate.is_some()), ("key", tls.key.is_some())];
    for (key, given) in given {
        match (tls.mode, given) {
            (TlsSource::Files, false) => {
                let message = format!("mode = \"files\" needs {key} = \"FILE\" in [tls]");
                problems.add(span_in(root, "tls", None, "mode"), message);
            }
            (TlsSource::SelfSigned, true) => {
                problems
                    .add(span_in(root, "tls", None, key), format!("{key} needs mode = \"files\" in [tls]"));
            }
            (TlsSource::Files, true) | (TlsSource::SelfSigned, false) => {}
        }
    }
}

fn check_sources(config: &Config, root: &DeTable<'_>, problems: &mut Problems) {
    let usual = (&config.delivery.source_address, span_in(root, "delivery", None, "source_address"));
    let of_sites = config.destination.iter().enumerate().map(|(index, destination)| {
        let at = span_in(root, "destination", Some(index), "source_address");
        (&destination.source_address, at)
    });
    for (addresses, at) in of_sites.chain([usual]) {
        if has_two_of_a_family(addresses) {
            problems.add(at, "source_address takes one address of IPv4 and one of IPv6");
        }
    }
}

fn check_oauth(oauth: &OAuth, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    let has_keys = oauth.jwks_file.is_some() || oauth.jwks_url.is_some();
    let sources = [
        ("jwks_file", oauth.jwks_file.is_some()),
        ("jwks_url", oauth.jwks_url.is_some()),
        ("introspection_url", oauth.introspection_url.is_some()),
    ];
    let given: Vec<&str> = sources.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
    if let [_, second, ..] = given[..] {
        problems.add(at(second), "[oauth] takes one of jwks_file, jwks_url and introspection_url");
    }
    let needs = [
        // Without both any token of any issuer with such a key would do.
        ("issuer", oauth.issuer.is_some(), has_keys),
        ("audience", oauth.audience.is_some(), has_keys),
        ("client_id", oauth.client_id.is_some(), oauth.introspection_url.is_some()),
        ("client_secret_file", oauth.client_secret_file.is_some(), oauth.introspection_url.is_some()),
    ];
    for (key, is_given, is_needed) in needs {
        if is_needed && !is_given {
            let source = given.first().copied().unwrap_or_default();
            problems.add(at(source), format!("{source} needs {key} in [oauth]"));
        } else if is_given && given.is_empty() {
            problems.add(at(key), "[oauth] needs one of jwks_file, jwks_url and introspection_url");
        }
    }
}

fn check_numbers(config: &Config, root: &DeTable<'_>, problems: &mut Problems) {
    if config.tls.watch_interval.0.is_zero() {
        problems.add(span_in(root, "tls", None, "watch_interval"), "watch_interval must be more than 0");
    }
    let queue = &config.queue;
    if queue.retry_delays.is_empty() || queue.retry_delays.iter().any(|delay| delay.0.is_zero()) {
        let message =
            "retry_delays needs at least one time, each longer than 0, such as [\"1m\", \"15m\", \"1h\"]";
        problems.add(span_in(root, "queue", None, "retry_delays"), message);
    }
    let announced: usize = config.smtp.no_soliciting.iter().map(|class| class.text.len() + 1).sum();
    if announced > NO_SOLICITING_BYTES_MAX {
        let message = format!("no_soliciting may have {NO_SOLICITING_BYTES_MAX} octets in all");
        problems.add(span_in(root, "smtp", None, "no_soliciting"), message);
    }
    if config.smtp.message_bytes_max.0 == 0 {
        let message = "message_bytes_max must be more than 0";
        problems.add(span_in(root, "smtp", None, "message_bytes_max"), message);
    }
    if config.login.window.0.is_zero() {
        problems.add(span_in(root, "login", None, "window"), "window must be more than 0");
    }
}

/// Where `section.key` (or `section[index].key`) stands; the section, or the start, if it is not written.
pub fn span_in(root: &DeTable<'_>, section: &str, index: Option<usize>, key: &str) -> Range<usize> {
    let Some(mut value) = entry(root, section) else { return 0..0 };
    if let (Some(index), DeValue::Array(items)) = (index, value.get_ref()) {
        let Some(item) = items.get(index) else { return value.span() };
        value = item;
    }
    match value.get_ref() {
        DeValue::Table(table) => entry(table, key).map_or_else(|| value.span(), Spanned::span),
        _ => value.span(),
    }
}

fn entry<'a>(table: &'a DeTable<'_>, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
}
