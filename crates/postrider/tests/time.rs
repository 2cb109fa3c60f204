//! When a message goes: held by FUTURERELEASE, hurried by DELIVERBY, ranked by MT-PRIORITY; as Python's smtplib and our own
//! `send` ask for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use serde_json::{Value, json};
use support::{
    ports::Ports,
    samples,
    server::{ALICE, BOB, PASSWORD, Server},
    sink::Sink,
    tools, wait_for,
};

const HOLD: &str = include_str!("support/python/hold.py");
const PARSE: &str = include_str!("support/python/parse.py");
const CAROL: &str = "carol@far.test";

fn route_to(port: u16) -> String {
    format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n\
         [queue]\nretry_delays = [\"1h\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"
    )
}

fn queue(server: &Server) -> Vec<Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

/// Alice's submission with these parameters; false if there is no Python.
fn submit(server: &Server, recipient: &str, parameters: &[&str]) -> bool {
    let Some(python) = tools::find("python3", "parameters of MAIL from smtplib") else { return false };
    let port = server.port("submission").to_string();
    let arguments = [&[port.as_str(), ALICE, PASSWORD, recipient], parameters].concat();
    tools::python(&python, HOLD, &arguments, b"").ok("submission by smtplib");
    true
}

/// `send` as alice, over submission.
fn send(server: &Server, options: &[&str]) -> tools::Done {
    let common = ["send", "--user", ALICE, "--password-stdin", "--subject", "when", "--body", "text"];
    server.cli_with(&[&common[..], options].concat(), format!("{PASSWORD}\n").as_bytes())
}

/// C284, C286
#[test]
fn held_messages_survive_a_restart_and_leave_in_time_or_by_hand() {
    let mut server = Server::start("");
    // So far ahead that nothing but a hand lets it go.
    if !submit(&server, BOB, &["HOLDFOR=86400"]) {
        return;
    }
    let held = queue(&server).remove(0);
    assert_eq!((&held["status"], &held["next_attempt_at"]), (&json!("held"), &Value::Null));
    let until = held["held_until"].as_str().unwrap();
    let id = held["id"].as_str().unwrap();
    assert!(server.cli_ok(&["queue", "list"]).contains(&format!("until {until}")));
    assert!(server.cli_ok(&["queue", "show", id]).contains(&format!("held until   {until}")));
    let why = server.cli_ok(&["why", id]);
    assert!(why.contains(&format!("held until {until} as its sender asked")), "{why}");
    assert!(server.cli_ok(&["trace", id]).contains(&format!("held until {until}")));

    submit(&server, BOB, &["HOLDFOR=2", "MT-PRIORITY=3"]);
    server.stop();
    server.launch();
    let first = server.mailbox(BOB, 1).remove(0);
    assert!(samples::field(&first, "Received").unwrap().contains("PRIORITY 3"), "RFC 6710 §4.1");
    let left = queue(&server);
    assert_eq!((left.len(), &left[0]["id"], &left[0]["attempts"]), (1, &json!(id), &json!(0)));
    assert!(!server.cli(&["queue", "retry", id]).status.success(), "a try is no release");
    assert!(server.cli_ok(&["queue", "release", id]).contains("1 entry released"));
    server.mailbox_count(BOB, 2);
}

/// C284, C286
#[test]
fn held_messages_can_be_called_off() {
    let server = Server::start("");
    send(&server, &["--to", BOB, "--hold-for", "2h"]).ok("send --hold-for");
    assert_eq!(queue(&server).len(), 1);
    assert!(server.cli_ok(&["queue", "delete", "--status", "held"]).contains("1 entry deleted"));
    assert!(queue(&server).is_empty());
    assert_eq!(server.pop3(BOB).count().unwrap(), 0);
}

