//! mbsync between two sides that were both changed: at the end both are the same, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use support::{
    maildir::{maildir, mbsync},
    server::{ALICE, PASSWORD, Server},
    tools,
};

/// Changes on the server: a session that says one command after the other, each of which has to succeed.
const CHANGE: &str = r#"
import imaplib, sys
session = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
session.login(sys.argv[2], sys.argv[3])
def done(answer):
    assert answer[0] == "OK", answer
def append(mailbox, name, flags=None):
    done(session.append(mailbox, flags, None, f"Subject: {name}\r\n\r\n{name}\r\n".encode()))
exec(sys.argv[4])
session.logout()
"#;

const FIRST: &str = r#"
for name in "both-flag unflag gone-there gone-here gone-twice flagged-there untouched".split():
    append("INBOX", name, r"(\Seen)" if name == "unflag" else None)
done(session.create("Kept"))
append("Kept", "in a mailbox")
"#;

const THERE: &str = r#"
done(session.select("INBOX"))
def change(name, sign, flags):
    number = session.search(None, "SUBJECT", name)[1][0].decode()
    done(session.store(number, sign + "FLAGS", flags))
change("both-flag", "+", r"(\Flagged)")
change("unflag", "+", r"(\Answered)")
change("gone-here", "+", r"(\Flagged)")
change("flagged-there", "+", r"(\Flagged \Draft)")
for name in ("gone-there", "gone-twice"):
    change(name, "+", r"(\Deleted)")
    done(session.expunge())
append("INBOX", "new-there")
done(session.create("Same"))
append("Same", "same-there")
done(session.create("There"))
append("There", "only-there", r"(\Seen)")
"#;

fn on_the_server(server: &Server, what: &str) {
    let python = tools::find("python3", "mbsync with both sides changed").expect("python3 is there");
    let port = server.port("imap").to_string();
    tools::python(&python, CHANGE, &[&port, ALICE, PASSWORD, what], b"").ok("a change on the server");
}

/// The file of the message with this subject.
fn file_of(folder: &Path, name: &str) -> PathBuf {
    let files = ["new", "cur"].into_iter().flat_map(|kind| fs::read_dir(folder.join(kind)).unwrap());
    let mut files = files.map(|file| file.unwrap().path());
    let is_it = |path: &PathBuf| subject(&fs::read(path).unwrap()) == name;
    files.find(is_it).unwrap_or_else(|| panic!("there is no {name}"))
}

fn subject(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets).into_owned();
    text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default().to_owned()
}

fn set_flags(folder: &Path, name: &str, flags: &str) {
    let file = file_of(folder, name);
    let base = file.file_name().unwrap().to_string_lossy().split(":2,").next().unwrap().to_owned();
    fs::rename(&file, folder.join("cur").join(format!("{base}:2,{flags}"))).unwrap();
}

fn add(folder: &Path, name: &str) {
    for kind in ["new", "cur", "tmp"] {
        fs::create_dir_all(folder.join(kind)).unwrap();
    }
    let file = folder.join("new").join(format!("1.{name}.here"));
    fs::write(file, format!("Subject: {name}\n\n{name}\n")).unwrap();
}

fn change_here(mail: &Path) {
    let inbox = mail.join("INBOX");
    set_flags(&inbox, "both-flag", "R");
    set_flags(&inbox, "unflag", "");
    set_flags(&inbox, "gone-there", "F");
    fs::remove_file(file_of(&inbox, "gone-here")).unwrap();
    fs::remove_file(file_of(&inbox, "gone-twice")).unwrap();
    add(&inbox, "new-here");
    add(&mail.join("Same"), "same-here");
    add(&mail.join("Here"), "only-here");
}

/// Subject, flags and body of each message, by mailbox. What mbsync adds to find a message again is left out.
fn all(mail: &Path) -> BTreeMap<String, Vec<(String, String, String)>> {
    let folders = fs::read_dir(mail).unwrap().map(|folder| folder.unwrap().path());
    let folders = folders.filter(|folder| folder.join("cur").is_dir());
    let read = |folder: PathBuf| {
        let messages = maildir(&folder).into_iter().map(|(octets, flags)| {
            let text = String::from_utf8_lossy(&octets).into_owned();
            let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("X-TUID: ")).collect();
            (subject(&octets), flags, kept.join("\n"))
        });
        let mut messages: Vec<_> = messages.collect();
        messages.sort();
        (folder.file_name().unwrap().to_string_lossy().into_owned(), messages)
    };
    folders.map(read).collect()
}

#[test]
fn what_was_changed_on_both_sides_ends_the_same() {
    let Some(program) = tools::find("mbsync", "mbsync with both sides changed") else { return };
    if tools::find("python3", "mbsync with both sides changed").is_none() {
        return;
    }
    let server = Server::start("");
    let (mail, fresh) = (server.path().join("mail"), server.path().join("fresh"));
    on_the_server(&server, FIRST);
    mbsync(&program, &server, &mail);
    on_the_server(&server, THERE);
    change_here(&mail);
    for _ in 0..2 {
        mbsync(&program, &server, &mail);
    }
    // Who has nothing yet sees what the server has.
    mbsync(&program, &server, &fresh);
    let (here, there) = (all(&mail), all(&fresh));
    assert_eq!(here, there);
    let seen = |mailbox: &str| -> Vec<(&str, &str)> {
        here[mailbox].iter().map(|(name, flags, _)| (name.as_str(), flags.as_str())).collect()
    };
    assert_eq!(
        seen("INBOX"),
        [
            ("both-flag", "FR"),
            ("flagged-there", "DF"),
            ("new-here", ""),
            ("new-there", ""),
            ("unflag", "R"),
            ("untouched", "")
        ],
        "what was deleted on either side is gone, all else is there with the flags of both"
    );
    assert_eq!(seen("Same"), [("same-here", ""), ("same-there", "")]);
    assert_eq!(seen("Here"), [("only-here", "")]);
    assert_eq!(seen("There"), [("only-there", "S")]);
    assert_eq!(seen("Kept"), [("in a mailbox", "")]);
    let before = all(&mail);
    mbsync(&program, &server, &mail);
    assert_eq!(all(&mail), before, "both sides are at rest");
}
