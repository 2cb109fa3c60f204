//! Hostile and broken clients: each gets a clear reply, the server lives, and its memory stays bounded.
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
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use support::{
    PATIENCE,
    random::Random,
    samples::assert_same,
    say,
    server::{ALICE, BOB, PASSWORD, Server},
    tools, wait_for,
    wire::{Pop3, Smtp},
};

const STARTTLS_INJECTION: &str = include_str!("support/python/starttls_injection.py");
const BARE_LINE_ENDS: &str = include_str!("support/python/bare_line_ends.py");
const SENDER: &str = "mallory@client.test";
/// A whole server with some hundred connections; what one client sends must not come on top.
const RESIDENT_MIB_MAX: u64 = 200;

fn assert_unharmed(mut server: Server, what: &str) {
    server.still_serves(what);
    let resident = server.resident_peak_mib();
    say(&format!("{what}: at most {resident} MiB resident"));
    assert!(resident < RESIDENT_MIB_MAX, "{resident} MiB were resident");
    server.stop();
}

#[test]
fn long_commands_and_endless_lines() {
    let server = Server::start("");
    let mut smtp = server.smtp();
    smtp.dialog(&format!("C: NOOP {}\nS: 500 5.5.2\nC: NOOP\nS: 250", "x".repeat(4_000)));
    smtp.dialog(&format!("C: MAIL FROM:<{}@client.test>\nS: 501 5.1.7\nC: NOOP\nS: 250", "x".repeat(65)));
    // More than any line may have, and no end: the server does not wait for it.
    let mut endless = server.smtp();
    let _ = endless.write(&vec![b'x'; 32 << 20]);
    assert!(endless.rest().unwrap_or_default().starts_with('4') || endless.write(b"\r\n").is_err());
    let mut pop3 = Pop3::connect(server.port("pop3")).unwrap();
    assert!(pop3.command(&format!("USER {}", "x".repeat(4_000))).is_err());
    let _ = pop3.write(&vec![b'x'; 32 << 20]);
    assert_unharmed(server, "long commands");
}

#[test]
fn long_lines_in_a_message_arrive_whole() {
    let server = Server::start("");
    let message = format!("Subject: long\r\n\r\n{}\r\n", "x".repeat(5 << 20));
    let reply = server.smtp().deliver(SENDER, &[ALICE], message.as_bytes()).unwrap();
    // RFC 5321 §4.5.3.1.6 lets a server refuse more than 1000 octets; what it takes it must not change.
    if reply.code == 250 {
        assert!(server.mailbox(ALICE, 1)[0].ends_with(message.as_bytes()));
    } else {
        assert!(reply.code >= 500, "{reply}");
    }
    assert_unharmed(server, "long lines");
}

/// Sends octets, then nothing more; what came back until the server closed.
fn throw(port: u16, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may have enough before all is sent.
    let _ = stream.write_all(octets);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    if let Err(error) = stream.read_to_end(&mut said) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "it must not be left hanging");
    }
    said
}

#[test]
fn binary_garbage_on_every_listener() {
    let server = Server::start("");
    let mut random = Random::seeded("garbage");
    for service in ["smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps"] {
        for _ in 0..20 {
            let size = usize::try_from(1 + random.below(100_000)).unwrap();
            let said = throw(server.port(service), &random.bytes(size));
            let said = String::from_utf8_lossy(&said);
            let is_reply = |line: &str| match service {
                "smtp" | "submission" => line.starts_with(['2', '4', '5']) && line.as_bytes()[..3].is_ascii(),
                "pop3" => line.starts_with("+OK") || line.starts_with("-ERR"),
                // A tag is the client's, and may be anything.
                "imap" => line.starts_with("* ") || line.starts_with("+ ") || line.contains(" BAD "),
                _ => true,
            };
            assert!(said.split_terminator("\r\n").all(is_reply), "{service}: {said}");
        }
    }
    let web = throw(server.port("smtp"), b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert!(!String::from_utf8_lossy(&web).contains("HTTP"), "{}", String::from_utf8_lossy(&web));
    assert_unharmed(server, "garbage");
}

#[test]
fn silent_connections_end_in_time_and_hinder_nobody() {
    let mut server = Server::start("[smtp]\ncommand_timeout = \"3s\"\ndata_timeout = \"3s\"\n");
    let mut silent: Vec<Smtp> = (0..150).map(|_| Smtp::dial(server.port("smtp")).unwrap()).collect();
    let mut half_told = server.smtp();
    half_told.write(b"MAIL FROM:<half").unwrap();
    let mut in_content = server.smtp();
    in_content
        .dialog(&format!("C: MAIL FROM:<{SENDER}>\nS: 250\nC: RCPT TO:<{ALICE}>\nS: 250\nC: DATA\nS: 354"));
    in_content.write(b"Subject: unfinished\r\n\r\nand the").unwrap();
    server.still_serves("beside silent connections");
    for smtp in &mut silent {
        smtp.dialog("S: 220\nS: 421 4.4.2");
        assert_eq!(smtp.rest().unwrap(), "");
    }
    for smtp in [&mut half_told, &mut in_content] {
        smtp.dialog("S: 421 4.4.2");
        assert_eq!(smtp.rest().unwrap(), "");
    }
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0);
    assert_unharmed(server, "silence");
}

