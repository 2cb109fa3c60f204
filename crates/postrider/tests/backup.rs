//! Backups: taken under load, verified, restored as a whole and in part, by the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::{
    server::{ALICE, BOB, PASSWORD, Server},
    tools, wait_for,
};

const LOAD: &str = include_str!("support/python/backup_load.py");

/// One line for each message: mailbox, UID, name, flags; it fails if one is not what was sent. First UIDVALIDITY of each.
const SHOW: &str = r#"
import imaplib, re, sys
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
for mailbox in ("INBOX", "Archive"):
    session.select(mailbox, readonly=True)
    print("validity", mailbox, session.response("UIDVALIDITY")[1][0].decode())
    answer = session.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]
    for part in answer:
        if not isinstance(part, tuple):
            continue
        head, text = part[0].decode(), part[1].decode()
        uid = re.search(r"UID (\d+)", head)[1]
        flags = " ".join(sorted(re.search(r"FLAGS \(([^)]*)\)", head)[1].split()))
        name = re.search(r"Subject: (\S+)\r\n", text)[1]
        lines = "".join("%s line %d %s\r\n" % (name, line, "x" * 60) for line in range(40))
        assert text.endswith("\r\n\r\n" + lines), "%s is not what was sent" % name
        print(mailbox, uid, name, flags)
"#;

/// Appends to INBOX and `Work/Plans`, which is no longer subscribed.
const FILL: &str = r#"
import imaplib, sys, time
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
session.create("Work/Plans")
session.unsubscribe("Work/Plans")
for mailbox, name, flags, date in [
    ("INBOX", "one", "", 1600000000), ("INBOX", "two", "\\Flagged", 1600000100),
    ("Work/Plans", "three", "\\Seen work", 1500000000), ("Work/Plans", "four", "\\Answered", 1500000100),
]:
    text = "From: a@b.test\r\nSubject: %s\r\nMessage-ID: <%s@b.test>\r\n\r\nThis is %s.\r\n" % (name, name, name)
    session.append(mailbox, "(%s)" % flags, imaplib.Time2Internaldate(date), text.encode())
"#;

const LOSE: &str = r#"
import imaplib, sys
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
session.select("INBOX")
session.uid("STORE", "1", "+FLAGS", "\\Deleted")
session.expunge()
session.close()
session.delete("Work/Plans")
"#;

/// One line for each message: mailbox, subject, date, flags.
const LIST: &str = r#"
import email, imaplib, sys
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
subscribed = b" ".join(line or b"" for line in session.lsub()[1])
print("Work/Plans is", "subscribed" if b"Plans" in subscribed else "not subscribed")
for mailbox in ("INBOX", "Work/Plans"):
    if session.select(mailbox, readonly=True)[0] != "OK":
        print(mailbox, "is not there")
        continue
    for part in session.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
        if isinstance(part, tuple):
            flags = b" ".join(sorted(imaplib.ParseFlags(part[0]))).decode()
            date = imaplib.Internaldate2tuple(part[0])
            text = email.message_from_bytes(part[1])
            print(mailbox, text["Subject"], "%d-%02d-%02d" % date[:3], flags, text.get_payload().strip(), sep="|")
"#;

struct Python(PathBuf);

impl Python {
    fn find(test: &str) -> Option<Self> {
        tools::find("python3", test).map(Self)
    }

