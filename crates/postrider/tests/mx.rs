//! Mail finds its hosts by the domain name system: MX, addresses, what they prove, and what they must not do to us.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "support/names.rs"]
mod names;
mod support;

use std::fs;

use names::NameServer;
use serde_json::Value;
use support::{
    ports::Ports,
    server::{ALICE, Server},
    sink::Sink,
    wait_for,
};

const EXTENSIONS: [&str; 3] = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"];
const MESSAGE: &[u8] = b"Subject: by MX\r\n\r\nHello.\r\n";
/// Nothing listens there.
const DEAD: &str = "127.0.0.9";
const LIVE: [u8; 4] = [127, 0, 0, 2];

/// A server that delivers by MX to `port`, wherever the names lead.
fn near(names: &NameServer, port: u16, more_dns: &str) -> Server {
    let dns = names.section(more_dns);
    Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1s\"]\n{dns}\
         [[route]]\nrecipient = \"*\"\nvia = \"mx\"\nport = {port}\nprivate_addresses = true\n"
    ))
}

fn rcpt(server: &Server, to: &str) -> String {
    let mut smtp = server.smtp();
    smtp.command("MAIL FROM:<alice@example.test>").unwrap();
    smtp.command(&format!("RCPT TO:<{to}>")).unwrap().to_string()
}

fn send(server: &Server, to: &[&str]) {
    let reply = server.smtp().deliver(ALICE, to, MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

fn queue(server: &Server) -> Vec<Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

fn last_error(server: &Server) -> String {
    wait_for("an attempt", || {
        queue(server).first().and_then(|entry| entry["last_error"].as_str().map(str::to_owned))
    })
}

#[test]
fn the_better_host_is_tried_first_and_the_next_in_the_same_attempt() {
    let ports = Ports::take();
    let sink = Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None);
    let names = NameServer::start(&format!(
        "far.test. 60 IN MX 20 live.far.test.\nfar.test. 60 IN MX 10 dead.far.test.\n\
         dead.far.test. 60 IN A {DEAD}\nlive.far.test. 60 IN A 127.0.0.2\n"
    ));
    let server = near(&names, ports.nth(0), "");
    send(&server, &["carol@far.test"]);
    wait_for("the message", || (sink.messages().len() == 1).then_some(()));
    wait_for("an empty queue", || queue(&server).is_empty().then_some(()));
    let trace = server.cli_json(&["trace", "carol@far.test"]);
    let events = trace[0]["events"].as_array().unwrap();
    let attempts: Vec<&Value> = events.iter().filter(|event| event["kind"] == "attempt").collect();
    assert_eq!(attempts.len(), 1, "{trace}");
    assert_eq!(attempts[0]["details"]["host"], "live.far.test");
}

#[test]
fn without_mx_mail_goes_to_the_domain_itself_and_a_literal_to_its_address() {
    let ports = Ports::take();
    let sink = Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None);
    let names = NameServer::start("plain.test. 60 IN A 127.0.0.2\n");
    let server = near(&names, ports.nth(0), "");
    send(&server, &["carol@plain.test"]);
    send(&server, &["dave@[127.0.0.2]"]);
    wait_for("both messages", || (sink.messages().len() == 2).then_some(()));
}

#[test]
fn who_can_never_be_reached_is_refused_at_rcpt() {
    let names = NameServer::start("null.test. 60 IN MX 0 .\nempty.test. 60 IN TXT \"no mail\"\n");
    let server = near(&names, 25, "");
    for (to, expected) in
        [("a@nowhere.test", "550 5.1.2"), ("a@null.test", "556 5.1.10"), ("a@empty.test", "550 5.4.4")]
    {
        let reply = rcpt(&server, to);
        assert!(reply.starts_with(expected), "{to}: {reply}");
    }
}

