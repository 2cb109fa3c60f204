//! What is asked for over HTTP: the policy of MTA-STS, one-click unsubscription, health; with curl on the other side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use support::{
    certificates,
    ports::Ports,
    server::{ALICE, BOB, Server},
    sink::Sink,
    tools, wait_for,
};

const PARSE: &str = include_str!("support/python/parse.py");
const CLUB: &str = "club@example.test";
const CAROL: &str = "carol@far.test";
const MESSAGE: &[u8] =
    b"From: Bob <bob@example.test>\r\nTo: club@example.test\r\nSubject: hello\r\nMessage-ID: <1@client.test>\r\n\r\nthe body\r\n";
const ONE_CLICK: [&str; 2] = ["--data", "List-Unsubscribe=One-Click"];

/// Status, and the body with the octets as they came.
fn curl(curl: &Path, arguments: &[&str]) -> (u16, String) {
    let mut command = Command::new(curl);
    command
        .args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"])
        .args(arguments);
    let said = String::from_utf8(tools::run(&mut command, b"").ok("curl")).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn the_policy_is_fetched_as_senders_do() {
    let Some(program) = tools::find("curl", "the policy of MTA-STS") else { return };
    let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
    let name = "mta-sts.example.test";
    let files = certificates::self_signed(folder.path(), "sts", name, &format!("DNS:{name}"));
    let (https, http) = (ports.nth(0), ports.nth(1));
    let server = Server::start(&format!(
        "[[listener]]\nservice = \"https\"\naddress = \"127.0.0.1:{https}\"\n\
         [[listener]]\nservice = \"http\"\naddress = \"127.0.0.1:{http}\"\n\
         [[certificate]]\n{}[mta_sts]\nmode = \"testing\"\nmx = [\"mx.example.test\", \"*.mx.example.test\"]\n\
         max_age = \"1d\"\n",
        files.lines()
    ));
    let resolve = format!("{name}:{https}:127.0.0.1");
    let roots = files.certificate.display().to_string();
    let trusting = ["--cacert", &roots, "--resolve", &resolve];
    let url = format!("https://{name}:{https}/.well-known/mta-sts.txt");
    let (status, body) = curl(&program, &[&trusting[..], &[&url]].concat());
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        body,
        "version: STSv1\r\nmode: testing\r\nmx: mx.example.test\r\nmx: *.mx.example.test\r\nmax_age: 86400\r\n"
    );
    let elsewhere = format!("http://127.0.0.1:{http}/.well-known/mta-sts.txt");
    assert_eq!(curl(&program, &["-H", "Host: mta-sts.other.test", &elsewhere]).0, 404);
    assert_eq!(curl(&program, &[&format!("http://127.0.0.1:{http}/readyz")]), (200, "ready\n".to_owned()));
    let listeners = server.cli_ok(&["config", "show"]);
    assert!(listeners.contains("service = \"https\""), "{listeners}");
}

fn header(python: &Path, message: &[u8]) -> Value {
    let seen: Value =
        serde_json::from_slice(&tools::python(python, PARSE, &[], message).ok("parse")).unwrap();
    assert_eq!(seen["defects"], json!([]));
    seen["header"].clone()
}

/// The address of List-Unsubscribe that begins with `base`.
fn address(header: &Value, base: &str) -> String {
    let field = header["list-unsubscribe"].as_str().unwrap();
    assert_eq!(header["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    assert!(field.contains("<mailto:club-unsubscribe@example.test>"), "{field}");
    let at = field.find(base).unwrap();
    field[at..].split('>').next().unwrap().to_owned()
}

fn members(server: &Server) -> Vec<String> {
    let list = server.cli_json(&["list", "show", CLUB]);
    let members = list["members"].as_array().unwrap().iter();
    members.map(|member| member["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn members_leave_with_one_click_and_looking_changes_nothing() {
    let Some(program) = tools::find("curl", "one-click unsubscription") else { return };
    let Some(python) = tools::find("python3", "one-click unsubscription") else { return };
    let ports = Ports::take();
    let (http, next) = (ports.nth(0), ports.nth(1));
    let sink = Sink::start(next, &["PIPELINING", "8BITMIME"], |_| None);
    let base = format!("http://127.0.0.1:{http}");
    let server = Server::start(&format!(
        "[[listener]]\nservice = \"http\"\naddress = \"127.0.0.1:{http}\"\n[web]\nbase_url = \"{base}/\"\n\
         [[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {next}\n"
    ));
    server.cli_ok(&["list", "add", CLUB, "--member", ALICE, "--member", BOB, "--member", CAROL]);
    let reply = server.smtp().deliver(BOB, &[CLUB], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let copies = [ALICE, BOB].map(|member| server.mailbox(member, 1).remove(0));
    assert!(copies.iter().all(|copy| copy.ends_with(MESSAGE)), "what was signed is as it was");
    wait_for("the copy that goes abroad", || (sink.messages().len() == 1).then_some(()));
    let abroad = sink.messages().remove(0).content;
    let [alice, bob] = copies.map(|copy| address(&header(&python, &copy), &base));
    let carol = address(&header(&python, &abroad), &base);
    assert!(alice != bob && bob != carol, "each has an address of its own");
    // What a mail program does that looks at every address.
    let (status, page) = curl(&program, &[&alice]);
    assert!(status == 200 && page.contains("Leave the list") && page.contains(ALICE), "{status} {page}");
    assert_eq!(curl(&program, &["--head", &alice]).0, 200);
    assert_eq!(members(&server).len(), 3);
    let (status, said) = curl(&program, &[&ONE_CLICK[..], &[&alice]].concat());
    assert!(status == 200 && said.contains("You have left"), "{status} {said}");
    // As a form with parts.
    assert_eq!(curl(&program, &["--form", "List-Unsubscribe=One-Click", &carol]).0, 200);
    assert_eq!(members(&server), [BOB]);
    assert_eq!(curl(&program, &[&ONE_CLICK[..], &[&alice]].concat()).0, 200, "once more is no mistake");
    assert_eq!(curl(&program, &[&ONE_CLICK[..], &[&format!("{bob}x")]].concat()).0, 404);
    assert_eq!(members(&server), [BOB]);
}

/// A client that says nothing, or too much, does not keep others from being served.
#[test]
fn slow_and_greedy_clients_are_left_behind() {
    let Some(program) = tools::find("curl", "slow clients") else { return };
    let ports = Ports::take();
    let http = ports.nth(0);
    let _server =
        Server::start(&format!("[[listener]]\nservice = \"http\"\naddress = \"127.0.0.1:{http}\"\n"));
    let connect = || std::net::TcpStream::connect(("127.0.0.1", http)).unwrap();
    let silent: Vec<_> = (0..40).map(|_| connect()).collect();
    // More than one address may have: the last ones are closed at once, and those that are silent after a while.
    wait_for("their end", || {
        let mut buffer = [0; 1];
        let ended = |stream: &&std::net::TcpStream| {
            stream.set_nonblocking(true).unwrap();
            matches!(std::io::Read::read(&mut &**stream, &mut buffer), Ok(0))
        };
        (silent.iter().filter(ended).count() == silent.len()).then_some(())
    });
    assert_eq!(curl(&program, &[&format!("http://127.0.0.1:{http}/healthz")]).0, 200);
}
