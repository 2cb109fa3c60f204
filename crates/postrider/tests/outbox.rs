//! The Outbox, with mail programs that we did not write: what is on its way is seen, and called off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use support::{
    ports::Ports,
    server::{ALICE, BOB, PASSWORD, Server, binary},
    sink::Sink,
    tools,
};

const WATCH: &str = include_str!("support/python/outbox.py");
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
