//! Programs we did not write send to the real server, and others read from it, octet for octet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use support::{
    samples::{self, Sample, assert_same},
    server::{ALICE, PASSWORD, Server, binary},
    tools,
    wire::dot_stuffed,
};

const SEND: &str = include_str!("support/python/send.py");
const SEND_BINARY: &str = include_str!("support/python/send_binary.py");
const READ: &str = include_str!("support/python/read.py");
const PARSE: &str = include_str!("support/python/parse.py");
const SENDER: &str = "ann@client.test";
const UTF8_SENDER: &str = "jörg@client.test";
const UTF8_RECIPIENT: &str = "δοκιμή@example.test";

/// Each sample goes out with `send` and has to arrive in alice's mailbox as it was.
fn arrives(server: &Server, samples: &[Sample], mut send: impl FnMut(&Sample)) {
    for sample in samples {
        send(sample);
        let stored = server.mailbox(ALICE, 1).remove(0);
        assert_same(&stored, &sample.message, sample.name);
        server.empty_mailbox(ALICE);
    }
}

fn at(server: &Server, service: &str) -> String {
    format!("127.0.0.1:{}", server.port(service))
}

#[test]
fn swaks_delivers() {
    let Some(swaks) = tools::find("swaks", "swaks delivers") else { return };
    let server = Server::start("");
    let send = |more: &[&str], sample: &Sample| {
        let mut command = Command::new(&swaks);
        command.args(["--to", ALICE, "--data", "-", "--no-data-fixup", "--silent", "1"]).args(more);
        tools::run(&mut command, &dot_stuffed(&sample.message)).ok("swaks");
    };
    let relay = at(&server, "smtp");
    arrives(&server, &samples::plain(), |sample| send(&["--server", &relay, "--from", SENDER], sample));
    let submission = at(&server, "submission");
    let login =
        ["--from", ALICE, "--tls", "--auth", "LOGIN", "--auth-user", ALICE, "--auth-password", PASSWORD];
    arrives(&server, &[samples::dots()], |sample| {
        send(&[&["--server", &submission], &login[..]].concat(), sample);
    });
}

#[test]
fn python_smtplib_delivers() {
    let Some(python) = tools::find("python3", "smtplib delivers") else { return };
    let server = Server::start("");
    let send = |service: &str, tls: &str, more: &[&str], sample: &Sample| {
        let port = server.port(service).to_string();
        let arguments = [&[port.as_str(), tls], more].concat();
        tools::python(&python, SEND, &arguments, &sample.message).ok("smtplib");
    };
    arrives(&server, &samples::plain(), |sample| send("smtp", "plain", &[SENDER, ALICE], sample));
    let login = [ALICE, ALICE, ALICE, PASSWORD];
    let small = [samples::one_byte(), samples::dots(), samples::eight_bit()];
    arrives(&server, &small, |sample| send("submission", "starttls", &login, sample));
    arrives(&server, &small, |sample| send("submissions", "implicit", &login, sample));
}

#[test]
fn utf8_addresses_work_from_end_to_end() {
    let Some(python) = tools::find("python3", "UTF-8 addresses") else { return };
    let server = Server::start("");
    server.add_account(UTF8_RECIPIENT);
    let sample = samples::utf8();
    let port = server.port("smtp").to_string();
    tools::python(&python, SEND, &[&port, "plain", UTF8_SENDER, UTF8_RECIPIENT], &sample.message)
        .ok("smtplib");
    let curl = tools::find("curl", "curl sends to UTF-8 addresses");
    if let Some(curl) = &curl {
        curl_send(&server, curl, UTF8_SENDER, UTF8_RECIPIENT, &sample);
    }
    for stored in server.mailbox(UTF8_RECIPIENT, 1 + usize::from(curl.is_some())) {
        assert_same(&stored, &sample.message, "UTF-8 addresses");
    }
    for message in poplib_reads(&python, &server, "plain", UTF8_RECIPIENT) {
        assert_same(&message, &sample.message, "UTF-8 addresses through poplib");
    }
}

fn curl_send(server: &Server, curl: &Path, from: &str, to: &str, sample: &Sample) {
    let file = server.path().join("upload");
    fs::write(&file, &sample.message).unwrap();
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", &format!("smtp://{}/client.test", at(server, "smtp"))]);
    command.args(["--mail-from", from, "--mail-rcpt", to, "--upload-file"]).arg(file);
    tools::run(&mut command, b"").ok("curl");
}

