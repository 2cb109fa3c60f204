//! Reports as RFC 3461 has senders ask for them, in the eyes of Python's email package; LMTP as its smtplib speaks it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use serde_json::{Value, json};
use support::{
    ports::Ports,
    samples,
    server::{ALICE, BOB, PASSWORD, Server},
    sink::Sink,
    tools, wait_for,
    wire::{Smtp, dot_stuffed},
};

const PARSE: &str = include_str!("support/python/parse.py");
const LMTP: &str = include_str!("support/python/lmtp.py");
const CAROL: &str = "carol@far.test";
const MESSAGE: &[u8] = b"Subject: a question\r\nMessage-ID: <q@client.test>\r\n\r\n.the body\r\n";

fn route_to(port: u16, queue: &str) -> String {
    format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n\
         [queue]\nretry_delays = [\"1s\"]\n{queue}\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"
    )
}

/// From alice; what stands behind MAIL FROM:<alice> and each RCPT TO.
fn send(server: &Server, mail: &str, rcpts: &[&str]) {
    let mut smtp = server.smtp();
    smtp.dialog(&format!("C: MAIL FROM:<{ALICE}>{mail}\nS: 250 2.1.0"));
    for rcpt in rcpts {
        smtp.dialog(&format!("C: RCPT TO:{rcpt}\nS: 250 2.1.5"));
    }
    content(&mut smtp);
}

fn content(smtp: &mut Smtp) {
    smtp.dialog("C: DATA\nS: 354");
    smtp.write(&dot_stuffed(MESSAGE)).unwrap();
    smtp.dialog("S: 250 2.0.0 accepted");
}

fn wait_for_empty_queue(server: &Server) {
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
}

/// A report as Python reads it; checked for what all reports have in common.
struct Seen {
    header: Value,
    /// The fields of the message, and those of each recipient.
    fields: Vec<Value>,
    text: String,
    types: Vec<String>,
}

fn seen(report: &[u8]) -> Option<Seen> {
    assert_eq!(samples::field(report, "Return-Path").as_deref(), Some("<>"), "RFC 3461 §6.1");
    let python = tools::find("python3", "a report in the eyes of Python")?;
    let done = tools::python(&python, PARSE, &[], report).ok("parse");
    let seen: Value = serde_json::from_slice(&done).unwrap();
    assert_eq!(seen["defects"], json!([]));
    assert_eq!(seen["report_type"], "delivery-status");
    assert!(seen["header"]["auto-submitted"].as_str().unwrap().starts_with("auto-"), "RFC 3834 §5");
    assert!(seen["header"]["to"].as_str().unwrap().contains(ALICE));
    assert_eq!(seen["header"]["in-reply-to"], "<q@client.test>");
    let parts = seen["parts"].as_array().unwrap();
    let status = parts.iter().find(|part| part["type"] == "message/delivery-status").unwrap();
    let words = parts[1]["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Seen {
        header: seen["header"].clone(),
        fields: status["fields"].as_array().unwrap().clone(),
        text: words,
        types: parts.iter().map(|part| part["type"].as_str().unwrap().to_owned()).collect(),
    })
}

impl Seen {
    fn returns_header_only(&self) -> bool {
        self.types.contains(&"text/rfc822-headers".to_owned())
            && !self.types.contains(&"message/rfc822".to_owned())
    }
}

