//! What must hold once the faults are over and the queues are empty, whatever happened on the way.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
};

use mail::{QueueId, Timestamp};
use store::{
    KeyRange, Order, StoreError, Stores,
    keys::{KeyBuilder, KeyReader, LEDGER_EVENT},
    ledger::Event,
    mailbox::Uid,
    spool::QueueEntry,
};
use tokio::time::Instant;

use crate::{
    client::{Outcome, Submission},
    letter::{self, Read, Tag},
    peer::Arrival,
    run::Counts,
    server::Server,
    world::{LinkRecord, uptime},
};

type Histories = BTreeMap<QueueId, Vec<(Timestamp, Event)>>;

/// Everything that a run left behind.
#[derive(Debug)]
pub struct Evidence {
    pub start: Instant,
    pub submissions: Vec<Submission>,
    pub arrivals: Vec<Arrival>,
    pub servers: Vec<Kept>,
    pub links: Vec<LinkRecord>,
}

/// What a server has on its disk.
#[derive(Debug)]
pub struct Kept {
    name: String,
    accounts: Vec<String>,
    ip: std::net::IpAddr,
    copies: Vec<Copy>,
    histories: Histories,
    waiting: Vec<QueueEntry>,
    /// What its wall clock was ahead by at any time, in milliseconds.
    ahead: Vec<i64>,
    /// Bodies on the disk, and those that mailboxes and queue refer to.
    bodies: usize,
    referred: usize,
}

/// A message in a mailbox.
#[derive(Debug)]
struct Copy {
    account: String,
    queue_id: Option<QueueId>,
    read: Read,
}

impl Kept {
    pub async fn of(server: &Server) -> Result<Self, Box<dyn std::error::Error>> {
        let stores = server.stores();
        let (mut copies, mut referred) = (Vec::new(), BTreeSet::new());
        for name in server.accounts() {
            let account = stores.directory.account(&name.parse()?).await?.ok_or("an account is gone")?;
            for message in stores.mailboxes.messages(account.inbox, Uid(0), usize::MAX).await? {
                let octets = stores.mailboxes.read(&message.record, 0..u64::MAX).await?;
                let read = letter::read(&String::from_utf8_lossy(&octets));
                referred.insert(message.record.blob);
                copies.push(Copy { account: name.clone(), queue_id: message.record.queue_id, read });
            }
        }
        let waiting = stores.spool.list(None, usize::MAX).await?;
        referred.extend(waiting.iter().map(|entry| entry.blob));
        Ok(Self {
            name: server.name.to_string(),
            accounts: server.accounts().collect(),
            ip: server.ip,
            copies,
            histories: histories(&stores).await?,
            waiting,
            ahead: server.wall.ahead(),
            bodies: server.engine().bodies().0,
            referred: referred.len(),
        })
    }

    /// Stands for all of it.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        hasher.finish()
    }
}

async fn histories(stores: &Stores) -> Result<Histories, StoreError> {
    let range = KeyRange::prefix(&KeyBuilder::new(LEDGER_EVENT).octets());
    let ids = stores.engine.scan(range, Order::Ascending, usize::MAX).await?;
    let mut histories = Histories::new();
    for (key, _) in ids {
        let id = KeyReader::new(&key)?.id()?;
        if let Entry::Vacant(place) = histories.entry(id) {
            place.insert(stores.ledger.events(id).await?);
        }
    }
    Ok(histories)
}

/// Where history and queue tell different stories: each accepted recipient waits, or has one end.
pub async fn agreement(stores: &Stores) -> Vec<String> {
    let read =
        async { Ok::<_, StoreError>((histories(stores).await?, stores.spool.list(None, usize::MAX).await?)) };
    match read.await {
        Ok((histories, waiting)) => disagreements(&histories, &waiting),
        Err(error) => vec![format!("the disk cannot be read: {error}")],
    }
}

/// The ends that one message had for one recipient, as its history tells.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    waits: usize,
    delivered: usize,
    failed: usize,
    deleted: usize,
}

impl Ends {
    fn is_one(&self) -> bool {
        // What was under way when an operator deleted it may have arrived all the same.
        let too_late = usize::from(self.deleted > 0 && self.delivered > 0);
        self.waits + self.delivered + self.failed + self.deleted == 1 + too_late
    }
}

