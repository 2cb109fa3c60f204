//! `kill -9` at random moments under load: what was acknowledged is in the mailbox, whole, exactly once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use support::{
    load::Load,
    ports::Ports,
    random::Random,
    samples, say,
    server::{ALICE, BOB, Server},
    sink::{LOSE_REPLY, Message, Sink},
    wait_for,
};

const CAROL: &str = "carol@far.test";

/// `POSTRIDER_TEST_ROUNDS`, or as many as usual.
fn rounds(usual: u64) -> u64 {
    env::var("POSTRIDER_TEST_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

fn milliseconds(random: &mut Random, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + random.below(to - from))
}

/// Rounds of load, each ended by SIGKILL; in some the recovery after it is killed too.
fn kill_again_and_again(server: &mut Server, load: &Load, rounds: u64, random: &mut Random) {
    for round in 0..rounds {
        load.round(server.port("smtp"), round, || {
            thread::sleep(milliseconds(random, 50, 400));
            server.kill();
        });
        while random.one_in(3) {
            server.begin();
            thread::sleep(milliseconds(random, 0, 60));
            server.kill();
        }
        server.launch();
    }
}

fn wait_for_empty_queue(server: &Server) {
    wait_for("the queue to be empty", || {
        (server.cli_json(&["queue", "list"]) == serde_json::json!([])).then_some(())
    });
}

#[test]
fn acknowledged_messages_survive_kill_9_exactly_once() {
    let mut random = Random::seeded("kill");
    let mut server = Server::start("");
    let (load, rounds) = (Load::new([ALICE, BOB]), rounds(50));
    kill_again_and_again(&mut server, &load, rounds, &mut random);
    wait_for_empty_queue(&server);
    let reckoning = load.reckon(|user| server.pop3(user).messages().unwrap());
    say(&format!("kill -9, {rounds} rounds: {reckoning}"));
    assert_eq!(reckoning.lost, Vec::<String>::new());
    assert_eq!(reckoning.duplicated, Vec::<String>::new());
}

/// C176, A173, A174, A175: some to a mailbox here, some to a next host that is slow to reply and loses replies, some to
/// both.
#[test]
fn deliveries_killed_at_any_moment_lose_nothing_and_every_second_copy_has_its_reason() {
    let mut random = Random::seeded("kill in delivery");
    let (ports, asked) = (Ports::take(), AtomicUsize::new(0));
    let lost = Arc::new(AtomicUsize::new(0));
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], {
        let lost = lost.clone();
        move |line| {
            if line != "." {
                return None;
            }
            thread::sleep(Duration::from_millis(3));
            (asked.fetch_add(1, Ordering::SeqCst) % 50 == 49).then(|| {
                lost.fetch_add(1, Ordering::SeqCst);
                LOSE_REPLY.to_owned()
            })
        }
    });
    let mut server = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n",
        ports.nth(0)
    ));
    let (load, rounds) = (Load::new([ALICE, CAROL]), rounds(50));
    kill_again_and_again(&mut server, &load, rounds, &mut random);
    wait_for_empty_queue(&server);
    let messages = sink.messages();
    let reckoning = load.reckon(|user| match user {
        CAROL => messages.iter().map(|message| message.content.clone()).collect(),
        here => server.pop3(here).messages().unwrap(),
    });
    let lost = lost.load(Ordering::SeqCst);
    let again = explain_second_copies(&messages, &sink.left());
    say(&format!(
        "kill -9 in delivery, {rounds} rounds: {reckoning}: {again} copies went again, {lost} replies were lost"
    ));
    assert_eq!(reckoning.lost, Vec::<String>::new());
    let here = reckoning.duplicated.iter().find(|copy| copy.ends_with(ALICE));
    assert_eq!(here, None, "a mailbox here has each message once");
    // SMTP has no better (RFC 1047): what was answered and not noted yet, one message a connection.
    let connections_max = 20;
    assert!(again <= lost + usize::try_from(rounds).unwrap() * 2 * connections_max, "{again} copies");
}

/// Asserts that a message goes again only after it was the last on a connection that broke off, so that its reply was
/// lost, or the kill fell between the reply and the note of it. How many copies went again.
fn explain_second_copies(messages: &[Message], left: &BTreeSet<usize>) -> usize {
    let mut last = BTreeMap::new();
    for (nth, message) in messages.iter().enumerate() {
        last.insert(message.connection, nth);
    }
    let mut copies: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (nth, message) in messages.iter().enumerate() {
        copies.entry(samples::field(&message.content, "X-Test-Id").unwrap()).or_default().push(nth);
    }
    let broke_off = |nth: &&usize| {
        let connection = messages[**nth].connection;
        last[&connection] == **nth && !left.contains(&connection)
    };
    for (id, copies) in &copies {
        let with_a_reason = copies.iter().filter(broke_off).count();
        assert!(copies.len() <= with_a_reason + 1, "message {id} came {} times", copies.len());
    }
    copies.values().map(|copies| copies.len() - 1).sum()
}

#[test]
fn a_stop_under_load_is_orderly() {
    let mut random = Random::seeded("stop");
    let mut server = Server::start("");
    let (load, rounds) = (Load::new([ALICE, BOB]), rounds(8));
    for round in 0..rounds {
        load.round(server.port("smtp"), round, || {
            thread::sleep(milliseconds(&mut random, 50, 300));
            server.stop();
        });
        server.launch();
    }
    wait_for_empty_queue(&server);
    let reckoning = load.reckon(|user| server.pop3(user).messages().unwrap());
    say(&format!("SIGTERM, {rounds} rounds: {reckoning}"));
    assert_eq!(reckoning.lost, Vec::<String>::new());
    assert_eq!(reckoning.duplicated, Vec::<String>::new());
    assert_eq!(reckoning.unacknowledged, 0, "a message that was taken is acknowledged before the end");
}
