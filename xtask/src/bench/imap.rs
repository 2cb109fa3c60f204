//! Dovecot and Postrider with the same mailbox, asked the same by the same client, in turns.

mod client;
mod crowd;
mod large;
mod messages;
mod table;
mod tasks;

use std::thread;
use std::time::{Duration, Instant};

use super::connections::raise_own_file_limit;
use super::dovecot::{self, Dovecot};
use super::group::View;
use super::peer::Peer as _;
use super::postrider::{self, Postrider};
use super::report::Report;
use super::scenario::Mode;
use super::{Bench, Options};
use crate::error::Result;
use client::{Account, Imap};
use messages::Writer;
use table::{Goal, Measured, RATE};
use tasks::TASKS;

pub use table::{ImapRecord, table};

const MESSAGE_BYTES: usize = 4 * 1024;
/// Messages of one APPEND while a mailbox is filled.
const LOADED_AT_ONCE: u32 = 100;
/// Until what came is where it stays.
const SETTLE: Duration = Duration::from_secs(7);
/// Kibibytes an idle session may take.
const IDLE_KIB_MAX: f64 = 40.0;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    messages: u32,
    appends: u32,
    selects: u32,
    idle_sessions: u32,
    /// Each is a process of its own there.
    idle_sessions_dovecot: u32,
    large: u32,
}

impl Size {
    fn of(options: &Options) -> Self {
        if options.quick {
            let (idle_sessions, large) = (200, 10_000);
            Self {
                messages: 1000,
                appends: 200,
                selects: 50,
                idle_sessions,
                idle_sessions_dovecot: 50,
                large,
            }
        } else {
            let (idle_sessions, large) = (2000, 100_000);
            Self {
                messages: 10_000,
                appends: 1000,
                selects: 100,
                idle_sessions,
                idle_sessions_dovecot: 500,
                large,
            }
        }
    }
}

enum Server {
    Dovecot(Dovecot),
    Postrider(Box<Postrider>),
}

impl Server {
    fn name(&self) -> &'static str {
        match self {
            Self::Dovecot(_) => "dovecot",
            Self::Postrider(_) => "postrider",
        }
    }

    fn account(&self) -> Account {
        match self {
            Self::Dovecot(_) => Account {
                imap_port: dovecot::IMAP_PORT,
                pop3_port: dovecot::POP3_PORT,
                user: "user",
                password: "any",
            },
            Self::Postrider(_) => Account {
                imap_port: postrider::IMAP_PORT,
                pop3_port: postrider::POP3_PORT,
                user: postrider::ACCOUNT,
                password: postrider::PASSWORD,
            },
        }
    }

    fn start(&mut self) -> Result<()> {
        match self {
            Self::Dovecot(server) => server.start(),
            Self::Postrider(server) => server.start(Mode::Deliver),
        }
    }

    fn view(&self) -> View {
        match self {
            Self::Dovecot(server) => server.view(),
            Self::Postrider(server) => server.view(),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Dovecot(server) => server.stop(),
            Self::Postrider(server) => server.stop(),
        }
    }
}

/// Without the Debian root Postrider is measured alone.
pub fn measure(options: &Options, bench: &Bench, report: &mut Report) -> Result<()> {
    let size = Size::of(options);
    println!("\nIMAP and POP3: a mailbox of {} messages of {MESSAGE_BYTES} octets", size.messages);
    raise_own_file_limit();
    let mut servers = Vec::new();
    if bench.debian_root.as_os_str().is_empty() {
        println!("  Dovecot is skipped: it runs in a root of its own, which needs root");
    } else if options.wants_peer("dovecot") {
        servers.push(Server::Dovecot(Dovecot::new(bench)));
    }
    if options.wants_peer("postrider") {
        servers.push(Server::Postrider(Box::new(Postrider::new(bench, &options.program())?)));
    }
    // One that fails is named, and the others go on.
    let mut ready = Vec::new();
    for mut server in servers {
        match prepare(&mut server, size) {
            Ok(()) => ready.push(server),
            Err(error) => report.fail(&format!("{}: {error}", server.name())),
        }
    }
    thread::sleep(SETTLE);
    take_turns(options, &ready, size, report)?;
    wait_in_idle(&ready, size, report)?;
    one_large_mailbox(&ready, size, report)?;
    ready.iter_mut().for_each(Server::stop);
    Ok(())
}

/// Fills the mailbox, and has each task done once, which counts what comes and warms all caches.
fn prepare(server: &mut Server, size: Size) -> Result<()> {
    server.start()?;
    let (started, account) = (Instant::now(), server.account());
    let mut session = Imap::log_in(&account)?;
    let mut writer = Writer::new();
    for _ in 0..size.messages / LOADED_AT_ONCE {
        session.append("INBOX", &writer.messages(LOADED_AT_ONCE, MESSAGE_BYTES))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("  {:<9} filled in {seconds:.1} s, {LOADED_AT_ONCE} messages an APPEND", server.name());
    TASKS.iter().try_for_each(|task| task.check(&account, size))
}

fn take_turns(options: &Options, servers: &[Server], size: Size, report: &mut Report) -> Result<()> {
    for repeat in 1..=options.repeats {
        for task in TASKS {
            for server in servers {
                match task.run(&server.account(), size) {
                    Ok(done) => {
                        let value = f64::from(done.count) / done.seconds;
                        let what = task.title().to_owned();
                        println!("  {:<9} run {repeat}: {what}: {value:.0}/s", server.name());
                        add(report, server, Measured { what, unit: RATE, value, goal: Goal::None })?;
                    }
                    Err(error) => report.fail(&format!("{}: {}: {error}", server.name(), task.title())),
                }
            }
        }
    }
    Ok(())
}

fn wait_in_idle(servers: &[Server], size: Size, report: &mut Report) -> Result<()> {
    for server in servers {
        let (sessions, goal) = match server {
            Server::Dovecot(_) => (size.idle_sessions_dovecot, Goal::None),
            Server::Postrider(_) => (size.idle_sessions, Goal::Below(IDLE_KIB_MAX)),
        };
        match crowd::idle_kib(&server.account(), &server.view(), sessions) {
            Ok(value) => {
                let what = format!("{sessions} sessions in IDLE, each");
                add(report, server, Measured { what, unit: "KiB", value, goal })?;
            }
            Err(error) => report.fail(&format!("{}: {error}", server.name())),
        }
    }
    Ok(())
}

fn one_large_mailbox(servers: &[Server], size: Size, report: &mut Report) -> Result<()> {
    for server in servers.iter().filter(|server| matches!(server, Server::Postrider(_))) {
        match large::measure(&server.account(), size) {
            Ok(all) => all.into_iter().try_for_each(|measured| add(report, server, measured))?,
            Err(error) => report.fail(&format!("{}: {error}", server.name())),
        }
    }
    Ok(())
}

fn add(report: &mut Report, server: &Server, measured: Measured) -> Result<()> {
    let Measured { what, unit, value, goal } = measured;
    report.add_imap(ImapRecord { scenario: "imap", peer: server.name(), what, unit, value, goal })
}
