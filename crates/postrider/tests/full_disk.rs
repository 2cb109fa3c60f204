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
    path::{Path, PathBuf},
    process::Command,
};

use support::{
    server::{ALICE, Server},
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

    fn reserve(&self) -> PathBuf {
        self.path().join("reserve")
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

#[test]
fn a_full_disk_loses_nothing_and_is_survived() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    fs::write(disk.reserve(), vec![1; 12 << 20]).unwrap();
    let mut server = Server::prepare("", &disk.path().join("data"));
    server.populate();
    server.launch();
    let body = b"0123456789abcdef\r\n".repeat(1 << 16);
    let mut accepted = Vec::new();
    let refused = (0..100).find_map(|number| {
        let message = [format!("Subject: {number}\r\n\r\n").as_bytes(), &body].concat();
        let reply = attempt(&server, &message);
        if reply.code != 250 {
            return Some(reply);
        }
        accepted.push(message);
        None
    });
    let refused = refused.expect("the disk filled up");
    println!("{} messages of 1 MiB were accepted, then: {refused}", accepted.len());
    assert!(!accepted.is_empty());
    // RFC 3463 §3.4: mail system full.
    assert_eq!(refused.code, 452, "{refused}");
    assert!(refused.lines[0].starts_with("4.3.1"), "{refused}");
    for _ in 0..5 {
        let reply = attempt(&server, &[b"Subject: again\r\n\r\n", &body[..]].concat());
        assert_eq!(reply.code, 452, "{reply}");
    }
    assert!(server.ended().is_none(), "the server lives");

    fs::remove_file(disk.reserve()).unwrap();
    let late = b"Subject: late\r\n\r\nthere is space again\r\n".to_vec();
    wait_for("service to come back", || (attempt(&server, &late).code == 250).then_some(()));
    accepted.push(late);
    assert_all_there(&server, &accepted);
    server.kill();
    server.launch();
    assert_all_there(&server, &accepted);
    server.stop();
}

fn assert_all_there(server: &Server, accepted: &[Vec<u8>]) {
    let stored = server.mailbox(ALICE, accepted.len());
    for message in accepted {
        assert_eq!(stored.iter().filter(|stored| stored.ends_with(message)).count(), 1);
    }
}
