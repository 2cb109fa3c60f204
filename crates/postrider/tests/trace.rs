//! What an operator is told of a message on its way: `trace`, `trace --follow`, `why`.
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
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use names::NameServer;
use serde_json::Value;
use support::{
    certificates,
    ports::Ports,
    server::{ALICE, Server, binary},
    sink::Sink,
    tools, wait_for,
};

const CAROL: &str = "carol@far.test";
const MESSAGE: &[u8] = b"Subject: a story\r\n\r\nHello.\r\n";
const EXTENSIONS: [&str; 3] = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"];
/// The better host of far.test.
const FIRST: [u8; 4] = [127, 0, 0, 2];
const ZONE: &str = "far.test. 60 IN MX 10 first.far.test.\nfirst.far.test. 60 IN A 127.0.0.2\n\
                    far.test. 60 IN MX 20 second.far.test.\nsecond.far.test. 60 IN A 127.0.0.3\n";

fn send(server: &Server, to: &str) {
    let reply = server.smtp().deliver(ALICE, &[to], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

fn queue(server: &Server) -> Vec<Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

/// `trace --follow`, ended with the test at the latest.
struct Followed(Child);

impl Followed {
    fn start(server: &Server, term: &str, more: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["trace", term, "--follow"]).args(more).arg("--config").arg(server.config());
        Self(command.current_dir(server.path()).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        BufReader::new(self.0.stdout.take().unwrap()).lines().map(Result::unwrap)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The story: the better host greylists and then is dead, and the other takes the message, over TLS.
#[test]
fn a_message_that_was_greylisted_then_met_a_dead_host_then_was_delivered() {
    if tools::find("openssl", "the story of a message").is_none() {
        return;
    }
    let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
    let port = ports.nth(0);
    let files = certificates::self_signed(folder.path(), "far", "second.far.test", "DNS:second.far.test");
    let far = Server::start_with(
        &format!(
            "[[listener]]\nservice = \"smtp\"\naddress = \"127.0.0.3:{port}\"\n[tls]\nmode = \"files\"\n{}",
            files.lines()
        ),
        &[],
    );
    far.cli_ok(&["domain", "add", "far.test"]);
    far.add_account(CAROL);
    let asked = AtomicUsize::new(0);
    let first = Sink::start_on(FIRST, port, &EXTENSIONS, move |line| {
        let early = line.starts_with("RCPT") && asked.fetch_add(1, Ordering::SeqCst) == 0;
        early.then(|| "451 4.7.1 greylisted, come back later".to_owned())
    });
    let names = NameServer::start(ZONE);
    let near = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"2s\"]\n{}\
         [[route]]\nrecipient = \"*\"\nvia = \"mx\"\nport = {port}\nprivate_addresses = true\n",
        names.section("")
    ));
    send(&near, CAROL);
    let id = wait_for("the first attempt", || {
        let entry = queue(&near).into_iter().next()?;
        (entry["attempts"] == 1).then(|| entry["id"].as_str().unwrap().to_owned())
    });
    drop(first);
    let why = near.cli_ok(&["why", &id]);
    assert!(why.contains("451 4.7.1 greylisted") && why.contains("the next try is due in"), "{why}");
    let followed: Vec<String> = Followed::start(&near, &id, &[]).lines().collect();
    far.mailbox(CAROL, 1);

    let history = near.cli_json(&["trace", &id])[0].clone();
    let of_kind = |kind: &str| -> Vec<Value> {
        let events = history["events"].as_array().unwrap().iter();
        events.filter(|event| event["kind"] == kind).map(|event| event["details"].clone()).collect()
    };
    let [greylisted, taken] = <[Value; 2]>::try_from(of_kind("attempt")).unwrap();
    assert_eq!(greylisted["host"], "first.far.test");
    assert_eq!(greylisted["address"], format!("127.0.0.2:{port}"));
    assert_eq!((&greylisted["tls"], &greylisted["verified"]), (&Value::Null, &false.into()));
    assert!(greylisted["outcome"].as_str().unwrap().contains("451 4.7.1 greylisted"), "{greylisted}");
    assert_eq!(greylisted["unreached"], serde_json::json!([]));
    let dead = &taken["unreached"].as_array().unwrap()[..];
    let [dead] = dead else { panic!("one host was dead: {taken}") };
    assert_eq!(
        (&dead["host"], &dead["address"]),
        (&"first.far.test".into(), &format!("127.0.0.2:{port}").into())
    );
    assert!(dead["reason"].as_str().unwrap().contains("cannot be reached"), "{dead}");
    assert_eq!(taken["host"], "second.far.test");
    assert!(taken["tls"].as_str().unwrap().starts_with("TLSv1.3 TLS13_"), "{taken}");
    assert!(taken["outcome"].as_str().unwrap().starts_with("250 2."), "{taken}");
    assert_timing(
        &greylisted,
        &["dns_ms", "connect_ms", "greeting_ms", "envelope_ms"],
        &["tls_ms", "reply_ms"],
    );
    let all = ["dns_ms", "connect_ms", "greeting_ms", "tls_ms", "envelope_ms", "content_ms", "reply_ms"];
    assert_timing(&taken, &all, &[]);
    assert_eq!((of_kind("deferred").len(), of_kind("delivered").len()), (1, 1));

    let told = near.cli_ok(&["trace", &id]);
    support::say(&told);
    for expected in [
        " octets from <alice@example.test> for carol@far.test by smtp",
        &format!("tried first.far.test at 127.0.0.2:{port} in clear, "),
        "must wait until",
        "before that, ",
        &format!("first.far.test at 127.0.0.2:{port} cannot be reached: "),
        &format!("tried second.far.test at 127.0.0.3:{port} over TLSv1.3 TLS13_"),
        "certificate not verified, ",
        "took: names ",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    // What was followed to the end is the whole story, in its order.
    let kinds = ["accepted", "attempt", "deferred", "attempt", "delivered"];
    let heads =
        followed.iter().filter(|line| line.starts_with(&id)).filter(|line| !line.contains(" verdict "));
    assert_eq!(heads.clone().count(), kinds.len(), "{followed:#?}");
    assert!(heads.zip(kinds).all(|(line, kind)| line.contains(&format!("Z  {kind} "))), "{followed:#?}");
    let why = near.cli_ok(&["why", &id]);
    assert!(why.contains("it was delivered for carol@far.test to second.far.test[127.0.0.3]"), "{why}");
}

/// These stages took some time, however little, and those did not take place.
fn assert_timing(attempt: &Value, there: &[&str], missing: &[&str]) {
    for stage in there {
        assert!(attempt["timing"][stage].is_u64(), "{stage}: {attempt}");
    }
    for stage in missing {
        assert!(attempt["timing"][stage].is_null(), "{stage}: {attempt}");
    }
    let sum: u64 = there.iter().map(|stage| attempt["timing"][stage].as_u64().unwrap()).sum();
    assert!(sum <= attempt["duration_ms"].as_u64().unwrap(), "the stages are parts of the whole: {attempt}");
}

#[test]
fn a_certificate_that_had_to_verify_is_told_as_verified() {
    if tools::find("openssl", "a verified certificate in the history").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates::authority(folder.path(), "authority");
    let files = certificates::server(folder.path(), &authority, "far", "DNS:second.far.test");
    let ports = Ports::take();
    let port = ports.nth(0);
    let far = Server::start_with(
        &format!(
            "[[listener]]\nservice = \"smtp\"\naddress = \"127.0.0.3:{port}\"\n[tls]\nmode = \"files\"\n{}",
            files.lines()
        ),
        &[],
    );
    far.cli_ok(&["domain", "add", "far.test"]);
    far.add_account(CAROL);
    let names = NameServer::start("second.far.test. 60 IN A 127.0.0.3\n");
    let near = Server::start_trusting(
        &authority.certificate,
        &format!(
            "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n{}[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\n\
             host = \"second.far.test\"\nport = {port}\ntls = \"required\"\n",
            names.section("")
        ),
    );
    send(&near, CAROL);
    far.mailbox(CAROL, 1);
    wait_for("an empty queue", || queue(&near).is_empty().then_some(()));
    let told = near.cli_ok(&["trace", CAROL]);
    assert!(told.contains(", certificate verified, "), "{told}");
}

#[test]
fn an_address_is_followed_before_anything_is_known_of_it() {
    let ports = Ports::take();
    let server = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\n\
         host = \"127.0.0.1\"\nport = {}\n",
        ports.nth(0)
    ));
    let mut followed = Followed::start(&server, CAROL, &["--json"]);
    let mut lines = followed.lines().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let _sink = Sink::start(ports.nth(0), &EXTENSIONS, |_| None);
    for _ in 0..2 {
        send(&server, CAROL);
        let event = lines.find(|event| event["kind"] == "delivered").unwrap();
        assert_eq!(event["details"]["recipient"], CAROL);
    }
    let unknown = server.cli(&["trace", "0000000000000", "--follow"]);
    assert!(!unknown.status.success(), "{}", unknown.said());
}

#[test]
fn why_says_of_each_state_what_it_is_and_what_to_do() {
    let ports = Ports::take();
    let refusing = ports.nth(1);
    let _sink = Sink::start(refusing, &EXTENSIONS, |line| {
        line.starts_with("RCPT").then(|| "550 5.1.1 nobody here".to_owned())
    });
    let route = |domain: &str, more: &str| format!("[[route]]\nrecipient = \"*@{domain}\"\n{more}\n");
    let to_port = |port: u16| format!("via = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}");
    let server = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1h\"]\n{}{}{}{}",
        route("dead.test", &to_port(ports.nth(0))),
        route("no.test", &to_port(refusing)),
        route("kept.test", "via = \"hold\""),
        route("gone.test", "via = \"discard\""),
    ));
    let cases = [
        ("a@dead.test", "it waits for the site smtp:127.0.0.1:", "the next probe is at "),
        ("a@kept.test", "it is held until an operator lets it go", "`postrider queue release "),
        ("a@no.test", "it failed for good for a@no.test", " is the report on it"),
        ("a@gone.test", "it was delivered for a@gone.test to nowhere: the route discards", ""),
        (ALICE, "it was delivered for alice@example.test to INBOX of alice@example.test", ""),
    ];
    for (to, what, next) in cases {
        send(&server, to);
        wait_for(to, || {
            let why = server.cli_ok(&["why", to]);
            (why.contains(what) && why.contains(next)).then_some(())
        });
    }
    server.cli_ok(&["queue", "delete", "--domain", "dead.test"]);
    let why = server.cli_ok(&["why", "a@dead.test"]);
    assert!(why.contains("an operator deleted it for a@dead.test"), "{why}");
}