#[test]
fn mail_that_would_come_back_to_us_is_refused() {
    let names = NameServer::start(
        "loop.test. 60 IN MX 10 mx.example.test.\nmx.example.test. 60 IN A 127.0.0.1\n\
         alias.test. 60 IN MX 10 other-name.test.\nother-name.test. 60 IN A 127.0.0.1\n",
    );
    let server = near(&names, 2, "");
    let reply = rcpt(&server, "a@loop.test");
    assert!(reply.starts_with("550 5.4.6"), "{reply}");
    // Our address under a name that we do not know as ours shows when it is looked up.
    send(&server, &["a@alias.test"]);
    let report = server.mailbox(ALICE, 1);
    assert!(String::from_utf8_lossy(&report[0]).contains("Status: 5.4.6"));
}

#[test]
fn records_of_strangers_lead_nowhere_near_us() {
    let names = NameServer::start("in.test. 60 IN MX 10 mx.in.test.\nmx.in.test. 60 IN A 127.0.0.2\n");
    let dns = names.section("");
    let server = Server::start(&format!("[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n{dns}"));
    send(&server, &["a@in.test"]);
    let report = server.mailbox(ALICE, 1);
    let report = String::from_utf8_lossy(&report[0]).into_owned();
    assert!(report.contains("Status: 5.4.4"), "{report}");
}

#[test]
fn domains_of_one_provider_share_a_lane() {
    let ports = Ports::take();
    let names = NameServer::start(&format!(
        "one.test. 60 IN MX 10 a.mx.test.\none.test. 60 IN MX 20 b.mx.test.\n\
         two.test. 60 IN MX 5 a.mx.test.\ntwo.test. 60 IN MX 7 b.mx.test.\n\
         a.mx.test. 60 IN A {DEAD}\nb.mx.test. 60 IN A {DEAD}\n"
    ));
    let server = near(&names, ports.nth(0), "");
    send(&server, &["x@one.test", "y@two.test"]);
    let queued = queue(&server);
    assert_eq!(queued.len(), 1, "one entry for both: {queued:?}");
    assert!(queued[0]["lane"].as_str().unwrap().starts_with("mx:a.mx.test+"), "{queued:?}");
}

#[test]
fn a_name_server_that_is_silent_only_delays() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[dns]\nservers = [\"{}\"]\ndnssec = \"off\"\n",
        silent.local_addr().unwrap()
    ));
    send(&server, &["a@far.test"]);
    assert!(last_error(&server).contains("looking up far.test failed for now"));
    assert_eq!(queue(&server)[0]["lane"], "domain:far.test");
}

#[test]
fn answers_are_proven_by_dnssec_and_what_is_not_waits() {
    let ports = Ports::take();
    let sink = Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None);
    let zone = "far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.2\n";
    let (names, others) = (NameServer::signed(zone), NameServer::signed(zone));
    let folder = tempfile::tempdir().unwrap();
    let anchor = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("dnssec = \"validate\"\ntrust_anchor = \"{}\"", path.display())
    };
    let trusting = near(&names, ports.nth(0), &anchor("ours", names.anchor()));
    send(&trusting, &["carol@far.test"]);
    wait_for("the message", || (sink.messages().len() == 1).then_some(()));
    let route = trusting.cli_json(&["route", "carol@far.test"]);
    assert_eq!(route["ways"][0]["proven"], true, "{route}");
    assert!(rcpt(&trusting, "a@nowhere.test").starts_with("550 5.1.2"));

    let deceived = near(&names, ports.nth(0), &anchor("theirs", others.anchor()));
    send(&deceived, &["carol@far.test"]);
    assert!(last_error(&deceived).contains("looking up far.test failed for now"));
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn route_tells_where_an_address_leads_and_why() {
    let names = NameServer::start(
        "far.test. 60 IN MX 10 mx.far.test.\nfar.test. 60 IN MX 20 gone.far.test.\nmx.far.test. 60 IN A 127.0.0.2\n",
    );
    let mut server = near(&names, 2525, "");
    let shown = server.cli_ok(&["route", "carol@far.test"]);
    for expected in
        ["relayed", "[[route]] number 1, via mx", "10 mx.far.test port 2525: 127.0.0.2", "does not exist"]
    {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(server.cli_ok(&["route", ALICE]).contains("delivered here"));
    server.stop();
    assert_eq!(server.cli_ok(&["route", "carol@far.test"]), shown, "the same without a running server");
}
