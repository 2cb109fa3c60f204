//! What is played without a scenario of one's own: a quiet day and four that are not, on each way that mail takes.

use std::fmt::Write;

use mail::Address;
use mta::route::Via;

use super::{
    cast::{Playable, described},
    scenario::Scenario,
};
use crate::{
    Failure,
    config::{options, types::quoted},
};

/// One run.
#[derive(Clone, Debug)]
pub struct Scene {
    pub name: String,
    pub scenario: Scenario,
}

/// A way that mail takes: a recipient who gets it there, and the peer who is to have manners.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    to: Address,
    /// `domain` or `host`, and its name.
    peer: (&'static str, String),
    /// `big.example`, or `smtp.provider.example, by [[route]] number 1 ("*")`
    name: String,
}

/// The scenes, and what is left out of them.
pub fn scenes(playable: &Playable) -> Result<(Vec<Scene>, Vec<String>), Failure> {
    let (targets, notes) = targets(playable);
    if targets.is_empty() {
        return Err(Failure::usage(
            "there is nothing to rehearse: by its routes this configuration sends nothing to other hosts by SMTP; \
             another is named with --config",
        ));
    }
    let mut scenes = Vec::new();
    for target in &targets {
        for (name, text) in days(target) {
            let scenario = Scenario::parse("standard scenario".as_ref(), &text)?;
            scenes.push(Scene { name, scenario });
        }
    }
    Ok((scenes, notes))
}

fn days(target: &Target) -> [(String, String); 5] {
    let Target { to, peer: (key, peer), name } = target;
    let scenario = |manners: &str, message: &str| {
        let mut text = String::new();
        let _ = writeln!(text, "[[peer]]\n{key} = {}\n{manners}", quoted(peer));
        let _ = writeln!(text, "[[message]]\nto = [{}]\n{message}", quoted(&to.to_string()));
        text
    };
    let outage = "[[dns]]\nanswer = \"servfail\"\nduring = \"0..6h\"\n";
    [
        (format!("a quiet day, to {name}"), scenario("", "")),
        (format!("two days down: {name}"), scenario("down = \"0..2d\"", "count = 3\nevery = \"12h\"")),
        (format!("greylisting for five minutes: {name}"), scenario("greylist = \"5m\"", "")),
        (format!("20 messages a minute at most: {name}"), scenario("limit = \"20/1m\"", "count = 100")),
        (format!("name servers fail for six hours: {name}"), scenario(outage, "")),
    ]
}

/// The ways of the routes that lead to other hosts, each once, with the routes they are left out for.
fn targets(playable: &Playable) -> (Vec<Target>, Vec<String>) {
    let (mut targets, mut notes, mut ways) = (Vec::new(), Vec::new(), Vec::new());
    for (index, route) in playable.routes.iter().enumerate() {
        let written = playable.config.route.get(index);
        let Some(to) = recipient(written) else { continue };
        let decides = playable.routes.iter().position(|route| route.recipient.matches(&to));
        if decides != Some(index) {
            continue;
        }
        let name = written.map(|route| described(index, route));
        let (way, target) = match &route.via {
            Via::Mx(delivery) => {
                let domain = to.domain().map(|domain| domain.as_str().to_owned()).unwrap_or_default();
                let name =
                    name.as_ref().map_or_else(|| domain.clone(), |route| format!("{domain}, by {route}"));
                (format!("{delivery:?}"), Target { to, peer: ("domain", domain), name })
            }
            Via::Smtp(next) => {
                let host = next.host.clone();
                let name = name.as_ref().map_or_else(|| host.clone(), |route| format!("{host}, by {route}"));
                (format!("{next:?}"), Target { to, peer: ("host", host), name })
            }
            _ => continue,
        };
        // Later routes are for more addresses.
        if let Some(place) = ways.iter().position(|other| *other == way) {
            ways.remove(place);
            let first: Target = targets.remove(place);
            notes.push(format!("{}: as {}, so it is played once", first.name, target.name));
        }
        ways.push(way);
        targets.push(target);
    }
    (targets, notes)
}

/// Somebody whom the route is for.
fn recipient(route: Option<&options::Route>) -> Option<Address> {
    let pattern = route.map_or("*", |route| route.recipient.text.as_str());
    let (user, domain) = pattern.rsplit_once('@').unwrap_or(("*", pattern));
    let user = if user == "*" { "somebody" } else { user };
    let domain = match domain.strip_prefix("*.") {
        Some(parent) => format!("sub.{parent}"),
        None if domain == "*" => "big.example".to_owned(),
        None => domain.to_owned(),
    };
    format!("{user}@{domain}").parse().ok()
}
