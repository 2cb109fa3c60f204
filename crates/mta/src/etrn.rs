//! ETRN: what waits for a node is tried now, on a connection of our own along its route (RFC 1985).

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mail::{Address, Domain, ForwardPath, Reply, Timestamp};
use proto::smtp::turn::EtrnTarget;
use store::{
    StoreError,
    spool::{EntryId, LaneId, NodeWalk},
};
use tokio::sync::Semaphore;

use crate::{
    Config, Mta,
    policy::{Client, users},
    queue::{Operation, Order},
    route::{self, Destination},
};

/// Within this time a node is not looked up again, whoever asks (RFC 1985 §8).
const INTERVAL: Duration = Duration::from_mins(1);
/// Nodes looked up within one interval; more get 458.
const NODES_MAX: usize = 1024;
/// Entries read at once, and the most that are counted before the reply.
const PAGE_ENTRIES_MAX: usize = 1000;
/// Nodes whose entries are made due at once.
const RUNS_MAX: usize = 2;
/// No entry is due later.
pub(crate) const FOREVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// When which node was looked up.
#[derive(Debug)]
pub(crate) struct Etrn {
    recent: Mutex<HashMap<String, Instant>>,
    runs: Semaphore,
}

#[derive(Debug, PartialEq, Eq)]
enum Admission {
    New,
    /// It was looked up just now.
    Recent,
    /// Too many others were.
    Full,
}

/// A way through the entries that are meant.
enum Walk {
    Node(NodeWalk),
    Lane(LaneId, Option<(Timestamp, EntryId)>),
}

impl Default for Etrn {
    fn default() -> Self {
        Self { recent: Mutex::default(), runs: Semaphore::new(RUNS_MAX) }
    }
}

impl Etrn {
    fn admit(&self, name: &str, now: Instant) -> Admission {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < INTERVAL;
        if recent.get(name).is_some_and(is_recent) {
            return Admission::Recent;
        }
        if recent.len() >= NODES_MAX {
            recent.retain(|_, at| is_recent(at));
        }
        if recent.len() >= NODES_MAX {
            return Admission::Full;
        }
        recent.insert(name.to_owned(), now);
        Admission::New
    }
}

/// Answers one ETRN. What is found is made due behind the reply; nothing goes back over the client's connection.
pub(crate) async fn answer(mta: &Arc<Mta>, client: &Client<'_>, target: &EtrnTarget) -> Reply {
    let config = mta.config();
    if !users::may_ask(&config, config.etrn, client) {
        return not_allowed("ETRN is for clients that have logged in");
    }
    match begin(mta, &config, target).await {
        // How much waits is for those we know.
        Ok(reply) if reply.code == 250 || client.may_relay(&config) => reply,
        Ok(reply) if reply.code / 100 == 2 => started(),
        Ok(reply) => reply,
        Err(error) => {
            tracing::error!(%error, "the queue cannot be read");
            unable("the queue cannot be read now")
        }
    }
}

async fn begin(mta: &Arc<Mta>, config: &Config, target: &EtrnTarget) -> Result<Reply, StoreError> {
    let (name, mut walk) = match target {
        EtrnTarget::Node(node) if is_relayed(mta, config, node).await? => {
            (node.to_lookup(), Walk::Node(NodeWalk::new(node, false)))
        }
        EtrnTarget::Below(node) if is_relayed_below(mta, config, node).await? => {
            (format!("@{}", node.to_lookup()), Walk::Node(NodeWalk::new(node, true)))
        }
        EtrnTarget::Queue(name) => {
            let lane = LaneId(name.to_lowercase().into());
            if !lane.leads_abroad() {
                return Ok(not_allowed("there is no such queue"));
            }
            (format!("#{}", lane.0), Walk::Lane(lane, None))
        }
        EtrnTarget::Node(_) | EtrnTarget::Below(_) => {
            return Ok(not_allowed("this server does not send mail on to this node"));
        }
    };
    match mta.etrn.admit(&name, mta.world.clock.now()) {
        Admission::New => {}
        Admission::Recent => return Ok(started()),
        Admission::Full => return Ok(unable("too many nodes were asked for just now")),
    }
    let first = walk.next(mta).await?;
    let reply = match first.len() {
        0 => Reply::new(251, (2, 0, 0), "OK, no messages waiting for the node"),
        PAGE_ENTRIES_MAX.. => Reply::new(252, (2, 0, 0), "OK, pending messages for the node started"),
        count => Reply::new(253, (2, 0, 0), format!("OK, {count} pending messages for the node started")),
    };
    if !first.is_empty() {
        tokio::spawn(run(mta.clone(), first, walk));
    }
    Ok(reply)
}

