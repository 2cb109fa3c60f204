//! What is to happen in a run: everything here follows from its seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use store::memory::Chance;

use crate::{
    faults::{self, Fault},
    imap,
    mutants::Bug,
    peer::Habit,
    reader,
};

/// Accounts of each server.
pub const ACCOUNTS: usize = 4;
/// A domain whose MX names the first server, which does not host it.
pub const LOOP_DOMAIN: &str = "loop.example";
/// Time in which messages are submitted and faults happen.
pub const BUSY: Duration = Duration::from_hours(6);
/// For so many faults at any time there is a crash while people read their mail by IMAP.
const AIMED_ONE_IN: usize = 6;
/// Seeds with TLS: the network cannot read replies there, so that second copies are told apart less sharply.
const STARTTLS_ONE_IN: u64 = 4;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// As it was before anything was left out.
    pub size: Size,
    pub servers: usize,
    /// The last server sends everything by the first.
    pub smarthost: bool,
    /// Servers offer STARTTLS, and use it with each other.
    pub starttls: bool,
    pub retry_delays: Vec<Duration>,
    pub expire_after: Duration,
    pub peers: Vec<Habit>,
    pub messages: Vec<Message>,
    pub readers: Vec<Reader>,
    pub households: Vec<Household>,
    /// With the number that each had before any was left out.
    pub faults: Vec<(usize, Fault)>,
    /// Connections break once in so many while the network is bad.
    pub break_one_in: u32,
    pub planted: Option<Bug>,
    pub aliases: Aliases,
    /// Postmasters are told of mail from the null sender that fails.
    pub dead_letters: bool,
}

/// Addresses that lead to others: each server has one, to an account of its own, an account elsewhere, and a peer.
#[derive(Clone, Debug, Default)]
pub struct Aliases(BTreeMap<String, Vec<String>>);

impl Aliases {
    fn draw(chance: &mut Chance, servers: usize, peers: usize) -> Self {
        let aliases = (0..servers).map(|server| {
            let elsewhere = account((server + 1) % servers, 1);
            let peer = format!("u@{}", peer_domain(below(chance, peers)));
            (alias(server), vec![account(server, 0), elsewhere, peer])
        });
        Self(aliases.collect())
    }

    /// Where mail for this address ends.
    pub fn targets(&self, address: &str) -> Vec<String> {
        self.0.get(address).cloned().unwrap_or_else(|| vec![address.to_owned()])
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub number: usize,
    pub at: Duration,
    /// Where it is submitted.
    pub server: usize,
    pub origin: Origin,
    /// Empty: the null reverse-path.
    pub sender: String,
    pub recipients: Vec<String>,
    pub lines: usize,
    /// Of MAIL and RCPT, with a space in front.
    pub mail_parameters: String,
    pub rcpt_parameters: &'static str,
}

/// Who fetches the mail of an account, and when; whether it is deleted is up to its seed.
#[derive(Clone, Debug)]
pub struct Reader {
    pub server: usize,
    pub account: usize,
    pub at: Vec<Duration>,
    pub seed: u64,
}

/// Whose mail is read and changed by IMAP, by several clients at a time, and when.
#[derive(Clone, Debug)]
pub struct Household {
    pub server: usize,
    pub account: usize,
    pub clients: usize,
    pub at: Vec<Duration>,
    pub seed: u64,
}

/// RFC 3461: its sender is not told of failures.
pub const SILENT: &str = " NOTIFY=NEVER";

/// Who submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An account of the server, on its machine.
    Account,
    /// A host whose network the server trusts.
    Trusted,
    /// A stranger, to recipients of the server.
    Stranger,
}

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub servers: usize,
    pub messages: usize,
    pub faults: usize,
}

impl Size {
    /// Of the runs in continuous integration.
    pub const USUAL: Self = Self { servers: 3, messages: 500, faults: 24 };
    /// Fewer messages, and more that goes wrong.
    pub const STORMY: Self = Self { servers: 3, messages: 200, faults: 80 };
}

