//! Name servers that mean harm, and what the whole system makes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "../../world/tests/support/scripted_dns.rs"]
#[allow(dead_code, reason = "the resolver's tests use the rest")]
mod scripted_dns;
mod support;

use std::time::Duration;

use scripted_dns::{Asked, CNAME, MX, Message, Said, ScriptedDns, mx, name, own};
use serde_json::Value;
use support::{
    server::{ALICE, Server},
    wait_for,
};

const MESSAGE: &[u8] = b"Subject: by name\r\n\r\nHello.\r\n";

fn asking(dns: &ScriptedDns) -> Server {
    Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1s\"]\n\
         [dns]\nservers = [\"{}\"]\ndnssec = \"off\"\ntimeout = \"1s\"\n",
        dns.address
    ))
}

fn queue(server: &Server) -> Vec<Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

/// The number in the name's first label.
fn number(asked: &Asked) -> Option<u8> {
    asked.name.split('.').next()?.trim_start_matches(char::is_alphabetic).parse().ok()
}

#[test]
fn only_a_certain_no_refuses_a_recipient() {
    let dns = ScriptedDns::start(|asked| asked.code(number(asked).unwrap_or(2)));
    let server = asking(&dns);
    let mut smtp = server.smtp();
    smtp.command("MAIL FROM:<alice@example.test>").unwrap();
    let mut rcpt = |code: u8| smtp.command(&format!("RCPT TO:<a@code{code}.test>")).unwrap().to_string();
    assert!(rcpt(3).starts_with("550 5.1.2"), "no such name");
    assert!(rcpt(0).starts_with("550 5.4.4"), "no such record");
    for code in [1, 2, 4, 5, 15] {
        let reply = rcpt(code);
        assert!(reply.starts_with("250"), "RCODE {code}: {reply}");
    }
    let reply = server.smtp().deliver(ALICE, &["a@code5.test"], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let error = wait_for("an attempt", || {
        queue(&server).first().and_then(|entry| entry["last_error"].as_str().map(str::to_owned))
    });
    assert!(error.contains("looking up code5.test failed for now"), "{error}");
}

#[test]
fn a_name_server_that_takes_its_time_holds_nobody_up() {
    let dns = ScriptedDns::start(|asked| Said { after: Duration::from_secs(29), ..asked.code(3) });
    let mut server = asking(&dns);
    let recipients = ["a@one.test", "b@two.test", "c@three.test"];
    let reply = server.smtp().deliver(ALICE, &recipients, MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    assert_eq!(dns.answered(), 0, "the client had its replies before the first answer");
    assert_eq!(queue(&server).len(), 3);
    server.still_serves("meanwhile");
}

#[test]
fn hosts_that_are_aliases_of_their_domain_bounce() {
    let dns = ScriptedDns::start(|asked| match (asked.kind, asked.name.as_str()) {
        (MX, "a.test") => asked.rdata(&mx(10, &name("mx.test"))),
        (_, "mx.test") => asked.records(vec![own(CNAME, &name("a.test"))]),
        (_, "chain.test") => asked.records(vec![own(CNAME, &name("chain.test"))]),
        _ => asked.code(0),
    });
    let server = asking(&dns);
    let reply = server.smtp().deliver(ALICE, &["carol@a.test"], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let report = server.mailbox(ALICE, 1);
    assert!(String::from_utf8_lossy(&report[0]).contains("Status: 5.4.4"));
    assert!(dns.asked() < 60, "{} questions", dns.asked());
}

#[test]
fn answers_that_are_no_answers_do_no_harm() {
    let dns = ScriptedDns::start(|asked| match number(asked) {
        Some(0) => asked.rdata(&[0]),
        Some(1) => asked.rdata(&[0, 10, 0xC0, 0xFF]),
        Some(2) => Said::now(Message { more_records: 9, ..asked.reply() }.octets()),
        Some(3) => Said::now(Message { questions: 0, question: Vec::new(), ..asked.reply() }.octets()),
        Some(4) => Said::now(vec![0xFF; 600]),
        Some(5) => Said::now(Message { id: asked.id.wrapping_add(1), ..asked.reply() }.octets()),
        _ => Said::now(Message { truncated: true, ..asked.reply() }.octets()),
    });
    let mut server = asking(&dns);
    for number in 0..7 {
        let mut smtp = server.smtp();
        smtp.command("MAIL FROM:<alice@example.test>").unwrap();
        let reply = smtp.command(&format!("RCPT TO:<a@junk{number}.test>")).unwrap().to_string();
        assert!(reply.starts_with("250"), "{number}: {reply}");
    }
    server.still_serves("after the junk");
}