#[test]
fn connections_cut_in_the_middle_of_a_message_leave_nothing() {
    let server = Server::start("");
    for with_bdat in [false, true] {
        for abrupt in [false, true] {
            let mut smtp = server.smtp();
            smtp.envelope(SENDER, &[ALICE]).unwrap();
            if with_bdat {
                smtp.write(b"BDAT 1000000 LAST\r\nSubject: half\r\n\r\nof it").unwrap();
            } else {
                smtp.dialog("C: DATA\nS: 354");
                // The end is not there before its last octet is.
                smtp.write(b"Subject: half\r\n\r\nof it\r\n.\r").unwrap();
            }
            if !abrupt {
                smtp.half_close().unwrap();
                let said = smtp.rest().unwrap();
                assert!(said.is_empty() || said.starts_with('4'), "{said}");
            }
        }
    }
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0);
    assert_unharmed(server, "cut connections");
}

#[test]
fn the_recipient_after_the_thousandth_is_refused_for_now() {
    let more = "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n\
        [[route]]\nrecipient = \"*@held.test\"\nvia = \"hold\"\n";
    let server = Server::start(more);
    let mut smtp = server.smtp();
    smtp.dialog(&format!("C: MAIL FROM:<{SENDER}>\nS: 250"));
    let group: Vec<String> = (1..=1001).map(|number| format!("RCPT TO:<r{number}@held.test>\r\n")).collect();
    smtp.write(group.concat().as_bytes()).unwrap();
    for number in 1..=1000 {
        assert_eq!(smtp.reply().unwrap().code, 250, "recipient {number}");
    }
    // RFC 5321 §4.5.3.1.10
    smtp.dialog("S: 452 4.5.3\nC: DATA\nS: 354\nC: Subject: many\nC:\nC: text\nC: .\nS: 250");
    let queue = server.cli_json(&["queue", "list"]);
    let recipients = |entry: &serde_json::Value| entry["recipients"].as_array().unwrap().len();
    assert_eq!(queue.as_array().unwrap().iter().map(recipients).sum::<usize>(), 1000);
    assert_unharmed(server, "1001 recipients");
}

/// Ends of content that some server somewhere takes for one; what follows would be a smuggled message.
const FALSE_ENDS: [&str; 8] =
    ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\nbare LF", "\rbare CR"];

#[test]
fn bare_line_ends_are_refused_and_end_nothing() {
    let server = Server::start("");
    for end in FALSE_ENDS {
        let mut smtp = server.smtp();
        let begin = format!("C: MAIL FROM:<{SENDER}>\nS: 250\nC: RCPT TO:<{ALICE}>\nS: 250");
        smtp.dialog(&format!("{begin}\nC: DATA\nS: 354"));
        let smuggled = format!(
            "Subject: x\r\n\r\ntext{end}MAIL FROM:<{SENDER}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\nsmuggled\r\n.\r\n"
        );
        smtp.write(smuggled.as_bytes()).unwrap();
        smtp.dialog("S: 550 5.6.11\nC: NOOP\nS: 250");
        smtp.dialog(&begin);
        smtp.write(format!("BDAT {} LAST\r\n{smuggled}", smuggled.len()).as_bytes()).unwrap();
        smtp.dialog("S: 550 5.6.11\nC: NOOP\nS: 250");
    }
    assert_eq!(server.pop3(ALICE).count().unwrap() + server.pop3(BOB).count().unwrap(), 0);
    assert_unharmed(server, "bare line ends");
}

#[test]
fn bare_line_ends_are_refused_on_submission_too() {
    let Some(python) = tools::find("python3", "bare line ends on submission") else { return };
    let server = Server::start("");
    for (service, tls) in [("submission", "starttls"), ("submissions", "implicit")] {
        for end in [r"a\n.\nb", r"a\rb"] {
            let port = server.port(service).to_string();
            let done = tools::python(&python, BARE_LINE_ENDS, &[&port, tls, ALICE, PASSWORD, end], b"");
            let said = String::from_utf8(done.ok(service)).unwrap();
            assert!(said.starts_with("550 5.6.11"), "{service}: {said}");
            assert!(said.lines().nth(1).unwrap().starts_with("250"), "{service}: {said}");
        }
    }
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0);
}

