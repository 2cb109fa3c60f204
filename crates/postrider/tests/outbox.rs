//! The Outbox, with mail programs that we did not write: what is on its way is seen, and called off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use support::{
    ports::Ports,
    server::{ALICE, BOB, PASSWORD, Server, binary},
    sink::Sink,
    tools, wait_for,
};

const WATCH: &str = include_str!("support/python/outbox.py");
const SEND: &str = include_str!("support/python/send.py");
const CALL_OFF: &str = "
import imaplib, sys
imap = imaplib.IMAP4('127.0.0.1', int(sys.argv[1]))
imap.login(*sys.argv[2:])
imap.select('Outbox')
imap.store('1', '+FLAGS', r'(\\Deleted)')
print(*imap.expunge(), *imap.uid('MOVE', '1', 'Trash'), imap.search(None, 'ALL')[1][0])
";
const AGAIN: &str = "
import imaplib, sys
imap = imaplib.IMAP4('127.0.0.1', int(sys.argv[1]))
imap.login(*sys.argv[2:])
print(imap.select('Outbox')[1][0].decode(), imap.response('UIDVALIDITY')[1][0].decode(),
      imap.fetch('1:*', '(UID)')[1][0])
";

#[test]
fn imaplib_watches_mail_on_its_way_and_calls_it_off() {
    let Some(python) = tools::find("python3", "imaplib and the Outbox") else { return };
    let ports = Ports::take();
    let port = ports.nth(0);
    let asked = AtomicUsize::new(0);
    let sink = Sink::start(port, &[], move |line| {
        let waits = line.starts_with("RCPT")
            && (!line.contains("yes@") || asked.fetch_add(1, Ordering::Relaxed) == 0);
        waits.then(|| "451 4.2.0 not yet".to_owned())
    });
    let mut server = Server::start(&format!(
        "[queue]\nretry_delays = [\"1h\"]\n[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\n\
         host = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
    ));
    let (imap, submission) = (server.port("imap").to_string(), server.port("submission").to_string());
    let (program, config) = (binary(), server.config());
    let (program, config) = (program.to_str().unwrap(), config.to_str().unwrap());
    let retry = [program, "queue", "retry", "--recipient", "yes@away.test", "--config", config];
    let arguments = [&[&imap, &submission, ALICE, PASSWORD][..], &retry].concat();
    let validity = String::from_utf8(tools::python(&python, WATCH, &arguments, b"").ok("outbox")).unwrap();
    assert_eq!(sink.messages().len(), 1, "what was called off did not leave");
    let ids = server.cli_json(&["queue", "list"]);
    assert_eq!(ids.as_array().unwrap().len(), 1, "{ids}");
    let history = server.cli_ok(&["trace", "never@away.test"]);
    assert!(history.contains("its sender called it off, for no@away.test, never@away.test"), "{history}");
    let why = server.cli_ok(&["why", "never@away.test"]);
    assert!(why.contains("its sender called it off for no@away.test, never@away.test at "), "{why}");
    let again = |server: &Server, user: &str| {
        let port = server.port("imap").to_string();
        let said = tools::python(&python, AGAIN, &[&port, user, PASSWORD], b"").ok("once more");
        String::from_utf8(said).unwrap()
    };
    let before = again(&server, ALICE);
    assert!(before.starts_with(&format!("1 {}", validity.trim())) && before.contains("UID 4"), "{before}");
    assert!(again(&server, BOB).starts_with("0 "), "another account has another");
    server.kill();
    server.launch();
    assert_eq!(again(&server, ALICE), before, "numbers outlive a crash");
}

#[test]
fn what_is_just_being_delivered_is_not_called_off() {
    let Some(python) = tools::find("python3", "the Outbox and a slow host") else { return };
    let ports = Ports::take();
    let port = ports.nth(0);
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let sink = Sink::start(port, &[], move |line| {
        if line.starts_with("RCPT") {
            let _ = wait.lock().unwrap().recv_timeout(support::PATIENCE);
        }
        None
    });
    let server = Server::start(&format!(
        "[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
    ));
    let (imap, submission) = (server.port("imap").to_string(), server.port("submission").to_string());
    let message = format!("From: {ALICE}\r\nSubject: slow\r\n\r\nhello\r\n");
    let arguments = [&submission, "plain", ALICE, "slow@away.test", ALICE, PASSWORD];
    tools::python(&python, SEND, &arguments, message.as_bytes()).ok("smtplib");
    wait_for("the host to be asked", || {
        sink.commands().iter().find(|line| line.starts_with("RCPT")).cloned()
    });
    let said = tools::python(&python, CALL_OFF, &[&imap, ALICE, PASSWORD], b"").ok("calling it off");
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.matches("[INUSE] 1 of the messages").count(), 2, "{said}");
    assert!(said.trim_end().ends_with("b'1'"), "it is there still: {said}");
    go_on.send(()).unwrap();
    wait_for("its delivery", || (sink.messages().len() == 1).then_some(()));
    wait_for("an empty queue", || server.cli_json(&["queue", "list"]).as_array()?.is_empty().then_some(()));
    let gone = tools::python(&python, CALL_OFF, &[&imap, ALICE, PASSWORD], b"").said();
    assert!(!gone.contains("INUSE"), "{gone}");
}
