//! Promises made to senders, kept from hop to hop or told of: REQUIRETLS, RRVS, LIMITS, NO-SOLICITING, MTRK.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{path::PathBuf, process::Command};

use support::{
    ports::Ports,
    server::{ALICE, BOB, Server},
    sink::Sink,
    tools, wait_for,
};
use tempfile::TempDir;

const SEND: &str = include_str!("support/python/require_tls.py");
const CAROL: &str = "carol@far.test";
const MESSAGE: &[u8] = b"From: alice@example.test\r\nSubject: the secret plan\r\nMessage-ID: <1@client.test>\r\nTLS-Required: No\r\n\r\nvery secret\r\n";

fn route_to(port: u16) -> String {
    format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\nmtrk = true\nno_soliciting = [\"net.example:ADV\"]\n\
         transactions_max = 7\n\
         [queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n"
    )
}

/// A certificate for 127.0.0.1 and its key, from openssl.
fn certificate(directory: &TempDir, test: &str) -> Option<(PathBuf, PathBuf)> {
    let openssl = tools::find("openssl", test)?;
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let mut command = Command::new(openssl);
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    command.args(["-subj", "/CN=far", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
    tools::run(&mut command, b"").ok("openssl");
    Some((certificate, key))
}

/// A server for far.test with that certificate.
fn far(certificate: &(PathBuf, PathBuf)) -> Server {
    let (certificate, key) = (certificate.0.display(), certificate.1.display());
    let far = Server::start(&format!(
        "[tls]\nmode = \"files\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"
    ));
    far.cli_ok(&["domain", "add", "far.test"]);
    far.add_account(CAROL);
    far
}

/// Python's smtplib under STARTTLS; false, after saying so, if there is no Python.
fn send_with(server: &Server, sender: &str, recipient: &str, parameters: &[&str], test: &str) -> bool {
    let Some(python) = tools::find("python3", test) else { return false };
    let mut command = Command::new(python);
    command.args(["-c", SEND, &server.port("smtp").to_string(), sender, recipient]).args(parameters);
    tools::run(&mut command, MESSAGE).ok("python3");
    true
}

fn why(server: &Server, address: &str) -> String {
    server.cli_ok(&["why", address])
}

#[test]
fn requiretls_holds_from_hop_to_hop() {
    let test = "requiretls_holds_from_hop_to_hop";
    let directory = TempDir::new().unwrap();
    let Some(certificate) = certificate(&directory, test) else { return };
    let far = far(&certificate);
    let near = Server::start_trusting(&certificate.0, &route_to(far.port("smtp")));
    near.cli_ok(&["alias", "add", "team@example.test", CAROL]);
    // C290: an alias keeps it.
    for (number, recipient) in [(1, CAROL), (2, "team@example.test")] {
        if !send_with(&near, ALICE, recipient, &["REQUIRETLS"], test) {
            return;
        }
        far.mailbox_count(CAROL, number);
    }
    // C289: who asks for both means the stricter.
    assert!(!near.cli_ok(&["trace", CAROL]).contains("TLS-Required"));
    let told = why(&near, "team@example.test");
    assert!(told.contains("REQUIRETLS, was kept") && told.contains("certificate verified"), "{told}");
    let heard = far.cli_ok(&["trace", CAROL]);
    assert_eq!(heard.matches("REQUIRETLS asked").count(), 2, "the next host was told: {heard}");
    assert_eq!(heard.matches("REQUIRETLS kept").count(), 2, "{heard}");
    // A connection that is good enough for that is good enough for others.
    near.smtp().deliver(ALICE, &[CAROL], MESSAGE).unwrap();
    far.mailbox_count(CAROL, 3);
}

#[test]
fn requiretls_goes_to_no_host_that_cannot_keep_it() {
    let test = "requiretls_goes_to_no_host_that_cannot_keep_it";
    let directory = TempDir::new().unwrap();
    let Some(certificate) = certificate(&directory, test) else { return };
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "REQUIRETLS"], |_| None);
    let far = far(&certificate);
    // No TLS at all; a certificate that nobody vouches for.
    for port in [ports.nth(0), far.port("smtp")] {
        let near = Server::start(&route_to(port));
        if !send_with(&near, ALICE, CAROL, &["REQUIRETLS", "RET=FULL"], test) {
            return;
        }
        let report = String::from_utf8(near.mailbox(ALICE, 1).remove(0)).unwrap();
        assert!(report.contains("\r\nStatus: 5.7.10\r\n"), "{report}");
        // C288: RET=FULL does not count.
        assert!(report.contains("text/rfc822-headers") && !report.contains("very secret"), "{report}");
        let told = why(&near, CAROL);
        assert!(told.contains("REQUIRETLS, was failed"), "{told}");
    }
    assert!(sink.messages().is_empty() && !sink.commands().iter().any(|line| line.starts_with("MAIL")));
    assert_eq!(far.pop3(CAROL).count().unwrap(), 0);
}

