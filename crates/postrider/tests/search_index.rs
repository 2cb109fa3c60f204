//! The search index of the real program: searches find the same before it is made, with it, after a restart, and after
//! `kill -9` while it is made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{path::Path, thread, time::Duration};

use support::{
    random::Random,
    say,
    server::{ALICE, PASSWORD, Server},
    tools, wait_for,
};

const SESSION: &str = include_str!("support/python/search.py");
const MESSAGES: u64 = 600;
const ROUNDS: usize = 4;

fn python(server: &Server, python: &Path, step: &str) -> String {
    let port = server.port("imap").to_string();
    let done = tools::python(python, SESSION, &[&port, ALICE, PASSWORD, step, &MESSAGES.to_string()], b"");
    String::from_utf8(done.ok(step)).unwrap()
}

fn indexed(server: &Server) -> u64 {
    server.cli_json(&["account", "show", ALICE])[0]["indexed_messages"].as_u64().unwrap()
}

fn wait_until_indexed(server: &Server) {
    wait_for("the index", || (indexed(server) >= MESSAGES).then_some(()));
}

#[test]
fn searches_find_the_same_with_the_index_and_whatever_befalls_it() {
    let Some(program) = tools::find("python3", "searches_find_the_same") else { return };
    let mut server = Server::start("");
    python(&server, &program, "append");
    assert_eq!(indexed(&server), 0);
    let found = python(&server, &program, "search");
    assert!(found.lines().count() > 10 && found.contains("BODY unusual7.: 8 "), "{found}");
    // The search had to read all messages, so the index is made now.
    wait_until_indexed(&server);
    let same = |server: &Server, when: &str| {
        assert_eq!(python(server, &program, "search"), found, "{when}");
    };
    same(&server, "with the index");
    let account = &server.cli_json(&["account", "show", ALICE])[0];
    let (index, mail) = (account["index_bytes"].as_u64().unwrap(), account["bytes"].as_u64().unwrap());
    assert!(index > 0 && index < mail, "{index} octets for {mail}");
    server.stop();
    server.launch();
    assert_eq!(indexed(&server), MESSAGES);
    same(&server, "after a restart");
    let (mut random, mut partial) = (Random::seeded("search index"), Vec::new());
    for _ in 0..ROUNDS {
        server.cli_ok(&["account", "reindex", ALICE]);
        thread::sleep(Duration::from_millis(random.below(1500)));
        server.kill();
        server.launch();
        partial.push(indexed(&server));
        same(&server, "after kill -9");
    }
    wait_until_indexed(&server);
    same(&server, "with the index that was made anew");
    say(&format!("kill -9 while the index is made: {partial:?} messages were in it"));
}
