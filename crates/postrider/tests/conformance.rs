//! Cases of docs/conformance.md that need a next hop; the numbers are that table's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use support::{
    ports::Ports,
    samples::{self, field},
    server::{ALICE, Server},
    sink::Sink,
    wait_for,
};

const CAROL: &str = "carol@far.test";

/// far.test is on `port`; what is deferred comes back in an hour, so whatever happens happens at once.
fn near(port: u16) -> Server {
    Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1h\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"
    ))
}

fn wait_for_empty_queue(server: &Server) {
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
}

/// C063, C084, C103, C147: RFC 5321 §4.5.3.1.10
#[test]
fn a_long_list_goes_in_as_many_transactions_as_the_host_wants() {
    let ports = Ports::take();
    let named = AtomicUsize::new(0);
    let extensions = ["PIPELINING", "8BITMIME", "SIZE 50000000", "TURN", "XEXCH50"];
    let sink = Sink::start(ports.nth(0), &extensions, move |line| {
        if line.starts_with("MAIL") {
            named.store(0, Ordering::SeqCst);
        }
        let excess = line.starts_with("RCPT") && named.fetch_add(1, Ordering::SeqCst) >= 100;
        excess.then(|| "452 4.5.3 too many recipients".to_owned())
    });
    let server = near(ports.nth(0));
    let recipients: Vec<String> = (0..250).map(|number| format!("r{number}@far.test")).collect();
    let to: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let reply = server.smtp().deliver(ALICE, &to, &samples::dots().message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    wait_for_empty_queue(&server);
    let messages = sink.messages();
    assert_eq!(messages.iter().map(|message| message.to.len()).collect::<Vec<_>>(), [100, 100, 50]);
    let reached: BTreeSet<&String> = messages.iter().flat_map(|message| &message.to).collect();
    assert_eq!(reached.len(), 250, "each of them, and each once");
    for message in &messages {
        assert_eq!(field(&message.content, "Return-Path"), None, "RFC 5321 §4.4: final delivery adds it");
    }
    assert!(sink.commands().iter().all(|line| !line.starts_with("TURN") && !line.starts_with('X')));
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0);
}

/// Offers STARTTLS and then speaks no TLS; in the next connection it takes a message. What that one said.
fn without_real_tls(listener: &TcpListener) -> Vec<String> {
    let greet = |stream: &mut BufReader<TcpStream>| {
        stream.get_mut().write_all(b"220 next.test ESMTP\r\n").unwrap();
        stream.read_line(&mut String::new()).unwrap();
        stream.get_mut().write_all(b"250-next.test\r\n250 STARTTLS\r\n").unwrap();
    };
    let mut first = BufReader::new(listener.accept().unwrap().0);
    greet(&mut first);
    let mut line = String::new();
    first.read_line(&mut line).unwrap();
    assert_eq!(line, "STARTTLS\r\n");
    first.get_mut().write_all(b"220 go\r\n").unwrap();
    first.read_exact(&mut [0; 10]).unwrap();
    first.get_mut().write_all(b"this is no TLS\r\n").unwrap();
    drop(first);
    let mut second = BufReader::new(listener.accept().unwrap().0);
    greet(&mut second);
    let mut said = Vec::new();
    let mut in_content = false;
    loop {
        let mut line = String::new();
        if second.read_line(&mut line).unwrap() == 0 {
            return said;
        }
        said.push(line.trim_end().to_owned());
        in_content &= line != ".\r\n";
        if !in_content {
            in_content = line == "DATA\r\n";
            let reply = if in_content { "354 go\r\n" } else { "250 ok\r\n" };
            second.get_mut().write_all(reply.as_bytes()).unwrap();
            if line == "QUIT\r\n" {
                return said;
            }
        }
    }
}

/// C248: RFC 7435, where TLS is only hoped for.
#[test]
fn a_handshake_that_fails_is_followed_by_clear_text_in_a_new_connection() {
    let ports = Ports::take();
    let listener = TcpListener::bind(("127.0.0.1", ports.nth(0))).unwrap();
    let host = thread::spawn(move || without_real_tls(&listener));
    let server = near(ports.nth(0));
    let reply = server.smtp().deliver(ALICE, &[CAROL], &samples::dots().message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    wait_for_empty_queue(&server);
    let said = host.join().unwrap();
    assert!(said[0].starts_with("MAIL FROM:<alice@example.test>"), "no second STARTTLS: {said:?}");
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0);
}

