//! Clients behind proxies: the PROXY protocol on listeners, XCLIENT and XFORWARD.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use support::{
    server::{ALICE, Server},
    tools::{self, Done},
};

const SENDER: &str = "ann@client.test";
const CLIENT: &str = "198.51.100.7";

/// A server with this at the end of its configuration; `{port}` and `{dir}` stand for a port and the data directory.
fn server(more: &str) -> Server {
    let mut server = Server::prepare("", Path::new("data"));
    let more = more
        .replace("{port}", &server.spare_port().to_string())
        .replace("{dir}", &server.path().display().to_string());
    OpenOptions::new().append(true).open(server.config()).unwrap().write_all(more.as_bytes()).unwrap();
    server.populate();
    server.launch();
    server
}

fn proxied() -> Server {
    server(
        r#"
[[listener]]
service = "smtp"
address = "127.0.0.1:{port}"
proxy_protocol = true
[[listener]]
service = "submissions"
address = "unix:{dir}/submissions"
proxy_protocol = true
[[listener]]
service = "pop3"
address = "unix:{dir}/pop3"
proxy_protocol = true
[smtp]
trusted_networks = ["127.0.0.0/8"]
"#,
    )
}

fn swaks(swaks: &Path, more: &[&str]) -> Done {
    let mut command = Command::new(swaks);
    command.args(["--from", SENDER, "--to", ALICE]).args(more);
    tools::run(&mut command, b"")
}

fn stored(server: &Server) -> String {
    let stored = server.mailbox(ALICE, 1).remove(0);
    server.empty_mailbox(ALICE);
    String::from_utf8(stored).unwrap()
}

#[test]
fn swaks_behind_a_proxy_in_both_versions() {
    let Some(program) = tools::find("swaks", "swaks behind a proxy") else { return };
    let server = proxied();
    let relay = format!("127.0.0.1:{}", server.spare_port());
    let client = [
        "--proxy-source-port",
        "4711",
        "--proxy-dest",
        "192.0.2.25",
        "--proxy-dest-port",
        "25",
        "--proxy-source",
    ];
    for version in [
        ["--proxy-version", "1", "--proxy-family", "TCP4"],
        ["--proxy-version", "2", "--proxy-family", "AF_INET"],
    ] {
        let arguments = [&["--server", &relay][..], &version, &client, &[CLIENT]].concat();
        swaks(&program, &arguments).ok("swaks");
        let message = stored(&server);
        assert!(message.contains(&format!("([{CLIENT}])")), "{message}");
        let history = server.cli_ok(&["trace", ALICE]);
        assert!(history.contains(CLIENT) && !history.contains("127.0.0.1"), "{history}");
        // The proxy's own address may relay, the client's may not.
        let done = swaks(&program, &[&arguments[..], &["--to", "x@elsewhere.test"]].concat());
        assert!(done.said().contains("550 5.7.1"), "{}", done.said());
    }
    let done = swaks(&program, &["--server", &relay, "--timeout", "8"]);
    assert!(!done.said().contains("<-  220") && !done.status.success(), "{}", done.said());
    let nonsense = swaks(&program, &["--server", &relay, "--proxy", "TCP4 nobody"]);
    assert!(!nonsense.said().contains("<-  220"), "{}", nonsense.said());
}

#[test]
fn tls_begins_behind_the_header() {
    let Some(program) = tools::find("swaks", "TLS behind the PROXY header") else { return };
    let server = proxied();
    let socket = server.path().join("submissions");
    let arguments = [
        "--socket",
        socket.to_str().unwrap(),
        "--tls-on-connect",
        "--proxy-version",
        "2",
        "--proxy-family",
        "AF_INET6",
        "--proxy-source",
        "2001:db8::7",
        "--proxy-source-port",
        "4711",
        "--proxy-dest",
        "2001:db8::25",
        "--proxy-dest-port",
        "465",
        "--from",
        ALICE,
        "--auth",
        "PLAIN",
        "--auth-user",
        ALICE,
        "--auth-password",
        support::server::PASSWORD,
    ];
    swaks(&program, &arguments).ok("swaks");
    let message = stored(&server);
    assert!(message.contains("([IPv6:2001:db8::7])") && message.contains("with ESMTPSA"), "{message}");
}

fn pop3(socket: &PathBuf, header: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(header.as_bytes()).unwrap();
    stream
}

fn line(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        line.extend(octet);
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn pop3_knows_who_is_behind_the_proxy() {
    let server = proxied();
    let socket = server.path().join("pop3");
    // Who is on this host may send passwords in clear, others may not.
    for (source, answer) in [("127.0.0.1", "+OK"), (CLIENT, "-ERR")] {
        let mut stream = pop3(&socket, &format!("PROXY TCP4 {source} 192.0.2.25 4711 110\r\n"));
        assert!(line(&mut stream).starts_with("+OK"));
        stream.write_all(format!("USER {ALICE}\r\n").as_bytes()).unwrap();
        let said = line(&mut stream);
        assert!(said.starts_with(answer), "{source}: {said}");
    }
    let mut stream = pop3(&socket, "CAPA\r\n");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap_or_default();
    assert!(rest.is_empty(), "a connection without a header is closed without a word");
}
