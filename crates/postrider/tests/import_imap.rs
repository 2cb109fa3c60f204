//! `import imap`: from another Postrider, and from a server that lies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{fs, path::PathBuf, process::Command};

use support::{
    server::{ALICE, BOB, PASSWORD, Server, binary},
    tools, wait_for,
};

/// Mail in mailboxes of all kinds; then so many messages in `Many`.
const FILL: &str = r#"
import imaplib, sys
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
session.create("Work/Pl&AOQ-ne")
session.create("Many")
for mailbox, name, flags, date in [
    ("INBOX", "one", "", 1600000000), ("INBOX", "two", "\\Flagged", 1600000100),
    ("Work/Pl&AOQ-ne", "three", "\\Seen work", 1500000000), ("Sent", "four", "\\Answered", 1500000100),
]:
    text = "From: a@b.test\r\nSubject: %s\r\n\r\nThis is %s.\r\n" % (name, name)
    session.append('"%s"' % mailbox, "(%s)" % flags, imaplib.Time2Internaldate(date), text.encode())
for number in range(int(sys.argv[4])):
    session.append("Many", None, None, b"Subject: %d\r\n\r\n%s" % (number % 200, b"the same text\r\n" * 300))
"#;

/// One line for each message: mailbox, subject, date, flags.
const LIST: &str = r#"
import email, imaplib, sys
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
names = [line.decode().split(' "/" ')[1] for line in session.list()[1]]
for mailbox in sorted(names):
    count = int(session.select(mailbox, readonly=True)[1][0])
    print(mailbox, count)
    if count and "Many" not in mailbox:
        for part in session.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
            if isinstance(part, tuple):
                flags = b" ".join(sorted(imaplib.ParseFlags(part[0]))).decode()
                date = imaplib.Internaldate2tuple(part[0])
                text = email.message_from_bytes(part[1])
                print(mailbox, text["Subject"], "%d-%02d-%02d" % date[:3], flags, text.get_payload().strip(), sep="|")
"#;

