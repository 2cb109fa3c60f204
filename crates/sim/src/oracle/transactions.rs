//! Every message that one of our servers handed to another host, and whether its history knows of it.
//!
//! A host that took a message names it in its reply, and the history of the server that got the reply quotes it. So a
//! message goes a second time only where a server does not know that it went: the reply was lost on the way, or died with
//! the process before it was written down.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use store::ledger::Event;
use tokio::time::Instant;

use super::{Evidence, Kept, letter_of};
use crate::{
    letter::{Read, Tag},
    world::{LinkRecord, Word},
};

/// How long a server may know a reply without having written it down.
const NOTING_MAX: Duration = Duration::from_secs(2);

/// What one host took from one of our servers.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) tag: Option<Tag>,
    pub(super) recipients: Vec<String>,
    from: IpAddr,
    host: IpAddr,
    name: String,
}

#[derive(Debug, Default)]
pub(super) struct Found {
    /// Of what was taken for these recipients the sending server cannot know.
    pub(super) unknown: Vec<Taken>,
    pub(super) wrong: Vec<String>,
}

pub(super) fn look(evidence: &Evidence) -> Found {
    let mut found = Found::default();
    let mut noted = noted(evidence);
    let words: BTreeMap<_, _> = evidence
        .links
        .iter()
        .flat_map(|link| link.words.iter().map(move |word| (key(link, word), (link, word))))
        .collect();
    for taken in taken(evidence) {
        let Some(server) = evidence.servers.iter().find(|kept| kept.ip == taken.from) else { continue };
        let is_noted =
            |recipient: &String| noted.remove(&(taken.from, taken.name.clone(), recipient.clone()));
        let (_, open): (Vec<_>, Vec<_>) = taken.recipients.iter().cloned().partition(is_noted);
        if open.is_empty() {
            continue;
        }
        let heard = words.get(&(taken.from, taken.host, taken.name.as_str()));
        let known = heard.and_then(|(link, word)| known_too_long(evidence.start, server, link, word));
        if let Some(after) = known {
            let (name, tag) = (&taken.name, taken.tag.as_deref().unwrap_or("a report"));
            found.wrong.push(format!(
                "{}: {tag} for {open:?} went to {} as {name}, which it knew from {after:?} on and has not noted",
                server.name, taken.host
            ));
        }
        found.unknown.push(Taken { recipients: open, ..taken });
    }
    let never = noted.iter().map(|(from, name, recipient)| {
        format!("{from}: {recipient} is noted as delivered, and nobody took it as {name}")
    });
    found.wrong.extend(never);
    found
}

fn key<'a>(link: &LinkRecord, word: &'a Word) -> (IpAddr, IpAddr, &'a str) {
    (link.from, link.to, &word.name)
}

/// Since when in the run, if its process lived on and had room to write it down.
fn known_too_long(start: Instant, server: &Kept, link: &LinkRecord, word: &Word) -> Option<Duration> {
    let since_start = |at: Instant| at.saturating_duration_since(start);
    let heard = since_start(word.heard?);
    let full = server.full.iter().filter(|(from, to)| *from <= heard + NOTING_MAX && heard <= *to);
    let in_time = full.map(|(_, to)| *to).max().unwrap_or(heard).max(heard) + NOTING_MAX;
    link.caller.died_at().is_none_or(|died| since_start(died) > in_time).then_some(heard)
}

/// Sender, name and recipient of every delivery to another host in the histories.
fn noted(evidence: &Evidence) -> BTreeSet<(IpAddr, String, String)> {
    let mut noted = BTreeSet::new();
    for kept in &evidence.servers {
        for (_, event) in kept.histories.values().flatten() {
            if let Event::Delivered { recipient, reply: Some(reply), .. } = event {
                let name = reply.rsplit(' ').next().unwrap_or_default();
                noted.insert((kept.ip, name.to_owned(), recipient.clone()));
            }
        }
    }
    noted
}

fn taken(evidence: &Evidence) -> Vec<Taken> {
    let peers = evidence.arrivals.iter().map(|arrival| {
        let tag = match &arrival.read {
            Read::Letter { tag, .. } => Some(tag.clone()),
            _ => None,
        };
        let (name, recipients) = (arrival.name.clone(), arrival.recipients.clone());
        Taken { tag, recipients, from: arrival.from, host: arrival.peer, name }
    });
    let mut taken: Vec<_> = peers.collect();
    for kept in &evidence.servers {
        for (id, events) in &kept.histories {
            let tag = events.iter().find_map(|(_, event)| letter_of(event)).map(|(tag, _)| tag);
            for (_, event) in events {
                let Event::Accepted { client_ip: Some(client), recipients, .. } = event else { continue };
                let Ok(from) = client.parse() else { continue };
                let (tag, recipients, name) = (tag.clone(), recipients.clone(), id.to_string());
                taken.push(Taken { tag, recipients, from, host: kept.ip, name });
            }
        }
    }
    taken
}