    fn imap(&self, script: &str, server: &Server) -> String {
        let port = server.port("imap").to_string();
        let done = tools::python(&self.0, script, &[&port, ALICE, PASSWORD], b"");
        String::from_utf8(done.ok("python3")).unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lines(journal: &Path) -> Vec<String> {
    let written = fs::read_to_string(journal).unwrap_or_default();
    // The last line may be half written.
    let whole = written.rfind('\n').map_or("", |end| &written[..end]);
    whole.lines().map(str::to_owned).collect()
}

/// What the server holds: UID and flags of each message by its name, and UIDVALIDITY of each mailbox.
fn held(shown: &str) -> (BTreeMap<String, (String, String)>, BTreeMap<String, u64>) {
    let (mut messages, mut validities) = (BTreeMap::new(), BTreeMap::new());
    for line in shown.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == "validity" {
            validities.insert(words[1].to_owned(), words[2].parse().unwrap());
        } else {
            let found = (words[1].to_owned(), words[3..].join(" "));
            assert!(messages.insert(words[2].to_owned(), found).is_none(), "{} is there twice", words[2]);
        }
    }
    (messages, validities)
}

/// An empty data directory of its own, filled from a backup.
fn restored(backups: &Path, arguments: &[&str]) -> (Server, Value) {
    let server = Server::prepare("", Path::new("data"));
    let outcome = server.cli_json(&[&["restore", text(backups)], arguments].concat());
    (server, outcome)
}

/// What was acknowledged before a backup began is in it, byte for byte, with its UID and flags.
#[test]
fn a_backup_under_load_holds_everything_acknowledged_before_it_began() {
    let Some(python) = Python::find("a_backup_under_load_holds_everything") else { return };
    let mut server = Server::start("");
    let (journal, stop) = (server.path().join("journal"), server.path().join("stop"));
    let backups = server.path().join("backups/");
    let ports = [server.port("smtp").to_string(), server.port("imap").to_string()];
    let mut command = Command::new(&python.0);
    command.args(["-c", LOAD, &ports[0], &ports[1], ALICE, PASSWORD, text(&journal), text(&stop)]);
    let mut load = command.spawn().unwrap();
    let mut acknowledged = Vec::new();
    for number in 1..=2 {
        let before = lines(&journal).len();
        wait_for("some load", || (lines(&journal).len() >= before + 40).then_some(()));
        acknowledged.push(lines(&journal));
        let taken = server.cli_json(&["backup", text(&backups)]);
        assert_eq!(
            (&taken["backup"]["number"], &taken["problems"]),
            (&number.into(), &serde_json::json!([]))
        );
    }
    wait_for("more load", || (lines(&journal).len() > acknowledged[1].len() + 10).then_some(()));
    server.kill();
    load.wait().unwrap();
    let mut earlier = 0;
    for (number, acknowledged) in ["1", "2"].iter().zip(&acknowledged) {
        let (mut again, outcome) = restored(&backups, &["--at", number]);
        again.launch();
        let queued = again.cli_json(&["queue", "list"]).as_array().unwrap().len();
        assert_eq!((&outcome["held"], &outcome["queued"]), (&queued.into(), &queued.into()));
        again.cli_ok(&["queue", "release", "--all"]);
        wait_for("what was held", || {
            again.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
        });
        let (messages, _) = held(&python.imap(SHOW, &again));
        for line in acknowledged {
            let words: Vec<&str> = line.split(' ').collect();
            let (uid, flags) = messages.get(words[1]).unwrap_or_else(|| panic!("{line}: it is not there"));
            if words[0] == "appended" {
                assert_eq!((uid.as_str(), flags.as_str()), (words[2], &*format!("\\Seen {}", words[3])));
            }
        }
        assert!(messages.len() > earlier);
        earlier = messages.len();
    }
}

#[test]
fn a_system_is_put_back_with_its_uids_and_its_queue_is_held() {
    let Some(python) = Python::find("a_system_is_put_back_with_its_uids") else { return };
    // Nobody answers there, so mail waits.
    let mut server = Server::start(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1h\"]\n\
         [[route]]\nrecipient = \"*@away.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = 1\n",
    );
    python.imap(FILL, &server);
    let waits = b"Subject: waits\r\n\r\nfor you\r\n";
    assert_eq!(server.smtp().deliver(ALICE, &["x@away.test"], waits).unwrap().code, 250);
    let validity = |server: &Server| -> u64 {
        server.cli_json(&["export", "maildir", ALICE, text(&server.path().join("out"))]);
        let names = fs::read_dir(server.path().join("out/cur")).unwrap();
        let name = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).next().unwrap();
        name.split(".V").nth(1).unwrap().split('U').next().unwrap().parse().unwrap()
    };
    let before = validity(&server);
    let listed = python.imap(LIST, &server);
    let file = server.path().join("one.backup");
    server.stop();
    let taken = server.cli_json(&["backup", text(&file)]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(taken["backup"]["missing_bodies"], 0);
    let refused = server.cli(&["backup", text(&file)]);
    assert!(!refused.status.success() && refused.said().contains("name another file"), "{}", refused.said());
    let refused = server.cli(&["restore", text(&file)]);
    assert!(!refused.status.success() && refused.said().contains("already"), "{}", refused.said());
    for keep in [false, true] {
        let arguments: &[&str] = if keep { &["--keep-uid-validity", "--release-queue"] } else { &[] };
        let (mut again, outcome) = restored(&file, arguments);
        assert_eq!(outcome["queued"], 1);
        assert_eq!(outcome["held"], u64::from(!keep));
        again.launch();
        assert_eq!(python.imap(LIST, &again), listed);
        let held = again.cli_json(&["queue", "list", "--status", "held"]).as_array().unwrap().len();
        assert_eq!(held, usize::from(!keep));
        let now = validity(&again);
        assert!(if keep { now == before } else { now > before }, "{now}, before {before}");
        again.still_serves("restored");
    }
}

#[test]
fn one_message_and_one_mailbox_come_back_into_the_running_system() {
    let Some(python) = Python::find("one_message_and_one_mailbox_come_back") else { return };
    let server = Server::start("");
    let backups = server.path().join("backups/");
    python.imap(FILL, &server);
    let whole = python.imap(LIST, &server);
    server.cli_ok(&["backup", text(&backups)]);
    python.imap(LOSE, &server);
    assert!(python.imap(LIST, &server).contains("Work/Plans is not there"));
    let restore = |more: &[&str]| {
        let outcome = server.cli_json(&[&["restore", text(&backups), "--account", ALICE], more].concat());
        (outcome["messages"].as_u64().unwrap(), outcome["known"].as_u64().unwrap())
    };
    let shown = server.cli_json(&["backup", "show", text(&backups)]);
    assert!(
        shown.as_array().unwrap().iter().any(|row| row["address"] == ALICE && row["messages"] == 4),
        "{shown}"
    );
    let shown =
        server.cli_json(&["backup", "show", text(&backups), "--account", ALICE, "--mailbox", "Work/Plans"]);
    assert_eq!((&shown[0]["uid"], &shown[0]["subject"]), (&1.into(), &"three".into()), "{shown}");
    let one = ["--message-id", "one@b.test"];
    let listed =
        server.cli_json(&[&["restore", text(&backups), "--account", ALICE, "--dry-run"], &one[..]].concat());
    assert_eq!((&listed[0]["mailbox"], &listed[0]["message_id"]), (&"INBOX".into(), &"<one@b.test>".into()));
    assert_eq!(restore(&one), (1, 0));
    assert_eq!(restore(&one), (0, 1), "a second time doubles nothing");
    assert_eq!(restore(&["--mailbox", "Work/Plans", "--uid", "2"]), (1, 0));
    assert_eq!(restore(&["--mailbox", "Work/Plans"]), (1, 1));
    let sorted = |listing: &str| {
        let mut lines: Vec<String> = listing.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&python.imap(LIST, &server)), sorted(&whole));
    assert_eq!(restore(&[]), (0, 4), "what was never lost is not doubled");
    assert_eq!(restore(&["--into", "Old", "--mailbox", "INBOX"]), (2, 0));
    for (arguments, said) in [
        (&["--account", BOB, "--mailbox", "Nothing"][..], "no mailbox"),
        (&["--account", "nobody@example.test"], "no account"),
        (&["--account", ALICE, "--message-id", "x@y.test"], "no such message"),
        (&["--account", ALICE, "--at", "7"], "no backup number 7"),
        (&["--account", ALICE, "--at", "2001-01-01T00:00:00Z"], "no backup from before"),
    ] {
        let done = server.cli(&[&["restore", text(&backups)], arguments].concat());
        assert!(!done.status.success() && done.said().contains(said), "{arguments:?}: {}", done.said());
    }
}