/// A server that says what it should not: names that lead astray, messages that nobody asked for, a size that is a lie.
const LIAR: &str = r#"
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for round, lie in enumerate(("names", "endless", "silent end")):
    stream = listener.accept()[0]
    lines = stream.makefile("rb")
    stream.sendall(b"* OK [CAPABILITY IMAP4rev1] me\r\n")
    for line in lines:
        tag, verb = line.split()[:2]
        if verb == b"LOGIN":
            stream.sendall(b"+ go\r\n")
            lines.readline()
            stream.sendall(b"+ go\r\n")
            lines.readline()
        elif verb == b"LIST":
            stream.sendall(b'* LIST () "." INBOX\r\n* LIST () "." "../../etc.\x1b[31m"\r\n* LIST (\\Noselect) "." no\r\n* LIST () "." locked\r\n')
        elif b"locked" in line:
            stream.sendall(tag + b" NO not yours\r\n")
            continue
        elif verb == b"EXAMINE":
            stream.sendall(b"* 2 EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n" % (round + 1))
        elif verb == b"FETCH":
            sizes = b"* 1 FETCH (UID 1 RFC822.SIZE 5 FLAGS (\\Seen \\Odd a\x1bb))\r\n* 2 FETCH (UID 2 RFC822.SIZE 999999999999 FLAGS ())\r\n"
            stream.sendall(sizes)
        elif verb == b"UID":
            if lie == "endless":
                try:
                    stream.sendall(b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n")
                    stream.sendall(b"x" * 1000000)
                except OSError:
                    pass
                break
            if lie == "silent end":
                break
            stream.sendall(b"* 9 FETCH (UID 77 BODY[] {3}\r\nnot)\r\n* 1 FETCH (UID 1 BODY[] {16}\r\nSubject: x\r\n\r\nhi)\r\n")
        stream.sendall(tag + b" OK done\r\n")
        if verb == b"LOGOUT":
            break
    stream.close()
"#;

struct Python(PathBuf);

impl Python {
    fn run(&self, script: &str, server: &Server, user: &str, more: &[&str]) -> String {
        let port = server.port("imap").to_string();
        let done = tools::python(&self.0, script, &[&[&*port, user, PASSWORD], more].concat(), b"");
        String::from_utf8(done.ok("python3")).unwrap()
    }
}

fn messages_of(server: &Server, account: &str) -> u64 {
    server.cli_json(&["account", "show", account])[0]["messages"].as_u64().unwrap()
}

#[test]
fn an_account_moves_from_another_server_and_comes_only_once() {
    let Some(python) = tools::find("python3", "an_account_moves_from_another_server").map(Python) else {
        return;
    };
    let (source, target) = (Server::start(""), Server::start(""));
    python.run(FILL, &source, ALICE, &["300"]);
    let password = target.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let password = password.to_str().unwrap();
    let address = |service: &str| format!("127.0.0.1:{}", source.port(service));
    let (imap, imaps) = (address("imap"), address("imaps"));
    let import = |account: &str, more: &[&str]| {
        let arguments =
            [&["import", "imap", account, &imaps, "--user", ALICE, "--password-file", password], more]
                .concat();
        let outcome = target.cli_json(&arguments);
        (outcome["messages"].as_u64().unwrap(), outcome["known"].as_u64().unwrap())
    };
    let plans = target.cli_json(&[
        "import",
        "imap",
        ALICE,
        &imaps,
        "--user",
        ALICE,
        "--password-file",
        password,
        "--dry-run",
    ]);
    let sent = plans.as_array().unwrap().iter().find(|plan| plan["name"] == "Sent").unwrap();
    assert_eq!(
        (&sent["messages"], &sent["special_use"], &sent["target"]),
        (&1.into(), &"\\Sent".into(), &"Sent".into())
    );
    // An empty Outbox there would hide ours.
    assert!(!plans.as_array().unwrap().iter().any(|plan| plan["name"] == "Outbox"), "{plans}");
    assert_eq!(messages_of(&target, ALICE), 0);
    // Broken off, and taken up again.
    let mut command = Command::new(binary());
    command.args(["import", "imap", ALICE, &imaps, "--user", ALICE, "--password-file", password, "--config"]);
    let mut running = command.arg(target.config()).current_dir(target.path()).spawn().unwrap();
    wait_for("a part of the import", || (messages_of(&target, ALICE) > 0).then_some(()));
    running.kill().unwrap();
    running.wait().unwrap();
    let there = messages_of(&target, ALICE);
    let (new, known) = import(ALICE, &[]);
    assert_eq!((new + known, messages_of(&target, ALICE)), (304, 304), "{there} were there");
    assert_eq!(import(ALICE, &[]), (0, 304));
    assert_eq!(python.run(LIST, &target, ALICE, &[]), python.run(LIST, &source, ALICE, &[]));
    // Over STARTTLS, one mailbox, into another place.
    let arguments = ["import", "imap", BOB, &*imap, "--user", ALICE, "--password-file", password];
    let more = ["--tls", "starttls", "--mailbox", "Work/Pläne", "--into", "Old"];
    target.cli_ok(&[&arguments[..], &more[..]].concat());
    assert!(
        python
            .run(LIST, &target, BOB, &[])
            .contains("Old/Work/Pl&AOQ-ne|three|2017-07-14|\\Seen work|This is three.")
    );
    for (more, said) in [
        (&["--mailbox", "Nothing"][..], "no mailbox"),
        (&["--user", "nobody"], "refused the login"),
        (&["--tls", "implicit"], "TLS failed"),
    ] {
        let base = ["import", "imap", BOB, &*imap, "--password-file", password, "--tls", "starttls"];
        let base = if more[0] == "--tls" { &base[..6] } else { &base[..] };
        let user: &[&str] = if more[0] == "--user" { &[] } else { &["--user", ALICE] };
        let done = target.cli(&[base, user, more].concat());
        assert!(!done.status.success() && done.said().contains(said), "{more:?}: {}", done.said());
    }
}

#[test]
fn a_server_that_lies_harms_nothing() {
    let Some(python) = tools::find("python3", "a_server_that_lies_harms_nothing") else { return };
    let mut target = Server::start("");
    let port = target.spare_port().to_string();
    let mut liar = Command::new(python).args(["-c", LIAR, &port]).spawn().unwrap();
    let address = format!("127.0.0.1:{port}");
    wait_for("the liar", || std::net::TcpListener::bind(&*address).is_err().then_some(()));
    let import = |target: &Server| {
        let arguments = ["import", "imap", ALICE, &address, "--tls", "none", "--password-stdin"];
        target.cli_with(&arguments, b"secret\n")
    };
    let names = import(&target);
    let said = names.said();
    assert!(!names.status.success() && said.contains("999999999999 octets are too many"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    // One mailbox that cannot be opened keeps none of the others.
    assert!(said.contains("locked cannot be opened: not yours"), "{said}");
    assert!(messages_of(&target, ALICE) >= 1);
    for why in ["more than it announced", "closed the connection"] {
        let done = import(&target);
        assert!(!done.status.success() && done.said().contains(why), "{why}: {}", done.said());
    }
    target.still_serves("after lies");
    let _ = liar.kill();
    liar.wait().unwrap();
}
