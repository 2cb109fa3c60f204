//! Mail for others: handed to the next hop, tried again, reported when it fails for good; and the operator's commands.
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
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use support::{
    ports::Ports,
    samples::{self, assert_same},
    server::{ALICE, BOB, PASSWORD, Server},
    sink::Sink,
    tools, wait_for,
};

const PARSE: &str = include_str!("support/python/parse.py");
const CAROL: &str = "carol@far.test";
const DAVE: &str = "dave@far.test";
const EXTENSIONS: [&str; 4] = ["PIPELINING", "8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES"];

/// The configuration of a server that hands far.test to the host on `port`.
fn route_to(port: u16, more: &str) -> String {
    format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n\
         [queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n{more}"
    )
}

fn send(server: &Server, from: &str, to: &[&str], message: &[u8]) {
    let reply = server.smtp().deliver(from, to, message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

fn queue(server: &Server) -> Vec<Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

fn wait_for_empty_queue(server: &Server) {
    wait_for("an empty queue", || queue(server).is_empty().then_some(()));
}

/// The queue's only entry, once it satisfies `ready`.
fn wait_for_entry(server: &Server, ready: impl Fn(&Value) -> bool) -> Value {
    wait_for("the queue entry", || queue(server).into_iter().next().filter(&ready))
}

fn has_failed_once(entry: &Value) -> bool {
    entry["attempts"].as_u64() >= Some(1) && !entry["last_error"].is_null()
}

fn id(entry: &Value) -> String {
    entry["id"].as_str().unwrap().to_owned()
}

/// The kinds of the events in a message's history, in order.
fn history(server: &Server, term: &str) -> Vec<String> {
    let histories = server.cli_json(&["trace", term]);
    let last = histories.as_array().unwrap().last().unwrap();
    let kind = |event: &Value| event["kind"].as_str().unwrap().to_owned();
    last["events"].as_array().unwrap().iter().map(kind).collect()
}

#[test]
fn a_message_reaches_its_mailbox_through_two_servers() {
    let far = Server::start("");
    far.cli_ok(&["domain", "add", "far.test"]);
    far.add_account(CAROL);
    let near = Server::start(&route_to(far.port("smtp"), ""));
    let small = [samples::one_byte(), samples::dots(), samples::eight_bit(), samples::attachment()];
    for (sample, number) in small.iter().zip(1..) {
        send(&near, ALICE, &[CAROL], &sample.message);
        far.mailbox_count(CAROL, number);
    }
    for (stored, sample) in far.mailbox(CAROL, small.len()).iter().zip(&small) {
        assert_same(stored, &sample.message, sample.name);
        let received = String::from_utf8_lossy(stored).matches("Received: ").count();
        assert_eq!(received, 2, "one line of each server: {}", sample.name);
    }
    wait_for_empty_queue(&near);
    assert_eq!(history(&near, CAROL).last().unwrap(), "delivered");
}

#[test]
fn utf8_addresses_are_relayed() {
    let far = Server::start("");
    far.cli_ok(&["domain", "add", "far.test"]);
    far.add_account("δοκιμή@far.test");
    let near = Server::start(&route_to(far.port("smtp"), ""));
    let sample = samples::utf8();
    let mut smtp = near.smtp();
    smtp.dialog("C: MAIL FROM:<jörg@client.test> SMTPUTF8 BODY=8BITMIME\nS: 250\nC: RCPT TO:<δοκιμή@far.test>\nS: 250");
    smtp.dialog("C: DATA\nS: 354");
    smtp.write(&support::wire::dot_stuffed(&sample.message)).unwrap();
    smtp.dialog("S: 250");
    assert_same(&far.mailbox("δοκιμή@far.test", 1)[0], &sample.message, "UTF-8 through two servers");
}

#[test]
fn greylisting_is_waited_out() {
    let ports = Ports::take();
    let asked = AtomicUsize::new(0);
    let sink = Sink::start(ports.nth(0), &EXTENSIONS, move |line| {
        let early = line.starts_with("RCPT") && asked.fetch_add(1, Ordering::SeqCst) < 2;
        early.then(|| "451 4.7.1 greylisted, come back later".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0), ""));
    send(&server, ALICE, &[CAROL], &samples::dots().message);
    let messages = wait_for("the message", || Some(sink.messages()).filter(|messages| !messages.is_empty()));
    assert_eq!(messages.len(), 1);
    assert!(messages[0].from.starts_with("<alice@example.test>"), "{}", messages[0].from);
    assert_same(&messages[0].content, &samples::dots().message, "through greylisting");
    wait_for_empty_queue(&server);
    let kinds = history(&server, CAROL);
    assert_eq!(kinds.iter().filter(|kind| *kind == "deferred").count(), 2, "{kinds:?}");
    assert_eq!(kinds.last().unwrap(), "delivered", "{kinds:?}");
}

#[test]
fn one_refused_recipient_is_reported_and_the_other_gets_the_message() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &EXTENSIONS, |line| {
        line.to_ascii_lowercase().contains("dave").then(|| "550 5.1.1 no Dave here".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0), ""));
    send(&server, ALICE, &[CAROL, DAVE], &samples::dots().message);
    let report = server.mailbox(ALICE, 1).remove(0);
    let messages = sink.messages();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].to.iter().all(|to| to.starts_with("<carol@far.test>")), "{:?}", messages[0].to);
    assert_eq!(samples::field(&report, "Return-Path").as_deref(), Some("<>"), "RFC 3461 §6.1");
    assert_eq!(history(&server, DAVE).iter().filter(|kind| *kind == "bounced").count(), 1);
    let Some(python) = tools::find("python3", "a report in the eyes of Python") else { return };
    let seen: Value =
        serde_json::from_slice(&tools::python(&python, PARSE, &[], &report).ok("parse")).unwrap();
    assert_is_report(&seen);
}

