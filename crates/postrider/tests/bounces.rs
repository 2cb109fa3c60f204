//! Reports of others come back: written by Python's email package, tied to the message they are about, and counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use serde_json::Value;
use support::{
    ports::Ports,
    server::{ALICE, BOB, Server},
    sink::Sink,
    tools, wait_for,
};

const BOUNCE: &str = include_str!("support/python/bounce.py");
const CAROL: &str = "carol@far.test";
const DAVE: &str = "dave@far.test";

fn start(port: u16, more: &str) -> Server {
    Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n{more}\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"
    ))
}

/// Sends a message with this Message-ID; returns its queue ID.
fn send(server: &Server, from: &str, to: &[&str], message_id: &str) -> String {
    let message = format!("Subject: hello\r\nMessage-ID: <{message_id}>\r\n\r\nhello\r\n");
    let reply = server.smtp().deliver(from, to, message.as_bytes()).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    reply.to_string().trim().rsplit(' ').next().unwrap().to_owned()
}

/// A report on it by a foreign system, to this address; none without Python.
fn bounce(server: &Server, form: &str, to: &str, message_id: &str, recipient: &str) -> Option<()> {
    let python = tools::find("python3", "reports written by Python")?;
    let report = tools::python(&python, BOUNCE, &[form, message_id, recipient], b"").ok("bounce");
    let reply = server.smtp().deliver("", &[to], &report).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
    Some(())
}

fn events(server: &Server, id: &str, kind: &str) -> Vec<Value> {
    let histories = server.cli_json(&["trace", id]);
    let events = histories[0]["events"].as_array().unwrap().clone();
    events.into_iter().filter(|event| event["kind"] == kind).collect()
}

fn wait_for_messages(sink: &Sink, count: usize) -> Vec<support::sink::Message> {
    wait_for("the next hop's messages", || Some(sink.messages()).filter(|messages| messages.len() == count))
}

#[test]
fn a_report_is_tied_to_its_message_by_the_return_address_and_is_still_mail() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    let server = start(ports.nth(0), "[reports]\nverp = true\n");
    let id = send(&server, ALICE, &[CAROL], "one@client.test");
    let from = wait_for_messages(&sink, 1)[0].from.clone();
    let named = from.split(['<', '>']).nth(1).unwrap().to_owned();
    assert!(named.starts_with(&format!("alice+bounce-{}-", id.to_lowercase())), "{named}");
    // Another name for the recipient, another Message-ID: the address alone says which message it was.
    if bounce(&server, "qmail", &named, "x@nowhere.test", "c.arol@inner.far.test").is_none() {
        return;
    }
    let returned = events(&server, &id, "returned");
    assert_eq!(returned.len(), 1, "{returned:?}");
    assert_eq!(returned[0]["details"]["recipient"], CAROL);
    assert_eq!(returned[0]["details"]["cause"], "no-such-user");
    let why = server.cli_ok(&["why", &id]);
    assert!(why.contains("came back for carol@far.test") && why.contains("no such mailbox"), "{why}");
    let report = returned[0]["details"]["report"].as_str().unwrap();
    assert_eq!(events(&server, report, "report-on").len(), 1);
    let mail = server.mailbox(ALICE, 1).remove(0);
    assert!(String::from_utf8_lossy(&mail).contains("qmail-send program"), "it is her mail");
    // The same again tells nothing new; a tag that was not made here tells nothing at all.
    bounce(&server, "dsn", &named, "x@nowhere.test", CAROL).unwrap();
    let forged = named.replace(named.rsplit('-').next().unwrap(), "aaaaaaaa@example.test");
    let other = send(&server, ALICE, &[DAVE], "two@client.test");
    bounce(
        &server,
        "dsn",
        &forged.replace(&id.to_lowercase(), &other.to_lowercase()),
        "x@nowhere.test",
        DAVE,
    )
    .unwrap();
    server.mailbox_count(ALICE, 3);
    assert_eq!(events(&server, &id, "returned").len(), 1);
    assert_eq!(events(&server, &other, "returned").len(), 0);
}

