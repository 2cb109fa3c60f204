//! `kill -9` while IMAP sessions append, flag and expunge: what was acknowledged holds, and a UID means one message for ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use support::{
    random::Random,
    say,
    server::{ALICE, PASSWORD, Server},
    tools, wait_for,
};

const SESSION: &str = include_str!("support/python/imap_sessions.py");
const SESSIONS: u64 = 4;

/// UIDVALIDITY, then one line for each message: UID, subject, flags.
const SHOW: &str = r#"
import imaplib, re, sys
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
session.select("INBOX", readonly=True)
print(session.response("UIDVALIDITY")[1][0].decode())
answer = session.uid("FETCH", "1:*", "(FLAGS ENVELOPE)")[1]
for line in answer:
    line = (line or b"").decode()
    if line:
        uid = re.search(r"UID (\d+)", line)[1]
        flags = re.search(r"FLAGS \(([^)]*)\)", line)[1]
        print(uid, re.search(r'ENVELOPE \(\S+ "([^"]*)"', line)[1], flags)
"#;

#[derive(Default)]
struct Told {
    names: BTreeMap<u32, String>,
    leaving: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    flagged: Vec<(u32, String)>,
}

impl Told {
    fn read(&mut self, journal: &Path) {
        for line in fs::read_to_string(journal).unwrap_or_default().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let uid = words[1].parse().unwrap();
            match words[0] {
                "appended" => self.named(uid, words[2]),
                "flagged" => self.flagged.push((uid, words[2].to_owned())),
                "leaving" => drop(self.leaving.insert(uid)),
                _ => drop(self.gone.insert(uid)),
            }
        }
    }

    fn named(&mut self, uid: u32, name: &str) {
        let before = self.names.insert(uid, name.to_owned());
        assert!(before.is_none_or(|before| before == name), "UID {uid} was another message");
    }

    fn compare(&mut self, shown: &str) {
        let mut there = BTreeMap::new();
        for line in shown.lines().skip(1) {
            let mut words = line.split(' ');
            let (uid, name) = (words.next().unwrap().parse().unwrap(), words.next().unwrap());
            self.named(uid, name);
            there.insert(uid, words.map(str::to_owned).collect::<BTreeSet<_>>());
        }
        for uid in self.names.keys().filter(|uid| !self.leaving.contains(uid)) {
            assert!(there.contains_key(uid), "UID {uid} is lost");
        }
        for uid in &self.gone {
            assert!(!there.contains_key(uid), "UID {uid} came back");
        }
        for (uid, keyword) in &self.flagged {
            assert!(there.get(uid).is_none_or(|flags| flags.contains(keyword)), "UID {uid} lost {keyword}");
        }
    }
}

/// C436, C445, C460
#[test]
fn acknowledged_changes_survive_kill_9_and_uids_stay() {
    let Some(python) = tools::find("python3", "acknowledged_changes_survive_kill_9") else { return };
    let rounds = env::var("POSTRIDER_TEST_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let mut random = Random::seeded("IMAP kill");
    let mut server = Server::start("");
    let (mut told, mut validity) = (Told::default(), String::new());
    for round in 0..rounds {
        let port = server.port("imap").to_string();
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|session| {
                let name = (round * SESSIONS + session + 1).to_string();
                let journal = server.path().join(format!("journal.{name}"));
                let mut command = Command::new(&python);
                command.args(["-c", SESSION, &port, ALICE, PASSWORD, journal.to_str().unwrap(), &name]);
                (command.spawn().unwrap(), journal)
            })
            .collect();
        for (_, journal) in &sessions {
            let begun = || fs::metadata(journal).is_ok_and(|metadata| metadata.len() > 0);
            wait_for("each session's first word", || begun().then_some(()));
        }
        thread::sleep(Duration::from_millis(random.below(1000)));
        server.kill();
        server.launch();
        for (mut session, journal) in sessions {
            assert!(session.wait().unwrap().success());
            told.read(&journal);
        }
        let shown = tools::python(&python, SHOW, &[&server.port("imap").to_string(), ALICE, PASSWORD], b"");
        let shown = String::from_utf8(shown.ok("showing the mailbox")).unwrap();
        told.compare(&shown);
        let now = shown.lines().next().unwrap().to_owned();
        assert!(validity.is_empty() || validity == now, "UIDVALIDITY was {validity} and is {now}");
        validity = now;
    }
    let counts = [told.names.len(), told.flagged.len(), told.gone.len()];
    say(&format!("kill -9 of IMAP, {rounds} rounds: appended, flagged, expunged: {counts:?}"));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
