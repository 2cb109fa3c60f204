//! A disk that fills up: nothing acknowledged is lost, clients are told 452 4.3.1, and space brings service back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    fs,
    fs::File,
    io::Write,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use support::{
    ports::Ports,
    say,
    server::{ALICE, Server},
    sink::Sink,
    tools, wait_for,
    wire::Reply,
};
use tempfile::TempDir;

const TEST: &str = "a full disk";
const SENDER: &str = "ann@client.test";

/// A small file system, gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(mib: u32) -> Option<Self> {
        let disk = Self(TempDir::new().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"]).arg(disk.path());
        let done = tools::run(&mut mount, b"");
        if done.status.success() { Some(disk) } else { tools::skip(TEST, "a small file system needs root") }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Something else takes so much space, or all there is.
    fn take(&self, name: &str, mib: usize) {
        let mut file = File::create(self.path().join(name)).unwrap();
        let mebibyte = vec![1; 1 << 20];
        let taken = (0..mib).try_for_each(|_| file.write_all(&mebibyte));
        let _ = taken.and_then(|()| file.sync_all());
    }

    fn give_back(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// The first reply that is not a success, whatever step it answers.
fn attempt(server: &Server, message: &[u8]) -> Reply {
    let mut smtp = server.smtp();
    let commands = [format!("MAIL FROM:<{SENDER}>"), format!("RCPT TO:<{ALICE}>"), "DATA".to_owned()];
    for command in commands {
        let reply = smtp.command(&command).unwrap();
        if reply.code >= 400 {
            return reply;
        }
    }
    smtp.write(&support::wire::dot_stuffed(message)).unwrap();
    smtp.reply().unwrap()
}

/// RFC 3463 §3.4: the mail system is full.
fn assert_refused(reply: &Reply) {
    assert_eq!(reply.code, 452, "{reply}");
    assert!(reply.lines[0].starts_with("4.3.1"), "{reply}");
}

fn served_from(disk: &SmallDisk) -> Server {
    let mut server = Server::prepare("", &disk.path().join("data"));
    server.populate();
    server.launch();
    server
}

#[test]
fn a_disk_filled_by_mail_loses_nothing_and_is_survived() {
    let Some(disk) = SmallDisk::mount(128) else { return };
    disk.take("other", 20);
    let mut server = served_from(&disk);
    let body = b"0123456789abcdef\r\n".repeat(1 << 16);
    let mut accepted = Vec::new();
    let refused = (0..200).find_map(|number| {
        let message = [format!("Subject: {number}\r\n\r\n").as_bytes(), &body].concat();
        let reply = attempt(&server, &message);
        if reply.code != 250 {
            return Some(reply);
        }
        accepted.push(message);
        None
    });
    let refused = refused.expect("the disk filled up");
    say(&format!("{} messages of 1 MiB were accepted, then: {refused}", accepted.len()));
    assert!(!accepted.is_empty());
    assert_refused(&refused);
    // Housekeeping may make room for one more; each gets one answer or the other.
    for number in 1_000..1_010 {
        let message = [format!("Subject: {number}\r\n\r\n").as_bytes(), &body].concat();
        match attempt(&server, &message) {
            reply if reply.code == 250 => accepted.push(message),
            reply => assert_refused(&reply),
        }
    }
    assert_all_there(&server, &accepted);

    disk.give_back("other");
    let late = b"Subject: late\r\n\r\nthere is space again\r\n".to_vec();
    wait_for("service to come back", || (attempt(&server, &late).code == 250).then_some(()));
    accepted.push(late);
    assert_all_there(&server, &accepted);
    server.kill();
    server.launch();
    assert_all_there(&server, &accepted);
    server.stop();
}

#[test]
fn a_disk_filled_by_others_to_the_last_octet_loses_nothing_and_is_survived() {
    let Some(disk) = SmallDisk::mount(128) else { return };
    let mut server = served_from(&disk);
    let small = |number: usize| format!("Subject: {number}\r\n\r\ntext\r\n").into_bytes();
    let mut accepted = vec![small(0)];
    assert_eq!(attempt(&server, &accepted[0]).code, 250);
    assert_all_there(&server, &accepted);
    disk.take("other", 1_000);
    // What fits into space that is already the store's may still be accepted.
    let refused = (1..2_000).find_map(|number| {
        let reply = attempt(&server, &small(number));
        if reply.code != 250 {
            return Some(reply);
        }
        accepted.push(small(number));
        None
    });
    assert_refused(&refused.expect("the disk is full"));
    say(&format!("{} small messages were accepted on the full disk", accepted.len() - 1));
    disk.give_back("other");
    let late = small(9_999);
    wait_for("service to come back", || (attempt(&server, &late).code == 250).then_some(()));
    accepted.push(late);
    assert_all_there(&server, &accepted);
    server.kill();
    server.launch();
    assert_all_there(&server, &accepted);
    server.stop();
}

#[test]
fn what_was_relayed_while_the_disk_was_full_does_not_go_again() {
    let Some(disk) = SmallDisk::mount(128) else { return };
    let ports = Ports::take();
    let full = Arc::new(AtomicBool::new(false));
    // The next host takes messages only once the disk is full, so that its 250s cannot be noted.
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], {
        let full = full.clone();
        move |_| {
            wait_for("the disk to fill up", || full.load(Ordering::SeqCst).then_some(()));
            None
        }
    });
    let route = format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n",
        ports.nth(0)
    );
    let mut server = Server::prepare(&route, &disk.path().join("data"));
    server.populate();
    server.launch();
    for number in 0..60 {
        let message = format!("Subject: {number}\r\n\r\ntext\r\n");
        let reply = server.smtp().deliver(SENDER, &["carol@far.test"], message.as_bytes()).unwrap();
        assert_eq!(reply.code, 250, "{reply}");
    }
    disk.take("other", 1_000);
    full.store(true, Ordering::SeqCst);
    wait_for("the relay", || (sink.messages().len() >= 20).then_some(()));
    thread::sleep(Duration::from_secs(2));
    disk.give_back("other");
    let empty = || (server.cli_json(&["queue", "list"]) == serde_json::json!([])).then_some(());
    wait_for("an empty queue", empty);
    let mut arrived: Vec<_> = sink.messages().into_iter().map(|message| message.content).collect();
    arrived.sort();
    assert_eq!(arrived.len(), 60, "each goes once");
    arrived.dedup();
    assert_eq!(arrived.len(), 60, "each goes");
    server.stop();
}

fn assert_all_there(server: &Server, accepted: &[Vec<u8>]) {
    let stored = server.mailbox(ALICE, accepted.len());
    for message in accepted {
        assert_eq!(stored.iter().filter(|stored| stored.ends_with(message)).count(), 1);
    }
}
