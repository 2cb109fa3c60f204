//! Messages to terminals: SEND, SOML and SAML typed through Python, and what a terminal with `postrider mail --attach`
//! and the mailbox got.
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
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use support::{
    server::{ALICE, BOB, Server, binary},
    tools, wait_for,
};

const ANYONE: &str = "[smtp]\nsend = \"anyone\"\n";

/// Says a verb, RCPT for bob, and if that is taken the message; prints each reply.
const TRANSACTION: &str = r"
import smtplib, sys
smtp = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))
smtp.ehlo()
assert all(smtp.has_extn(verb) for verb in ('send', 'soml', 'saml'))
print(*smtp.docmd(sys.argv[2], 'FROM:<alice@example.test>'))
reply = smtp.rcpt('bob@example.test')
print(*reply)
if reply[0] == 250:
    print(*smtp.data(sys.stdin.buffer.read()))
smtp.quit()
";

/// Runs a command on a terminal of its own until it has said the end of so many messages, then hangs up.
const ON_A_TERMINAL: &str = r"
import os, pty, signal, sys
child, terminal = pty.fork()
if child == 0:
    # Who runs the tests may have had it ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.execv(sys.argv[2], sys.argv[2:])
said = b''
while said.count(b'(end of message)') < int(sys.argv[1]):
    read = os.read(terminal, 4096)
    sys.stdout.buffer.write(read)
    sys.stdout.buffer.flush()
    said += read
os.kill(child, signal.SIGHUP)
os.waitpid(child, 0)
";

fn transaction(server: &Server, verb: &str, subject: &str) -> String {
    let message = format!(
        "From: Alice <{ALICE}>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Gr=FC=DFe =1B[2J=1B]0;evil=07to {verb}\r\n"
    );
    let port = server.port("smtp").to_string();
    let mut command = Command::new("python3");
    command.args(["-c", TRANSACTION, &port, verb]);
    String::from_utf8(tools::run(&mut command, message.as_bytes()).ok(verb)).unwrap()
}

/// A terminal of bob's; its end is the test's.
struct Terminal {
    child: Child,
    said: PathBuf,
}

impl Terminal {
    fn attach(server: &Server, arguments: &[&str]) -> Self {
        let said = server.path().join(format!("terminal-{}", arguments.join("")));
        let mut command = Command::new(binary());
        command.args(["mail", "--attach", "--user", BOB, "--config"]).arg(server.config()).args(arguments);
        command.stdout(fs::File::create(&said).unwrap()).stdin(Stdio::null());
        let terminal = Self { child: command.spawn().unwrap(), said };
        terminal.wait_for("messages to bob@example.test are shown here");
        terminal
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    fn wait_for(&self, what: &str) -> String {
        wait_for(what, || Some(self.said()).filter(|said| said.contains(what)))
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), id]).status().unwrap().success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until nothing is on its way.
fn settled(server: &Server) {
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn send_is_shown_and_not_kept_soml_is_kept_where_nobody_is_and_saml_always() {
    let server = Server::start(ANYONE);
    let nobody = transaction(&server, "SEND", "nobody there");
    assert!(
        nobody.starts_with("250 ") && nobody.lines().nth(1).unwrap().starts_with("450 b'4.2.1 "),
        "{nobody}"
    );
    transaction(&server, "SOML", "kept");
    assert!(String::from_utf8_lossy(&server.mailbox(BOB, 1)[0]).contains("Subject: kept\r\n"));

    let terminal = Terminal::attach(&server, &[]);
    let json = Terminal::attach(&server, &["--json"]);
    for verb in ["SEND", "SOML", "SAML"] {
        let said = transaction(&server, verb, &format!("live {verb}"));
        assert!(said.lines().all(|line| line.starts_with("250 ")), "{said}");
        let shown =
            terminal.wait_for(&format!("Subject: live {verb}\n| Grüße to {verb}\n(end of message)\n"));
        assert!(
            shown.contains("Message from Alice <alice@example.test>\n") && !shown.contains('\u{1b}'),
            "{shown:?}"
        );
        let shown = json.wait_for(&format!("live {verb}"));
        let last: serde_json::Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
        assert_eq!(last["text"], format!("Grüße to {verb}\n"));
    }
    settled(&server);
    let kept = server.mailbox(BOB, 2);
    assert!(
        String::from_utf8_lossy(&kept[1]).contains("Subject: live SAML\r\n"),
        "SEND and SOML are on the terminals"
    );
    assert!(server.cli_ok(&["trace", BOB]).contains("the terminal of bob@example.test"));

    drop((terminal, json));
    wait_for("the terminals' end", || transaction(&server, "SEND", "gone").contains("\n450 ").then_some(()));
}

#[test]
fn a_real_terminal_gets_nothing_to_obey() {
    let server = Server::start(ANYONE);
    let said = server.path().join("said");
    let mut command = Command::new("python3");
    command
        .args(["-c", ON_A_TERMINAL, "1"])
        .arg(binary())
        .args(["mail", "--attach", "--user", BOB, "--config"]);
    command.arg(server.config()).stdout(fs::File::create(&said).unwrap());
    let mut terminal = command.spawn().unwrap();
    wait_for("the terminal", || fs::read_to_string(&said).unwrap().contains("shown here").then_some(()));
    let hostile = "\u{1b}[2Jred\u{9b}31m\u{202e}";
    transaction(&server, "SEND", hostile);
    assert!(terminal.wait().unwrap().success());
    let said = fs::read_to_string(&said).unwrap();
    assert!(said.contains("Subject: red\r\n| Grüße to SEND\r\n(end of message)\r\n"), "{said:?}");
    assert!(said.chars().all(|c| !c.is_control() || matches!(c, '\r' | '\n')), "{said:?}");
    server.mailbox(BOB, 0);
}

#[test]
fn a_crash_before_the_terminal_has_it_loses_nothing() {
    let mut server = Server::start(ANYONE);
    let terminal = Terminal::attach(&server, &[]);
    terminal.signal("STOP");
    for verb in ["SOML", "SEND"] {
        let said = transaction(&server, verb, &format!("before the crash {verb}"));
        assert!(said.lines().all(|line| line.starts_with("250 ")), "{said}");
    }
    server.kill();
    server.launch();
    assert!(
        String::from_utf8_lossy(&server.mailbox(BOB, 1)[0]).contains("Subject: before the crash SOML\r\n")
    );
    let report = String::from_utf8_lossy(&server.mailbox(ALICE, 1)[0]).into_owned();
    assert!(report.starts_with("Return-Path: <>\r\n") && report.contains("Status: 5.2.1"), "{report}");
    settled(&server);
    drop(terminal);
}

#[test]
fn who_cannot_be_attached_is_told_why() {
    let mut server = Server::start("");
    let attach = |server: &Server, user: &str| server.cli(&["mail", "--attach", "--user", user]);
    let unknown = attach(&server, "nobody@example.test");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(unknown.said().contains("there is no account nobody@example.test"), "{}", unknown.said());
    assert!(attach(&server, "not an address").said().contains("is not an address"));
    assert_eq!(server.cli(&["mail"]).status.code(), Some(2));
    let ehlo = tools::run(
        Command::new("python3").args(["-c", TRANSACTION, &server.port("smtp").to_string(), "SEND"]),
        b"",
    );
    assert!(
        !ehlo.status.success() && ehlo.said().contains("AssertionError"),
        "not announced unless configured"
    );
    server.stop();
    let stopped = attach(&server, BOB);
    assert_eq!(stopped.status.code(), Some(1));
    assert!(stopped.said().contains("no server runs on"), "{}", stopped.said());
}