#[test]
fn parameters_are_checked_and_change_no_reply() {
    let server = Server::start("");
    let mut smtp = server.smtp();
    let hello = smtp.command("EHLO client.test").unwrap();
    assert!(hello.lines.contains(&"DSN".to_owned()), "{hello}");
    for bad in [
        "RET=ALL",
        "RET=",
        "RET",
        "RET=FULL RET=FULL",
        "ENVID=",
        "ENVID=a+2",
        "ENVID=a+2b",
        "ENVID=+00",
        "ENVID=a ENVID=a",
    ] {
        smtp.dialog(&format!("C: MAIL FROM:<{ALICE}> {bad}\nS: 501 5.5.4"));
    }
    smtp.dialog(&format!("C: MAIL FROM:<{ALICE}> RET=HDRS ENVID=QQ314159\nS: 250 2.1.0"));
    for bad in [
        "NOTIFY=",
        "NOTIFY=FOO",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=NEVER NOTIFY=NEVER",
        "ORCPT=rfc822",
        "ORCPT=rfc822;a+2@b",
        "ORCPT=rfc822;a+2b@c",
        "ORCPT=rfc822;a+00@c",
        "ORCPT=rfc822;a@b ORCPT=rfc822;a@b",
    ] {
        smtp.dialog(&format!("C: RCPT TO:<{BOB}> {bad}\nS: 501 5.5.4"));
    }
    for good in
        ["NOTIFY=SUCCESS,FAILURE,DELAY", "NOTIFY=NEVER", "ORCPT=rfc822;a+2Bb@c NOTIFY=never", "NOTIFY=delay"]
    {
        smtp.dialog(&format!("C: RCPT TO:<{BOB}> {good}\nS: 250 2.1.5"));
        smtp.dialog(&format!("C: RCPT TO:<nobody@example.test> {good}\nS: 550 5.1.1"));
    }
    // After HELO nothing is announced.
    smtp.dialog(&format!("C: HELO client.test\nS: 250\nC: MAIL FROM:<{ALICE}> RET=FULL\nS: 555 5.5.4"));
}

#[test]
fn a_delivery_is_told_to_who_asked() {
    let server = Server::start("");
    send(&server, "", &[&format!("<{BOB}>")]);
    send(&server, "", &[&format!("<{BOB}> NOTIFY=NEVER")]);
    let mut null = server.smtp();
    null.dialog(&format!("C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<{BOB}> NOTIFY=SUCCESS\nS: 250"));
    content(&mut null);
    send(
        &server,
        " RET=FULL ENVID=QQ+2B314159",
        &[&format!("<{BOB}> NOTIFY=SUCCESS ORCPT=rfc822;Bob+2BWork@Else.test")],
    );
    server.mailbox_count(BOB, 4);
    let report = server.mailbox(ALICE, 1).remove(0);
    let history = server.cli_json(&["trace", BOB]).to_string();
    assert!(history.contains("\"told\"") && history.contains("delivered"), "{history}");
    let Some(seen) = seen(&report) else { return };
    assert_eq!(seen.header["subject"], "Your mail was delivered");
    assert_eq!(seen.fields[0]["original-envelope-id"], "QQ+314159");
    assert_eq!(seen.fields[1]["original-recipient"], "rfc822; Bob+Work@Else.test");
    assert_eq!(seen.fields[1]["final-recipient"], format!("rfc822; {BOB}"));
    assert_eq!(
        (&seen.fields[1]["action"], &seen.fields[1]["status"]),
        (&json!("delivered"), &json!("2.0.0"))
    );
    assert!(seen.returns_header_only(), "RFC 3461 §6.2: {:?}", seen.types);
    assert!(
        seen.text.contains("Bob+Work@Else.test (which leads to bob@example.test) was delivered"),
        "{}",
        seen.text
    );
}

#[test]
fn a_host_with_dsn_is_given_what_was_asked_for() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "DSN"], |_| None);
    let server = Server::start(&route_to(ports.nth(0), ""));
    server.cli_ok(&["alias", "add", "Far@example.test", CAROL]);
    let given = format!("<{CAROL}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;C+2Bx@C.test");
    send(&server, " RET=HDRS ENVID=Qq+3D7", &[&given]);
    // Two connections may bring two messages in either order.
    wait_for_empty_queue(&server);
    send(&server, "", &["<Far@example.test>"]);
    wait_for_empty_queue(&server);
    let messages = sink.messages();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].from.ends_with("> RET=HDRS ENVID=Qq+3D7"), "{}", messages[0].from);
    assert_eq!(messages[0].to, [given]);
    assert!(messages[1].from.ends_with('>'), "nothing is made up: {}", messages[1].from);
    assert_eq!(messages[1].to.len(), 1);
    assert!(
        messages[1].to[0].eq_ignore_ascii_case(&format!("<{CAROL}> ORCPT=rfc822;Far@example.test")),
        "RFC 3461 §5.2.1: {:?}",
        messages[1].to
    );
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0, "the next host tells");
}