/// Makes them due now, one page after the other, until the server stops.
async fn run(mta: Arc<Mta>, mut page: Vec<EntryId>, mut walk: Walk) {
    let Ok(_turn) = mta.etrn.runs.acquire().await else { return };
    while !page.is_empty() && !mta.shutdown.is_given() {
        for id in page {
            if let Err(error) = mta.operate(id, &Order::from(Operation::Etrn)).await {
                tracing::error!(id = %id.queue_id, %error, "an entry cannot be made due; it keeps its time");
            }
        }
        page = match walk.next(&mta).await {
            Ok(page) => page,
            Err(error) => return tracing::error!(%error, "the queue cannot be read; the rest keeps its time"),
        };
    }
}

impl Walk {
    async fn next(&mut self, mta: &Mta) -> Result<Vec<EntryId>, StoreError> {
        let spool = &mta.stores.spool;
        match self {
            Self::Node(walk) => {
                // An entry with several recipients there is one that waits.
                let mut entries = BTreeSet::new();
                while entries.len() < PAGE_ENTRIES_MAX {
                    let found = spool.walk(walk, PAGE_ENTRIES_MAX - entries.len()).await?;
                    if found.is_empty() {
                        break;
                    }
                    entries.extend(found);
                }
                Ok(entries.into_iter().collect())
            }
            Self::Lane(lane, after) => {
                let found = spool.due(lane, *after, FOREVER, PAGE_ENTRIES_MAX).await?;
                *after = found.last().map(|last| (last.at, last.id)).or(*after);
                Ok(found.into_iter().map(|due| due.id).collect())
            }
        }
    }
}

/// Whether mail for the node goes to another host from here.
async fn is_relayed(mta: &Mta, config: &Config, node: &Domain) -> Result<bool, StoreError> {
    let Ok(address) = Address::new("postmaster", node.clone()) else { return Ok(false) };
    let path = ForwardPath::Address(address);
    let destination = route::destination(&mta.stores.directory, &config.routes, &path).await?;
    Ok(match destination {
        Destination::Ways { ways, foreign: true } => ways.iter().any(|way| way.lane.leads_abroad()),
        _ => false,
    })
}

/// The same for the node, or whatever is below it.
async fn is_relayed_below(mta: &Mta, config: &Config, node: &Domain) -> Result<bool, StoreError> {
    if is_relayed(mta, config, node).await? {
        return Ok(true);
    }
    match format!("any.{node}").parse() {
        Ok(below) => is_relayed(mta, config, &below).await,
        Err(_) => Ok(false),
    }
}

fn started() -> Reply {
    Reply::new(250, (2, 0, 0), "OK, queuing for the node started")
}

fn unable(why: &str) -> Reply {
    Reply::new(458, (4, 3, 2), format!("unable to queue messages for the node: {why}"))
}

fn not_allowed(why: &str) -> Reply {
    Reply::new(459, (4, 7, 1), format!("node not allowed: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_looked_up_once_an_interval_and_the_table_is_bounded() {
        let (etrn, now) = (Etrn::default(), Instant::now());
        for _ in 0..10_000 {
            etrn.admit("a.example", now);
        }
        assert_eq!(etrn.admit("a.example", now), Admission::Recent);
        let is_new = |n: &usize| etrn.admit(&format!("{n}.example"), now) == Admission::New;
        let fits = (0..2 * NODES_MAX).take_while(is_new).count();
        assert_eq!(fits, NODES_MAX - 1);
        assert_eq!(etrn.admit("b.example", now), Admission::Full);
        assert_eq!(etrn.admit("b.example", now + INTERVAL), Admission::New);
        assert_eq!(etrn.admit("a.example", now + INTERVAL), Admission::New);
    }
}
