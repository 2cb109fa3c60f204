//! Many IMAP sessions change one mailbox of a Postrider on disk at once, and each believes what it is told: at the end each
//! has the view that a new session has. `CROWD_SECONDS` says how long.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    env,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use sim::imap::believer::Believer;
use support::{
    PATIENCE, say,
    server::{ALICE, PASSWORD, Server},
};

const SESSIONS: u64 = 8;
const SECONDS: u64 = 10;

struct Member {
    stream: BufReader<TcpStream>,
    believer: Believer,
}

impl Member {
    /// Logged in, with INBOX selected.
    fn new(server: &Server, seed: u64) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port("imap"))).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut member = Self { stream: BufReader::new(stream), believer: Believer::new(seed) };
        member.line();
        for command in [format!("LOGIN {ALICE} \"{PASSWORD}\""), "SELECT INBOX".to_owned()] {
            assert!(member.say(&command).starts_with("OK"), "{command}");
        }
        member
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{line:?} has no end")).to_owned()
    }

    fn command(&mut self, said: &str) -> String {
        self.stream.get_mut().write_all(said.as_bytes()).unwrap();
        loop {
            let line = self.line();
            if let Some(answer) = self.believer.hear(&line).unwrap_or_else(|wrong| panic!("{wrong}")) {
                return answer;
            }
        }
    }

    fn say(&mut self, command: &str) -> String {
        let said = self.believer.say(command);
        self.command(&said)
    }
}

/// C454
#[test]
fn a_crowd_on_one_mailbox_ends_with_one_view() {
    let seconds = env::var("CROWD_SECONDS").map_or(SECONDS, |seconds| seconds.parse().unwrap());
    let server = Server::start("");
    let mut fresh = Member::new(&server, 0);
    assert!(fresh.say("CREATE Aside").starts_with("OK"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let crowd: Vec<_> = (1..=SESSIONS)
        .map(|seed| {
            let mut member = Member::new(&server, seed);
            thread::spawn(move || {
                let mut commands = 0_u64;
                while Instant::now() < until {
                    let said = member.believer.act();
                    member.command(&said);
                    commands += 1;
                }
                (member, commands)
            })
        })
        .collect();
    let (mut members, mut commands) = (Vec::new(), 0);
    for one in crowd {
        let (member, done) = one.join().unwrap();
        members.push(member);
        commands += done;
    }
    fresh.say("SELECT INBOX");
    fresh.say("FETCH 1:* (UID FLAGS)");
    for member in &mut members {
        member.say("NOOP");
        member.believer.view.agrees(&fresh.believer.view).unwrap();
        member.say("FETCH 1:* (UID FLAGS)");
        assert_eq!(member.believer.view.messages, fresh.believer.view.messages);
    }
    let last = fresh.believer.view.uids().last();
    say(&format!("a crowd of {SESSIONS}, {seconds} s: {commands} commands, the last UID is {last:?}"));
}
