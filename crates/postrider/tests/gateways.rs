//! Ways out that are not SMTP: LMTP, programs, Maildirs, and capture.
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
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{
    samples::{self, assert_same, field},
    server::{ALICE, BOB, Server},
    tools, wait_for,
};

const LMTP_SINK: &str = include_str!("support/python/lmtp_sink.py");
const MAILDIR: &str = include_str!("support/python/maildir.py");
const HTTP_SINK: &str = include_str!("support/python/http_sink.py");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STRANGER: &str = "s@client.test";

fn route(more: &str) -> String {
    format!("[queue]\nretry_delays = [\"1s\"]\n[[route]]\nrecipient = \"*@gate.test\"\n{more}")
}

fn send(server: &Server, to: &[&str], message: &[u8]) {
    let reply = server.smtp().deliver(STRANGER, to, message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

fn wait_for_empty_queue(server: &Server) {
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
}

fn own_user() -> String {
    let done = tools::run(Command::new("id").arg("-un"), b"").ok("id");
    String::from_utf8(done).unwrap().trim().to_owned()
}

/// Serves so many connections; gives what was delivered, as `[recipient, content]`.
fn lmtp_sink(test: &str, place: &str, connections: usize) -> Option<JoinHandle<Value>> {
    let python = tools::find("python3", test)?;
    let place = place.to_owned();
    Some(thread::spawn(move || {
        let arguments = [place.as_str(), &connections.to_string()];
        serde_json::from_slice(&tools::python(&python, LMTP_SINK, &arguments, b"").ok("the LMTP sink"))
            .unwrap()
    }))
}

/// C407
#[test]
fn lmtp_settles_each_recipient_by_its_own_reply() {
    let server = Server::prepare("", Path::new("data"));
    let port = server.spare_port();
    let more = route(&format!("via = \"lmtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"));
    let config = fs::read_to_string(server.config()).unwrap();
    fs::write(server.config(), config + &more).unwrap();
    let Some(sink) = lmtp_sink("LMTP to a host", &port.to_string(), 2) else { return };
    let mut server = server;
    server.populate();
    server.launch();
    let to = ["good@gate.test", "gone@gate.test", "lost@gate.test", "fine@gate.test"];
    let reply = server.smtp().deliver(ALICE, &to, &samples::dots().message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let report = String::from_utf8(server.mailbox(ALICE, 1).remove(0)).unwrap();
    assert!(report.contains("Final-Recipient: rfc822; gone@gate.test"), "{report}");
    assert!(!report.contains("Final-Recipient: rfc822; good@gate.test"), "{report}");
    // Those after the loss come again, in the same order, and the connection is lost again.
    let delivered = sink.join().unwrap();
    let delivered: Vec<&str> =
        delivered.as_array().unwrap().iter().map(|it| it[0].as_str().unwrap()).collect();
    assert_eq!(delivered, ["good@gate.test"]);
    let left = wait_for("the two that were not answered", || {
        let queue = server.cli_json(&["queue", "list"]);
        queue.as_array().unwrap().first().filter(|entry| entry["attempts"].as_u64() >= Some(2)).cloned()
    });
    assert!(left["lane"].as_str().unwrap().starts_with("lmtp:127.0.0.1:"), "{left}");
    assert!(
        left.to_string().contains("lost@gate.test") && left.to_string().contains("fine@gate.test"),
        "{left}"
    );
    let told = server.cli_ok(&["route", "good@gate.test"]);
    assert!(told.contains("number 1, via lmtp") && told.contains("delivered through a gateway"), "{told}");
}

#[test]
fn lmtp_over_a_socket_leads_into_another_postrider() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("lmtp");
    let far = Server::start(&format!(
        "[[listener]]\nservice = \"lmtp\"\naddress = \"unix:{}\"\n",
        socket.display()
    ));
    far.cli_ok(&["domain", "add", "gate.test"]);
    far.add_account("carol@gate.test");
    let near = Server::start(&route(&format!("via = \"lmtp\"\nhost = \"unix:{}\"\n", socket.display())));
    for sample in [samples::dots(), samples::eight_bit()] {
        send(&near, &["carol@gate.test"], &sample.message);
    }
    let stored = far.mailbox("carol@gate.test", 2);
    assert!(stored.iter().any(|message| String::from_utf8_lossy(message).contains("with LMTP")));
    assert_same(&stored[0], &samples::dots().message, "over LMTP");
    wait_for_empty_queue(&near);
    let why = near.cli_ok(&["why", "carol@gate.test"]);
    assert!(why.contains(&format!("to unix:{}", socket.display())), "{why}");
}

#[test]
fn lmtp_over_a_socket_to_python() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("lmtp").display().to_string();
    let Some(sink) = lmtp_sink("LMTP to a socket", &socket, 1) else { return };
    wait_for("the socket", || Path::new(&socket).exists().then_some(()));
    let server = Server::start(&route(&format!("via = \"lmtp\"\nhost = \"unix:{socket}\"\n")));
    send(&server, &["a@gate.test", "b@gate.test"], &samples::dots().message);
    wait_for_empty_queue(&server);
    let delivered = sink.join().unwrap();
    assert_eq!(delivered.as_array().unwrap().len(), 2, "{delivered}");
    assert_same(delivered[1][1].as_str().unwrap().as_bytes(), &samples::dots().message, "through LMTP");
}

/// C412, C413
#[test]
fn a_shell_script_takes_messages_and_its_exit_status_counts() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("ticket");
    let lines = format!(
        "#!/bin/sh\ncase \"$2\" in\n  unknown@*) echo \"no ticket queue for $2\" >&2; exit 67;;\nesac\n\
         if [ ! -e {0}/tried ]; then touch {0}/tried; echo busy >&2; exit 75; fi\n\
         pwd > {0}/pwd; cat > {0}/\"$QUEUE_ID\"\n",
        folder.path().display()
    );
    fs::write(&script, lines).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let (path, user) = (script.display(), own_user());
    let server = Server::start(&route(&format!(
        "via = \"pipe\"\ncommand = [\"{path}\", \"--to\", \"${{recipient}}\"]\nuser = \"{user}\"\n\
         directory = \"{}\"\ntimeout = \"30s\"\n",
        folder.path().display()
    )));
    let message = samples::dots().message;
    send(&server, &["help@gate.test"], &message);
    wait_for_empty_queue(&server);
    let histories = server.cli_json(&["trace", "help@gate.test"]);
    let text = histories.to_string();
    assert!(text.contains("ended with status 75 (try again later): busy"), "{text}");
    let id = histories[0]["id"].as_str().unwrap();
    let got = String::from_utf8(fs::read(folder.path().join(id)).unwrap()).unwrap();
    assert!(
        got.starts_with("Return-Path: <s@client.test>\nDelivered-To: help@gate.test\nReceived: "),
        "{got}"
    );
    let expected = String::from_utf8(message.clone()).unwrap().replace("\r\n", "\n");
    assert!(got.ends_with(&expected), "{got}");
    assert_eq!(
        fs::read_to_string(folder.path().join("pwd")).unwrap().trim(),
        folder.path().to_str().unwrap()
    );
    let why = server.cli_ok(&["why", "help@gate.test"]);
    assert!(why.contains(&format!("to the program {path}")), "{why}");
    let reply = server.smtp().deliver(ALICE, &["unknown@gate.test"], &message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let report = String::from_utf8(server.mailbox(ALICE, 1).remove(0)).unwrap();
    assert!(report.contains("Status: 5.1.1"), "{report}");
    assert!(report.replace("\r\n", " ").contains("no ticket queue for unknown@gate.test"), "{report}");
}

/// C409
#[test]
fn python_reads_the_maildir() {
    let folder = tempfile::tempdir().unwrap();
    let (root, user) = (folder.path().display(), own_user());
    let server = Server::start(&route(&format!(
        "via = \"maildir\"\npath = \"{root}/${{domain}}/${{user}}\"\nuser = \"{user}\"\n"
    )));
    for body in ["one", "two", "three"] {
        send(&server, &["Carol@gate.test"], format!("Subject: x\r\n\r\n{body}\r\n").as_bytes());
    }
    wait_for_empty_queue(&server);
    let Some(python) = tools::find("python3", "a Maildir in the eyes of Python") else { return };
    let carol = folder.path().join("gate.test/carol");
    let read = tools::python(&python, MAILDIR, &[carol.to_str().unwrap()], b"").ok("maildir.py");
    let read: Value = serde_json::from_slice(&read).unwrap();
    let mut bodies: Vec<&str> =
        read.as_array().unwrap().iter().map(|message| message[3].as_str().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["one\n", "three\n", "two\n"]);
    for message in read.as_array().unwrap() {
        assert_eq!(
            (&message[0], &message[1], &message[2]),
            (&"new".into(), &"".into(), &"Carol@gate.test".into())
        );
    }
}

#[test]
fn captured_mail_is_read_over_pop3_and_leaves_for_nobody() {
    let server =
        Server::start(&format!("[[route]]\nrecipient = \"*\"\nvia = \"capture\"\nmailbox = \"{ALICE}\"\n"));
    let message = samples::dots().message;
    send(&server, &["ann@far.test", BOB], &message);
    let captured = server.mailbox(ALICE, 1).remove(0);
    assert_same(&captured, &message, "captured");
    assert_eq!(field(&captured, "Delivered-To").as_deref(), Some("ann@far.test"));
    server.mailbox_count(BOB, 1);
    let why = server.cli_ok(&["why", "ann@far.test"]);
    assert!(why.contains(&format!("nobody: captured into INBOX of {ALICE}")), "{why}");
}

/// Posts one message in this format to Python's web server, which answers 429 with Retry-After, then 200; what that saw.
fn posted(format: &str) -> Option<(Server, Vec<Value>)> {
    let python = tools::find("python3", &format!("a webhook of format {format}"))?;
    let mut server = Server::prepare("", Path::new("data"));
    let port = server.spare_port();
    let secret = server.path().join("hook.secret");
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let more = route(&format!(
        "via = \"http\"\nurl = \"http://127.0.0.1:{port}/mail?key=hidden\"\nsecret_file = \"hook.secret\"\nformat = \"{format}\"\n"
    ));
    let config = fs::read_to_string(server.config()).unwrap();
    fs::write(server.config(), config + &more).unwrap();
    let sink = thread::spawn(move || {
        let arguments = [port.to_string(), SECRET.to_owned(), "429".to_owned(), "200".to_owned()];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let done = tools::python(&python, HTTP_SINK, &arguments, b"").ok("the web server");
        serde_json::from_slice::<Vec<Value>>(&done).unwrap()
    });
    server.populate();
    server.launch();
    let began = Instant::now();
    send(&server, &["hook@gate.test"], &samples::dots().message);
    wait_for_empty_queue(&server);
    assert!(began.elapsed() >= Duration::from_secs(3), "not before Retry-After");
    Some((server, sink.join().unwrap()))
}

#[test]
fn a_message_is_posted_as_it_is() {
    let Some((server, seen)) = posted("raw") else { return };
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0]["id"], seen[1]["id"], "the same message, whatever the try");
    for request in &seen {
        assert_eq!(request["signed"], true, "{request}");
        assert_eq!(request["path"], "/mail?key=hidden");
        assert_eq!(request["type"], "message/rfc822");
        assert_eq!((&request["recipient"], &request["sender"]), (&"hook@gate.test".into(), &STRANGER.into()));
        assert_same(request["body"].as_str().unwrap().as_bytes(), &samples::dots().message, "posted");
    }
    let told = server.cli_json(&["trace", "hook@gate.test"]).to_string();
    assert!(told.contains("answered 429: noted") && !told.contains("hidden"), "{told}");
    let why = server.cli_ok(&["why", "hook@gate.test"]);
    assert!(why.contains("delivered for hook@gate.test to http://127.0.0.1:"), "{why}");
}

#[test]
fn a_message_is_posted_as_an_event() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let Some((_server, seen)) = posted("json") else { return };
    let last = seen.last().unwrap();
    assert_eq!((&last["signed"], &last["type"]), (&true.into(), &"application/json".into()));
    let event: Value = serde_json::from_str(last["body"].as_str().unwrap()).unwrap();
    assert_eq!(event["type"], "message.received");
    let data = &event["data"];
    assert_eq!((&data["recipient"], &data["sender"]), (&"hook@gate.test".into(), &STRANGER.into()));
    assert!(last["id"].as_str().unwrap().starts_with(data["queue_id"].as_str().unwrap()));
    let raw = STANDARD.decode(data["raw"].as_str().unwrap()).unwrap();
    assert_same(&raw, &samples::dots().message, "in an event");
}