/// RFC 3462 §3, RFC 3464 §2.
fn assert_is_report(seen: &Value) {
    assert_eq!(seen["defects"], serde_json::json!([]));
    assert_eq!(seen["report_type"], "delivery-status");
    assert!(seen["header"]["to"].as_str().unwrap().contains(ALICE));
    assert!(seen["header"]["auto-submitted"].as_str().unwrap().starts_with("auto-"), "RFC 3834 §5");
    for field in ["date", "message-id", "from", "subject"] {
        assert!(seen["header"][field].is_string(), "{field} is missing");
    }
    let parts = seen["parts"].as_array().unwrap();
    assert_eq!(parts[0]["type"], "multipart/report");
    assert!(parts[1]["text"].as_str().unwrap().contains(DAVE), "people are told who did not get it");
    let blocks =
        parts.iter().find(|part| part["type"] == "message/delivery-status").unwrap()["fields"].clone();
    assert!(blocks[0]["reporting-mta"].as_str().unwrap().ends_with("mx.example.test"));
    assert!(blocks[1]["final-recipient"].as_str().unwrap().ends_with(DAVE));
    assert_eq!(blocks[1]["action"], "failed");
    assert_eq!(blocks[1]["status"], "5.1.1");
    assert!(blocks[1]["diagnostic-code"].as_str().unwrap().contains("no Dave here"));
    assert_eq!(blocks.as_array().unwrap().len(), 2, "carol has got hers");
    let returned = ["message/rfc822", "text/rfc822-headers"];
    assert!(
        parts.iter().any(|part| returned.contains(&part["type"].as_str().unwrap())),
        "the message comes along"
    );
}

#[test]
fn of_a_lost_report_the_postmaster_hears_and_nobody_else() {
    let ports = Ports::take();
    let _sink = Sink::start(ports.nth(0), &EXTENSIONS, |line| {
        line.starts_with("RCPT").then(|| "550 5.1.1 nobody here".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0), ""));
    send(&server, "", &[CAROL], b"Subject: a report\r\n\r\nlost\r\n");
    wait_for("the failure", || history(&server, CAROL).contains(&"bounced".to_owned()).then_some(()));
    wait_for_empty_queue(&server);
    // A report about mail whose sender cannot be reached is lost too.
    send(&server, DAVE, &[CAROL], b"Subject: from afar\r\n\r\nlost\r\n");
    wait_for_empty_queue(&server);
    for (told, lost) in server.mailbox(ALICE, 2).iter().zip([CAROL, DAVE]) {
        let told = String::from_utf8_lossy(told);
        assert!(told.contains("Subject: Mail without a sender could not be delivered\r\n"), "{told}");
        assert!(told.contains(&format!("\r\nFinal-Recipient: rfc822; {lost}\r\n")), "{told}");
    }
    assert_eq!(server.pop3(BOB).count().unwrap(), 0);
}

