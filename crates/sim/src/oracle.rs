//! What must hold once the faults are over and the queues are empty, whatever happened on the way.

mod reports;
mod transactions;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
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
    plan::Aliases,
    reader::{Fate, Fetched, Seen},
    run::Counts,
    server::Server,
    world::LinkRecord,
};

/// From the failure of a disk to the reply that tells of it, over a slow network.
const FAILURE_TOLD_MAX: Duration = Duration::from_secs(10);

type Histories = BTreeMap<QueueId, Vec<(Timestamp, Event)>>;

/// Everything that a run left behind.
#[derive(Debug)]
pub struct Evidence {
    pub aliases: Aliases,
    pub dead_letters: bool,
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
    /// From when to when in the run its disk was full.
    full: Vec<(Duration, Duration)>,
    /// When its disk failed.
    failed: Vec<Duration>,
    /// Bodies on the disk, and those that mailboxes and queue refer to.
    bodies: usize,
    referred: usize,
}

/// A message in a mailbox.
#[derive(Debug)]
struct Copy {
    account: String,
    uid: u32,
    queue_id: Option<QueueId>,
    read: Read,
}

impl Evidence {
    /// It was told 451 because a sync failed; and yet what was written may be found after the crash that follows.
    fn is_unsure(&self, submission: &Submission) -> bool {
        let ended = submission.ended.saturating_duration_since(self.start);
        let server = self.servers.get(submission.server);
        let had_failed = |at: &Duration| *at <= ended && ended <= *at + FAILURE_TOLD_MAX;
        submission.said.starts_with("451 4.3.0 ") && server.is_some_and(|it| it.failed.iter().any(had_failed))
    }
}

impl Kept {
    pub async fn of(server: &Server) -> Result<Self, Box<dyn std::error::Error>> {
        let stores = server.stores();
        let (mut copies, mut referred) = (Vec::new(), BTreeSet::new());
        for name in server.accounts() {
            let account = stores.directory.account(&name.parse()?).await?.ok_or("an account is gone")?;
            for mailbox in stores.mailboxes.list(account.id).await? {
                let messages = stores.mailboxes.messages(mailbox.id, Uid(0), usize::MAX).await?;
                referred.extend(messages.iter().map(|message| message.record.blob));
            }
            for message in stores.mailboxes.messages(account.inbox, Uid(0), usize::MAX).await? {
                // Who appended it knows what it is.
                if message.record.queue_id.is_none() {
                    continue;
                }
                let octets = stores.mailboxes.read(&message.record, 0..u64::MAX).await?;
                let read = letter::read(&String::from_utf8_lossy(&octets));
                copies.push(Copy {
                    account: name.clone(),
                    uid: message.uid.0,
                    queue_id: message.record.queue_id,
                    read,
                });
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
            full: server.full(),
            failed: server.failed(),
            bodies: server.engine().bodies().0,
            referred: referred.len(),
        })
    }