/// What is left out of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Only so many messages, from the first on.
    pub messages: Option<usize>,
    /// Only these faults.
    pub faults: Option<BTreeSet<usize>>,
}

pub fn server_ip(number: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last_octet(number)).into()
}

pub fn peer_ip(number: usize) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, last_octet(number)).into()
}

/// Of the network that servers trust.
pub fn trusted_ip() -> IpAddr {
    Ipv4Addr::new(203, 0, 113, 9).into()
}

fn last_octet(number: usize) -> u8 {
    u8::try_from(number + 1).unwrap_or(u8::MAX)
}

pub fn server_domain(number: usize) -> String {
    format!("s{}.example", number + 1)
}

pub fn peer_domain(number: usize) -> String {
    format!("p{}.example", number + 1)
}

pub fn host_of(domain: &str) -> String {
    format!("mx.{domain}")
}

pub fn alias(server: usize) -> String {
    format!("all@{}", server_domain(server))
}

pub fn account(server: usize, number: usize) -> String {
    format!("a{number}@{}", server_domain(server))
}

impl Plan {
    pub fn new(seed: u64, size: Size) -> Self {
        let mut chance = Chance::new(seed);
        let minutes = |minutes: u64| Duration::from_mins(minutes);
        let schedules = [vec![1, 5, 15, 30], vec![2, 10, 60], vec![1, 2, 4, 8, 16, 32]];
        let retry_delays = pick(&mut chance, &schedules).into_iter().map(minutes).collect();
        let expire_after = minutes(pick(&mut chance, &[12 * 60, 24 * 60, 36 * 60]));
        let peers = habits(&mut chance);
        let mut plan = Self {
            seed,
            size,
            servers: size.servers,
            smarthost: size.servers > 2 && chance.one_in(2),
            starttls: seed.is_multiple_of(STARTTLS_ONE_IN),
            retry_delays,
            expire_after,
            peers,
            messages: Vec::new(),
            readers: Vec::new(),
            households: Vec::new(),
            faults: Vec::new(),
            break_one_in: pick(&mut chance, &[0, 8, 25]),
            planted: None,
            aliases: Aliases::default(),
            dead_letters: chance.one_in(2),
        };
        plan.aliases = Aliases::draw(&mut chance, plan.servers, plan.peers.len());
        let mut times: Vec<_> = (0..size.messages).map(|_| moment(&mut chance)).collect();
        times.sort_unstable();
        let messages =
            times.into_iter().enumerate().map(|(number, at)| plan.message(&mut chance, number, at));
        plan.messages = messages.collect();
        let mut faults = faults::draw(&mut chance, &plan, size.faults);
        plan.readers = reader::draw(&mut chance, plan.servers);
        plan.households = imap::draw(&mut chance, plan.servers, &plan.readers);
        faults.extend(imap::crashes(&mut chance, &plan.households, size.faults / AIMED_ONE_IN));
        faults.sort_by_key(|fault| fault.at);
        plan.faults = faults.into_iter().enumerate().collect();
        plan
    }

    /// The same with less.
    pub fn cut(mut self, cut: &Cut) -> Self {
        self.messages.truncate(cut.messages.unwrap_or(usize::MAX));
        if let Some(kept) = &cut.faults {
            self.faults.retain(|(number, _)| kept.contains(number));
        }
        self
    }

