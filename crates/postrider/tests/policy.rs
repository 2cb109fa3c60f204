//! Policy as programs meet it that we did not write: limits, refusing listeners, XCLIENT, verdicts in the history.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{fs::OpenOptions, io::Write, path::Path, process::Command};

use support::{
    server::{ALICE, BOB, Server},
    tools::{self, Done},
};

/// A server with this at the end of its configuration; `{port}` is a port of its own.
fn server(more: &str) -> Server {
    let mut server = Server::prepare("", Path::new("data"));
    let more = more.replace("{port}", &server.spare_port().to_string());
    OpenOptions::new().append(true).open(server.config()).unwrap().write_all(more.as_bytes()).unwrap();
    server.populate();
    server.launch();
    server
}

/// Says each line, the first after the greeting, and prints each reply.
const TALK: &str = r#"
import smtplib, sys
smtp = smtplib.SMTP()
print(*smtp.connect("127.0.0.1", int(sys.argv[1])))
for line in sys.stdin.read().splitlines():
    code, text = smtp.docmd(line)
    print(code, text.decode())
"#;

fn talk(port: u16, lines: &str) -> Option<String> {
    let python = tools::find("python3", "dialogs of policy")?;
    let done = tools::python(&python, TALK, &[&port.to_string()], lines.as_bytes());
    Some(String::from_utf8(done.ok("python3")).unwrap())
}

#[test]
fn a_network_that_sends_too_much_is_told_when_to_come_back_and_others_are_not_held_up() {
    let server = server(
        r#"
[limits]
exempt_networks = []
message_rate = "2/1h"
error_rate = "off"
[smtp]
xclient_networks = ["127.0.0.1"]
"#,
    );
    let message = format!("MAIL FROM:<a@client.test>\nRCPT TO:<{BOB}>\nRSET\n");
    let Some(said) = talk(server.port("smtp"), &format!("EHLO c\n{}", message.repeat(3))) else { return };
    let refused = said.lines().find(|line| line.starts_with("450")).unwrap();
    assert!(refused.contains("4.7.1 too many messages from your network; try again in 30 minutes"), "{said}");
    // As Python says HELO as somebody else, policy takes it for somebody else.
    let other = format!("XCLIENT ADDR=198.51.100.7\nEHLO c\n{message}");
    let said = talk(server.port("smtp"), &other).unwrap();
    assert!(!said.contains("450"), "{said}");
    assert!(server.logged().contains("refused") && server.logged().contains("from=127.0.0.1"));
}

#[test]
fn an_account_beyond_its_quota_is_stopped_and_the_operator_is_told() {
    let server = server("[limits]\naccount_recipient_rate = \"2/1d\"\n");
    let login = "\0alice@example.test\0correct horse battery staple";
    let encoded = base64(login.as_bytes());
    let recipients = format!("RCPT TO:<{BOB}>\n").repeat(3);
    let lines = format!("EHLO c\nAUTH PLAIN {encoded}\nMAIL FROM:<{ALICE}>\n{recipients}");
    let Some(said) = talk(server.port("submission"), &lines) else { return };
    assert!(
        said.contains("450 4.7.1 too many recipients from your account; try again in 12 hours"),
        "{said}"
    );
    let logged = server.logged();
    assert!(logged.contains("WARN") && logged.contains("postrider account passwd"), "{logged}");
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        (0..4)
            .map(|at| if at <= chunk.len() { DIGITS[bits >> (18 - 6 * at) & 63] as char } else { '=' })
            .collect::<String>()
    };
    octets.chunks(3).map(group).collect()
}

/// RFC 7504 §3
#[test]
fn a_host_that_never_takes_mail_says_521() {
    let server = server(
        r#"
[[listener]]
service = "smtp"
address = "127.0.0.1:{port}"
refuse = "521 mail is taken elsewhere"
"#,
    );
    let Some(said) = talk(server.spare_port(), "EHLO c\nMAIL FROM:<a@client.test>\nQUIT\n") else { return };
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("521 b'mail is taken elsewhere'"), "{said}");
    assert_eq!(lines[1..3], ["521 mail is taken elsewhere"; 2], "{said}");
    assert!(lines[3].starts_with("221"), "{said}");
}

fn swaks(server: &Server, more: &[&str]) -> Option<Done> {
    let program = tools::find("swaks", "XCLIENT")?;
    let port = server.port("smtp").to_string();
    let mut command = Command::new(program);
    command
        .args(["--server", "127.0.0.1", "--port", &port, "--from", "a@client.test", "--to", BOB])
        .args(more);
    Some(tools::run(&mut command, b""))
}

#[test]
fn swaks_says_with_xclient_whose_mail_it_brings() {
    let server = server(
        r#"
[smtp]
xclient_networks = ["127.0.0.0/8"]
trusted_networks = ["198.51.100.0/24"]
[[route]]
recipient = "elsewhere.test"
via = "hold"
"#,
    );
    let told = ["--xclient-addr", "192.0.2.7", "--xclient-name", "spike.test", "--xclient-helo", "x.test"];
    let Some(done) = swaks(&server, &told) else { return };
    done.ok("swaks");
    let message = String::from_utf8(server.mailbox(BOB, 1).remove(0)).unwrap();
    assert!(message.contains("(spike.test [192.0.2.7])"), "{message}");
    let history = server.cli_ok(&["trace", BOB]);
    assert!(history.contains("from 192.0.2.7"), "{history}");
    assert!(history.contains("xclient: told by a trusted host (host=127.0.0.1)"), "{history}");
    assert!(history.contains("relay: the domain is hosted here (client=192.0.2.7"), "{history}");
    // Who may relay goes by the client that is told.
    let away = ["--to", "x@elsewhere.test", "--xclient-addr"];
    let refused = swaks(&server, &[&away[..], &["192.0.2.7"]].concat()).unwrap();
    assert!(refused.said().contains("550 5.7.1"), "{}", refused.said());
    let trusted = swaks(&server, &[&away[..], &["198.51.100.7"]].concat()).unwrap();
    trusted.ok("swaks");
    let verdicts = server.cli_json(&["trace", BOB]);
    let verdict = verdicts[0]["events"].as_array().unwrap().iter().find(|event| event["kind"] == "verdict");
    assert!(verdict.unwrap()["details"]["rule"].is_string(), "{verdicts}");
}

#[test]
fn session_tells_what_policy_would_say() {
    let mut server = Server::start("");
    let ask = [
        "session",
        "--from-ip",
        "192.0.2.1",
        "--mail-from",
        "stranger@far.test",
        "--rcpt",
        ALICE,
        "--rcpt",
        "carol@far.test",
    ];
    let shown = server.cli_ok(&ask);
    assert!(shown.contains(&format!("rcpt {ALICE}: passes")), "{shown}");
    assert!(shown.contains("rcpt carol@far.test: 550 5.7.1"), "{shown}");
    assert!(shown.contains("relay"), "the rule is named: {shown}");
    let phases = server.cli_json(&ask);
    assert_eq!(phases[4]["phase"], "rcpt", "{phases}");
    assert!(phases[4]["refused"].as_str().unwrap().starts_with("550 5.7.1"));
    server.stop();
    assert_eq!(server.cli_ok(&ask), shown, "the same without a running server");
    assert_eq!(server.cli(&["session", "--from-ip", "nowhere"]).status.code(), Some(2));
}
