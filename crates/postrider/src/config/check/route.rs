//! What the options of one route must fulfil together.

use std::ops::Range;

use super::Problems;
use crate::config::options::{Posted, Route, RouteTls, Via};

/// An option that means something for some ways only, and whether it says something.
type Key = (&'static str, fn(&Route) -> bool, &'static [Via]);

const KEYS: [Key; 16] = [
    ("host", |route| route.host.is_some(), &[Via::Smtp, Via::Lmtp]),
    ("port", |route| route.port.is_some(), &[Via::Mx, Via::Smtp, Via::Lmtp]),
    ("private_addresses", |route| route.private_addresses, &[Via::Mx]),
    ("backup_mx", |route| route.backup_mx, &[Via::Mx]),
    ("tls", |route| route.tls != RouteTls::Opportunistic, &[Via::Mx, Via::Smtp, Via::Lmtp]),
    ("username", |route| route.username.is_some(), &[Via::Smtp, Via::Lmtp]),
    ("password_file", |route| route.password_file.is_some(), &[Via::Smtp, Via::Lmtp]),
    ("command", |route| !route.command.is_empty(), &[Via::Pipe]),
    ("directory", |route| route.directory.is_some(), &[Via::Pipe]),
    ("user", |route| route.user.is_some(), &[Via::Pipe, Via::Maildir]),
    ("path", |route| route.path.is_some(), &[Via::Maildir]),
    ("create", |route| !route.create, &[Via::Maildir]),
    ("url", |route| route.url.is_some(), &[Via::Http]),
    ("secret_file", |route| route.secret_file.is_some(), &[Via::Http]),
    ("format", |route| route.format != Posted::Raw, &[Via::Http]),
    ("mailbox", |route| route.mailbox.is_some(), &[Via::Capture]),
];

/// Complains about options that the way has no use for.
fn check_keys(route: &Route, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    let via = route.via;
    for (key, _, ways) in KEYS.iter().filter(|(_, says, ways)| says(route) && !ways.contains(&via)) {
        let ways: Vec<String> = ways.iter().map(|way| format!("\"{way}\"")).collect();
        let ways = ways.join(" or ");
        problems.add(at(key), format!("{key} is for via = {ways}, and has no use for \"{via}\"; remove it"));
    }
}

pub(super) fn check_route(route: &Route, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    check_keys(route, at, problems);
    match route.via {
        Via::Smtp | Via::Lmtp => check_host(route, at, problems),
        Via::Pipe => check_command(route, at, problems),
        Via::Maildir => check_path(route, at, problems),
        Via::Http => check_webhook(route, at, problems),
        Via::Capture => check_mailbox(route, at, problems),
        Via::Mx | Via::Hold | Via::Discard | Via::Reject => {}
    }
    if route.backup_mx && route.recipient.value.is_of_any_domain() {
        let message =
            "backup_mx takes mail from anybody, so it needs the domains meant: recipient = \"*@example.org\"";
        problems.add(at("recipient"), message);
    }
    if route.timeout.0.is_zero() {
        problems.add(at("timeout"), "timeout must be more than 0");
    }
    if route.username.is_some() != route.password_file.is_some() {
        let key = if route.username.is_some() { "username" } else { "password_file" };
        problems.add(at(key), "username and password_file belong together; give both or neither");
    }
}

fn check_host(route: &Route, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    let via = route.via;
    let Some(host) = &route.host else {
        let message = format!("via = \"{via}\" needs host = \"NAME OR ADDRESS\" in [[route]]");
        return problems.add(at("via"), message);
    };
    match host.strip_prefix("unix:") {
        Some(_) if via != Via::Lmtp => {
            problems.add(at("host"), "SMTP goes to a host; a Unix socket is for via = \"lmtp\"");
        }
        Some(path) if !path.starts_with('/') => {
            problems
                .add(at("host"), "the socket's full path must follow \"unix:\", as in \"unix:/run/lmtp\"");
        }
        None if host.is_empty() || host.contains(char::is_whitespace) => {
            problems.add(at("host"), format!("{host:?} is not a host name or address"));
        }
        _ => {}
    }
    if via == Via::Lmtp && route.port == Some(25) {
        // RFC 2033 §5
        problems.add(at("port"), "port 25 is for SMTP; LMTP is on another port, such as 24, or a socket");
    }
}

fn check_command(route: &Route, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    let program = route.command.first().map(|program| program.value.constant());
    match program {
        None => {
            let message = "via = \"pipe\" needs command = [\"/FULL/PATH\", \"ARGUMENT\", …] in [[route]]";
            problems.add(at("via"), message);
        }
        Some(Some(program)) if program.starts_with('/') => {}
        Some(_) => {
            let message = "the first text of command is the program: its full path, without ${…} in it";
            problems.add(at("command"), message);
        }
    }
}

fn check_path(route: &Route, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    match &route.path {
        None => {
            let message =
                "via = \"maildir\" needs path = \"/var/mail/${domain}/${user}\" or the like in [[route]]";
            problems.add(at("via"), message);
        }
        Some(path) if !path.text.starts_with('/') => {
            problems.add(at("path"), "path must be a full path, which begins with \"/\"");
        }
        Some(path) if path.text.split('/').any(|name| name == "..") => {
            problems.add(at("path"), "path must not contain \"..\"");
        }
        Some(_) => {}
    }
}

fn check_webhook(route: &Route, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    let needs = [("url", route.url.is_some()), ("secret_file", route.secret_file.is_some())];
    for (key, _) in needs.iter().filter(|(_, is_given)| !is_given) {
        problems.add(at("via"), format!("via = \"http\" needs {key} in [[route]]"));
    }
}

fn check_mailbox(route: &Route, at: &dyn Fn(&str) -> Range<usize>, problems: &mut Problems) {
    match &route.mailbox {
        None => {
            let message = "via = \"capture\" needs mailbox = \"ADDRESS\" of an account here in [[route]]";
            problems.add(at("via"), message);
        }
        Some(mailbox) if mailbox.parse::<mail::Address>().is_err() => {
            let message = format!("{mailbox:?} is not an address such as \"alice@example.org\"");
            problems.add(at("mailbox"), message);
        }
        Some(_) => {}
    }
}