#[test]
fn curl_delivers() {
    let Some(curl) = tools::find("curl", "curl delivers") else { return };
    let server = Server::start("");
    arrives(&server, &samples::plain(), |sample| curl_send(&server, &curl, SENDER, ALICE, sample));
}

#[test]
fn smtp_source_delivers() {
    let Some(source) = tools::find_postfix("smtp-source", "smtp-source delivers") else { return };
    let server = Server::start("");
    let sample = samples::dots();
    let file = server.path().join("message");
    // It takes lines that end with LF, and puts an empty one at the end.
    fs::write(&file, String::from_utf8(sample.message.clone()).unwrap().replace("\r\n", "\n")).unwrap();
    let sent = [&sample.message[..], b"\r\n"].concat();
    let mut command = Command::new(source);
    command
        .args(["-s", "5", "-m", "100", "-f", SENDER, "-t", ALICE, "-F"])
        .arg(&file)
        .arg(at(&server, "smtp"));
    tools::run(&mut command, b"").ok("smtp-source");
    for stored in server.mailbox(ALICE, 100) {
        assert_same(&stored, &sent, "smtp-source");
    }
}

#[test]
fn binary_arrives_through_bdat() {
    let Some(python) = tools::find("python3", "binary through BDAT") else { return };
    let server = Server::start("");
    let port = server.port("smtp").to_string();
    let send =
        |message: &[u8]| tools::python(&python, SEND_BINARY, &[&port, SENDER, ALICE], message).ok("BDAT");
    arrives(&server, &[samples::binary()], |sample| drop(send(&sample.message)));
    // POP3 has to end the last line.
    let one_byte = [&samples::one_byte().message[..], b"y"].concat();
    send(&one_byte);
    let stored = server.mailbox(ALICE, 1).remove(0);
    assert_same(&stored, &[&one_byte[..], b"\r\n"].concat(), "one byte without a line end");
}

#[test]
fn our_own_send_carries_an_attachment() {
    let Some(python) = tools::find("python3", "postrider send with an attachment") else { return };
    let server = Server::start("");
    let file = server.path().join("Gruß.bin");
    fs::write(&file, support::random::Random(1).bytes(3 << 20)).unwrap();
    let mut command = Command::new(binary());
    command.args([
        "send",
        "--from",
        SENDER,
        "--to",
        ALICE,
        "--subject",
        "Grüße",
        "--body",
        "Hello\n.\nAlice",
    ]);
    command.arg("--attach").arg(&file).args(["--server", &at(&server, "smtp")]);
    let done = tools::run(&mut command, b"");
    assert!(done.said().contains("250 "), "the final reply is printed: {}", done.said());
    done.ok("send");
    let stored = server.mailbox(ALICE, 1).remove(0);
    let seen: serde_json::Value =
        serde_json::from_slice(&tools::python(&python, PARSE, &[], &stored).ok("parse")).unwrap();
    assert_eq!(seen["defects"], serde_json::json!([]));
    assert_eq!(seen["header"]["subject"], "Grüße");
    let parts = seen["parts"].as_array().unwrap();
    let text = parts.iter().find(|part| part["type"] == "text/plain").unwrap()["text"].as_str().unwrap();
    assert_eq!(text.trim_end().replace("\r\n", "\n"), "Hello\n.\nAlice");
    let attached = parts.iter().find(|part| part["name"] == "Gruß.bin").expect("the attachment has its name");
    let sum = tools::run(Command::new("sha256sum").arg(&file), b"").ok("sha256sum");
    assert!(
        sum.starts_with(attached["sha256"].as_str().unwrap().as_bytes()),
        "the attachment is what it was"
    );
}

/// Alice's mailbox holds all samples, in this order.
fn filled() -> (Server, Vec<Sample>) {
    let server = Server::start("");
    let samples = samples::plain();
    let mut smtp = server.smtp();
    for (sent, sample) in samples.iter().enumerate() {
        assert_eq!(smtp.deliver(SENDER, &[ALICE], &sample.message).unwrap().code, 250);
        server.mailbox_count(ALICE, sent + 1);
    }
    (server, samples)
}

