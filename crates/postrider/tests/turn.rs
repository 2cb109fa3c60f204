//! Mail that waits is asked for: fetched with ATRN and TURN, sent on at once with ETRN.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{path::Path, process::Command};

use support::{
    ports::Ports,
    samples::{self, assert_same},
    server::{ALICE, BOB, PASSWORD, Server},
    sink::Sink,
    tools, wait_for,
    wire::{Smtp, expect},
};

const TURN: &str = include_str!("support/python/turn.py");
const FAR: &str = "carol@far.test";

/// A provider with an ODMR service, where alice fetches mail for far.test and near.test and bob for other.test.
fn provider(ports: &Ports, more: &str) -> Server {
    let odmr = ports.nth(0);
    let server = Server::start(&format!(
        "[[listener]]\nservice = \"odmr\"\naddress = \"127.0.0.1:{odmr}\"\n[smtp]\n{more}"
    ));
    for (account, domain) in [(ALICE, "far.test"), (ALICE, "near.test"), (BOB, "other.test")] {
        server.cli_ok(&["account", "turn-domain", "add", account, domain]);
    }
    server
}

/// The customer's own server.
fn customer() -> Server {
    let server = Server::start("");
    server.cli_ok(&["domain", "add", "far.test"]);
    server.add_account(FAR);
    server
}

/// What the server said to `command`, once the call is over.
fn call(python: &Path, port: u16, mode: &str, user: &str, command: &str, own: &Server) -> String {
    let (port, own) = (port.to_string(), own.port("smtp").to_string());
    let arguments = [port.as_str(), mode, user, PASSWORD, command, &own];
    let said = tools::python(python, TURN, &arguments, b"").ok("the customer");
    String::from_utf8(said).unwrap()
}

fn queue(server: &Server) -> Vec<serde_json::Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

#[test]
fn a_customer_fetches_its_mail_with_atrn_and_nobody_elses() {
    let Some(python) = tools::find("python3", "ATRN") else { return };
    let (ports, own) = (Ports::take(), customer());
    let server = provider(&ports, "");
    let samples = [samples::dots(), samples::eight_bit(), samples::attachment()];
    let deliver = |to: &str, message: &[u8]| {
        // Nobody has logged in: the provider is who takes mail for its customers' domains.
        expect(&server.smtp().deliver("ann@client.test", &[to], message).unwrap(), 250).unwrap();
    };
    for sample in &samples {
        deliver(FAR, &sample.message);
    }
    deliver("x@other.test", &samples::dots().message);
    let route = server.cli_ok(&["route", FAR]);
    assert!(route.contains("kept here until an account fetches it with ATRN"), "{route}");
    let why = server.cli_ok(&["why", FAR]);
    assert!(
        why.contains("waits in lane odmr:far.test to be picked up by ATRN from alice@example.test"),
        "{why}"
    );
    let trace = server.cli_ok(&["trace", FAR]);
    assert!(trace.contains("waits to be picked up by ATRN from far.test"), "{trace}");

    let said = |user, command| call(&python, ports.nth(0), "starttls", user, command, &own);
    assert!(said(BOB, "ATRN far.test").starts_with("450 4.7.1"));
    assert!(said(ALICE, "ATRN far.test,other.test").starts_with("450 4.7.1"));
    assert!(said(ALICE, "ATRN near.test").starts_with("453 "));
    assert!(said(ALICE, "ATRN").starts_with("250 "));
    for (stored, sample) in own.mailbox(FAR, samples.len()).iter().zip(&samples) {
        assert_same(stored, &sample.message, sample.name);
    }
    wait_for("what is left", || (queue(&server).len() == 1).then_some(()));
    assert_eq!(queue(&server)[0]["lane"], "odmr:other.test");
    assert_eq!(queue(&server)[0]["waits_for"], "ATRN from other.test");
    assert!(said(ALICE, "ATRN").starts_with("453 "));
    let why = server.cli_ok(&["why", FAR]);
    assert!(why.contains("it was delivered for carol@far.test to far.test[127.0.0.1]"), "{why}");
}