/// C288, A166: the report goes where the sender is, in clear if need be, and tells nothing.
#[test]
fn a_report_on_a_secret_is_redacted_and_arrives() {
    let test = "a_report_on_a_secret_is_redacted_and_arrives";
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "8BITMIME"], |_| None);
    let near = Server::start(&route_to(ports.nth(0)));
    if !send_with(&near, "dave@far.test", CAROL, &["REQUIRETLS"], test) {
        return;
    }
    let report = wait_for("the report", || sink.messages().pop());
    assert_eq!((report.from.trim(), report.to[0].trim()), ("<>", "<dave@far.test>"));
    let text = String::from_utf8(report.content).unwrap();
    assert!(text.contains("Status: 5.7.10") && text.contains("Message-ID: <1@client.test>"), "{text}");
    assert!(!text.contains("secret plan") && !text.contains("very secret"), "{text}");
}

#[test]
fn send_asks_for_requiretls() {
    let server = Server::start("[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n");
    let to = ["send", "--from", BOB, "--to", ALICE, "--subject", "x", "--require-tls"];
    server.cli_ok(&to);
    assert!(server.cli_ok(&["trace", ALICE]).contains("REQUIRETLS asked"));
    let refused = server.cli(&[&to[..], &["--tls", "none"]].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", refused.said());
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING"], |_| None);
    let at_sink = format!("127.0.0.1:{}", ports.nth(0));
    let refused = server.cli(&[&to[..], &["--server", &at_sink]].concat());
    assert_eq!(refused.status.code(), Some(1), "{}", refused.said());
    assert!(sink.messages().is_empty());
}

#[test]
fn a_mailbox_that_changed_hands_is_not_given_the_mail_of_the_one_before() {
    let server = Server::start("");
    let mut smtp = server.smtp();
    smtp.dialog(&format!(
        "C: MAIL FROM:<a@client.test>
         S: 250
         C: RCPT TO:<{ALICE}> RRVS=2014-04-03T23:01:00Z
         S: 550 5.7.18
         C: RCPT TO:<{ALICE}> RRVS=2014-04-03
         S: 501 5.5.4
         C: RCPT TO:<{ALICE}> NOTIFY=NEVER RRVS=2999-01-01T00:00:00Z
         S: 250 2.1.5
         C: DATA
         S: 354
         C: Require-Recipient-Valid-Since: {ALICE}; Thu, 3 Apr 2014 23:01:00 +0000
         C: Subject: yours
         C:
         C: .
         S: 250 2.0.0"
    ));
    let mail = String::from_utf8(server.mailbox(ALICE, 1).remove(0)).unwrap();
    assert!(mail.contains("Subject: yours") && !mail.contains("Require-Recipient"), "{mail}");
    let told = why(&server, ALICE);
    assert!(told.contains("RRVS, was kept"), "{told}");
}

#[test]
fn what_is_configured_is_announced_and_holds() {
    let ports = Ports::take();
    let sink = Sink::start(ports.nth(0), &["PIPELINING", "DSN"], |_| None);
    let server = Server::start(&route_to(ports.nth(0)));
    let mut smtp = server.smtp();
    let announced = smtp.command("EHLO client.test").unwrap().lines;
    for line in ["LIMITS RCPTMAX=1000 MAILMAX=7", "NO-SOLICITING net.example:ADV", "MTRK", "RRVS"] {
        assert!(announced.iter().any(|said| said == line), "{line} in {announced:?}");
    }
    smtp.dialog(
        "C: MAIL FROM:<a@client.test> SOLICIT=net.example:ADV
         S: 550 5.7.1
         C: MAIL FROM:<a@client.test> MTRK=QUJD
         S: 501 5.5.4
         C: MAIL FROM:<a@client.test> MTRK=QUJD ENVID=x SOLICIT=org.example:ADV
         S: 250
         C: RCPT TO:<carol@far.test>
         S: 250
         C: DATA
         S: 354
         C: .
         S: 250",
    );
    let message = wait_for("the message", || sink.messages().pop());
    assert!(
        message.from.contains("ENVID=x")
            && !message.from.contains("MTRK")
            && !message.from.contains("SOLICIT")
    );
    let told =
        wait_for("the history", || Some(why(&server, CAROL)).filter(|told| told.contains("delivered")));
    assert!(told.contains("MTRK, was dropped"), "{told}");
    for _ in 3..7 {
        smtp.dialog("C: MAIL FROM:<a@client.test>\nS: 250\nC: RSET\nS: 250");
    }
    smtp.dialog("C: MAIL FROM:<a@client.test>\nS: 421 4.7.0");
}