#[test]
fn curl_reads() {
    let Some(curl) = tools::find("curl", "curl reads") else { return };
    let (server, mut samples) = filled();
    let binary = samples::binary();
    let mut smtp = server.smtp();
    smtp.dialog(&format!("C: MAIL FROM:<{SENDER}> BODY=BINARYMIME\nS: 250\nC: RCPT TO:<{ALICE}>\nS: 250"));
    smtp.write(&[format!("BDAT {} LAST\r\n", binary.message.len()).as_bytes(), &binary.message].concat())
        .unwrap();
    smtp.dialog("S: 250");
    samples.push(binary);
    server.mailbox_count(ALICE, samples.len());
    let read = |url: String| {
        let mut command = Command::new(&curl);
        command.args([
            "--silent",
            "--show-error",
            "--insecure",
            "--user",
            &format!("{ALICE}:{PASSWORD}"),
            &url,
        ]);
        tools::run(&mut command, b"").ok("curl")
    };
    let plain = at(&server, "pop3");
    let list = String::from_utf8(read(format!("pop3://{plain}/"))).unwrap();
    assert_eq!(list.lines().count(), samples.len(), "{list}");
    for (sample, number) in samples.iter().zip(1..) {
        assert_same(&read(format!("pop3://{plain}/{number}")), &sample.message, sample.name);
    }
    assert_same(&read(format!("pop3s://{}/2", at(&server, "pop3s"))), &samples[1].message, "over TLS");
}

fn poplib_reads(python: &Path, server: &Server, tls: &str, user: &str) -> Vec<Vec<u8>> {
    let port = server.port(if tls == "implicit" { "pop3s" } else { "pop3" }).to_string();
    let mut rest = &tools::python(python, READ, &[&port, tls, user, PASSWORD], b"").ok("poplib")[..];
    let mut messages = Vec::new();
    while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
        let size: usize = String::from_utf8_lossy(&rest[..end]).parse().unwrap();
        let (message, next) = rest[end + 1..].split_at(size);
        messages.push(message.to_vec());
        rest = next;
    }
    messages
}

#[test]
fn python_poplib_reads() {
    let Some(python) = tools::find("python3", "poplib reads") else { return };
    let (server, samples) = filled();
    for tls in ["plain", "stls", "implicit"] {
        let messages = poplib_reads(&python, &server, tls, ALICE);
        assert_eq!(messages.len(), samples.len());
        for (message, sample) in messages.iter().zip(&samples) {
            assert_same(message, &sample.message, &format!("{} {tls}", sample.name));
        }
    }
}

#[test]
fn fetchmail_reads() {
    let Some(fetchmail) = tools::find("fetchmail", "fetchmail reads") else { return };
    let (server, samples) = filled();
    let fetched = fetch_all(&fetchmail, &server);
    assert_eq!(fetched.len(), samples.len());
    for sample in &samples {
        let subject = format!("Subject: {}\r\n", sample.name);
        let is_it = |message: &&Vec<u8>| {
            String::from_utf8_lossy(&message[..2_000.min(message.len())]).contains(&subject)
        };
        let message = fetched.iter().find(is_it).unwrap_or_else(|| panic!("{} was not fetched", sample.name));
        assert_same(message, &sample.message, sample.name);
    }
    assert!(server.mailbox(ALICE, 0).is_empty(), "fetchmail deletes what it fetched");
}

/// What fetchmail hands to its delivery program, which gets lines that end with LF.
fn fetch_all(fetchmail: &Path, server: &Server) -> Vec<Vec<u8>> {
    let home = server.path().join("fetchmail");
    let kept: PathBuf = home.join("kept");
    fs::create_dir_all(&kept).unwrap();
    let script = home.join("keep.sh");
    fs::write(&script, format!("cat > \"$(mktemp {}/XXXXXX)\"\n", kept.display())).unwrap();
    let config = home.join("fetchmailrc");
    let text = format!(
        "set invisible\npoll 127.0.0.1 protocol pop3 port {}\n  user \"{ALICE}\" password \"{PASSWORD}\"\n  \
         no sslcertck fetchall no rewrite mda \"sh {}\"\n",
        server.port("pop3"),
        script.display()
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(fetchmail);
    command.arg("--fetchmailrc").arg(&config).env("FETCHMAILHOME", &home).env("HOME", &home);
    tools::run(&mut command, b"").ok("fetchmail");
    let files = fs::read_dir(&kept).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.map(|message| samples::with_crlf(&message)).collect()
}
