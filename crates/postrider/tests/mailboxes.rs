//! What people may keep here, and how they get back what they threw away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use support::server::{ALICE, BOB, Server};

fn deliver(server: &Server, subject: &str) {
    let message = format!("From: Carol <carol@client.test>\r\nSubject: {subject}\r\n\r\nwhat it says\r\n");
    let reply = server.smtp().deliver("carol@client.test", &[ALICE], message.as_bytes()).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

/// C411
#[test]
fn a_full_mailbox_says_so_at_rcpt() {
    let server = Server::start("");
    let code = |mail: &str| {
        let mut smtp = server.smtp();
        smtp.command("EHLO client.test").unwrap();
        assert_eq!(smtp.command(mail).unwrap().code, 250);
        let reply = smtp.command(&format!("RCPT TO:<{ALICE}>")).unwrap();
        (reply.code, reply.to_string().contains(".2.2"))
    };
    deliver(&server, "first");
    server.mailbox(ALICE, 1);
    let used = server.cli_json(&["account", "show", ALICE])[0]["bytes"].as_u64().unwrap();
    server.cli_ok(&["account", "set-quota", ALICE, "--size", &format!("{} B", used + 10_000)]);
    assert_eq!(code("MAIL FROM:<a@client.test>").0, 250);
    assert_eq!(code("MAIL FROM:<a@client.test> SIZE=10001"), (452, true), "it may be emptied");
    assert_eq!(code("MAIL FROM:<a@client.test> SIZE=100000"), (552, true), "it will never fit");
    server.cli_ok(&["account", "set-quota", ALICE, "--size", "none", "--messages", "1"]);
    let shown = server.cli_json(&["account", "show", ALICE]);
    assert_eq!(
        (&shown[0]["quota_bytes"], &shown[0]["quota_messages"]),
        (&serde_json::Value::Null, &1.into())
    );
    assert_eq!(code("MAIL FROM:<a@client.test>"), (452, true));
    server.empty_mailbox(ALICE);
    assert_eq!(code("MAIL FROM:<a@client.test>").0, 250);
    assert_eq!(server.cli(&["account", "set-quota", ALICE]).status.code(), Some(2), "nothing is named");
    assert!(server.cli_ok(&["account", "list"]).contains("1 messages"));
}

#[test]
fn what_was_expunged_is_brought_back() {
    let mut server = Server::start("");
    for subject in ["one", "=?utf-8?q?zw=C3=B6lf?="] {
        deliver(&server, subject);
    }
    server.mailbox(ALICE, 2);
    server.empty_mailbox(ALICE);
    server.mailbox(ALICE, 0);
    server.kill();
    server.launch();
    let kept = server.cli_json(&["undelete", ALICE, "--dry-run"]);
    let mut subjects: Vec<_> =
        kept.as_array().unwrap().iter().map(|one| one["subject"].as_str().unwrap()).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["one", "zwölf"]);
    assert_eq!(
        (&kept[0]["mailbox"], &kept[0]["from"]),
        (&"INBOX".into(), &"Carol <carol@client.test>".into())
    );
    assert_eq!(
        server.cli_json(&["undelete", ALICE, "--dry-run", "--mailbox", "Sent"]),
        serde_json::json!([])
    );
    assert!(server.cli_ok(&["undelete", BOB]).starts_with("0 messages"));
    server.cli_ok(&["account", "set-quota", ALICE, "--messages", "1"]);
    assert!(!server.cli(&["undelete", ALICE, "--within", "1h"]).status.success());
    server.cli_ok(&["account", "set-quota", ALICE, "--messages", "none"]);
    assert!(server.cli_ok(&["undelete", ALICE, "--within", "1h"]).starts_with("2 messages"));
    let back = server.mailbox(ALICE, 2);
    assert!(back.iter().all(|message| message.ends_with(b"what it says\r\n")));
    assert_eq!(server.cli_json(&["undelete", ALICE, "--dry-run"]), serde_json::json!([]));
}

#[test]
fn who_keeps_nothing_restores_nothing() {
    let server = Server::start("[mailboxes]\nundelete_for = \"0s\"\n");
    deliver(&server, "one");
    server.mailbox(ALICE, 1);
    server.empty_mailbox(ALICE);
    assert_eq!(server.cli_json(&["undelete", ALICE, "--dry-run"]), serde_json::json!([]));
}