#[test]
fn a_host_that_was_down_gets_its_mail_when_it_is_up() {
    let ports = Ports::take();
    let server = Server::start(&route_to(ports.nth(0), ""));
    send(&server, ALICE, &[CAROL], &samples::dots().message);
    let entry = wait_for_entry(&server, has_failed_once);
    assert_eq!(entry["status"], "waiting");
    assert_eq!(entry["recipients"], serde_json::json!([CAROL]));
    let why = server.cli_ok(&["why", &id(&entry)]);
    assert!(why.contains(CAROL) && why.contains("refused"), "{why}");
    let sink = Sink::start(ports.nth(0), &EXTENSIONS, |_| None);
    wait_for_empty_queue(&server);
    assert_eq!(sink.messages().len(), 1);
    let why = server.cli_ok(&["why", &id(&entry)]);
    assert!(why.contains("delivered"), "{why}");
}

#[test]
fn connections_cut_by_the_next_host_are_tried_again() {
    let ports = Ports::take();
    let asked = AtomicUsize::new(0);
    // The first four times something else goes wrong.
    let sink = Sink::start(ports.nth(0), &EXTENSIONS, move |line| {
        let step = asked.load(Ordering::SeqCst);
        let stage = ["connect", "MAIL", "DATA", "."].get(step)?;
        line.starts_with(stage).then(|| {
            asked.fetch_add(1, Ordering::SeqCst);
            "421 4.3.2 going down".to_owned()
        })
    });
    let server = Server::start(&route_to(ports.nth(0), ""));
    send(&server, ALICE, &[CAROL], &samples::dots().message);
    wait_for_empty_queue(&server);
    assert_eq!(sink.messages().len(), 1);
    assert_same(&sink.messages()[0].content, &samples::dots().message, "after four cuts");
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0, "a host that goes down is no reason for a bounce");
}

#[test]
fn the_queue_survives_restarts() {
    let ports = Ports::take();
    let mut server = Server::start(&route_to(ports.nth(0), ""));
    let sent: Vec<Vec<u8>> =
        (0..30).map(|number| format!("Subject: {number}\r\n\r\ntext\r\n").into_bytes()).collect();
    for message in &sent {
        send(&server, ALICE, &[CAROL, DAVE], message);
    }
    server.kill();
    server.launch();
    assert_eq!(queue(&server).len(), 30);
    server.stop();
    // Without the server the queue can be looked at too.
    assert_eq!(queue(&server).len(), 30);
    server.launch();
    let sink = Sink::start(ports.nth(0), &EXTENSIONS, |_| None);
    server.cli_ok(&["queue", "retry", "--all"]);
    wait_for_empty_queue(&server);
    let messages = sink.messages();
    assert_eq!(messages.len(), sent.len());
    for message in &sent {
        let arrived: Vec<_> = messages.iter().filter(|arrived| arrived.content.ends_with(message)).collect();
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].to.len(), 2);
    }
}

#[test]
fn an_operator_holds_releases_retries_and_deletes() {
    let ports = Ports::take();
    let server = Server::start(&route_to(ports.nth(0), "").replace("\"1s\"", "\"1h\""));
    send(&server, ALICE, &[CAROL], b"Subject: first\r\n\r\ntext\r\n");
    let first = id(&wait_for_entry(&server, has_failed_once));
    server.cli_ok(&["queue", "hold", &first]);
    assert_eq!(queue(&server)[0]["status"], "held");
    let why = server.cli_ok(&["why", &first]);
    assert!(why.contains("held"), "{why}");
    server.cli_ok(&["queue", "release", "--recipient", CAROL]);
    wait_for_entry(&server, |entry| entry["status"] == "waiting" && entry["attempts"].as_u64() >= Some(2));
    let sink = Sink::start(ports.nth(0), &EXTENSIONS, |_| None);
    let dry = server.cli_ok(&["queue", "retry", "--domain", "far.test", "--dry-run"]);
    assert!(dry.contains('1'), "{dry}");
    server.cli_ok(&["queue", "retry", "--domain", "far.test"]);
    wait_for_empty_queue(&server);
    assert_eq!(sink.messages().len(), 1);
    drop(sink);

    send(&server, ALICE, &[DAVE], b"Subject: second\r\n\r\ntext\r\n");
    let second = id(&wait_for_entry(&server, has_failed_once));
    server.cli_ok(&["queue", "delete", "--id", &second]);
    assert_eq!(queue(&server), Vec::<Value>::new());
    assert!(history(&server, &second).contains(&"operator".to_owned()));
    assert!(!server.cli(&["queue", "delete", "--id", &second]).status.success(), "it is gone");
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0, "nobody is told");
}