/// C272: RFC 6531 §3.5
#[test]
fn what_needs_smtputf8_goes_back_where_there_is_none() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], |_| None);
    let server = near(ports.nth(0));
    let sender = "δοκιμή@example.test";
    server.add_account(sender);
    let mut smtp = server.smtp();
    smtp.dialog(&format!(
        "C: MAIL FROM:<{sender}> SMTPUTF8\nS: 250\nC: RCPT TO:<{CAROL}>\nS: 250\nC: DATA\nS: 354\n\
         C: Subject: x\nC:\nC: text\nC: .\nS: 250"
    ));
    let report = server.mailbox(sender, 1).remove(0);
    let report = String::from_utf8_lossy(&report);
    assert!(report.contains("5.6.7") && report.contains(CAROL), "{report}");
    wait_for_empty_queue(&server);
    assert_eq!(sink.messages(), []);
    assert!(sink.commands().iter().all(|line| !line.starts_with("MAIL")), "{:?}", sink.commands());
}

/// C273: the client said SMTPUTF8, the message has nothing of the kind.
#[test]
fn smtputf8_is_not_asked_for_when_nothing_needs_it() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], |_| None);
    let server = near(ports.nth(0));
    server.smtp().dialog(&format!(
        "C: MAIL FROM:<{ALICE}> SMTPUTF8\nS: 250\nC: RCPT TO:<{CAROL}>\nS: 250\nC: DATA\nS: 354\n\
         C: Subject: x\nC:\nC: text\nC: .\nS: 250"
    ));
    wait_for_empty_queue(&server);
    assert_eq!(sink.messages().len(), 1);
    assert!(!sink.messages()[0].from.contains("SMTPUTF8"), "{}", sink.messages()[0].from);
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0);
}

/// C211: RFC 1870 §6.2
#[test]
fn what_is_too_large_for_the_next_host_goes_back_unsent() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "SIZE 1000"], |_| None);
    let server = near(ports.nth(0));
    let message = format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(200));
    let reply = server.smtp().deliver(ALICE, &[CAROL], message.as_bytes()).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let report = server.mailbox(ALICE, 1).remove(0);
    assert!(String::from_utf8_lossy(&report).contains("5.3.4"), "{}", String::from_utf8_lossy(&report));
    assert!(sink.commands().iter().all(|line| !line.starts_with("MAIL")), "{:?}", sink.commands());
}

/// C087, C242: what the next host says of the sender ends it for all, and its status code is told as it is.
#[test]
fn a_sender_that_is_refused_fails_for_every_recipient() {
    let ports = Ports::take();
    let refused = |line: &str| line.starts_with("MAIL").then(|| "550 5.7.27 not from there".to_owned());
    let sink = Sink::start(ports.nth(0), &["ENHANCEDSTATUSCODES"], refused);
    let server = near(ports.nth(0));
    let reply =
        server.smtp().deliver(ALICE, &[CAROL, "dave@far.test"], b"Subject: x\r\n\r\ntext\r\n").unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let report = server.mailbox(ALICE, 1).remove(0);
    let report = String::from_utf8_lossy(&report);
    assert_eq!(report.matches("Status: 5.7.27").count(), 2, "{report}");
    assert!(report.contains(CAROL) && report.contains("dave@far.test"), "{report}");
    wait_for_empty_queue(&server);
    assert_eq!(sink.messages(), []);
}

/// C111: a host that says nothing at all takes its own time, and nobody else's.
#[test]
fn a_silent_host_does_not_hold_up_mail_for_others() {
    let ports = Ports::take();
    // The system completes connections that nobody accepts.
    let silent = TcpListener::bind(("127.0.0.1", ports.nth(0))).unwrap();
    let sink = Sink::start(ports.nth(1), &["PIPELINING"], |_| None);
    let route = |domain: &str, port: u16| {
        let host = format!("via = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n");
        format!("[[route]]\nrecipient = \"*@{domain}\"\n{host}")
    };
    let server = Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n{}{}",
        route("silent.test", ports.nth(0)),
        route("far.test", ports.nth(1))
    ));
    let mut smtp = server.smtp();
    for number in 0..50 {
        let message = format!("Subject: {number}\r\n\r\ntext\r\n");
        let reply = smtp.deliver(ALICE, &["dave@silent.test"], message.as_bytes()).unwrap();
        assert_eq!(reply.code, 250, "{reply}");
    }
    let reply = smtp.deliver(ALICE, &[CAROL], b"Subject: x\r\n\r\ntext\r\n").unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    wait_for("the message for the other host", || (sink.messages().len() == 1).then_some(()));
    let waiting = server.cli_json(&["queue", "list"]);
    assert_eq!(waiting.as_array().unwrap().len(), 50, "the silent host has answered none");
    drop(silent);
}
