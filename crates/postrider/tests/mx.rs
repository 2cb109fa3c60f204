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

use std::{
    fs,
    net::Ipv6Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

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

#[test]
fn aliases_are_followed_and_change_no_address() {
    let ports = Ports::take();
    let sink = Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None);
    let names = NameServer::start(
        "alias.test. 60 IN CNAME real.test.\nreal.test. 60 IN MX 10 mx.real.test.\n\
         mx.real.test. 60 IN CNAME box.real.test.\nbox.real.test. 60 IN A 127.0.0.2\n\
         plain.test. 60 IN CNAME box.real.test.\n\
         circle.test. 60 IN CNAME other.test.\nother.test. 60 IN CNAME circle.test.\n",
    );
    let server = near(&names, ports.nth(0), "");
    for (to, number) in [("carol@alias.test", 1), ("carol@plain.test", 2)] {
        send(&server, &[to]);
        wait_for(to, || (sink.messages().len() == number).then_some(()));
        let message = sink.messages().pop().unwrap();
        assert!(message.to[0].starts_with(&format!("<{to}>")), "{:?}", message.to);
    }
    let reply = rcpt(&server, "a@circle.test");
    assert!(reply.starts_with("550 5.4.4"), "{reply}");
}

#[test]
fn an_address_written_as_mx_is_no_host() {
    let ports = Ports::take();
    let sink = Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None);
    let names = NameServer::start(
        "only.test. 60 IN MX 10 127.0.0.2.\nonly.test. 60 IN A 127.0.0.2\n\
         both.test. 60 IN MX 10 127.0.0.9.\nboth.test. 60 IN MX 20 live.test.\nlive.test. 60 IN A 127.0.0.2\n",
    );
    let server = near(&names, ports.nth(0), "");
    let reply = rcpt(&server, "a@only.test");
    assert!(reply.starts_with("550 5.4.4"), "{reply}");
    send(&server, &["carol@both.test"]);
    wait_for("the message", || (sink.messages().len() == 1).then_some(()));
}

#[test]
fn one_family_that_is_dead_or_unwilling_does_not_keep_mail_from_the_other() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return support::tools::skip("both address families", "there is no IPv6").unwrap_or_default();
    }
    let (ports, others) = (Ports::take(), Ports::take());
    let four = Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None);
    let unwilling = |line: &str| (line == "connect").then(|| "421 4.3.2 not now".to_owned());
    let six = Sink::start_on(Ipv6Addr::LOCALHOST, others.nth(0), &EXTENSIONS, |_| None);
    let names = NameServer::start(&format!(
        "far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN AAAA ::1\nmx.far.test. 60 IN A 127.0.0.2\n\
         late.test. 60 IN MX 10 mx.late.test.\nmx.late.test. 60 IN AAAA ::1\nmx.late.test. 60 IN A {DEAD}\n"
    ));
    let attempts = |server: &Server, sink: &Sink, to: &str, number: usize| {
        send(server, &[to]);
        wait_for(to, || (sink.messages().len() == number).then_some(()));
        wait_for("an empty queue", || queue(server).is_empty().then_some(()));
        let trace = server.cli_json(&["trace", to]);
        let events = trace.as_array().unwrap().last().unwrap()["events"].as_array().unwrap().clone();
        events.iter().filter(|event| event["kind"] == "attempt").count()
    };
    let server = near(&names, ports.nth(0), "");
    assert_eq!(attempts(&server, &four, "carol@far.test", 1), 1, "nobody listens on ::1");
    let _unwilling = Sink::start_on(Ipv6Addr::LOCALHOST, ports.nth(0), &EXTENSIONS, unwilling);
    assert_eq!(attempts(&server, &four, "dave@far.test", 2), 1, "::1 does not want it");
    let server = near(&names, others.nth(0), "");
    assert_eq!(attempts(&server, &six, "carol@late.test", 1), 1, "only ::1 listens");
}

#[test]
fn of_hundreds_of_hosts_the_best_few_are_tried() {
    let ports = Ports::take();
    let (live, tried) =
        (Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None), Arc::new(AtomicUsize::new(0)));
    let counted = tried.clone();
    let _unwilling = Sink::start_on([127, 0, 0, 3], ports.nth(0), &EXTENSIONS, move |line| {
        (line == "connect").then(|| {
            counted.fetch_add(1, Ordering::SeqCst);
            "421 4.3.2 not now".to_owned()
        })
    });
    // Far more than a datagram holds.
    let hosts = |domain: &str| -> String {
        let host = |n| format!("{domain}. 60 IN MX 20 mx{n}.{domain}.\nmx{n}.{domain}. 60 IN A 127.0.0.3\n");
        (0..300).map(host).collect()
    };
    let names = NameServer::start(&format!(
        "{}{}many.test. 60 IN MX 10 zz.many.test.\nzz.many.test. 60 IN A 127.0.0.2\n",
        hosts("many.test"),
        hosts("deaf.test"),
    ));
    let server = near(&names, ports.nth(0), "");
    send(&server, &["carol@many.test"]);
    wait_for("the message", || (live.messages().len() == 1).then_some(()));
    assert_eq!(tried.load(Ordering::SeqCst), 0, "the best host was named last and tried first");
    send(&server, &["carol@deaf.test"]);
    last_error(&server);
    let tried = tried.load(Ordering::SeqCst);
    let attempts = usize::try_from(queue(&server)[0]["attempts"].as_u64().unwrap()).unwrap();
    assert!(tried >= 10 && tried <= 10 * (attempts + 1), "{tried} connections in {attempts} attempts");
}

#[test]
fn a_changed_record_counts_for_the_next_attempt_once_its_time_is_over() {
    let ports = Ports::take();
    let sink = Sink::start_on(LIVE, ports.nth(0), &EXTENSIONS, |_| None);
    let zone = |address: &str| {
        format!(
            "brief.test. 1 IN MX 10 mx.brief.test.\nmx.brief.test. 1 IN A {address}\n\
             long.test. 9999 IN MX 10 mx.long.test.\nmx.long.test. 9999 IN A {address}\n"
        )
    };
    let names = NameServer::start(&zone(DEAD));
    let server = near(&names, ports.nth(0), "");
    send(&server, &["carol@brief.test"]);
    send(&server, &["carol@long.test"]);
    let has_tried = |times: u64| {
        let tried = |entry: &Value| entry["attempts"].as_u64() >= Some(times);
        let queue = queue(&server);
        (queue.len() == 2 && queue.iter().all(tried)).then_some(())
    };
    wait_for("an attempt at each", || has_tried(1));
    names.change(&zone("127.0.0.2"));
    wait_for("the message", || (sink.messages().len() == 1).then_some(()));
    assert!(sink.messages()[0].to[0].starts_with("<carol@brief.test>"));
    assert_eq!(queue(&server).len(), 1, "what may be kept for hours is not asked for again");
}