fn disagreements(histories: &Histories, waiting: &[QueueEntry]) -> Vec<String> {
    let mut ends: BTreeMap<(QueueId, String), Ends> = BTreeMap::new();
    for entry in waiting {
        for recipient in &entry.recipients {
            ends.entry((entry.queue_id, recipient.address.to_string())).or_default().waits += 1;
        }
    }
    let mut accepted = BTreeSet::new();
    for (id, events) in histories {
        for (_, event) in events {
            if let Event::Accepted { recipients, .. } = event {
                accepted.extend(recipients.iter().map(|recipient| (*id, recipient.clone())));
            }
            let mut add = |recipients: &[String], count: fn(&mut Ends) -> &mut usize| {
                for recipient in recipients {
                    *count(ends.entry((*id, recipient.clone())).or_default()) += 1;
                }
            };
            match event {
                Event::Delivered { recipient, .. } => {
                    add(std::slice::from_ref(recipient), |ends| &mut ends.delivered);
                }
                Event::Bounced { recipients, .. } | Event::Expired { recipients, .. } => {
                    add(recipients, |ends| &mut ends.failed);
                }
                Event::Operator { action, recipients } if action == "delete" => {
                    add(recipients, |ends| &mut ends.deleted);
                }
                _ => {}
            }
        }
    }
    let mut wrong = Vec::new();
    for (id, recipient) in &accepted {
        let found = ends.remove(&(*id, recipient.clone())).unwrap_or_default();
        if !found.is_one() {
            wrong.push(format!("{id} for {recipient}: history and queue disagree: {found:?}"));
        }
    }
    wrong.extend(ends.keys().map(|(id, recipient)| format!("{id} for {recipient} was never accepted")));
    wrong
}

/// What is wrong, and how much there was.
pub fn judge(evidence: &Evidence) -> (Vec<String>, Counts) {
    let mut case = Case { evidence, wrong: Vec::new(), ways: BTreeMap::new(), counts: Counts::default() };
    case.follow();
    case.submissions();
    case.contents();
    case.reports();
    for kept in &evidence.servers {
        let found = disagreements(&kept.histories, &kept.waiting);
        case.wrong.extend(found.into_iter().map(|wrong| format!("{}: {wrong}", kept.name)));
        case.mailboxes(kept);
        if kept.bodies != kept.referred {
            let (bodies, referred) = (kept.bodies, kept.referred);
            case.wrong.push(format!("{}: {bodies} bodies on disk, {referred} referred to", kept.name));
        }
    }
    case.counts.connections = evidence.links.len();
    case.counts.disturbed = evidence.links.iter().filter(|link| link.disturbed).count();
    (case.wrong, case.counts)
}

/// What became of one message for one recipient, over all hosts.
#[derive(Debug, Default)]
struct Way {
    /// In mailboxes and at peers.
    arrived: usize,
    bounced: usize,
    /// Ends without a word to the sender, which has none.
    dropped: usize,
    deleted: usize,
    /// Times that a host took it whose caller cannot have known, or may not.
    excused: usize,
}

struct Case<'a> {
    evidence: &'a Evidence,
    wrong: Vec<String>,
    ways: BTreeMap<(Tag, String), Way>,
    counts: Counts,
}

