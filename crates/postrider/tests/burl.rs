//! A message is sent from the mailbox it is in, without coming to its sender and going back (URLAUTH and BURL).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use support::{
    server::{ALICE, BOB, PASSWORD, Server},
    tools,
};

const SUBMIT: &str = include_str!("support/python/burl.py");

/// C296, C297, C298
#[test]
fn python_sends_what_is_in_a_mailbox() {
    let Some(python) = tools::find("python3", "imaplib and smtplib") else { return };
    let server = Server::start("");
    let (imap, submission) = (server.port("imap").to_string(), server.port("submission").to_string());
    tools::python(&python, SUBMIT, &[&imap, &submission, ALICE, BOB, PASSWORD], b"").ok("burl");
    let messages = server.mailbox(BOB, 3);
    let texts: Vec<_> = messages.iter().map(|message| String::from_utf8_lossy(message)).collect();
    for subject in ["whole", "made", "forwarded"] {
        let text = texts.iter().find(|text| text.contains(&format!("Subject: {subject}\r\n")));
        let text = text.unwrap_or_else(|| panic!("{subject}: {texts:?}"));
        assert!(text.ends_with("\r\n\r\nwhat it says\r\n") && !text.contains("secret@"), "{text}");
    }
}