#[test]
fn commands_injected_before_tls_are_forgotten() {
    let Some(python) = tools::find("python3", "STARTTLS injection") else { return };
    let server = Server::start("");
    let inject = |service: &str, protocol: &str| {
        let port = server.port(service).to_string();
        let done = tools::python(&python, STARTTLS_INJECTION, &[&port, protocol], b"");
        String::from_utf8(done.ok("injection")).unwrap()
    };
    // CVE-2011-0411: either the connection ends, or the commands leave no trace in the session under TLS.
    for service in ["smtp", "submission"] {
        let said = inject(service, "smtp");
        assert!(said == "closed\n" || (said.starts_with("250-") && said.contains("\n503 5.5.1")), "{said}");
    }
    let said = inject("pop3", "pop3");
    assert!(said == "closed\n" || said.starts_with("-ERR"), "{said}");
    assert_unharmed(server, "injection");
}

#[test]
fn messages_beyond_the_limit_are_refused_without_being_kept() {
    let server = Server::start("[smtp]\nmessage_bytes_max = \"1 MiB\"\n");
    let port = server.port("smtp");
    server.smtp().dialog(&format!("C: MAIL FROM:<{SENDER}> SIZE=1048577\nS: 552 5.3.4\nC: NOOP\nS: 250"));
    let message = [&b"Subject: big\r\n\r\n"[..], &b"0123456789abcdef\r\n".repeat(20 << 16)].concat();
    thread::scope(|scope| {
        for with_bdat in [false, true].repeat(10) {
            let message = &message;
            scope.spawn(move || {
                let mut smtp = Smtp::connect(port).unwrap();
                if with_bdat {
                    smtp.envelope(SENDER, &[ALICE]).unwrap();
                    let begin = format!("BDAT {} LAST\r\n", message.len());
                    smtp.write(&[begin.as_bytes(), message].concat()).unwrap();
                    smtp.dialog("S: 552 5.3.4");
                } else {
                    assert_eq!(smtp.deliver(SENDER, &[ALICE], message).unwrap().code, 552);
                }
                smtp.dialog("C: NOOP\nS: 250");
            });
        }
    });
    assert_eq!(server.pop3(ALICE).count().unwrap(), 0);
    assert_unharmed(server, "too large");
}

#[test]
fn messages_without_a_proper_header_arrive_as_they_are() {
    let server = Server::start("");
    let long_header = "X-Long: 0123456789\r\n".repeat(50_000);
    let folded = format!("Subject: folded\r\n{}\r\ntext\r\n", " and on\r\n".repeat(100_000));
    for message in
        ["", "\r\n", "no header at all\r\n", "\r\nonly a body\r\n", ": \r\n\r\n", &long_header, &folded]
    {
        let reply = server.smtp().deliver(SENDER, &[ALICE], message.as_bytes()).unwrap();
        assert_eq!(reply.code, 250, "{reply}");
        let sent = if message.is_empty() { "\r\n" } else { message };
        assert_same(&server.mailbox(ALICE, 1)[0], sent.as_bytes(), &message[..message.len().min(20)]);
        server.empty_mailbox(ALICE);
    }
    // RFC 5321 §6.3
    let looping =
        format!("{}\r\ntext\r\n", "Received: from a by b; Tue, 03 Nov 2026 10:00:00 +0000\r\n".repeat(101));
    assert_eq!(server.smtp().deliver(SENDER, &[ALICE], looping.as_bytes()).unwrap().code, 554);
    let nul = server.smtp().deliver(SENDER, &[ALICE], b"Subject: nul\r\n\r\n\0\r\n").unwrap();
    assert_eq!(nul.code, 554, "{nul}");
    assert_unharmed(server, "headers");
}

#[test]
fn clients_that_never_read_cost_little() {
    let server = Server::start("");
    let message = [&b"Subject: big\r\n\r\n"[..], &b"0123456789abcdef\r\n".repeat(10 << 16)].concat();
    assert_eq!(server.smtp().deliver(SENDER, &[ALICE], &message).unwrap().code, 250);
    drop(server.mailbox_count(ALICE, 1));
    let flood = |port: u16, before: String, line: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        stream.write_all(before.as_bytes()).unwrap();
        // It ends when the server takes no more, or has enough of us.
        while stream.write_all(line.repeat(1000).as_bytes()).is_ok() {}
        stream
    };
    let logins = [("smtp", "HELP\r\n"), ("submission", "EHLO client.test\r\n"), ("pop3", "CAPA\r\n")];
    let mut open: Vec<_> =
        logins.iter().map(|(service, line)| flood(server.port(service), String::new(), line)).collect();
    let login = format!("USER {ALICE}\r\nPASS {PASSWORD}\r\n");
    open.push(flood(server.port("pop3"), login, "RETR 1\r\n"));
    assert_unharmed(server, "never reading");
    drop(open);
}

#[test]
fn wrong_passwords_are_refused_in_the_same_words() {
    let server = Server::start("");
    let port = server.port("pop3");
    for user in [ALICE, "nobody@example.test"] {
        let error = Pop3::login(port, user, "wrong").unwrap_err().to_string();
        assert!(error.contains("-ERR [AUTH]"), "{error}");
    }
    wait_for("the maildrop", || Pop3::login(port, ALICE, PASSWORD).ok());
    assert_unharmed(server, "wrong passwords");
}