#[test]
fn a_host_without_dsn_gets_no_parameters_and_we_tell_that_it_took_the_message() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |line| {
        line.contains("dave").then(|| "550 5.1.1 no Dave here".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0), ""));
    let dave = "dave@far.test";
    send(
        &server,
        " RET=FULL ENVID=7",
        &[&format!("<{CAROL}> NOTIFY=SUCCESS"), &format!("<{dave}> NOTIFY=NEVER"), "<erin@far.test>"],
    );
    let report = server.mailbox(ALICE, 1).remove(0);
    wait_for_empty_queue(&server);
    let parameters = ["RET=", "ENVID=", "NOTIFY=", "ORCPT="];
    assert!(sink.commands().iter().all(|line| !parameters.iter().any(|word| line.contains(word))));
    server.mailbox_count(ALICE, 1);
    let Some(seen) = seen(&report) else { return };
    assert_eq!(seen.header["subject"], "Your mail was passed on");
    assert_eq!(seen.fields.len(), 2, "only carol's: {:?}", seen.fields);
    assert_eq!(seen.fields[0]["original-envelope-id"], "7");
    assert_eq!(seen.fields[1]["final-recipient"], format!("rfc822; {CAROL}"));
    assert_eq!((&seen.fields[1]["action"], &seen.fields[1]["status"]), (&json!("relayed"), &json!("2.0.0")));
    assert!(seen.returns_header_only(), "{:?}", seen.types);
    assert!(seen.text.contains("does not confirm delivery"), "{}", seen.text);
}

#[test]
fn a_delay_is_told_once_to_who_did_not_refuse() {
    let ports = Ports::take();
    let server =
        Server::start(&route_to(ports.nth(0), "delay_notice_after = \"1s\"\nexpire_after = \"1h\"\n"));
    send(
        &server,
        "",
        &[&format!("<{CAROL}>"), "<dave@far.test> NOTIFY=FAILURE", "<erin@far.test> NOTIFY=DELAY"],
    );
    let report = server.mailbox(ALICE, 1).remove(0);
    let attempts = || server.cli_json(&["queue", "list"])[0]["attempts"].as_u64().unwrap();
    let told_at = attempts();
    wait_for("two more tries", || (attempts() >= told_at + 2).then_some(()));
    server.mailbox_count(ALICE, 1);
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    wait_for_empty_queue(&server);
    assert_eq!(sink.messages().len(), 1);
    server.mailbox_count(ALICE, 1);
    let Some(seen) = seen(&report) else { return };
    assert_eq!(seen.header["subject"], "Your mail is delayed");
    let told: Vec<&Value> = seen.fields[1..].iter().map(|fields| &fields["final-recipient"]).collect();
    assert_eq!(told, [&json!(format!("rfc822; {CAROL}")), &json!("rfc822; erin@far.test")]);
    for fields in &seen.fields[1..] {
        assert_eq!(fields["action"], "delayed");
        assert!(fields["status"].as_str().unwrap().starts_with("4."), "{fields}");
        assert!(fields["will-retry-until"].is_string(), "{fields}");
    }
    assert!(seen.returns_header_only(), "{:?}", seen.types);
    assert!(seen.text.contains("will be tried again until"), "{}", seen.text);
}

#[test]
fn failures_return_what_ret_says_and_reach_who_asked() {
    let ports = Ports::take();
    let _sink = Sink::start(ports.nth(0), &["PIPELINING", "DSN"], |line| {
        line.starts_with("RCPT").then(|| "550 5.7.1 5.1.1 nobody here".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0), ""));
    send(&server, "", &[&format!("<{CAROL}> NOTIFY=SUCCESS,DELAY")]);
    wait_for_empty_queue(&server);
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0, "RFC 3461 §5.2.6");
    for (number, (ret, returned)) in
        [(" RET=HDRS", "text/rfc822-headers"), (" RET=FULL", "message/rfc822"), ("", "message/rfc822")]
            .into_iter()
            .enumerate()
    {
        send(&server, ret, &[&format!("<{CAROL}> NOTIFY=FAILURE")]);
        let report = server.mailbox(ALICE, number + 1).remove(number);
        let Some(seen) = seen(&report) else { return };
        assert_eq!(
            (&seen.fields[1]["action"], &seen.fields[1]["status"]),
            (&json!("failed"), &json!("5.7.1"))
        );
        assert!(seen.types.contains(&returned.to_owned()), "{ret}: {:?}", seen.types);
    }
}

