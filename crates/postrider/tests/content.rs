//! Content beyond ASCII on its way to hosts that take it as it is, and to hosts that do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;
use support::{
    ports::Ports,
    random::Random,
    samples::{self, assert_same},
    server::{ALICE, Server},
    sink::{Message, Sink},
    tools, wait_for,
};

const PARSE: &str = include_str!("support/python/parse.py");
const CAROL: &str = "carol@far.test";

/// The configuration of a server that hands far.test to the host on `port`.
fn route_to(port: u16) -> String {
    format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n\
         [queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"
    )
}

/// In one chunk, which takes whatever octets there are.
fn send(server: &Server, body: &str, message: &[u8]) {
    let mut smtp = server.smtp();
    smtp.dialog(&format!("C: MAIL FROM:<{ALICE}> BODY={body}\nS: 250\nC: RCPT TO:<{CAROL}>\nS: 250"));
    smtp.write(format!("BDAT {} LAST\r\n", message.len()).as_bytes()).unwrap();
    smtp.write(message).unwrap();
    smtp.dialog("S: 250");
}

/// What the sink got, once there is something.
fn taken(sink: &Sink) -> Message {
    wait_for("the message", || sink.messages().into_iter().next())
}

/// What the attempts at the last message came to.
fn attempts(server: &Server) -> String {
    let histories = server.cli_json(&["trace", CAROL]);
    histories.as_array().unwrap().last().unwrap()["events"].to_string()
}

/// Every kind of octet, with no line end at the end.
fn random(octets: usize) -> Vec<u8> {
    let mut message =
        b"From: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\
        Content-Transfer-Encoding: binary\r\n\r\n"
            .to_vec();
    message.extend(Random(20).bytes(octets));
    message.extend_from_slice(b"\0\r\n.\r\n\nend");
    message
}

/// Text in two charsets, a binary part, a message within the message, parts that are fine as they are.
fn nested() -> Vec<u8> {
    [
        "Subject: nested\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"o\"\r\n\
        Content-Transfer-Encoding: binary\r\n\r\npreamble\r\n--o\r\n\
        Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
        Grüße in einem langen Satz, der fast nur aus ASCII besteht \r\nFrom here\r\n.dot = dot\r\n\r\n--i\r\n\
        Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nпривет, 你好\r\n--i--\r\n--o\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw7w=\r\n--o\r\n\
        Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
        Subject: within\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: 8bit\r\n\r\nö, but most of it is plain text\r\n--o\r\n\
        Content-Type: application/octet-stream; name=x\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            .as_bytes(),
        &Random(21).bytes(100_000),
        b"\r\n--o--\r\n",
    ]
    .concat()
}

/// Each part's type and octets as Python's email package reads them; there is nothing that it finds wrong.
fn parts(python: &Path, message: &[u8]) -> Vec<(Value, Value)> {
    let view = tools::python(python, PARSE, &[], message).ok("parse.py");
    let view: Value = serde_json::from_slice(&view).unwrap();
    assert_eq!(view["defects"].as_array().unwrap().len(), 0, "{}", view["defects"]);
    view["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["type"].clone(), part["sha256"].clone()))
        .collect()
}

/// Forwards one connection to `to` and counts the octets that go there.
fn count_octets(from: u16, to: u16) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind(("127.0.0.1", from)).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        // The port is free for the next test.
        drop(listener);
        let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let (client_again, server_again) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || forward(client, server, &counter));
        forward(server_again, client_again, &AtomicUsize::new(0));
    });
    count
}

fn forward(mut from: TcpStream, mut to: TcpStream, count: &AtomicUsize) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(octets @ 1..) = from.read(&mut buffer) {
        count.fetch_add(octets, Ordering::SeqCst);
        if to.write_all(&buffer[..octets]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn twenty_mib_of_random_octets_travel_two_servers_as_they_are() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["8BITMIME", "BINARYMIME", "CHUNKING"], |_| None);
    let far = Server::start(&route_to(ports.nth(0)));
    let octets = count_octets(ports.nth(1), far.port("smtp"));
    let near = Server::start(&route_to(ports.nth(1)));
    let message = random(20 << 20);
    send(&near, "BINARYMIME", &message);
    let got = taken(&sink);
    assert_same(&got.content, &message, "binary through two servers");
    let (sent, most) = (octets.load(Ordering::SeqCst), message.len() / 100 * 101);
    assert!((message.len()..most).contains(&sent), "{sent} octets on the wire for {}", message.len());
    assert!(!attempts(&near).contains("converted"));
}

