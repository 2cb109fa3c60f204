//! Who is relayed for, and how mail that is relayed goes on.
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

use names::NameServer;
use support::{
    ports::Ports,
    samples::{self, assert_same},
    server::{ALICE, Server},
    sink::Sink,
    wait_for,
    wire::expect,
};

const EXTENSIONS: [&str; 2] = ["PIPELINING", "8BITMIME"];
/// Nobody wrote a Date, a Message-ID or a From.
const BARE: &[u8] =
    b"To: dave@far.test, erin@other.test\r\nCc: bob@example.test\r\nX-Odd : kept\r\n\r\nHello.\r\n";

fn relay_to(host: &str, port: u16, dns: &str) -> String {
    format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n{dns}\
         [[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"{host}\"\nport = {port}\n"
    )
}

/// C199
#[test]
fn old_ways_of_writing_a_route_relay_nothing() {
    let server = Server::start("");
    let mut smtp = server.smtp();
    expect(&smtp.command("MAIL FROM:<ann@client.test>").unwrap(), 250).unwrap();
    for (path, expected) in [
        ("carol%far.test@example.test", "550 5.1.1"),
        ("far.test!carol@example.test", "550 5.1.1"),
        ("\"carol@far.test\"@example.test", "550 5.1.1"),
        ("carol%far.test@[127.0.0.1]", "550 5."),
        // RFC 5321 App. C: the route is struck off, and what is left is somebody else's.
        ("@example.test:carol@far.test", "550 5.7.1"),
        ("@example.test,@far.test:carol@far.test", "550 5.7.1"),
    ] {
        let reply = smtp.command(&format!("RCPT TO:<{path}>")).unwrap().to_string();
        assert!(reply.starts_with(expected), "{path}: {reply}");
    }
    let reply = smtp.command(&format!("RCPT TO:<@far.test:{ALICE}>")).unwrap();
    assert_eq!(reply.code, 250, "who is ours stays ours behind a route: {reply}");
}

/// C200, C201
#[test]
fn the_envelope_decides_and_the_message_goes_on_as_it_came() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &EXTENSIONS, |_| None);
    let server = Server::start(&relay_to("127.0.0.1", ports.nth(0), ""));
    let reply = server.smtp().deliver(ALICE, &["carol@far.test"], BARE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let message = wait_for("the message", || sink.messages().pop());
    assert_eq!(message.to.len(), 1);
    assert!(message.to[0].starts_with("<carol@far.test>"), "{:?}", message.to);
    assert_same(&message.content, BARE, "relayed");
    assert!(samples::field(&message.content, "Received").is_some(), "RFC 5321 §4.4");
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
    assert_eq!(server.pop3("bob@example.test").count().unwrap(), 0, "whom a header field names gets nothing");
}

/// C205
#[test]
fn a_host_that_the_operator_names_is_not_looked_up_as_a_domain() {
    let ports = Ports::take();
    let sink = Sink::start_on([127, 0, 0, 2], ports.nth(0), &EXTENSIONS, |_| None);
    let names = NameServer::start(
        "relay.test. 60 IN MX 10 elsewhere.test.\nelsewhere.test. 60 IN A 127.0.0.9\n\
         relay.test. 60 IN A 127.0.0.2\n",
    );
    let server = Server::start(&relay_to("relay.test", ports.nth(0), &names.section("")));
    let reply = server.smtp().deliver(ALICE, &["carol@far.test"], BARE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    wait_for("the message", || sink.messages().pop());
}

/// A182
#[test]
fn a_second_server_on_the_same_data_refuses_to_start() {
    let mut first = Server::start("");
    let data = first.path().join("data");
    let mut second = Server::configured(|server| {
        let port = server.port("smtp");
        format!(
            "hostname = \"mx.example.test\"\ndata_dir = \"{}\"\n[[listener]]\nservice = \"smtp\"\n\
             address = \"127.0.0.1:{port}\"\n",
            data.display()
        )
    });
    second.begin();
    let ended = wait_for("the second to give up", || second.ended());
    assert!(!ended.success());
    assert!(second.logged().contains("in use"), "{}", second.logged());
    first.still_serves("after the second");
}

/// C206: whatever a filter changes in a message, the trace fields tell that it was here.
#[test]
fn a_message_that_has_passed_too_many_hosts_is_refused() {
    let server = Server::start("");
    let received = "Received: from filter.test by mx.example.test; Tue, 03 Nov 2026 10:00:00 +0000\r\n";
    for (hops, expected) in [(99, "250 2.0.0"), (100, "554 5.4.6")] {
        let message = format!("{}Subject: {hops}\r\n\r\nHello.\r\n", received.repeat(hops));
        let reply =
            server.smtp().deliver("ann@client.test", &[ALICE], message.as_bytes()).unwrap().to_string();
        assert!(reply.starts_with(expected), "{hops}: {reply}");
    }
}