#[test]
fn an_alias_with_several_targets_is_expanded_and_a_reply_of_several_lines_comes_whole() {
    let ports = Ports::take();
    let _sink = Sink::start(ports.nth(0), &["PIPELINING"], |line| {
        line.starts_with("RCPT")
            .then(|| "550-5.1.1 no such mailbox here,\r\n550 5.1.1 ask <far.test>".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0), ""));
    server.cli_ok(&["alias", "add", "team@example.test", BOB, CAROL]);
    send(&server, "", &["<team@example.test> NOTIFY=SUCCESS,FAILURE"]);
    server.mailbox_count(BOB, 1);
    let reports: Vec<Seen> = server.mailbox(ALICE, 2).iter().filter_map(|report| seen(report)).collect();
    if reports.is_empty() {
        return;
    }
    let of = |action: &str| reports.iter().find(|report| report.fields[1]["action"] == action).unwrap();
    assert_eq!(of("expanded").fields[1]["final-recipient"], "rfc822; team@example.test");
    let failed = of("failed");
    assert_eq!(failed.fields[1]["final-recipient"], format!("rfc822; {CAROL}"));
    let code = failed.fields[1]["diagnostic-code"].as_str().unwrap();
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, "smtp; 550-5.1.1 no such mailbox here, 550 5.1.1 ask <far.test>");
    assert!(
        failed.text.contains("because there is no such mailbox. You can check the address"),
        "{}",
        failed.text
    );
    let why = server.cli_ok(&["why", "team@example.test"]);
    assert!(why.contains("(that is, there is no such mailbox)"), "{why}");
}

/// What Python's LMTP client was told, by TCP and by the Unix socket.
fn lmtp(server: &Server, host: &str, port: u16, recipients: &[&str]) -> Option<Value> {
    let python = tools::find("python3", "LMTP with Python")?;
    let port = port.to_string();
    let arguments = [&[host, port.as_str(), "sender@far.test"][..], recipients].concat();
    let done = tools::python(&python, LMTP, &arguments, MESSAGE);
    let said = done.said();
    assert!(done.status.success(), "{said}\n{}", server.logged());
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

#[test]
fn lmtp_answers_for_each_recipient_by_tcp_and_unix_socket() {
    let (ports, directory) = (Ports::take(), tempfile::tempdir().unwrap());
    let socket = directory.path().join("lmtp").display().to_string();
    let server = Server::start(&format!(
        "[[listener]]\nservice = \"lmtp\"\naddress = \"127.0.0.1:{}\"\n\
         [[listener]]\nservice = \"lmtp\"\naddress = \"unix:{socket}\"\n",
        ports.nth(0)
    ));
    let password = format!("{PASSWORD}\n");
    let small = ["account", "add", "small@example.test", "--password-stdin", "--quota", "100 B"];
    server.cli_with(&small, password.as_bytes()).ok("account add");
    let recipients = [BOB, "nobody@example.test", "small@example.test", ALICE, CAROL, BOB];
    for (round, (host, port)) in [("127.0.0.1", ports.nth(0)), (socket.as_str(), 0)].into_iter().enumerate() {
        let Some(told) = lmtp(&server, host, port, &recipients) else { return };
        assert_eq!(told["rcpt"], json!([250, 550, 250, 250, 550, 250]), "{told}");
        let replies = told["replies"].as_array().unwrap();
        let codes: Vec<_> =
            replies.iter().map(|reply| (reply[0].as_str().unwrap(), reply[1].as_u64().unwrap())).collect();
        assert_eq!(codes, [(BOB, 250), ("small@example.test", 552), (ALICE, 250), (BOB, 250)], "{told}");
        assert!(replies[1][2].as_str().unwrap().starts_with("5.2.2 "), "{told}");
        let id = replies[0][2].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
        assert!(replies[2][2].as_str().unwrap().ends_with(&id), "{told}");
        for user in [BOB, ALICE] {
            let stored = server.mailbox(user, round + 1).remove(round);
            assert!(stored.ends_with(b"\r\n\r\n.the body\r\n"), "RFC 5321 §4.5.2");
            let received = samples::field(&stored, "Received").unwrap();
            assert!(received.contains("with LMTP"), "RFC 3848: {received}");
        }
        assert!(server.cli_ok(&["why", &id]).contains("delivered"), "{id}");
        let Some(told) = lmtp(&server, host, port, &["nobody@example.test"]) else { return };
        assert_eq!(told["replies"], json!([]));
    }
    assert_eq!(server.pop3("small@example.test").count().unwrap(), 0);
}