impl Case<'_> {
    fn way(&mut self, tag: &str, recipient: &str) -> &mut Way {
        self.ways.entry((tag.to_owned(), recipient.to_owned())).or_default()
    }

    /// Fills in the ways.
    fn follow(&mut self) {
        let evidence = self.evidence;
        for arrival in &evidence.arrivals {
            let Read::Letter { tag, .. } = &arrival.read else { continue };
            let excused = arrival.reply_lost || self.disturbed(arrival.from, arrival.peer, arrival.at);
            for recipient in &arrival.recipients {
                let way = self.way(tag, recipient);
                way.arrived += 1;
                way.excused += usize::from(excused);
            }
        }
        for kept in &evidence.servers {
            for copy in &kept.copies {
                if let Read::Letter { tag, .. } = &copy.read {
                    self.way(tag, &copy.account).arrived += 1;
                }
            }
            for events in kept.histories.values() {
                self.follow_history(kept, events);
            }
        }
    }

    fn follow_history(&mut self, kept: &Kept, events: &[(Timestamp, Event)]) {
        let Some((tag, null_path)) = events.iter().find_map(|(_, event)| letter_of(event)) else { return };
        for (at, event) in events {
            match event {
                Event::Accepted { client_ip: Some(client), recipients, .. } => {
                    let client = client.parse().unwrap_or(kept.ip);
                    let excused = self.disturbed_at_wall(client, kept, *at);
                    for recipient in recipients {
                        self.way(&tag, recipient).excused += usize::from(excused);
                    }
                }
                Event::Bounced { recipients, report, .. } | Event::Expired { recipients, report, .. } => {
                    self.counts.bounces += recipients.len();
                    if report.is_some() == null_path {
                        let which = if null_path { "a report to nobody" } else { "no report" };
                        self.wrong.push(format!("{tag}: failed with {which}: {event:?}"));
                    }
                    for recipient in recipients {
                        let way = self.way(&tag, recipient);
                        if null_path { way.dropped += 1 } else { way.bounced += 1 }
                    }
                }
                Event::Operator { action, recipients } if action == "delete" => {
                    for recipient in recipients {
                        self.way(&tag, recipient).deleted += 1;
                    }
                }
                _ => {}
            }
        }
    }

    /// A connection between the two was open then and did not end well.
    fn disturbed(&self, from: std::net::IpAddr, to: std::net::IpAddr, at: Instant) -> bool {
        self.evidence.links.iter().any(|link| {
            link.disturbed
                && (link.from, link.to) == (from, to)
                && link.opened <= at
                && link.ended.is_none_or(|ended| at <= ended)
        })
    }

    /// The same for a time that a wall clock showed, which may have jumped.
    fn disturbed_at_wall(&self, from: std::net::IpAddr, kept: &Kept, at: Timestamp) -> bool {
        kept.ahead.iter().any(|ahead| {
            let at = Timestamp::from_millis(at.millis().saturating_sub(*ahead));
            self.disturbed(from, kept.ip, self.evidence.start + uptime(at))
        })
    }

    /// Each acknowledged recipient has an end, and more than one only with an excuse.
    fn submissions(&mut self) {
        let mut known = BTreeSet::new();
        for submission in &self.evidence.submissions {
            let Submission { tag, sender, recipients, outcome, .. } = submission;
            self.counts.acknowledged += if *outcome == Outcome::Accepted { recipients.len() } else { 0 };
            for recipient in recipients {
                known.insert((tag.clone(), recipient.clone()));
                let way = self.ways.entry((tag.clone(), recipient.clone())).or_default();
                let ends = way.arrived + way.bounced + way.dropped + way.deleted;
                let what = match outcome {
                    Outcome::Accepted if ends == 0 => "acknowledged, and lost",
                    Outcome::Refused if ends > 0 => "refused, and yet it went its way",
                    _ if ends > 1 + way.excused + usize::from(way.deleted > 0) => "twice without an excuse",
                    _ => "",
                };
                self.counts.duplicates += ends.saturating_sub(1);
                if !what.is_empty() {
                    self.wrong.push(format!("{tag} from <{sender}> for {recipient}: {what}: {way:?}"));
                }
            }
        }
        let unknown = self.ways.keys().filter(|key| !known.contains(key));
        let unknown = unknown.map(|(tag, recipient)| format!("{tag} for {recipient}: nobody sent that"));
        self.wrong.extend(unknown);
    }

    /// What arrives is what was sent.
    fn contents(&mut self) {
        let copies = self.evidence.servers.iter().flat_map(|kept| &kept.copies);
        let peers = self.evidence.arrivals.iter().map(|arrival| (&arrival.read, arrival.peer.to_string()));
        let all = copies.map(|copy| (&copy.read, copy.account.clone())).chain(peers);
        let damaged = all.filter_map(|(read, place)| match read {
            Read::Letter { whole: true, .. } | Read::Report { .. } => None,
            Read::Letter { tag, whole: false } => Some(format!("{tag} is damaged at {place}")),
            Read::Other => Some(format!("something that nobody sent is at {place}")),
        });
        self.wrong.extend(damaged);
    }

    /// Reports come from nobody, tell of letters, and reach senders that are here.
    fn reports(&mut self) {
        let mut told = BTreeSet::new();
        let copies = self.evidence.servers.iter().flat_map(|kept| &kept.copies);
        for copy in copies {
            let Read::Report { about, fates, null_path } = &copy.read else { continue };
            let Some(about) = about else {
                self.wrong.push(format!("a report on no letter is in the mailbox of {}", copy.account));
                continue;
            };
            if !null_path {
                self.wrong.push(format!("the report on {about} has a reverse-path"));
            }
            let failed = fates.iter().filter(|(_, action)| action == "failed");
            told.extend(
                failed.map(|(recipient, _)| (about.clone(), recipient.clone(), copy.account.clone())),
            );
        }
        let accounts: BTreeSet<_> =
            self.evidence.servers.iter().flat_map(|kept| kept.accounts.iter().cloned()).collect();
        for submission in &self.evidence.submissions {
            for recipient in &submission.recipients {
                let (tag, sender) = (&submission.tag, &submission.sender);
                let way = self.ways.get(&(tag.clone(), recipient.clone()));
                let bounced = way.is_some_and(|way| way.bounced > 0);
                let here = accounts.contains(sender);
                if bounced && here && !told.contains(&(tag.clone(), recipient.clone(), sender.clone())) {
                    self.wrong.push(format!("{tag} for {recipient} bounced, and {sender} was not told"));
                }
            }
        }
    }

    /// Final delivery is exactly once: a copy for each delivery in the history, and none besides.
    fn mailboxes(&mut self, kept: &Kept) {
        let mut copies: BTreeMap<(QueueId, &str), usize> = BTreeMap::new();
        for copy in &kept.copies {
            if let Some(id) = copy.queue_id {
                *copies.entry((id, &copy.account)).or_default() += 1;
            }
        }
        for (id, events) in &kept.histories {
            for (_, event) in events {
                if let Event::Delivered { recipient, to, .. } = event
                    && to.starts_with("INBOX")
                    && copies.remove(&(*id, recipient)) != Some(1)
                {
                    self.wrong.push(format!("{}: {id} is not in the mailbox of {recipient} once", kept.name));
                }
            }
        }
        let left =
            copies.keys().map(|(id, account)| format!("{}: {id} in {account} without history", kept.name));
        self.wrong.extend(left);
    }
}

/// The letter that a message is, and whether its reverse-path is null.
fn letter_of(event: &Event) -> Option<(Tag, bool)> {
    let Event::Accepted { message_id: Some(id), reverse_path, .. } = event else { return None };
    let is_null = matches!(reverse_path.as_str(), "" | "<>");
    Some((letter::tag_of(id)?, is_null))
}