#[test]
fn turn_hands_over_under_tls_where_it_is_switched_on() {
    let Some(python) = tools::find("python3", "TURN") else { return };
    let (ports, own) = (Ports::take(), customer());
    let server = provider(&ports, "turn = \"authenticated\"\n");
    let sample = samples::dots();
    expect(&server.smtp().deliver("ann@client.test", &[FAR], &sample.message).unwrap(), 250).unwrap();
    let mut in_clear = Smtp::connect(server.port("submission")).unwrap();
    expect(&in_clear.command("TURN").unwrap(), 503).unwrap();
    let said = call(&python, server.port("submissions"), "implicit", ALICE, "TURN", &own);
    assert!(said.starts_with("250 "), "{said}");
    assert_same(&own.mailbox(FAR, 1)[0], &sample.message, sample.name);
    wait_for("an empty queue", || queue(&server).is_empty().then_some(()));
}

#[test]
fn who_fetches_what_is_shown_and_kept_consistent() {
    let ports = Ports::take();
    let server = provider(&ports, "");
    let listed = server.cli_json(&["account", "turn-domain", "list"]);
    let domains: Vec<_> = listed.as_array().unwrap().iter().map(|domain| &domain["domain"]).collect();
    assert_eq!(domains, ["far.test", "near.test", "other.test"]);
    assert_eq!(listed[0]["account"], ALICE);
    for (refused, why) in [
        (&["account", "turn-domain", "add", BOB, "FAR.test"][..], "fetched by alice@example.test already"),
        (&["account", "turn-domain", "add", BOB, "example.test"], "hosted already"),
        (&["domain", "add", "far.test"], "fetched by alice@example.test already"),
        (&["account", "remove", ALICE], "fetches mail for other domains"),
        (&["account", "turn-domain", "remove", "unknown.test"], "nobody fetches mail for unknown.test"),
    ] {
        let done = server.cli(refused);
        assert_eq!(done.status.code(), Some(1), "{refused:?}");
        assert!(done.said().contains(why), "{refused:?}: {}", done.said());
    }
    server.cli_ok(&["account", "turn-domain", "remove", "other.test"]);
    server.cli_ok(&["account", "remove", BOB]);
    expect(&server.smtp().command("VRFY x@other.test").unwrap(), 252).unwrap();
    let mut smtp = server.smtp();
    expect(&smtp.command("MAIL FROM:<ann@client.test>").unwrap(), 250).unwrap();
    expect(&smtp.command("RCPT TO:<x@other.test>").unwrap(), 550).unwrap();
    expect(&smtp.command("RCPT TO:<x@far.test>").unwrap(), 250).unwrap();
}

/// C068: fetchmail asks, and what waits goes to the route, not to fetchmail.
#[test]
fn fetchmail_has_waiting_mail_sent_with_etrn() {
    let Some(fetchmail) = tools::find("fetchmail", "ETRN") else { return };
    let ports = Ports::take();
    let server = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1h\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n",
        ports.nth(0)
    ));
    let sample = samples::dots();
    expect(&server.smtp().deliver(ALICE, &[FAR], &sample.message).unwrap(), 250).unwrap();
    wait_for("the first try", || (queue(&server)[0]["attempts"] == 1).then_some(()));
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], |_| None);
    let mut command = Command::new(fetchmail);
    command.env("HOME", server.path()).env("FETCHMAILHOME", server.path());
    command.args(["--fetchmailrc", "/dev/null", "--nodetach", "-v", "--protocol", "ETRN"]);
    command.args(["--service", &server.port("smtp").to_string(), "--fetchdomains", "far.test", "127.0.0.1"]);
    let done = tools::run(&mut command, b"");
    assert!(done.said().contains("far.test started"), "{}", done.said());
    wait_for("the message at the route's host", || (!sink.messages().is_empty()).then_some(()));
    assert!(sink.messages()[0].content.ends_with(&sample.message));
    let trace = server.cli_ok(&["trace", FAR]);
    assert!(trace.contains("a client asked with ETRN to try now"), "{trace}");
}