#[test]
fn a_damaged_backup_is_found_and_the_ones_before_it_are_whole() {
    let Some(python) = Python::find("a_damaged_backup_is_found") else { return };
    let server = Server::start("");
    let backups = server.path().join("backups/");
    python.imap(FILL, &server);
    let large = format!("Subject: large\r\n\r\n{}", "all the same\r\n".repeat(30_000));
    assert_eq!(server.smtp().deliver("a@client.test", &[BOB], large.as_bytes()).unwrap().code, 250);
    server.mailbox(BOB, 1);
    let first = server.cli_json(&["backup", text(&backups)]);
    // As a backup leaves it that is killed.
    fs::write(backups.join("000002.backup.partial"), b"half").unwrap();
    let message = format!("Subject: later\r\n\r\n{}", "later on\r\n".repeat(200));
    assert_eq!(server.smtp().deliver("a@client.test", &[BOB], message.as_bytes()).unwrap().code, 250);
    server.mailbox(BOB, 2);
    let second = server.cli_json(&["backup", text(&backups)]);
    assert_eq!((&second["backup"]["after"], &second["backup"]["new_bodies"]), (&1.into(), &1.into()));
    let bytes = |taken: &Value| taken["bytes"].as_u64().unwrap();
    assert!(bytes(&second) * 10 < bytes(&first), "{} and {}", bytes(&second), bytes(&first));
    assert!(!backups.join("000002.backup.partial").exists());
    let verified = server.cli_json(&["backup", "verify", text(&backups)]);
    assert_eq!((&verified["backups"], &verified["problems"]), (&2.into(), &serde_json::json!([])));
    let listed = server.cli_json(&["backup", "list", text(&backups)]);
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{listed}");
    let volume = backups.join("000002.backup");
    let sound = fs::read(&volume).unwrap();
    let body = sound.windows(9).position(|octets| octets == b"later on\r").unwrap();
    let mut flipped = sound.clone();
    flipped[body + 3] ^= 1;
    fs::write(&volume, &flipped).unwrap();
    let verified = server.cli(&["backup", "verify", text(&backups)]);
    assert!(
        !verified.status.success() && verified.said().contains("000002.backup is damaged at octet"),
        "{}",
        verified.said()
    );
    let empty = Server::prepare("", Path::new("data"));
    let refused = empty.cli(&["restore", text(&backups)]);
    assert!(!refused.status.success() && refused.said().contains("--skip-damaged"), "{}", refused.said());
    assert!(!empty.path().join("data/store").exists() && !empty.path().join("data/store.restoring").exists());
    let partly = empty.cli(&["restore", text(&backups), "--skip-damaged"]);
    assert!(!partly.status.success() && partly.said().contains("1 damaged bodies"), "{}", partly.said());
    assert_eq!(empty.cli_json(&["account", "show", BOB])[0]["messages"], 2);
    let (mut earlier, _) = restored(&backups, &["--at", "1"]);
    earlier.launch();
    assert!(python.imap(LIST, &earlier).contains("Work/Plans|four|"));
    fs::write(&volume, &sound[..sound.len() - 5]).unwrap();
    let cut = server.cli(&["backup", "list", text(&backups)]);
    assert!(cut.said().contains("the end is missing"), "{}", cut.said());
}
