//! Mailing lists and forwarded mail, with Python's smtplib, poplib and email package on the other side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{collections::BTreeMap, fmt::Write, thread, time::Duration};

use serde_json::{Value, json};
use support::{
    ports::Ports,
    random::Random,
    samples, say,
    server::{ALICE, BOB, PASSWORD, Server},
    sink::Sink,
    tools, wait_for,
};

const PARSE: &str = include_str!("support/python/parse.py");
const JOIN: &str = include_str!("support/python/join.py");
const POST: &str = "import smtplib, sys\n\
    with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as smtp:\n    \
        refused = smtp.sendmail(sys.argv[2], sys.argv[3:], sys.stdin.buffer.read())\n    \
        assert not refused, refused\n";
const CLUB: &str = "club@example.test";
const CAROL: &str = "carol@far.test";
const MESSAGE: &[u8] =
    b"From: Bob <bob@example.test>\r\nTo: club@example.test\r\nSubject: hello\r\nMessage-ID: <1@client.test>\r\n\r\nthe body\r\n";

fn route_to(port: u16) -> String {
    format!(
        "[queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"
    )
}

fn post(server: &Server, from: &str) {
    let reply = server.smtp().deliver(from, &[CLUB], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

fn queue(server: &Server) -> Vec<Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

fn wait_for_empty_queue(server: &Server) {
    wait_for("an empty queue", || queue(server).is_empty().then_some(()));
}

fn member(server: &Server, address: &str) -> Option<Value> {
    let list = server.cli_json(&["list", "show", CLUB]);
    list["members"].as_array().unwrap().iter().find(|member| member["address"] == address).cloned()
}

#[test]
fn a_post_reaches_the_members_and_nobody_else_may_write() {
    let server = Server::start("");
    server.cli_ok(&[
        "list",
        "add",
        CLUB,
        "--owner",
        ALICE,
        "--name",
        "The garden club",
        "--member",
        ALICE,
        "--member",
        BOB,
    ]);
    let Some(python) = tools::find("python3", "a post to a list") else { return };
    let port = server.port("smtp").to_string();
    tools::python(&python, POST, &[&port, BOB, CLUB], MESSAGE).ok("a member's post");
    let copy = server.mailbox(ALICE, 1).remove(0);
    assert!(copy.ends_with(MESSAGE), "what was signed is as it was");
    let seen: Value = serde_json::from_slice(&tools::python(&python, PARSE, &[], &copy).ok("parse")).unwrap();
    assert_eq!(seen["defects"], json!([]));
    let header = &seen["header"];
    assert_eq!(header["list-id"], "\"The garden club\" <club.example.test>");
    assert_eq!(header["list-post"], "<mailto:club@example.test>");
    assert_eq!(header["list-unsubscribe"], "<mailto:club-unsubscribe@example.test>");
    assert_eq!(header["list-help"], "<mailto:club-request@example.test?subject=help>");
    assert_eq!(header["list-owner"], "<mailto:club-owner@example.test>");
    let return_path = header["return-path"].as_str().unwrap();
    assert!(return_path.starts_with("<club-bounces+alice=example.test="), "{return_path}");
    server.mailbox(BOB, 1);
    let stranger = tools::python(&python, POST, &[&port, "eve@client.test", CLUB], MESSAGE);
    assert!(
        !stranger.status.success() && stranger.said().contains("5.7.2 only members"),
        "{}",
        stranger.said()
    );
    wait_for_empty_queue(&server);
    let traced = server.cli_ok(&["trace", CLUB]);
    assert!(traced.contains("delivered for club@example.test to the members"), "{traced}");
    assert!(server.cli_ok(&["trace", ALICE]).contains("copies for members of club@example.test"));
    let owner = server.smtp().deliver("eve@client.test", &["club-owner@example.test"], MESSAGE).unwrap();
    assert_eq!(owner.code, 250, "{owner}");
    server.mailbox(ALICE, 2);
}

#[test]
fn lists_are_administered_with_and_without_a_server() {
    let mut server = Server::start("");
    server.cli_ok(&["list", "add", CLUB, "--posting", "owners", "--subscription", "closed"]);
    let taken = server.cli(&["alias", "add", CLUB, BOB]);
    assert!(taken.said().contains("there is an account, alias or list club@example.test already"));
    let bad = server.cli(&["list", "add", "a-request@example.test"]);
    assert!(bad.said().contains("address of another list"), "{}", bad.said());
    let nobody = server.cli(&["list", "subscribe", CLUB, "nonsense"]);
    assert!(nobody.said().contains("is not an address"), "{}", nobody.said());
    server.stop();
    let joined = server.cli_json(&["list", "subscribe", CLUB, BOB, CAROL, "BOB@example.test"]);
    assert_eq!(joined, json!([BOB, CAROL]));
    assert_eq!(server.cli_json(&["list", "subscribe", CLUB, BOB]), json!([]));
    server.cli_ok(&["list", "set", CLUB, "--name", "Kürbis", "--owner", ALICE]);
    let lists = server.cli_json(&["list", "list"]);
    assert_eq!(lists[0]["member_count"], 2);
    assert_eq!(lists[0]["posting"], "owners");
    assert_eq!(lists[0]["name"], "Kürbis");
    assert_eq!(server.cli_json(&["domain", "list"])[0]["lists"], 1);
    assert!(server.cli(&["domain", "remove", "example.test"]).said().contains("lists"));
    server.launch();
    assert_eq!(server.cli_json(&["list", "unsubscribe", CLUB, CAROL]), json!([CAROL]));
    assert!(server.cli_ok(&["list", "show", CLUB]).contains(BOB));
    server.cli_ok(&["list", "remove", CLUB]);
    assert!(server.cli(&["list", "show", CLUB]).said().contains("there is no list"));
    assert_eq!(server.cli_json(&["list", "list"]), json!([]));
    assert_eq!(server.smtp().deliver(ALICE, &[BOB], MESSAGE).unwrap().code, 250);
    assert!(server.smtp().envelope(ALICE, &[CLUB]).unwrap_err().to_string().contains("550 5.1.1"));
}

#[test]
fn members_join_and_leave_by_mail() {
    let server = Server::start("");
    server.cli_ok(&["list", "add", CLUB]);
    let Some(python) = tools::find("python3", "joining a list by mail") else { return };
    let (smtp, pop3) = (server.port("smtp").to_string(), server.port("pop3").to_string());
    let talk = |ask: &str| {
        let said = tools::python(&python, JOIN, &[&smtp, &pop3, BOB, PASSWORD, ask], b"").ok(ask);
        serde_json::from_slice::<Value>(&said).unwrap()
    };
    let said = talk("club-subscribe@example.test");
    for one in said.as_array().unwrap() {
        assert_eq!(one["defects"], json!([]));
        assert_eq!(one["auto"], "auto-replied", "RFC 3834 §5");
        assert_eq!(one["return_path"], "<>");
        assert_eq!(one["from"], "club-request@example.test");
    }
    assert!(said[0]["subject"].as_str().unwrap().starts_with("confirm "));
    assert_eq!(said[1]["subject"], "club: Welcome");
    assert!(member(&server, BOB).is_some());
    let said = talk("club-unsubscribe@example.test");
    assert_eq!(said[1]["subject"], "club: Goodbye");
    assert_eq!(member(&server, BOB), None);
}

#[test]
fn a_member_whose_mail_comes_back_is_suspended() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], |command| {
        command.contains("RCPT TO:<carol@").then(|| "550 5.1.1 no such user".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0)));
    server.cli_ok(&[
        "list",
        "add",
        CLUB,
        "--owner",
        ALICE,
        "--member",
        CAROL,
        "--member",
        "dave@far.test",
        "--member",
        BOB,
    ]);
    for round in 1..=5 {
        post(&server, BOB);
        wait_for_empty_queue(&server);
        assert_eq!(member(&server, CAROL).unwrap()["bounces"], round);
    }
    assert!(member(&server, CAROL).unwrap()["suspended_at"].is_string());
    let told = server.mailbox(ALICE, 1).remove(0);
    assert_eq!(samples::field(&told, "Subject").unwrap(), "club: a member is suspended");
    assert!(String::from_utf8_lossy(&told).contains(CAROL));
    post(&server, BOB);
    wait_for_empty_queue(&server);
    let asked = sink.commands().iter().filter(|line| line.contains("RCPT TO:<carol@")).count();
    assert_eq!(asked, 5, "a suspended member gets nothing");
    assert_eq!(sink.messages().len(), 6, "the others do");
    assert!(sink.messages().iter().all(|message| message.from.starts_with("<club-bounces+dave=far.test=")));
    server.cli_ok(&["list", "subscribe", CLUB, CAROL]);
    assert_eq!(member(&server, CAROL).unwrap()["suspended_at"], Value::Null);
}

