//! `kill -9` at random moments under load: what was acknowledged is in the mailbox, whole, exactly once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{env, thread, time::Duration};

use support::{
    load::Load,
    ports::Ports,
    random::Random,
    say,
    server::{ALICE, BOB, Server},
    sink::Sink,
    wait_for,
};

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

#[test]
fn acknowledged_messages_reach_the_next_host_in_spite_of_kill_9() {
    let mut random = Random::seeded("kill while relaying");
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], |_| None);
    let mut server = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n",
        ports.nth(0)
    ));
    let (load, rounds) = (Load::new(["carol@far.test", "dave@far.test"]), rounds(10));
    kill_again_and_again(&mut server, &load, rounds, &mut random);
    wait_for_empty_queue(&server);
    let messages = sink.messages();
    let reckoning = load.reckon(|user| {
        let is_for = |to: &String| to.starts_with(&format!("<{user}>"));
        let found = messages.iter().filter(|message| message.to.iter().any(is_for));
        found.map(|message| message.content.clone()).collect()
    });
    // A copy may go twice if the server died between the next host's 250 and the note of it: SMTP has no better.
    say(&format!("kill -9 while relaying, {rounds} rounds: {reckoning}"));
    assert_eq!(reckoning.lost, Vec::<String>::new());
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