    fn message(&self, chance: &mut Chance, number: usize, at: Duration) -> Message {
        let server = below(chance, self.servers);
        let origin = pick(chance, &[Origin::Account, Origin::Account, Origin::Trusted, Origin::Stranger]);
        let sender = match origin {
            Origin::Trusted if chance.one_in(3) => String::new(),
            Origin::Account | Origin::Trusted => account(server, below(chance, ACCOUNTS)),
            Origin::Stranger => format!("u@{}", peer_domain(below(chance, self.peers.len()))),
        };
        let count = match chance.below(20) {
            0 => 102 + below(chance, 8),
            1..=5 => 2 + below(chance, 4),
            _ => 1,
        };
        let mut recipients: Vec<_> =
            (0..count).map(|index| self.recipient(chance, server, origin, index)).collect();
        if count > 100 {
            let domain = peer_domain(below(chance, self.peers.len()));
            let many = (0..count).map(|index| format!("u{index}@{domain}"));
            recipients = if origin == Origin::Stranger { recipients } else { many.collect() };
        }
        // By itself, as whoever is named beside the alias may get two copies, over two ways.
        if chance.one_in(12) {
            let owner = if origin == Origin::Stranger { server } else { below(chance, self.servers) };
            recipients = vec![alias(owner)];
        }
        recipients.sort_unstable();
        recipients.dedup();
        let lines = 1 + below(chance, 30);
        let mail_parameters = if origin == Origin::Account { wishes(chance) } else { String::new() };
        let rcpt_parameters = pick(chance, &["", "", "", "", SILENT, " NOTIFY=SUCCESS,FAILURE,DELAY"]);
        Message { number, at, server, origin, sender, recipients, lines, mail_parameters, rcpt_parameters }
    }

    fn recipient(&self, chance: &mut Chance, server: usize, origin: Origin, index: usize) -> String {
        let user = below(chance, ACCOUNTS);
        match (origin, chance.below(16)) {
            (Origin::Stranger, _) | (_, 0..=2) => account(server, user),
            (_, 3..=7) => account(below(chance, self.servers), user),
            (_, 8) => format!("nobody@{}", server_domain(below(chance, self.servers))),
            (_, 9) if chance.one_in(4) => format!("u@{LOOP_DOMAIN}"),
            _ => format!("u{index}@{}", peer_domain(below(chance, self.peers.len()))),
        }
    }
}

/// RFC 4865, RFC 2852, RFC 6710: what an account may ask for when it submits.
fn wishes(chance: &mut Chance) -> String {
    match chance.below(24) {
        0 | 1 => format!(" HOLDFOR={}", 60 + chance.below(7200)),
        2 => format!(" BY={};R", 600 + chance.below(20_000)),
        3 => format!(" BY={};N", 600 + chance.below(20_000)),
        4 => format!(" MT-PRIORITY={}", chance.below(7)),
        _ => String::new(),
    }
}

/// Every habit there is, in any order.
fn habits(chance: &mut Chance) -> Vec<Habit> {
    let minutes = Duration::from_mins(1 + chance.below(40));
    let delay = Duration::from_secs(1 + chance.below(50));
    let mut habits = vec![
        Habit::Plain,
        Habit::Greylists { after: minutes },
        Habit::Tarpits { delay },
        Habit::ClosesAfter { messages: 1 + chance.below(3) as u32 },
        Habit::Storms { one_in: 2 + chance.below(3) as u32 },
        Habit::TakesHundred,
        Habit::ClosesInContent { one_in: 2 },
        Habit::LosesReply { one_in: 3 },
        Habit::Lies,
        Habit::BreaksTls,
        Habit::Refuses { one_in: 3 },
        Habit::RefusesContent { one_in: 3 },
        Habit::Absent,
    ];
    for place in (1..habits.len()).rev() {
        habits.swap(place, below(chance, place + 1));
    }
    habits
}

pub(crate) fn moment(chance: &mut Chance) -> Duration {
    Duration::from_millis(chance.below(u64::try_from(BUSY.as_millis()).unwrap_or(u64::MAX)))
}

pub(crate) fn below(chance: &mut Chance, end: usize) -> usize {
    usize::try_from(chance.below(end as u64)).unwrap_or_default()
}

pub(crate) fn pick<T: Clone>(chance: &mut Chance, among: &[T]) -> T {
    among[below(chance, among.len())].clone()
}
