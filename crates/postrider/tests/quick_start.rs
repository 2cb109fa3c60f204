//! `postrider serve` in an empty directory: a working mail system, and words that say what to do with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    fs::{self, File},
    process::{Child, Command},
};

use support::{
    ports,
    server::binary,
    tools, wait_for,
    wire::{Pop3, Smtp},
};
use tempfile::TempDir;

const SMTP: u16 = 2525;
const POP3: u16 = 2110;
const PORTS: [u16; 7] = [SMTP, 2587, 2465, POP3, 2995, 2143, 2993];

/// A server in a directory of its own, which it fills itself.
struct QuickStart {
    directory: TempDir,
    child: Child,
}

impl QuickStart {
    fn begin(directory: TempDir, arguments: &[&str]) -> Self {
        let said = File::create(directory.path().join("said")).unwrap();
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(directory.path());
        command.stdout(said.try_clone().unwrap()).stderr(said);
        let child = command.spawn().unwrap();
        Self { directory, child }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("said")).unwrap()
    }

    /// What stands behind the address in the banner.
    fn password(&self, address: &str) -> Option<String> {
        let said = self.said();
        let mut words = said.lines().filter(|line| line.contains(address)).flat_map(str::split_whitespace);
        let candidates: Vec<&str> =
            words.by_ref().filter(|word| word.len() >= 8 && !word.contains('@')).collect();
        let right = candidates.iter().find(|word| Pop3::login(POP3, address, word).is_ok());
        right.map(|word| (*word).to_owned())
    }

    fn stop(mut self) -> TempDir {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(stopped.success());
        let status = wait_for("the end", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.said());
        std::mem::replace(&mut self.directory, TempDir::new().unwrap())
    }
}

impl Drop for QuickStart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server said\n{}\n---", self.said());
        }
    }
}

#[test]
fn an_empty_directory_becomes_a_mail_system() {
    if let Some(taken) = PORTS.iter().find(|port| !ports::is_free(**port)) {
        return tools::skip("the quick start", &format!("port {taken} is taken")).unwrap_or(());
    }
    let server = QuickStart::begin(TempDir::new().unwrap(), &["serve"]);
    wait_for("the greeting", || Smtp::connect(SMTP).ok());
    wait_for("the banner", || server.said().contains("bob@localhost").then_some(()));
    let said = server.said();
    for word in ["2525", "2110", "2143", "alice@localhost", "bob@localhost"] {
        assert!(said.contains(word), "the banner tells {word}: {said}");
    }
    let passwords =
        ["alice@localhost", "bob@localhost"].map(|user| server.password(user).expect("a password"));
    assert_ne!(passwords[0], passwords[1]);
    for (user, password) in ["alice@localhost", "bob@localhost"].iter().zip(&passwords) {
        let mut pop3 = wait_for("the welcome message", || {
            let mut pop3 = Pop3::login(POP3, user, password).ok()?;
            (pop3.count().unwrap() == 1).then_some(pop3)
        });
        let welcome = String::from_utf8(pop3.fetch("RETR 1").unwrap()).unwrap();
        assert!(welcome.contains("\r\nReceived: "), "it came over SMTP: {welcome}");
        assert!(welcome.contains("\r\nSubject: "), "{welcome}");
    }

    let message = b"Subject: hello\r\n\r\nfirst mail\r\n";
    let reply =
        Smtp::connect(SMTP).unwrap().deliver("me@client.test", &["alice@localhost"], message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let directory = server.stop();

    // The second start keeps mail and passwords, and makes neither again. Without a command it means serve.
    let server = QuickStart::begin(directory, &[]);
    wait_for("the greeting", || Smtp::connect(SMTP).ok());
    let mut pop3 = wait_for("alice's mail", || {
        let mut pop3 = Pop3::login(POP3, "alice@localhost", &passwords[0]).ok()?;
        (pop3.count().unwrap() == 2).then_some(pop3)
    });
    assert!(pop3.fetch("RETR 2").unwrap().ends_with(message));
    assert!(!server.said().contains(&passwords[0]), "passwords are told once: {}", server.said());
    server.stop();
}
