//! Mail from and to the files of other programs, with Python's mailbox module as the other side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{fs, path::Path, process::Command};

use support::{
    server::{ALICE, BOB, Server, binary},
    tools, wait_for,
};

/// Makes a Maildir with folders: INBOX with two messages, one flagged, and `Work/Alt` with one.
const MAKE_MAILDIR: &str = r#"
import mailbox, sys
root = mailbox.Maildir(sys.argv[1], create=True)
def add(box, text, flags, date):
    message = mailbox.MaildirMessage(text)
    message.set_flags(flags)
    message.set_date(date)
    if flags:
        message.set_subdir("cur")
    box.add(message)
add(root, "From: a@b.test\nSubject: first\n\nline one\n.\nFrom the start\n", "FS", 1700000000)
add(root, b"Subject: \xc3\xbc\n\n\xff binary\n", "", 1600000000)
add(root.add_folder("Work.Alt&APY-"), "Subject: third\n\nbody\n", "RT", 1500000000)
"#;

/// One line for each message of an mbox: its date, flags, subject and text.
const READ_MBOX: &str = r#"
import mailbox, sys
for message in mailbox.mbox(sys.argv[1], create=False):
    print(message.get_from(), message.get_flags(), message["Subject"], repr(message.get_payload(decode=True)), sep="|")
"#;

const READ_MAILDIR: &str = r#"
import mailbox, sys
def show(name, box):
    for message in sorted(box, key=lambda message: message.get_date()):
        print(name, int(message.get_date()), message.get_flags(), repr(message.get_payload(decode=True)), sep="|")
root = mailbox.Maildir(sys.argv[1], create=False)
show("INBOX", root)
for name in sorted(root.list_folders()):
    show(name, root.get_folder(name))
"#;

const MAKE_MBOX: &str = r#"
import mailbox, sys
box = mailbox.mbox(sys.argv[1])
for number in range(int(sys.argv[2])):
    message = mailbox.mboxMessage("Subject: number %d\n\nFrom here on\n\n%s\n" % (number % 400, "text " * 200))
    message.set_from("sender@b.test Tue Nov 14 22:13:20 2023")
    message.set_flags("RO" if number % 2 else "F")
    box.add(message)
box.flush()
"#;

fn python(path: &Path, script: &str, arguments: &[&str]) -> String {
    String::from_utf8(tools::python(path, script, arguments, b"").ok("python3")).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Messages that came in, and those that were there.
fn import(server: &Server, arguments: &[&str]) -> (u64, u64) {
    let outcome = server.cli_json(&[&["import"], arguments].concat());
    (outcome["messages"].as_u64().unwrap(), outcome["known"].as_u64().unwrap())
}

fn messages_of(server: &Server, account: &str) -> u64 {
    server.cli_json(&["account", "show", account])[0]["messages"].as_u64().unwrap()
}

#[test]
fn maildirs_come_in_once_and_go_out_with_flags_and_dates() {
    let Some(path) = tools::find("python3", "maildirs_come_in_once_and_go_out") else { return };
    let mut server = Server::start("");
    let maildir = server.path().join("maildir");
    python(&path, MAKE_MAILDIR, &[text(&maildir)]);
    assert_eq!(import(&server, &["maildir", ALICE, text(&maildir)]), (3, 0));
    assert_eq!(import(&server, &["maildir", ALICE, text(&maildir)]), (0, 3));
    let stored = server.mailbox(ALICE, 2);
    assert!(
        stored.contains(
            &b"From: a@b.test\r\nSubject: first\r\n\r\nline one\r\n.\r\nFrom the start\r\n".to_vec()
        )
    );
    server.stop();
    let out = server.path().join("out");
    let export = |kind: &str, out: &Path| {
        let outcome = server.cli_json(&["export", kind, ALICE, text(out)]);
        (outcome["messages"].as_u64().unwrap(), outcome["known"].as_u64().unwrap())
    };
    assert_eq!((export("maildir", &out), export("maildir", &out)), ((3, 0), (0, 3)));
    assert_eq!(
        python(&path, READ_MAILDIR, &[text(&out)]),
        "INBOX|1600000000||b'\\xff binary\\n'\nINBOX|1700000000|FS|b'line one\\n.\\nFrom the start\\n'\n\
         Work.Alt&APY-|1500000000|RT|b'body\\n'\n"
    );
    let mboxes = server.path().join("mboxes");
    assert_eq!(export("mbox", &mboxes), (3, 0));
    assert_eq!(
        python(&path, READ_MBOX, &[text(&mboxes.join("INBOX.mbox"))])
            .lines()
            .find(|line| line.contains("first"))
            .unwrap(),
        "MAILER-DAEMON Tue Nov 14 22:13:20 2023|ROF|first|b'line one\\n.\\n>From the start\\n'"
    );
    // And back, into another account.
    assert_eq!(import(&server, &["mbox", BOB, text(&mboxes), "--into", "Old"]), (3, 0));
    let back = server.path().join("back");
    server.cli_ok(&["export", "maildir", BOB, text(&back), "--mailbox", "Old", "--mailbox", "Old/Work/Altö"]);
    assert_eq!(
        python(&path, READ_MAILDIR, &[text(&back)]),
        "Old|1600000000||b'\\xff binary\\n'\nOld|1700000000|FS|b'line one\\n.\\nFrom the start\\n'\n\
         Old.Work.Alt&APY-|1500000000|RT|b'body\\n'\n"
    );
}

#[test]
fn an_import_that_was_broken_off_goes_on_and_doubles_nothing() {
    let Some(path) = tools::find("python3", "an_import_that_was_broken_off_goes_on") else { return };
    let mut server = Server::start("");
    let mbox = server.path().join("old.mbox");
    // 400 different messages; every third or so stands there again.
    python(&path, MAKE_MBOX, &[text(&mbox), "600"]);
    let mut command = Command::new(binary());
    command.args(["import", "mbox", ALICE, text(&mbox), "--config", text(&server.config())]);
    let mut running = command.current_dir(server.path()).spawn().unwrap();
    wait_for("a part of the import", || (messages_of(&server, ALICE) > 0).then_some(()));
    server.kill();
    running.wait().unwrap();
    server.launch();
    let there = messages_of(&server, ALICE);
    assert_eq!(import(&server, &["mbox", ALICE, text(&mbox)]), (600 - there, there));
    assert_eq!(messages_of(&server, ALICE), 600);
    server.cli_ok(&["account", "set-quota", BOB, "--messages", "50"]);
    let refused = server.cli(&["import", "mbox", BOB, text(&mbox)]);
    assert!(!refused.status.success() && refused.said().contains("set-quota"), "{}", refused.said());
    assert!(messages_of(&server, BOB) <= 50);
    let nothing = server.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    assert_eq!(import(&server, &["maildir", BOB, text(&nothing)]), (0, 0));
    let missing = server.cli(&["import", "mbox", BOB, text(&server.path().join("missing"))]);
    assert!(!missing.status.success(), "{}", missing.said());
}