#[test]
fn binary_content_goes_in_base64_to_a_host_without_binarymime() {
    let Some(python) = tools::find("python3", "binary content in base64") else { return };
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME", "SIZE 50000000"], |_| None);
    let server = Server::start(&route_to(ports.nth(0)));
    let message = random(3 << 20);
    send(&server, "BINARYMIME", &message);
    let got = taken(&sink);
    assert_eq!(parts(&python, &got.content), parts(&python, &message));
    assert!(!got.chunked && got.content.is_ascii() && !got.from.contains("BODY"), "{}", got.from);
    assert!(
        got.from.contains(&format!("SIZE={}", got.content.len())),
        "{} of {}",
        got.from,
        got.content.len()
    );
    wait_for("the history", || {
        attempts(&server).contains("converted to 7-bit content, 1 part").then_some(())
    });
}

#[test]
fn nested_parts_survive_hosts_that_take_less_and_less() {
    let Some(python) = tools::find("python3", "conversion of nested parts") else { return };
    let message = nested();
    let wanted = parts(&python, &message);
    for (extensions, body) in [
        (&["8BITMIME", "BINARYMIME", "CHUNKING", "PIPELINING"][..], Some("BINARYMIME")),
        (&["8BITMIME", "BINARYMIME"], Some("8BITMIME")),
        (&["8BITMIME", "CHUNKING"], Some("8BITMIME")),
        (&["PIPELINING"], None),
    ] {
        let ports = Ports::take();
        let sink = Sink::start(ports.nth(0), extensions, |_| None);
        let server = Server::start(&route_to(ports.nth(0)));
        send(&server, "BINARYMIME", &message);
        let got = taken(&sink);
        assert_eq!(parts(&python, &got.content), wanted, "{extensions:?}");
        assert_eq!(got.from.split(" BODY=").nth(1), body, "{extensions:?}");
        assert_eq!(got.chunked, extensions.contains(&"CHUNKING"));
        assert!(body.is_some() || got.content.is_ascii());
        if body == Some("BINARYMIME") {
            assert_same(&got.content, &message, "binary to a host that takes it");
        }
    }
}

#[test]
fn what_is_declared_as_plain_and_is_not_is_converted_too() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &[], |_| None);
    let server = Server::start(&route_to(ports.nth(0)));
    send(&server, "7BIT", "Subject: x\r\n\r\nGrüße, an old client said\r\n".as_bytes());
    let got = taken(&sink);
    let content = String::from_utf8(got.content).unwrap();
    assert!(content.ends_with(
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe, an old client said\r\n"
    ));
}

#[test]
fn a_signed_message_is_returned_rather_than_broken() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    let server = Server::start(&route_to(ports.nth(0)));
    let signed = [b"DKIM-Signature: v=1; d=example.test\r\n", &samples::eight_bit().message[..]].concat();
    send(&server, "8BITMIME", &signed);
    let report = String::from_utf8_lossy(&server.mailbox(ALICE, 1)[0]).into_owned();
    assert!(report.contains("5.6.3") && report.contains("signature"), "{report}");
    assert!(sink.messages().is_empty());
}

#[test]
fn a_host_that_announces_chunking_and_does_not_know_it_gets_data() {
    let ports = Ports::take();
    let ends = AtomicUsize::new(0);
    let sink = Sink::start(ports.nth(0), &["CHUNKING", "PIPELINING", "8BITMIME"], move |line| {
        // The first end is that of the only chunk.
        let refused = line == "." && ends.fetch_add(1, Ordering::SeqCst) == 0;
        refused.then(|| "502 5.5.1 not implemented".to_owned())
    });
    let server = Server::start(&route_to(ports.nth(0)));
    let sample = samples::dots();
    send(&server, "7BIT", &sample.message);
    let got = wait_for("the message", || sink.messages().into_iter().find(|message| !message.chunked));
    assert_same(&got.content, &sample.message, "by DATA");
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
    assert!(!attempts(&server).contains("deferred"));
}
