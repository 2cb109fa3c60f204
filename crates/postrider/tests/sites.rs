//! Sites that are dead, shared, narrow, or come back; and the limits that an operator sets for them.
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
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use names::NameServer;
use serde_json::Value;
use support::{
    ports::Ports,
    server::{ALICE, Server},
    sink::Sink,
    wait_for,
};

const MESSAGE: &[u8] = b"Subject: to a site\r\n\r\nHello.\r\n";
const DEAD: [u8; 4] = [127, 0, 0, 9];
const LIVE: [u8; 4] = [127, 0, 0, 2];

fn near(names: &NameServer, port: u16, more: &str) -> Server {
    let dns = names.section("");
    Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n{dns}{more}\
         [[route]]\nrecipient = \"*\"\nvia = \"mx\"\nport = {port}\nprivate_addresses = true\n"
    ))
}

fn send(server: &Server, to: &str) {
    let reply = server.smtp().deliver(ALICE, &[to], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

fn queue(server: &Server) -> Vec<Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

fn site(server: &Server) -> Value {
    let sites = server.cli_json(&["queue", "sites"]);
    sites
        .as_array()
        .unwrap()
        .iter()
        .find(|site| site["lane"] == "mx:mx.far.test")
        .cloned()
        .unwrap_or_default()
}

/// Counts the connections that are there at once; one counts until it is closed, and QUIT is answered late.
struct Narrow {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Default)]
struct Shared {
    live: AtomicUsize,
    most: AtomicUsize,
    /// Beyond so many a connection gets 421.
    room: usize,
    refused: AtomicUsize,
    messages: AtomicUsize,
    peers: Mutex<HashSet<IpAddr>>,
    stopping: AtomicBool,
}

impl Narrow {
    fn start(port: u16, room: usize) -> Self {
        let address = SocketAddr::from((LIVE, port));
        let listener = TcpListener::bind(address).unwrap();
        let shared = Arc::new(Shared { room, ..Shared::default() });
        let accepted = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepted.stopping.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever has closed his end before is seen to have by then.
                thread::sleep(Duration::from_millis(50));
                let live = accepted.live.fetch_add(1, Ordering::SeqCst) + 1;
                accepted.most.fetch_max(live, Ordering::SeqCst);
                accepted.peers.lock().unwrap().insert(stream.peer_addr().unwrap().ip());
                let shared = accepted.clone();
                thread::spawn(move || {
                    let _ = serve(stream, live > shared.room, &shared);
                    shared.live.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { shared, address }
    }

    fn messages(&self) -> usize {
        self.shared.messages.load(Ordering::SeqCst)
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, is_full: bool, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    if is_full {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        return reader.get_mut().write_all(b"421 4.7.0 too many connections from you\r\n");
    }
    reader.get_mut().write_all(b"220 narrow.test\r\n")?;
    let (mut line, mut in_content) = (String::new(), false);
    while reader.read_line(&mut line)? > 0 {
        let reply: &[u8] = match line.trim_end() {
            "." if in_content => {
                thread::sleep(Duration::from_millis(20));
                shared.messages.fetch_add(1, Ordering::SeqCst);
                b"250 2.0.0 taken\r\n"
            }
            _ if in_content => b"",
            "DATA" => b"354 go on\r\n",
            "QUIT" => {
                thread::sleep(Duration::from_millis(200));
                b"221 bye\r\n"
            }
            _ => b"250 2.0.0 as you like\r\n",
        };
        in_content = reply.starts_with(b"354") || (in_content && reply.is_empty());
        reader.get_mut().write_all(reply)?;
        line.clear();
    }
    Ok(())
}

/// C173, C178, C179: others do not feel it, and its mail goes at once when it is back.
#[test]
fn a_dead_site_costs_a_probe_and_its_mail_flows_when_it_is_back() {
    let ports = Ports::take();
    let live = Sink::start_on(LIVE, ports.nth(0), &["PIPELINING"], |_| None);
    let names = NameServer::start(
        "far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.9\n\
         well.test. 60 IN MX 10 mx.well.test.\nmx.well.test. 60 IN A 127.0.0.2\n",
    );
    let server = near(&names, ports.nth(0), "[queue]\nretry_delays = [\"15s\"]\n");
    for number in 0..30 {
        send(&server, &format!("a{number}@far.test"));
        send(&server, &format!("a{number}@well.test"));
    }
    wait_for("what goes to the other site", || (live.messages().len() == 30).then_some(()));
    wait_for("the site to be seen as dead", || (site(&server)["state"] == "closed").then_some(()));
    let seen = site(&server);
    assert_eq!((&seen["waiting"], &seen["connections"]), (&30.into(), &0.into()), "{seen}");
    assert!(seen["last_error"].as_str().unwrap().contains("127.0.0.9"), "{seen}");
    let entries = queue(&server);
    let tried: u64 = entries.iter().map(|entry| entry["attempts"].as_u64().unwrap()).sum();
    assert!((1..=4).contains(&tried), "one probe each time, or two at once at first: {tried}");
    let waits = entries[0]["waits_for_site"].as_str().unwrap();
    assert!(waits.contains("cannot be reached") && waits.contains("the next probe is at"), "{waits}");
    let id = entries[29]["id"].as_str().unwrap();
    let why = server.cli_ok(&["why", id]);
    assert!(why.contains("waits for the site mx:mx.far.test, which cannot be reached since"), "{why}");

    let back = Sink::start_on(DEAD, ports.nth(0), &["PIPELINING"], |_| None);
    wait_for("all that waited", || (back.messages().len() == 30).then_some(()));
    wait_for("an empty queue", || queue(&server).is_empty().then_some(()));
}

/// A retry by hand probes at once.
#[test]
fn an_operator_need_not_wait_for_the_probe() {
    let ports = Ports::take();
    let names = NameServer::start("far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.9\n");
    let server = near(&names, ports.nth(0), "[queue]\nretry_delays = [\"1h\"]\n");
    (0..5).for_each(|number| send(&server, &format!("a{number}@far.test")));
    wait_for("the site to be seen as dead", || (site(&server)["state"] == "closed").then_some(()));
    let back = Sink::start_on(DEAD, ports.nth(0), &["PIPELINING"], |_| None);
    server.cli_ok(&["queue", "retry", "--all"]);
    wait_for("all that waited", || (back.messages().len() == 5).then_some(()));
}

/// Two domains, one host: its limit is one, and holds while connections are made and closed.
#[test]
fn exactly_the_configured_connections_reach_a_site_that_domains_share() {
    let ports = Ports::take();
    let narrow = Narrow::start(ports.nth(0), 1000);
    let names = NameServer::start(
        "far.test. 60 IN MX 10 mx.far.test.\nnear.test. 60 IN MX 5 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.2\n",
    );
    let rule =
        "[[destination]]\nsite = \"host:*.far.test\"\nconnections_max = 3\nmessages_per_connection_max = 4\n";
    let server = near(&names, ports.nth(0), rule);
    for number in 0..60 {
        send(&server, &format!("a{number}@{}", if number % 2 == 0 { "far.test" } else { "near.test" }));
    }
    wait_for("all messages", || (narrow.messages() == 60).then_some(()));
    assert_eq!(narrow.shared.most.load(Ordering::SeqCst), 3, "neither more nor fewer");
}

/// A site that takes two connections and says 421 to more keeps two, and no message is put off for that.
#[test]
fn a_site_that_wants_fewer_connections_gets_fewer() {
    let ports = Ports::take();
    let narrow = Narrow::start(ports.nth(0), 2);
    let names = NameServer::start("far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.2\n");
    let server = near(&names, ports.nth(0), "[queue]\nretry_delays = [\"1h\"]\n");
    (0..60).for_each(|number| send(&server, &format!("a{number}@far.test")));
    wait_for("all messages", || (narrow.messages() == 60).then_some(()));
    let refused = narrow.shared.refused.load(Ordering::SeqCst);
    assert!((1..=6).contains(&refused), "it is asked for more, and not again and again: {refused}");
}

#[test]
fn mail_leaves_from_the_address_that_the_rule_gives() {
    let ports = Ports::take();
    let narrow = Narrow::start(ports.nth(0), 1000);
    let names = NameServer::start("far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.2\n");
    let rule = "[[destination]]\nsite = \"far.test\"\nsource_address = [\"127.0.0.77\"]\nrate = \"600/1m\"\n";
    let server = near(&names, ports.nth(0), rule);
    send(&server, "a@far.test");
    wait_for("the message", || (narrow.messages() == 1).then_some(()));
    let peers = narrow.shared.peers.lock().unwrap().clone();
    assert_eq!(peers, HashSet::from(["127.0.0.77".parse().unwrap()]));
    let route = server.cli_ok(&["route", "a@far.test"]);
    assert!(route.contains("[[destination]] number 1: 20 connections"), "{route}");
    assert!(route.contains("600/1m messages, from 127.0.0.77"), "{route}");
    let route = server.cli_json(&["route", "a@other.test"]);
    assert_eq!(route["ways"][0]["limits"], Value::Null, "{route}");
}