#[test]
fn a_smarthost_with_tls_and_password() {
    let far = Server::start("");
    far.cli_ok(&["domain", "add", "far.test"]);
    far.add_account(CAROL);
    let login = format!("username = \"{ALICE}\"\npassword_file = \"secret\"\n");
    let near = Server::prepare(&route_to(far.port("submission"), &login), "data".as_ref());
    fs::write(near.path().join("secret"), format!("{PASSWORD}\n")).unwrap();
    near.populate();
    let mut near = near;
    near.launch();
    send(&near, ALICE, &[CAROL], &samples::dots().message);
    let stored = far.mailbox(CAROL, 1).remove(0);
    assert_same(&stored, &samples::dots().message, "through a smarthost");
    let received = samples::field(&stored, "Received").unwrap();
    assert!(received.contains("ESMTPSA"), "RFC 3848: {received}");
}

#[test]
fn a_certificate_that_must_verify_and_does_not_keeps_the_message_back() {
    let far = Server::start("");
    let near = Server::start(&route_to(far.port("smtp"), "tls = \"required\"\n"));
    send(&near, ALICE, &[CAROL], &samples::dots().message);
    let entry = wait_for_entry(&near, has_failed_once);
    let error = entry["last_error"].as_str().unwrap().to_lowercase();
    assert!(error.contains("certificate") || error.contains("tls"), "{error}");
}

#[test]
fn mail_that_cannot_be_carried_for_too_long_goes_back() {
    let ports = Ports::take();
    let more = route_to(ports.nth(0), "").replace("[queue]\n", "[queue]\nexpire_after = \"2s\"\n");
    let server = Server::start(&more);
    send(&server, ALICE, &[CAROL], &samples::dots().message);
    let report = server.mailbox(ALICE, 1).remove(0);
    assert!(String::from_utf8_lossy(&report).contains(CAROL));
    wait_for_empty_queue(&server);
    assert!(history(&server, CAROL).contains(&"expired".to_owned()));
}

#[test]
fn eight_bit_content_is_not_forced_on_a_host_that_cannot_take_it() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    let server = Server::start(&route_to(ports.nth(0), ""));
    let deliver = |message: &[u8]| {
        let mut smtp = server.smtp();
        smtp.dialog(&format!(
            "C: MAIL FROM:<{ALICE}> BODY=8BITMIME\nS: 250\nC: RCPT TO:<{CAROL}>\nS: 250\nC: DATA\nS: 354"
        ));
        smtp.write(&support::wire::dot_stuffed(message)).unwrap();
        smtp.dialog("S: 250");
    };
    // Declared as 8-bit, but it is not.
    deliver(&samples::dots().message);
    wait_for_empty_queue(&server);
    assert_same(&sink.messages()[0].content, &samples::dots().message, "in 7 bits");
    // RFC 6152 §3: conversion or return, never as it is.
    deliver(&samples::eight_bit().message);
    wait_for_empty_queue(&server);
    let messages = sink.messages();
    assert!(messages.iter().all(|message| message.content.is_ascii()));
    if messages.len() == 1 {
        let report = server.mailbox(ALICE, 1).remove(0);
        assert!(String::from_utf8_lossy(&report).contains("5.6.3"), "{}", String::from_utf8_lossy(&report));
    }
}

#[test]
fn strangers_may_not_relay() {
    let ports = Ports::take();
    let open = route_to(ports.nth(0), "").replace("127.0.0.0/8", "192.0.2.0/24");
    let server = Server::start(&open);
    server.smtp().dialog(&format!("C: MAIL FROM:<{ALICE}>\nS: 250\nC: RCPT TO:<{CAROL}>\nS: 550 5.7.1"));
    server
        .smtp()
        .dialog("C: MAIL FROM:<a@client.test>\nS: 250\nC: RCPT TO:<nobody@example.test>\nS: 550 5.1.1");
}
