//! Operators' hands in the queue, with the server running and without.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use support::{
    ports::Ports,
    server::{ALICE, BOB, Server},
    sink::Sink,
    wait_for,
};

/// Held is what goes to held.test; nobody listens where the rest is sent.
fn config(port: u16) -> String {
    format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1h\"]\n\
         [[route]]\nrecipient = \"*@held.test\"\nvia = \"hold\"\n[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\n\
         host = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
    )
}

fn send(server: &Server, from: &str, to: &[&str]) {
    let message = b"Subject: the subject\r\nX-Odd: \x1b[2J\r\n\r\nwhat it says\r\n";
    let reply = server.smtp().deliver(from, to, message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

fn count(server: &Server, selection: &[&str]) -> u64 {
    server.cli_json(&[&["queue", "count"], selection].concat())["count"].as_u64().unwrap()
}

/// C182: each verb, each selector, with and without the server.
#[test]
fn one_selector_serves_every_verb() {
    let ports = Ports::take();
    let mut server = Server::start(&config(ports.nth(0)));
    let lane = format!("smtp:127.0.0.1:{}", ports.nth(0));
    for number in 0..3 {
        send(&server, ALICE, &[&format!("r{number}@a.test")]);
    }
    send(&server, BOB, &["r0@a.test", "x@sub.a.test"]);
    send(&server, BOB, &["h@held.test"]);
    send(&server, "", &["n@a.test"]);
    for running in [true, false] {
        if !running {
            server.stop();
        }
        for (selection, expected) in [
            (&["--sender", ALICE][..], 3),
            (&["--sender", "@example.test"], 5),
            (&["--sender", "<>"], 1),
            (&["--recipient", "R0@a.test"], 2),
            (&["--domain", "a.test"], 5),
            (&["--domain", "*.a.test"], 1),
            (&["--status", "held"], 1),
            (&["--lane", &lane], 5),
            (&["--younger-than", "1h"], 6),
            (&["--older-than", "1h"], 0),
            (&["--domain", "a.test", "--sender", BOB], 1),
            (&[], 6),
        ] {
            assert_eq!(count(&server, selection), expected, "{selection:?}, running: {running}");
        }
        let plan = server.cli_json(&["queue", "bounce", "--sender", ALICE, "--dry-run"]);
        assert_eq!((plan["count"].as_u64(), plan["sample"].as_array().map(Vec::len)), (Some(3), Some(3)));
        let held = server.cli_json(&["queue", "hold", "--sender", ALICE, "--reason", "looks like a flood"]);
        assert_eq!((held["count"].as_u64(), count(&server, &["--status", "held"])), (Some(3), 4));
        assert_eq!(server.cli_json(&["queue", "release", "--sender", ALICE])["count"], 3);
    }
    let id = server.cli_json(&["queue", "list", "--recipient", "r1@a.test"])[0]["id"].clone();
    let history = server.cli_ok(&["trace", id.as_str().unwrap()]);
    assert!(history.contains("an operator's hold, for r1@a.test: looks like a flood"), "{history}");
}

#[test]
fn a_listing_goes_page_by_page() {
    let ports = Ports::take();
    let server = Server::start(&config(ports.nth(0)));
    for number in 0..5 {
        send(&server, ALICE, &[&format!("r{number}@held.test")]);
    }
    let (mut ids, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut command = vec!["queue", "list", "--limit", "2", "--sender", ALICE];
        command.extend(after.iter().flat_map(|place| ["--after", place.as_str()]));
        let page = server.cli_json(&command);
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 2);
        ids.extend(entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    let bad = server.cli(&["queue", "list", "--after", "?"]);
    assert!(!bad.status.success() && bad.said().contains("this place"), "{}", bad.said());
}

#[test]
fn a_message_is_shown_with_its_header_and_nothing_that_moves_the_cursor() {
    let ports = Ports::take();
    let server = Server::start(&config(ports.nth(0)));
    send(&server, ALICE, &["one@held.test"]);
    let id = server.cli_json(&["queue", "list"])[0]["id"].as_str().unwrap().to_owned();
    let text = server.cli_ok(&["queue", "show", &id]);
    for expected in
        ["header       Subject: the subject", "recipient    one@held.test", "lane         hold", "given up"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains('\x1b') && !text.contains("what it says"), "{text}");
}

#[test]
fn what_an_operator_returns_reaches_its_sender_even_if_no_server_runs() {
    let ports = Ports::take();
    let mut server = Server::start(&config(ports.nth(0)));
    send(&server, ALICE, &["one@held.test"]);
    send(&server, "", &["two@held.test"]);
    server.stop();
    let done = server.cli_json(&["queue", "bounce", "--all", "--reason", "the contract has ended"]);
    assert_eq!((done["count"].as_u64(), done["untold"].as_u64()), (Some(2), Some(1)));
    server.launch();
    let report = String::from_utf8(server.mailbox(ALICE, 1).remove(0)).unwrap().replace("\r\n", " ");
    assert!(report.contains("the contract has ended") && report.contains("Status: 5.7.1"), "{report}");
    assert_eq!(count(&server, &[]), 0);
}

#[test]
fn mail_for_a_dead_host_is_sent_another_way_and_to_one_host_only() {
    let ports = Ports::take();
    let server = Server::start(&config(ports.nth(0)));
    send(&server, ALICE, &["carol@a.test"]);
    send(&server, ALICE, &["dave@b.test"]);
    let sink = Sink::start(ports.nth(1), &["PIPELINING"], |_| None);
    let port = ports.nth(1).to_string();
    let reroute = ["queue", "reroute", "--domain", "a.test", "--host", "127.0.0.1", "--port", &port];
    assert_eq!(server.cli_json(&reroute)["count"], 1);
    wait_for("the message at the other host", || {
        sink.messages().pop().filter(|message| message.to.len() == 1)
    });
    wait_for("one entry", || (count(&server, &[]) == 1).then_some(()));
    let refused = server.cli(&["queue", "reroute", "--all", "--to-lane", "local"]);
    assert!(!refused.status.success() && refused.said().contains("smtp:HOST:PORT"), "{}", refused.said());
}
