//! What goes wrong in a run, and when.

use std::{fmt, net::IpAddr, time::Duration};

use store::memory::Chance;

use crate::{
    plan::{Plan, below, moment, peer_ip, pick, server_ip},
    world::DnsWeather,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Since the run began.
    pub at: Duration,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server dies after so many steps more, and is back after a while.
    Crash {
        server: usize,
        steps: u64,
        down: Duration,
    },
    /// The server is told to stop, and started again.
    Restart {
        server: usize,
    },
    /// The next sync fails.
    SyncFails {
        server: usize,
    },
    DiskFull {
        server: usize,
        lasts: Duration,
    },
    /// Nothing passes between the two.
    Part {
        a: IpAddr,
        b: IpAddr,
        lasts: Duration,
    },
    /// Every open connection of the server breaks.
    Break {
        server: usize,
    },
    /// Everything takes up to so long to arrive.
    Slow {
        most: Duration,
        lasts: Duration,
    },
    Dns {
        weather: DnsWeather,
        lasts: Duration,
    },
    /// The mail of one peer's domain goes to another's host.
    MoveMx {
        from: usize,
        to: usize,
        lasts: Duration,
    },
    ClockJump {
        server: usize,
        millis: i64,
    },
    Operator {
        server: usize,
        does: Doing,
    },
}

/// What an operator does to one entry of the queue, chosen by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Retry(u64),
    Delete(u64),
    /// And lets it go after a while.
    Hold(u64, Duration),
    Bounce(u64),
    /// To another host, a server or a peer, and back to its route after a while.
    Reroute(u64, IpAddr, Duration),
}

/// In order of time.
pub(crate) fn draw(chance: &mut Chance, plan: &Plan, count: usize) -> Vec<Fault> {
    let mut faults: Vec<_> = (0..count)
        .map(|_| {
            let at = moment(chance);
            Fault { at, kind: kind(chance, plan) }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn kind(chance: &mut Chance, plan: &Plan) -> Kind {
    let server = below(chance, plan.servers);
    let mut minutes = |most: u64| Duration::from_secs(1 + chance.below(most * 60));
    let (short, long) = (minutes(3), minutes(90));
    match chance.below(24) {
        0..=6 => Kind::Crash { server, steps: chance.below(400), down: short },
        7 => Kind::Crash { server, steps: chance.below(4000), down: long },
        8 => Kind::Restart { server },
        9 => Kind::SyncFails { server },
        10 => Kind::DiskFull { server, lasts: short },
        11 | 12 => {
            let others: Vec<_> =
                (0..plan.servers).map(server_ip).chain((0..plan.peers.len()).map(peer_ip)).collect();
            Kind::Part { a: server_ip(server), b: pick(chance, &others), lasts: long }
        }
        13 | 14 => Kind::Break { server },
        15 => Kind::Slow { most: Duration::from_millis(200 + chance.below(4000)), lasts: long },
        16 => {
            let weather = pick(chance, &[DnsWeather::Silent, DnsWeather::Failing]);
            Kind::Dns { weather, lasts: long }
        }
        17 => {
            let (from, to) = (below(chance, plan.peers.len()), below(chance, plan.peers.len()));
            Kind::MoveMx { from, to, lasts: long }
        }
        18 => Kind::ClockJump { server, millis: pick(chance, &[-3_600_000, -60_000, 60_000, 3_600_000]) },
        _ => Kind::Operator { server, does: doing(chance, plan, server, long) },
    }
}

fn doing(chance: &mut Chance, plan: &Plan, server: usize, lasts: Duration) -> Doing {
    let chosen = chance.draw();
    match chance.below(5) {
        0 => Doing::Retry(chosen),
        1 => Doing::Delete(chosen),
        2 => Doing::Hold(chosen, lasts),
        3 => Doing::Bounce(chosen),
        _ => Doing::Reroute(chosen, pick(chance, &others(plan, server)), lasts),
    }
}

/// Every host but this server, some of which are not there.
fn others(plan: &Plan, server: usize) -> Vec<IpAddr> {
    let servers = (0..plan.servers).filter(|other| *other != server).map(server_ip);
    servers.chain((0..plan.peers.len()).map(peer_ip)).collect()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |server: &usize| format!("s{}", server + 1);
        match self {
            Self::Crash { server, steps, down } => {
                write!(f, "{} is to crash after {steps} steps, for {down:?}", s(server))
            }
            Self::Restart { server } => write!(f, "{} is stopped and started", s(server)),
            Self::SyncFails { server } => write!(f, "the next sync of {} fails", s(server)),
            Self::DiskFull { server, lasts } => write!(f, "the disk of {} is full for {lasts:?}", s(server)),
            Self::Part { a, b, lasts } => write!(f, "nothing passes between {a} and {b} for {lasts:?}"),
            Self::Break { server } => write!(f, "every connection of {} breaks", s(server)),
            Self::Slow { most, lasts } => write!(f, "the network takes up to {most:?} for {lasts:?}"),
            Self::Dns { weather, lasts } => write!(f, "name servers are {weather:?} for {lasts:?}"),
            Self::MoveMx { from, to, lasts } => {
                write!(f, "the MX of p{}.example is the host of p{}.example for {lasts:?}", from + 1, to + 1)
            }
            Self::ClockJump { server, millis } => {
                write!(f, "the clock of {} jumps by {millis} ms", s(server))
            }
            Self::Operator { server, does } => write!(f, "the operator of {}: {does:?}", s(server)),
        }
    }
}