#[test]
fn a_long_list_gets_each_copy_once_in_spite_of_kill_9() {
    const MEMBERS: usize = 5_000;
    const POSTS: usize = 2;
    let mut random = Random::seeded("list");
    // What is held stays to be counted.
    let mut server = Server::start("[[route]]\nrecipient = \"*\"\nvia = \"hold\"\n");
    server.cli_ok(&["list", "add", CLUB, "--posting", "anyone"]);
    let members = (0..MEMBERS).fold(String::new(), |mut all, n| {
        writeln!(all, "m{n}@far.test").unwrap();
        all
    });
    server.cli_with(&["list", "subscribe", CLUB, "--stdin"], members.as_bytes()).ok("subscribe");
    for _ in 0..POSTS {
        post(&server, BOB);
    }
    let (mut kills, mut in_between) = (0, 0);
    while kills < 8 {
        thread::sleep(Duration::from_millis(random.below(250)));
        server.kill();
        kills += 1;
        let done = queue(&server).iter().filter(|entry| entry["status"] == "held").count();
        in_between += usize::from(done > 0 && done < MEMBERS * POSTS);
        server.launch();
    }
    let held = wait_for("the end of the distribution", || {
        let queue = queue(&server);
        queue.iter().all(|entry| entry["status"] == "held").then_some(queue)
    });
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &held {
        *copies.entry(entry["recipients"][0].as_str().unwrap().to_owned()).or_default() += 1;
    }
    say(&format!(
        "kill -9 {kills} times, {in_between} of them between copies: {} copies for {} members",
        held.len(),
        copies.len()
    ));
    assert_eq!(copies.len(), MEMBERS);
    assert!(copies.values().all(|count| *count == POSTS), "each member once a post");
}

#[test]
fn forwarded_mail_and_its_bounce_find_their_way() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], |_| None);
    let server = Server::start(&route_to(ports.nth(0)));
    server.cli_ok(&["alias", "add", "away@example.test", CAROL]);
    let reply = server.smtp().deliver("ann@else.test", &["away@example.test"], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let sent = wait_for("the forwarded message", || sink.messages().first().cloned());
    assert!(sent.to[0].starts_with("<carol@far.test>"), "{sent:?}");
    let sender = sent.from.split('>').next().unwrap().trim_start_matches('<').to_owned();
    assert!(sender.starts_with("SRS0=") && sender.ends_with("=else.test=ann@example.test"), "{sender}");
    // The next host sends it back, to the sender that it saw.
    let reply = server.smtp().deliver("", &[&sender], b"Subject: undelivered\r\n\r\n").unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let returned = wait_for("the bounce", || sink.messages().get(1).cloned());
    assert!(returned.from.starts_with("<>") && returned.to[0].starts_with("<ann@else.test>"), "{returned:?}");
    let forged = sender.replace("=ann@", "=eve@");
    let refused = server.smtp().envelope("", &[&forged]).unwrap_err().to_string();
    assert!(refused.contains("550 5.1.1"), "{refused}");
}
