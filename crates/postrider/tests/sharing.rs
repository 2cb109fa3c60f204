//! Mailboxes that people share, with mail programs that we did not write.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use serde_json::json;
use support::{
    server::{ALICE, BOB, PASSWORD, Server},
    tools,
};

const SHARE: &str = include_str!("support/python/share.py");

/// C474
#[test]
fn two_people_share_with_python_imaplib() {
    let Some(python) = tools::find("python3", "imaplib") else { return };
    let mut server = Server::start("");
    let part = |server: &Server, part: &str| {
        let port = server.port("imap").to_string();
        tools::python(&python, SHARE, &[&port, ALICE, BOB, PASSWORD, part], b"").ok(part);
    };
    part(&server, "share");
    let shares = server.cli_json(&["mailbox", "shares", ALICE]);
    assert_eq!(
        shares,
        json!([
            { "mailbox": "Work", "with": BOB, "rights": "lrswit" },
            { "mailbox": "Work", "with": format!("-{BOB}"), "rights": "a" },
        ])
    );
    server.kill();
    server.launch();
    part(&server, "kept");
    server.cli_ok(&["mailbox", "share", ALICE, "Work", "--with", BOB, "--rights", "read"]);
    part(&server, "read-only");
    server.cli_ok(&["mailbox", "unshare", ALICE, "Work", "--with", BOB]);
    server.cli_ok(&["mailbox", "unshare", ALICE, "Work", "--with", &format!("-{BOB}")]);
    part(&server, "ended");
    assert_eq!(server.cli_json(&["mailbox", "shares", ALICE]), json!([]));
}

#[test]
fn an_account_of_the_operators_choice_is_shared_with_all() {
    let Some(python) = tools::find("python3", "imaplib") else { return };
    let server = Server::start(&format!("[mailboxes]\nshared_account = \"{ALICE}\"\n"));
    let told = server.cli_ok(&["mailbox", "share", ALICE, "INBOX", "--with", "anyone", "--rights", "lr"]);
    assert!(told.starts_with(&format!("INBOX of {ALICE} is shared with anyone: lr")), "{told}");
    let port = server.port("imap").to_string();
    tools::python(&python, SHARE, &[&port, ALICE, BOB, PASSWORD, "shared"], b"").ok("shared");
    for wrong in [
        ["mailbox", "share", ALICE, "None", "--with", BOB],
        ["mailbox", "share", ALICE, "INBOX", "--with", "nobody@example.test"],
        ["mailbox", "share", ALICE, "INBOX", "--with", ALICE],
    ] {
        assert_eq!(server.cli(&wrong).status.code(), Some(1), "{wrong:?}");
    }
    let nonsense = ["mailbox", "share", ALICE, "INBOX", "--with", BOB, "--rights", "lrz"];
    assert_eq!(server.cli(&nonsense).status.code(), Some(2));
}