/// C278: the next try is an hour away, the deadline a second.
#[test]
fn what_cannot_be_delivered_in_time_comes_back() {
    let ports = Ports::take();
    let server = Server::start(&route_to(ports.nth(0)));
    send(&server, &["--to", CAROL, "--deliver-by", "1s"]).ok("send --deliver-by");
    let report = server.mailbox(ALICE, 1).remove(0);
    wait_for("an empty queue", || queue(&server).is_empty().then_some(()));
    let why = server.cli_ok(&["why", CAROL]);
    assert!(why.contains("its deadline has passed"), "{why}");
    let Some(python) = tools::find("python3", "a report in the eyes of Python") else { return };
    let seen: Value =
        serde_json::from_slice(&tools::python(&python, PARSE, &[], &report).ok("parse")).unwrap();
    let parts = seen["parts"].as_array().unwrap();
    let status = parts.iter().find(|part| part["type"] == "message/delivery-status").unwrap();
    assert!(status["fields"][0]["deliver-by-date"].is_string(), "RFC 2852 §5: {status}");
    assert_eq!(
        (&status["fields"][1]["action"], &status["fields"][1]["status"]),
        (&json!("failed"), &json!("5.4.7"))
    );
}

/// C278
#[test]
fn what_is_late_is_told_of_and_stays_in_the_queue() {
    let ports = Ports::take();
    let server = Server::start(&route_to(ports.nth(0)));
    send(&server, &["--to", CAROL, "--deliver-by", "1s", "--if-late", "notify"]).ok("send --if-late");
    let report = server.mailbox(ALICE, 1).remove(0);
    assert_eq!(samples::field(&report, "Subject").as_deref(), Some("Your mail is delayed"));
    let why = server.cli_ok(&["why", CAROL]);
    assert!(why.contains("it waits for the site") && why.contains("and is late"), "{why}");
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    server.cli_ok(&["queue", "retry"]);
    wait_for("an empty queue", || queue(&server).is_empty().then_some(()));
    assert_eq!(sink.messages().len(), 1);
    // Nobody watches over the deadline at a host without DELIVERBY.
    let told = server.mailbox(ALICE, 2).remove(1);
    assert_eq!(samples::field(&told, "Subject").as_deref(), Some("Your mail was passed on"));
}

/// C279, C283: what the next host knows it is told.
#[test]
fn deadlines_and_priorities_go_on_to_the_next_host() {
    let ports = Ports::take();
    let server = Server::start(&route_to(ports.nth(0)));
    {
        let sink = Sink::start(ports.nth(0), &["PIPELINING", "DELIVERBY", "MT-PRIORITY"], |_| None);
        send(&server, &["--to", CAROL, "--deliver-by", "15m", "--priority", "-4"]).ok("send");
        wait_for("an empty queue", || queue(&server).is_empty().then_some(()));
        let from = &sink.messages()[0].from;
        let by = from.split("BY=").nth(1).and_then(|by| by.split(';').next()).unwrap();
        assert!((1..900).contains(&by.parse::<u32>().unwrap()), "some of it is gone: {from}");
        assert!(from.contains(";R") && from.ends_with("MT-PRIORITY=-4"), "{from}");
        assert!(!sink.messages()[0].content.starts_with(b"MT-Priority"));
    }
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    send(&server, &["--to", CAROL, "--priority", "3"]).ok("send");
    wait_for("an empty queue", || queue(&server).is_empty().then_some(()));
    let message = &sink.messages()[0];
    assert!(!message.from.contains("MT-PRIORITY"));
    let content = String::from_utf8_lossy(&message.content).into_owned();
    assert!(content.starts_with("MT-Priority: 3\r\nReceived: "), "{content}");
    assert_eq!(content.matches("MT-Priority").count(), 1);
}

#[test]
fn what_a_server_does_not_know_is_not_asked_of_it() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    let server = Server::start("");
    let at = format!("127.0.0.1:{}", ports.nth(0));
    for (option, value, keyword) in [
        ("--hold-until", "2099-01-01T00:00:00Z", "FUTURERELEASE"),
        ("--deliver-by", "1h", "DELIVERBY"),
        ("--priority", "-3", "MT-PRIORITY"),
    ] {
        let done = server.cli(&["send", "--server", &at, "--from", ALICE, "--to", CAROL, option, value]);
        assert!(!done.status.success() && done.said().contains(keyword), "{}", done.said());
    }
    assert!(sink.messages().is_empty() && !sink.commands().iter().any(|line| line.starts_with("MAIL")));
    for (option, value) in
        [("--priority", "10"), ("--hold-until", "tomorrow"), ("--deliver-by", "0s"), ("--hold-for", "5")]
    {
        let done = server.cli(&["send", "--server", &at, "--from", ALICE, "--to", CAROL, option, value]);
        assert_eq!(done.status.code(), Some(2), "{option} {value}: {}", done.said());
    }
}
