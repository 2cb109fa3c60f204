//! POP3 beside IMAP, with mail programs that we did not write.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::process::Command;

use support::{
    server::{ALICE, PASSWORD, Server},
    tools, wait_for,
};

const BESIDE_IMAP: &str = include_str!("support/python/pop3_beside_imap.py");

/// RFC 1939 §4, §7: a lock is for POP3 alone, and unique IDs stay whatever happens.
#[test]
fn poplib_and_imaplib_share_a_mailbox_and_ids_outlive_a_crash() {
    let Some(python) = tools::find("python3", "poplib beside imaplib") else { return };
    let Some(curl) = tools::find("curl", "curl and UIDL") else { return };
    let mut server = Server::start("");
    for number in 1..=4 {
        let message = format!("Subject: {number}\r\n\r\nhello\r\n");
        let reply = server.smtp().deliver("ann@client.test", &[ALICE], message.as_bytes()).unwrap();
        assert_eq!(reply.code, 250, "{reply}");
        server.mailbox_count(ALICE, number);
    }
    let ports = [server.port("pop3").to_string(), server.port("imap").to_string()];
    let arguments = [&ports[0], &ports[1], ALICE, PASSWORD];
    let said = tools::python(&python, BESIDE_IMAP, &arguments, b"").ok("poplib beside imaplib");
    let ids = String::from_utf8(said).unwrap();
    server.kill();
    server.launch();
    let listed = wait_for("the maildrop to be free", || {
        let mut command = Command::new(&curl);
        let url = format!("pop3://127.0.0.1:{}/", server.port("pop3"));
        command.args(["--silent", "--show-error", "--user", &format!("{ALICE}:{PASSWORD}")]);
        let done = tools::run(command.args(["--request", "UIDL"]).arg(url), b"");
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
    });
    let after: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(after, ids.split_whitespace().collect::<Vec<_>>(), "and what was not committed is there");
}