#[test]
fn a_report_is_tied_to_its_message_by_the_message_id_and_a_forged_one_is_not() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    let server = start(ports.nth(0), "");
    let id = send(&server, ALICE, &[CAROL, DAVE], "one@client.test");
    assert!(
        wait_for_messages(&sink, 1)[0].from.starts_with("<alice@example.test>"),
        "nothing is rewritten unasked"
    );
    for (to, message_id, recipient) in [
        (ALICE, "unknown@client.test", CAROL),
        (ALICE, "one@client.test", "erin@far.test"),
        (BOB, "one@client.test", CAROL),
    ] {
        if bounce(&server, "dsn", to, message_id, recipient).is_none() {
            return;
        }
        assert_eq!(events(&server, &id, "returned").len(), 0, "{to} {message_id} {recipient}");
    }
    for form in ["dsn", "qmail"] {
        bounce(&server, form, ALICE, "one@client.test", CAROL).unwrap();
        let returned = events(&server, &id, "returned");
        assert_eq!(returned.len(), 1, "{form}: {returned:?}");
        assert_eq!(returned[0]["details"]["recipient"], CAROL);
        assert_eq!(returned[0]["details"]["status"], "5.1.1");
    }
    server.mailbox_count(ALICE, 4);
    server.mailbox_count(BOB, 1);
}

#[test]
fn addresses_that_fail_for_good_are_suppressed_for_senders_that_heed_the_list() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |line| {
        line.contains("dave").then(|| "550 5.1.1 no such user".to_owned())
    });
    let server = start(ports.nth(0), "[suppression]\nsenders = [\"alice@example.test\"]\n");
    let state = || {
        let listed = server.cli_json(&["suppression", "list"]);
        listed[0]["state"].as_str().map(str::to_owned)
    };
    for sender in [BOB, BOB, ALICE] {
        send(&server, sender, &[DAVE], "x@client.test");
    }
    server.mailbox_count(BOB, 2);
    server.mailbox_count(ALICE, 1);
    assert_eq!(state().as_deref(), Some("counting"), "one of hers, and those of others do not count");
    let id = send(&server, ALICE, &[DAVE], "x@client.test");
    server.mailbox_count(ALICE, 2);
    assert_eq!(state().as_deref(), Some("suppressed"));
    assert_eq!(events(&server, &id, "suppressed").len(), 1);
    let mut smtp = server.smtp();
    smtp.dialog(&format!(
        "C: MAIL FROM:<{ALICE}>\nS: 250\nC: RCPT TO:<Dave@far.test>\nS: 550 5.1.1 Dave@far.test is suppressed"
    ));
    smtp.dialog("C: RCPT TO:<carol@far.test>\nS: 250\nC: RSET\nS: 250");
    smtp.dialog(&format!("C: MAIL FROM:<{BOB}>\nS: 250\nC: RCPT TO:<{DAVE}>\nS: 250\nC: RSET\nS: 250"));
    let shown = server.cli_json(&["suppression", "show", DAVE]);
    assert_eq!(
        (&shown[0]["cause"], &shown[0]["source"]),
        (&"no-such-user".into(), &"reply".into()),
        "{shown}"
    );
    server.cli_ok(&["suppression", "remove", DAVE]);
    smtp.dialog(&format!("C: MAIL FROM:<{ALICE}>\nS: 250\nC: RCPT TO:<{DAVE}>\nS: 250\nC: RSET\nS: 250"));
    server.cli_ok(&["suppression", "add", CAROL, "--reason", "asked to be", "--for", "30d"]);
    smtp.dialog(&format!(
        "C: MAIL FROM:<{ALICE}>\nS: 250\nC: RCPT TO:<{CAROL}>\nS: 550 5.1.1\nC: RSET\nS: 250"
    ));
    let table = server.cli_ok(&["suppression", "list"]);
    assert!(table.contains("asked to be") && table.contains("operator"), "{table}");
    assert!(!server.cli(&["suppression", "remove", DAVE]).status.success(), "it is gone");
    drop(sink);
}

#[test]
fn a_report_that_comes_back_counts_against_the_address() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    let server = start(ports.nth(0), "[suppression]\nsenders = [\"*@example.test\"]\nfailures = 1\n");
    send(&server, ALICE, &[CAROL, DAVE], "both@client.test");
    send(&server, ALICE, &[CAROL], "one@client.test");
    wait_for_messages(&sink, 2);
    // Dave knows the first Message-ID too, and must not have Carol suppressed.
    if bounce(&server, "dsn", ALICE, "both@client.test", CAROL).is_none() {
        return;
    }
    assert_eq!(server.cli_json(&["suppression", "list"]), serde_json::json!([]));
    bounce(&server, "dsn", ALICE, "one@client.test", CAROL).unwrap();
    let listed = server.cli_json(&["suppression", "list"]);
    assert_eq!((&listed[0]["address"], &listed[0]["source"]), (&CAROL.into(), &"report".into()), "{listed}");
}
