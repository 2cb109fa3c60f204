//! Hosts that keep to the letter of SMTP at best: each plays one trick until it is tired of it, then takes mail.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::support::sink::{HANG_UP, LOSE_REPLY, Sink, hang_up_after};

const USUAL: [&str; 3] = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"];
/// The first of their addresses.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 40);

/// What it is called, announces, and says to a command line that is this one's n-th of its kind.
type Trick = (&'static str, &'static [&'static str], fn(&str, usize) -> Option<String>);

const TRICKS: [Trick; 11] = [
    ("honest", &USUAL, |_, _| None),
    ("many", &USUAL, |line, nth| {
        // RFC 5321 §4.5.3.1.10
        (line.starts_with("RCPT") && nth % 101 == 100)
            .then(|| "452 4.5.3 that is enough for one transaction".to_owned())
    }),
    ("tarpit", &USUAL, |_, _| {
        thread::sleep(Duration::from_millis(150));
        None
    }),
    ("leaver", &USUAL, |line, nth| {
        (line.starts_with("MAIL") && nth % 4 == 3).then(|| "421 4.3.2 three are enough".to_owned())
    }),
    ("storm", &USUAL, |line, nth| {
        (line.starts_with("RCPT") && nth < 25).then(|| "450 4.2.1 not now".to_owned())
    }),
    ("cutter", &USUAL, |line, nth| match line {
        "DATA" if nth < 4 => Some(hang_up_after(nth * 17)),
        "connect" if nth == 1 => Some(HANG_UP.to_owned()),
        _ => None,
    }),
    ("talker", &USUAL, |line, nth| {
        let endless = |code: &str| format!("{code}-{}\r\n{code} done", "blah ".repeat(4_000));
        (line.starts_with("MAIL") && nth < 3).then(|| endless("250"))
    }),
    ("liar", &["PIPELINING", "8BITMIME", "CHUNKING", "SMTPUTF8", "LIMITS RCPTMAX=0"], |line, _| {
        (line.starts_with("BDAT")).then(|| "502 5.5.1 what is that?".to_owned())
    }),
    ("grey", &USUAL, |line, nth| {
        (line.starts_with("RCPT") && nth < 10).then(|| "451 4.7.1 greylisted".to_owned())
    }),
    ("clumsy", &["PIPELINING", "8BITMIME", "STARTTLS"], |line, _| {
        (line == "STARTTLS").then(|| "220 2.0.0 go ahead, and I shall not understand".to_owned())
    }),
    ("loser", &USUAL, |line, nth| (line == "." && nth < 3).then(|| LOSE_REPLY.to_owned())),
];

pub struct Foes {
    sinks: Vec<(&'static str, Sink)>,
    lost: Arc<AtomicUsize>,
}

impl Foes {
    /// Their zone: each is the host of its own domain.
    pub fn zone() -> String {
        let record =
            |(nth, (name, ..)): (usize, &Trick)| format!("{name}.foe.test. 60 IN A {}\n", address(nth));
        TRICKS.iter().enumerate().map(record).collect()
    }

    pub fn gather(port: u16) -> Self {
        let lost = Arc::new(AtomicUsize::new(0));
        let sinks = TRICKS.iter().enumerate().map(|(nth, (name, extensions, trick))| {
            let (counts, lost) = ([const { AtomicUsize::new(0) }; 6], lost.clone());
            let script = move |line: &str| {
                let kinds = ["connect", "MAIL", "RCPT", "DATA", "."];
                let kind = kinds.iter().position(|kind| line.starts_with(kind)).unwrap_or(5);
                let said = trick(line, counts[kind].fetch_add(1, Ordering::SeqCst));
                if said.as_deref() == Some(LOSE_REPLY) {
                    lost.fetch_add(1, Ordering::SeqCst);
                }
                said
            };
            (*name, Sink::start_on(address(nth), port, extensions, script))
        });
        let sinks = sinks.collect();
        Self { sinks, lost }
    }

    pub fn replies_lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    /// Every copy, with its recipient.
    pub fn messages(&self) -> Vec<(String, Vec<u8>)> {
        let messages = self.sinks.iter().flat_map(|(_, sink)| sink.messages());
        let copies = messages.flat_map(|message| {
            let content = message.content;
            let path = |to: String| to.split(['<', '>']).nth(1).unwrap().to_owned();
            message.to.into_iter().map(move |to| (path(to), content.clone()))
        });
        copies.collect()
    }
}

fn address(nth: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST.to_bits() + u32::try_from(nth).unwrap())
}