    /// What a reader deleted was there all the same; says where the mailbox is not as the reader was told.
    pub fn take_back(&mut self, seen: &Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        let (account, is_here) = (&seen.account, self.accounts.contains(&seen.account));
        for (uid, fetched) in seen.messages.iter().filter(|_| is_here) {
            let is_there = self.copies.iter().any(|copy| copy.account == *account && copy.uid == *uid);
            let Fetched { queue_id, read, fate } = fetched.clone();
            match fate {
                Fate::Kept if !is_there => wrong.push(format!("{account}: {read} is gone, it was {uid}")),
                Fate::Deleted if is_there => wrong.push(format!("{account}: {read} is still there as {uid}")),
                Fate::Perhaps | Fate::Deleted if !is_there => {
                    self.copies.push(Copy { account: account.clone(), uid: *uid, queue_id, read });
                }
                _ => {}
            }
        }
        wrong
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
pub async fn agreement(stores: &Stores, aliases: &Aliases) -> Vec<String> {
    let read =
        async { Ok::<_, StoreError>((histories(stores).await?, stores.spool.list(None, usize::MAX).await?)) };
    match read.await {
        Ok((histories, waiting)) => disagreements(aliases, &histories, &waiting),
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

fn disagreements(aliases: &Aliases, histories: &Histories, waiting: &[QueueEntry]) -> Vec<String> {
    let mut ends: BTreeMap<(QueueId, String), Ends> = BTreeMap::new();
    for entry in waiting {
        for recipient in entry.recipients.iter().flat_map(|it| aliases.targets(&it.address.to_string())) {
            ends.entry((entry.queue_id, recipient)).or_default().waits += 1;
        }
    }
    let mut accepted = BTreeSet::new();
    for (id, events) in histories {
        // What comes back to an alias goes to whom its rewritten sender stands for.
        if events.iter().any(|(_, event)| is_for_rewritten(event)) {
            ends.retain(|(other, _), _| other != id);
            continue;
        }
        for (_, event) in events {
            if let Event::Accepted { recipients, .. } = event {
                let targets = recipients.iter().flat_map(|recipient| aliases.targets(recipient));
                accepted.extend(targets.map(|recipient| (*id, recipient)));
            }
            let mut add = |recipients: &[String], count: fn(&mut Ends) -> &mut usize| {
                for recipient in recipients.iter().flat_map(|recipient| aliases.targets(recipient)) {
                    *count(ends.entry((*id, recipient)).or_default()) += 1;
                }
            };
            match event {
                Event::Delivered { recipient, .. } => {
                    add(std::slice::from_ref(recipient), |ends| &mut ends.delivered);
                }
                Event::Bounced { recipients, .. } | Event::Expired { recipients, .. } => {
                    add(recipients, |ends| &mut ends.failed);
                }
                Event::Operator { action, recipients, .. } if action == "delete" => {
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

fn is_for_rewritten(event: &Event) -> bool {
    let is_srs =
        |recipient: &String| recipient.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("SRS"));
    matches!(event, Event::Accepted { recipients, .. } if recipients.iter().any(is_srs))
}

/// The histories that servers keep of the letters that these complaints name.
pub fn histories_of(evidence: &Evidence, complaints: &[String]) -> Vec<String> {
    let words = complaints.iter().flat_map(|it| it.split([' ', ':']));
    let named: BTreeSet<_> = words.filter(|word| word.starts_with('m') && word.contains('.')).collect();
    let mut lines = Vec::new();
    for kept in &evidence.servers {
        for (id, events) in &kept.histories {
            let tag = events.iter().find_map(|(_, event)| letter_of(event)).map(|(tag, _)| tag);
            let tag = tag.filter(|tag| named.contains(tag.as_str()));
            let told = |(at, event): &(Timestamp, Event)| {
                let tag = tag.as_deref().unwrap_or_default();
                format!("{} {} {tag} {id}: {event:?}", at.rfc3339(), kept.name)
            };
            lines.extend(events.iter().filter(|_| tag.is_some()).map(told));
        }
    }
    lines.sort();
    lines
}

/// What is wrong, and how much there was.
pub fn judge(evidence: &Evidence) -> (Vec<String>, Counts) {
    let silent = evidence.submissions.iter().filter(|it| it.silent).map(|it| it.tag.clone()).collect();
    let mut case =
        Case { evidence, wrong: Vec::new(), ways: BTreeMap::new(), silent, counts: Counts::default() };
    case.follow();
    case.submissions();
    case.contents();
    case.reports();
    for kept in &evidence.servers {
        let found = disagreements(&evidence.aliases, &kept.histories, &kept.waiting);
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
    /// Times that a host took it and its caller cannot know.
    excused: usize,
}

struct Case<'a> {
    evidence: &'a Evidence,
    wrong: Vec<String>,
    ways: BTreeMap<(Tag, String), Way>,
    /// Whose senders want no reports.
    silent: BTreeSet<Tag>,
    counts: Counts,
}

impl Case<'_> {
    fn targets(&self, recipients: &[String]) -> Vec<String> {
        recipients.iter().flat_map(|recipient| self.evidence.aliases.targets(recipient)).collect()
    }

    fn way(&mut self, tag: &str, recipient: &str) -> &mut Way {
        self.ways.entry((tag.to_owned(), recipient.to_owned())).or_default()
    }

    /// Fills in the ways.
    fn follow(&mut self) {
        let evidence = self.evidence;
        for arrival in &evidence.arrivals {
            let Read::Letter { tag, .. } = &arrival.read else { continue };
            for recipient in self.targets(&arrival.recipients) {
                self.way(tag, &recipient).arrived += 1;
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
        let found = transactions::look(evidence);
        self.wrong.extend(found.wrong);
        for taken in found.unknown {
            let Some(tag) = &taken.tag else { continue };
            for recipient in self.targets(&taken.recipients) {
                self.way(tag, &recipient).excused += 1;
            }
        }
    }

    fn follow_history(&mut self, kept: &Kept, events: &[(Timestamp, Event)]) {
        let Some((tag, null_path)) = events.iter().find_map(|(_, event)| letter_of(event)) else { return };
        for (_, event) in events {
            match event {
                Event::Accepted { tls: Some(_), .. } => self.counts.encrypted += 1,
                Event::Bounced { recipients, report, .. } | Event::Expired { recipients, report, .. } => {
                    self.counts.bounces += recipients.len();
                    let wants_none = self.silent.contains(&tag);
                    let silent = null_path || wants_none;
                    let which = match report {
                        None if !silent => "no report",
                        Some(_) if wants_none && !null_path => "a report that nobody wants",
                        Some(_) if null_path && !self.evidence.dead_letters => "a report to nobody",
                        _ => "",
                    };
                    if !which.is_empty() {
                        self.wrong.push(format!("{}: {tag} failed with {which}: {event:?}", kept.name));
                    }
                    for recipient in self.targets(recipients) {
                        let way = self.way(&tag, &recipient);
                        if silent { way.dropped += 1 } else { way.bounced += 1 }
                    }
                }
                Event::Operator { action, recipients, .. } if action == "delete" => {
                    for recipient in self.targets(recipients) {
                        self.way(&tag, &recipient).deleted += 1;
                    }
                }
                _ => {}
            }
        }
    }

    /// Each acknowledged recipient has an end, and more than one only with an excuse.
    fn submissions(&mut self) {
        let mut known = BTreeSet::new();
        for submission in &self.evidence.submissions {
            let Submission { tag, sender, recipients, outcome, .. } = submission;
            self.counts.acknowledged += if *outcome == Outcome::Accepted { recipients.len() } else { 0 };
            for recipient in &self.targets(recipients) {
                known.insert((tag.clone(), recipient.clone()));
                let way = self.ways.entry((tag.clone(), recipient.clone())).or_default();
                let ends = way.arrived + way.bounced + way.dropped + way.deleted;
                let what = match outcome {
                    Outcome::Accepted if ends == 0 => "acknowledged, and lost",
                    Outcome::Refused if ends > 0 && !self.evidence.is_unsure(submission) => {
                        "refused, and yet it went its way"
                    }
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
